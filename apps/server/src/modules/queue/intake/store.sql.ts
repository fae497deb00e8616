// Generated from store.sql by `npm run generate`. Do not edit.
import { count, many, maybe, type Queryable } from '../../../platform/db/query.ts';

export interface LockRoomParams {
  readonly project_id: string;
}

export interface LockRoomRow {
  readonly room: number;
  readonly full: boolean | null;
}

const lockRoomText = `select room, full_until > strait_now() as "full" from queued_room where project_id = $1 for no key update`;

/** Triggers of a project with max_queued_runs pass one after the other. */
export function lockRoom(db: Queryable, params: LockRoomParams): Promise<LockRoomRow | undefined> {
  return maybe<LockRoomRow>(db, {
    text: lockRoomText,
    values: [params.project_id],
  });
}

export interface OpenRoomParams {
  readonly project_id: string;
}

const openRoomText = `insert into queued_room (project_id) values ($1) on conflict (project_id) do nothing`;

export function openRoom(db: Queryable, params: OpenRoomParams): Promise<number> {
  return count(db, {
    text: openRoomText,
    values: [params.project_id],
  });
}

export interface CountRoomParams {
  readonly project_id: string;
}

export interface CountRoomRow {
  readonly most: number;
  readonly queued: number;
  readonly returning: number;
}

const countRoomText = `select q.max_queued_runs as "most",
       ((select count(*) from (select from run_queue where project_id = $1 limit q.max_queued_runs) x)
        + (select count(*) from (select from run_parked
                                  where root_lane_id = (select lane_id from lanes where project_id = $1 and job_id is null and concurrency_key is null)
                                  limit q.max_queued_runs) x)
        + (select count(*) from run_parked where root_lane_id = 0 and project_id = $1)
        + (select count(*) from (select from run_delayed where project_id = $1 limit q.max_queued_runs) x))::int as "queued",
       ((select count(*) from job_runs where project_id = $1 and status in ('executing', 'waiting'))
        + (select count(*) from run_active a
            cross join lateral (select from job_runs r where r.id = a.run_id and r.created_at = a.run_created_at
                                   and r.project_id = $1 offset 0) mine
            where not a.marked))::int as "returning"
  from project_quotas q where q.project_id = $1 and q.max_queued_runs > 0`;

/**
 * No row: there is no limit. `queued` is what the limit is about, where live runs stand: never their history. `returning`
 * runs are in an attempt or wait for something: they queue again without asking. All of one snapshot, which is younger
 * than the lock on the room. Stops when the limit is reached. The planner must begin with the leases: history is long.
 */
export function countRoom(db: Queryable, params: CountRoomParams): Promise<CountRoomRow | undefined> {
  return maybe<CountRoomRow>(db, {
    text: countRoomText,
    values: [params.project_id],
    name: 'queue_intake_countRoom_c5e9f5ae',
  });
}

export interface SetRoomParams {
  readonly room: number;
  readonly rest_ms: number | null;
  readonly project_id: string;
}

const setRoomText = `update queued_room
   set room = $1::bigint,
       full_until = case when $2::float8 is not null then strait_now() + $2 * interval '1 ms' end
 where project_id = $3`;

export function setRoom(db: Queryable, params: SetRoomParams): Promise<number> {
  return count(db, {
    text: setRoomText,
    values: [
      params.room,
      params.rest_ms,
      params.project_id,
    ],
  });
}

export interface ForgetRoomParams {
  readonly project_id: string;
}

const forgetRoomText = `update queued_room set room = 0, full_until = null where project_id = $1`;

/** The limit changed, or runs came back that nobody asked about: the next trigger counts. */
export function forgetRoom(db: Queryable, params: ForgetRoomParams): Promise<number> {
  return count(db, {
    text: forgetRoomText,
    values: [params.project_id],
  });
}

const closeRoomsText = `delete from queued_room r
 where not exists (select from project_quotas q where q.project_id = r.project_id and q.max_queued_runs > 0)`;

/** across projects: upkeep. Rooms whose limit was removed. */
export function closeRooms(db: Queryable): Promise<number> {
  return count(db, {
    text: closeRoomsText,
    values: [],
  });
}

export interface HoldPayloadsParams {
  readonly payload_hashes: readonly (string | null)[];
  readonly payloads: readonly (string | null)[];
  readonly job_id: string;
  readonly project_id: string;
  readonly window_secs: number;
}

export interface HoldPayloadsRow {
  readonly payload_hash: string;
  readonly run_id: string | null;
}

const holdPayloadsText = `with asked as materialized (
  select j.id as job_id, n.payload_hash, encode(sha256(convert_to(n.payload::jsonb::text, 'UTF8')), 'hex') as stored_hash
    from jobs j cross join unnest($1::text[], $2::text[]) as n(payload_hash, payload)
   where j.id = $3 and j.project_id = $4
), held as (
  insert into recent_payloads as p (job_id, payload_hash, created_at)
  select distinct job_id, stored_hash, strait_now() from asked order by stored_hash
  on conflict (job_id, payload_hash) do update
     set run_id = case when p.created_at > strait_now() - make_interval(secs => $5::int) then p.run_id end
  returning payload_hash, run_id
)
select asked.payload_hash as "payload_hash", held.run_id as "run_id" from asked join held on held.payload_hash = asked.stored_hash`;

/**
 * Takes the right to say whether these payloads came before, one holder at a time, in one order. `run_id` is the run that
 * came within the window. Without one the holder's transaction creates it. Payloads are compared as PostgreSQL prints them,
 * because not every route has them in canonical form.
 */
export function holdPayloads(db: Queryable, params: HoldPayloadsParams): Promise<HoldPayloadsRow[]> {
  return many<HoldPayloadsRow>(db, {
    text: holdPayloadsText,
    values: [
      params.payload_hashes,
      params.payloads,
      params.job_id,
      params.project_id,
      params.window_secs,
    ],
  });
}

export interface LookAtPayloadsParams {
  readonly payload_hashes: readonly (string | null)[];
  readonly payloads: readonly (string | null)[];
  readonly job_id: string;
  readonly project_id: string;
  readonly window_secs: number;
}

export interface LookAtPayloadsRow {
  readonly payload_hash: string;
  readonly run_id: string | null;
}

const lookAtPayloadsText = `select n.payload_hash as "payload_hash", p.run_id as "run_id"
  from jobs j cross join unnest($1::text[], $2::text[]) as n(payload_hash, payload)
  join recent_payloads p on p.job_id = j.id and p.payload_hash = encode(sha256(convert_to(n.payload::jsonb::text, 'UTF8')), 'hex')
 where j.id = $3 and j.project_id = $4 and p.created_at > strait_now() - make_interval(secs => $5::int)`;

/** The same without taking anything. */
export function lookAtPayloads(db: Queryable, params: LookAtPayloadsParams): Promise<LookAtPayloadsRow[]> {
  return many<LookAtPayloadsRow>(db, {
    text: lookAtPayloadsText,
    values: [
      params.payload_hashes,
      params.payloads,
      params.job_id,
      params.project_id,
      params.window_secs,
    ],
  });
}

export interface FindRunsParams {
  readonly project_id: string;
  readonly run_ids: readonly (string | null)[];
  readonly created_from: string;
  readonly created_to: string;
}

export interface FindRunsRow {
  readonly id: string;
  readonly status: string;
}

const findRunsText = `select r.id, r.status from job_runs r
 where r.project_id = $1 and r.id = any ($2::text[])
   and r.created_at >= $3::timestamptz and r.created_at <= $4::timestamptz`;

export function findRuns(db: Queryable, params: FindRunsParams): Promise<FindRunsRow[]> {
  return many<FindRunsRow>(db, {
    text: findRunsText,
    values: [
      params.project_id,
      params.run_ids,
      params.created_from,
      params.created_to,
    ],
  });
}

export interface ForgetPayloadsParams {
  readonly limit: number;
}

const forgetPayloadsText = `delete from recent_payloads p
 where p.ctid = any (array(select o.ctid from recent_payloads o join jobs j on j.id = o.job_id
                            where o.created_at < strait_now() - make_interval(secs => coalesce(j.dedup_window_secs, 0))
                            limit $1::int for update of o skip locked))`;

/** across projects: upkeep. */
export function forgetPayloads(db: Queryable, params: ForgetPayloadsParams): Promise<number> {
  return count(db, {
    text: forgetPayloadsText,
    values: [params.limit],
  });
}

export interface FindKeyHoldersParams {
  readonly job_ids: readonly (string | null)[];
  readonly idempotency_keys: readonly (string | null)[];
}

export interface FindKeyHoldersRow {
  readonly job_id: string;
  readonly idempotency_key: string;
  readonly run_id: string;
  readonly payload_hash: string | null;
  readonly status: string;
  readonly created_at: string;
}

const findKeyHoldersText = `select i.job_id, i.idempotency_key, i.run_id, i.payload_hash, r.status, r.created_at
  from unnest($1::text[], $2::text[]) as n(job_id, idempotency_key)
  join job_run_idempotency i on i.job_id = n.job_id and i.idempotency_key = n.idempotency_key
  join job_runs r on r.id = i.run_id and r.created_at = strait_id_time(i.run_id)
 where i.expires_at is null or i.expires_at > strait_now()`;

/**
 * across projects: reads by (job, key) pairs of a batch whose jobs were checked against their projects.
 * The run that holds an idempotency key, for inputs of enqueueRuns that got no row.
 */
export function findKeyHolders(db: Queryable, params: FindKeyHoldersParams): Promise<FindKeyHoldersRow[]> {
  return many<FindKeyHoldersRow>(db, {
    text: findKeyHoldersText,
    values: [
      params.job_ids,
      params.idempotency_keys,
    ],
    name: 'queue_intake_findKeyHolders_502ae7f4',
  });
}
