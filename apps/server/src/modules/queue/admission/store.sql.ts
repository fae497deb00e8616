// Generated from store.sql by `npm run generate`. Do not edit.
import { count, many, maybe, one, type Queryable } from '../../../platform/db/query.ts';

export interface LockAdmissionsParams {
  readonly project_ids: readonly (string | null)[];
  readonly endpoints: readonly (string | null)[];
}

const lockAdmissionsText = `select from endpoint_admission a
 where (a.project_id, a.endpoint) in (select * from unnest($1::text[], $2::text[]))
 order by a.project_id, a.endpoint for update`;

/** across projects: the endpoints of one worker's attempts. */
export function lockAdmissions(db: Queryable, params: LockAdmissionsParams): Promise<number> {
  return count(db, {
    text: lockAdmissionsText,
    values: [
      params.project_ids,
      params.endpoints,
    ],
  });
}

export interface SetAdmissionsParams {
  readonly project_ids: readonly (string | null)[];
  readonly endpoints: readonly (string | null)[];
  readonly closed: readonly (boolean | null)[];
  readonly shares: readonly (number | null)[];
  readonly probe_ats: readonly (string | null)[];
}

export interface SetAdmissionsRow {
  readonly project_id: string;
  readonly endpoint: string;
  readonly told: number;
}

const setAdmissionsText = `with wanted as materialized (
  select * from unnest($1::text[], $2::text[], $3::bool[], $4::float8[], $5::timestamptz[])
           as w (project_id, endpoint, closed, share, probe_at)
   order by project_id, endpoint
), gone as (
  delete from endpoint_admission a using wanted w
   where a.project_id = w.project_id and a.endpoint = w.endpoint and not w.closed and w.share >= 1 and a.max_in_flight is null
  returning a.project_id, a.endpoint
), eased as (
  update endpoint_admission a
     set closed = false, share = 1, probe_run_id = null, probe_claim = null, probe_until = null, updated_at = strait_now()
    from wanted w
   where a.project_id = w.project_id and a.endpoint = w.endpoint and not w.closed and w.share >= 1 and a.max_in_flight is not null
     and (a.closed or a.share < 1)
  returning a.project_id, a.endpoint
), put as (
  insert into endpoint_admission as a (project_id, endpoint, closed, share, probe_at)
  select project_id, endpoint, closed, share, probe_at from wanted where closed or share < 1
  on conflict (project_id, endpoint) do update
     set closed = excluded.closed, share = excluded.share, probe_at = excluded.probe_at, updated_at = strait_now(),
         probe_run_id = case when excluded.closed then a.probe_run_id end,
         probe_claim = case when excluded.closed then a.probe_claim end,
         probe_until = case when excluded.closed then a.probe_until end
   where (a.closed, a.share, a.probe_at) is distinct from (excluded.closed, excluded.share, excluded.probe_at)
  returning a.project_id, a.endpoint, (old.closed and not new.closed) or (not new.closed and new.share > old.share) as opened
), opened as materialized (
  select project_id, endpoint from gone union all select project_id, endpoint from eased union all select project_id, endpoint from put where opened
), told as materialized (
  select pg_notify('run_promote', l.lane_id::text)
    from lanes l where l.project_id = any (array(select project_id from opened)) and l.job_id is null and l.concurrency_key is null
)
select project_id as "project_id", endpoint as "endpoint", (select count(*) from told)::int as "told" from opened`;

/**
 * across projects: the endpoints of one worker's attempts.
 * An endpoint that neither is closed nor slows nor has a limit has no row. Answers with those that let more through than before; their
 * projects' promoters are told.
 */
export function setAdmissions(db: Queryable, params: SetAdmissionsParams): Promise<SetAdmissionsRow[]> {
  return many<SetAdmissionsRow>(db, {
    text: setAdmissionsText,
    values: [
      params.project_ids,
      params.endpoints,
      params.closed,
      params.shares,
      params.probe_ats,
    ],
  });
}

export interface EnterEndpointParams {
  readonly run_id: string;
  readonly claim_seq: number;
  readonly lost_after_secs: number;
  readonly project_id: string;
  readonly endpoint: string;
}

export interface EnterEndpointRow {
  readonly probe: boolean;
  readonly closed: boolean;
  readonly probe_in_ms: number;
}

const enterEndpointText = `with won as (
  update endpoint_admission a
     set probe_run_id = $1, probe_claim = $2, probe_until = strait_now() + make_interval(secs => $3::float8)
   where project_id = $4 and endpoint = $5 and closed
     and ((probe_run_id = $1 and probe_claim is null) or strait_probe_due(a))
  returning true as probe
)
select a.closed and exists (select from won) as "probe", a.closed as "closed",
       greatest(0, extract(epoch from a.probe_at - strait_now()) * 1000)::float8 as "probe_in_ms"
  from endpoint_admission a where a.project_id = $4 and a.endpoint = $5`;

/**
 * across projects: workers serve every project; the run is one that the caller holds.
 * Whether an attempt may be sent to an endpoint of which something is known; no row: nothing stands in the way. `probe`:
 * this claim and no other is the probe now, until it has ended or is lost.
 */
export function enterEndpoint(db: Queryable, params: EnterEndpointParams): Promise<EnterEndpointRow | undefined> {
  return maybe<EnterEndpointRow>(db, {
    text: enterEndpointText,
    values: [
      params.run_id,
      params.claim_seq,
      params.lost_after_secs,
      params.project_id,
      params.endpoint,
    ],
    name: 'queue_admission_enterEndpoint_40cce7a2',
  });
}

export interface EndProbeParams {
  readonly project_id: string;
  readonly endpoint: string;
  readonly run_id: string;
  readonly claim_seq: number;
}

export interface EndProbeRow {
  readonly endpoint: string;
}

const endProbeText = `update endpoint_admission
   set probe_run_id = null, probe_claim = null, probe_until = null
 where project_id = $1 and endpoint = $2 and closed and probe_run_id = $3 and probe_claim = $4
returning endpoint`;

/**
 * across projects: workers serve every project; the run is one that the caller held.
 * No row: it was lost meanwhile, or the endpoint is not closed any more; what it found out is no news.
 */
export function endProbe(db: Queryable, params: EndProbeParams): Promise<EndProbeRow | undefined> {
  return maybe<EndProbeRow>(db, {
    text: endProbeText,
    values: [
      params.project_id,
      params.endpoint,
      params.run_id,
      params.claim_seq,
    ],
  });
}

export interface ReturnPromiseParams {
  readonly project_id: string;
  readonly endpoint: string;
  readonly run_id: string;
}

const returnPromiseText = `with freed as (
  update endpoint_admission set probe_run_id = null, probe_until = null
   where project_id = $1 and endpoint = $2 and closed and probe_run_id = $3 and probe_claim is null
  returning project_id
)
select pg_notify('run_promote', l.lane_id::text)
  from freed join lanes l on l.project_id = freed.project_id and l.job_id is null and l.concurrency_key is null`;

/**
 * across projects: workers serve every project; the run is one that the caller holds.
 * The promised run leads elsewhere: the probe goes to another one, and the promoters are told.
 */
export function returnPromise(db: Queryable, params: ReturnPromiseParams): Promise<number> {
  return count(db, {
    text: returnPromiseText,
    values: [
      params.project_id,
      params.endpoint,
      params.run_id,
    ],
  });
}

export interface TellProjectsParams {
  readonly project_ids: readonly (string | null)[];
}

const tellProjectsText = `select pg_notify('run_promote', l.lane_id::text)
  from lanes l where l.project_id = any ($1::text[]) and l.job_id is null and l.concurrency_key is null`;

/** across projects: a signal, no data. */
export function tellProjects(db: Queryable, params: TellProjectsParams): Promise<number> {
  return count(db, {
    text: tellProjectsText,
    values: [params.project_ids],
  });
}

export interface EaseEndpointParams {
  readonly project_id: string;
  readonly endpoint: string;
  readonly max_in_flight: number | null;
}

const easeEndpointText = `with gone as (
  delete from endpoint_admission
   where project_id = $1 and endpoint = $2 and $3::int is null and not closed and share >= 1
  returning project_id
), put as (
  update endpoint_admission set max_in_flight = $3, updated_at = strait_now()
   where project_id = $1 and endpoint = $2 and ($3::int is not null or closed or share < 1)
  returning project_id
)
select pg_notify('run_promote', l.lane_id::text)
  from (select project_id from gone union all select project_id from put) n
  join lanes l on l.project_id = n.project_id and l.job_id is null and l.concurrency_key is null`;

/**
 * across projects: workers serve every project. The caller holds the health row.
 * More at a time than before, or (null) as many as there are. The promoters are told.
 */
export function easeEndpoint(db: Queryable, params: EaseEndpointParams): Promise<number> {
  return count(db, {
    text: easeEndpointText,
    values: [
      params.project_id,
      params.endpoint,
      params.max_in_flight,
    ],
  });
}

export interface EnsureLanesOfEndpointParams {
  readonly project_id: string;
  readonly endpoint: string;
}

export interface EnsureLanesOfEndpointRow {
  readonly job_id: string;
  readonly root_lane_id: number;
}

const ensureLanesOfEndpointText = `select j.id as "job_id", (strait_lane(j.project_id, j.id, null))[2] as "root_lane_id"
  from jobs j where j.project_id = $1 and j.endpoint = $2 order by j.id`;

/** Every job that calls it gets its lane: made before anything is counted. No row: nobody calls it. */
export function ensureLanesOfEndpoint(db: Queryable, params: EnsureLanesOfEndpointParams): Promise<EnsureLanesOfEndpointRow[]> {
  return many<EnsureLanesOfEndpointRow>(db, {
    text: ensureLanesOfEndpointText,
    values: [
      params.project_id,
      params.endpoint,
    ],
  });
}

export interface LimitEndpointParams {
  readonly project_id: string;
  readonly endpoint: string;
  readonly max_in_flight: number;
}

export interface LimitEndpointRow {
  readonly fresh: boolean;
}

const limitEndpointText = `insert into endpoint_admission as a (project_id, endpoint, closed, share, probe_at, max_in_flight)
values ($1, $2, false, 1, strait_now(), $3)
on conflict (project_id, endpoint) do update set max_in_flight = excluded.max_in_flight, updated_at = strait_now()
returning old.max_in_flight is null as "fresh"`;

/** `fresh`: it had none. */
export function limitEndpoint(db: Queryable, params: LimitEndpointParams): Promise<LimitEndpointRow> {
  return one<LimitEndpointRow>(db, {
    text: limitEndpointText,
    values: [
      params.project_id,
      params.endpoint,
      params.max_in_flight,
    ],
  });
}

export interface LaneParkedParams {
  readonly project_id: string;
  readonly root_lane_id: number;
  readonly endpoint: string;
  readonly limit: number;
}

const laneParkedText = `with wrong as materialized (
  select p.ctid as found_at, strait_place(p.project_id, p.job_id, r.concurrency_key) as place
    from run_parked p join job_runs r on r.id = p.run_id and r.created_at = p.run_created_at
   where p.project_id = $1 and p.root_lane_id = $2 and p.lane_id = $2
     and p.job_id = any (array(select id from jobs where project_id = $1 and endpoint = $3))
   order by p.rank, p.seq limit $4::int for update of p skip locked
), gone as (
  delete from run_parked p using wrong where p.ctid = wrong.found_at and wrong.place is not null
  returning p.project_id, p.rank, p.run_id, p.run_created_at, p.job_id, p.attempt, wrong.place
)
insert into run_parked (project_id, rank, run_id, run_created_at, job_id, attempt, lane_id, root_lane_id)
select project_id, rank, run_id, run_created_at, job_id, attempt, place[1], place[2] from gone`;

/** Its runs that wait in the lane of the project, where nobody looks at endpoints, go to wait in those of their jobs. */
export function laneParked(db: Queryable, params: LaneParkedParams): Promise<number> {
  return count(db, {
    text: laneParkedText,
    values: [
      params.project_id,
      params.root_lane_id,
      params.endpoint,
      params.limit,
    ],
  });
}

export interface LaneQueuedParams {
  readonly project_id: string;
  readonly root_lane_id: number;
  readonly endpoint: string;
  readonly limit: number;
}

const laneQueuedText = `with wrong as materialized (
  select q.ctid as found_at, strait_place(q.project_id, q.job_id, r.concurrency_key) as place
    from run_queue q join job_runs r on r.id = q.run_id and r.created_at = q.run_created_at
   where q.project_id = $1 and (q.lane_id is null or q.lane_id = $2)
     and q.job_id = any (array(select id from jobs where project_id = $1 and endpoint = $3))
   order by q.rank, q.seq limit $4::int for update of q skip locked
), gone as (
  delete from run_queue q using wrong where q.ctid = wrong.found_at and wrong.place is not null
  returning q.project_id, q.rank, q.run_id, q.run_created_at, q.job_id, q.attempt, q.lane_id, wrong.place
), waits as (
  insert into run_parked (project_id, rank, run_id, run_created_at, job_id, attempt, lane_id, root_lane_id)
  select project_id, rank, run_id, run_created_at, job_id, attempt, place[1], place[2] from gone
)
update lanes l set in_flight = l.in_flight - (select count(*)::int from gone where lane_id is not null)
 where l.lane_id = $2 and exists (select from gone where lane_id is not null)`;

/**
 * Its runs that are ready without a slot of their job go back to wait for one. What is claimed this moment is caught by the
 * claim's verdict, or finishes uncounted.
 */
export function laneQueued(db: Queryable, params: LaneQueuedParams): Promise<number> {
  return count(db, {
    text: laneQueuedText,
    values: [
      params.project_id,
      params.root_lane_id,
      params.endpoint,
      params.limit,
    ],
  });
}

export interface LaneLeasesParams {
  readonly project_id: string;
  readonly root_lane_id: number;
  readonly endpoint: string;
}

export interface LaneLeasesRow {
  readonly lane_id: number;
  readonly was: number | null;
}

const laneLeasesText = `with mine as materialized (
  select a.run_id, a.lane_id as was, strait_place(r.project_id, r.job_id, r.concurrency_key) as place
    from run_active a join job_runs r on r.id = a.run_id and r.created_at = a.run_created_at
   where r.project_id = $1 and (a.lane_id is null or a.lane_id = $2)
     and r.job_id = any (array(select id from jobs where project_id = $1 and endpoint = $3))
     for no key update of a skip locked
)
update run_active a set lane_id = mine.place[1] from mine
 where a.run_id = mine.run_id and mine.place is not null
returning a.lane_id as "lane_id", mine.was as "was"`;

/** Its runs that execute without a slot of their job get one; `was`: they had one of the project. */
export function laneLeases(db: Queryable, params: LaneLeasesParams): Promise<LaneLeasesRow[]> {
  return many<LaneLeasesRow>(db, {
    text: laneLeasesText,
    values: [
      params.project_id,
      params.root_lane_id,
      params.endpoint,
    ],
  });
}

export interface CountLeasesParams {
  readonly lane_ids: readonly (number | null)[];
  readonly counted: number;
}

const countLeasesText = `with change as materialized (
  select l.counted_lane_id as lane_id, count(*)::int as n
    from unnest($1::bigint[]) as m (lane_id) join lane_levels l on l.lane_id = m.lane_id
   group by 1
), locked as materialized (
  select lane_id from lanes where lane_id = any (array(select lane_id from change)) order by parent_lane_id is not null, lane_id for no key update
)
update lanes l set in_flight = l.in_flight + change.n - case when l.lane_id = l.root_lane_id then $2::int else 0 end
  from change where l.lane_id = change.lane_id and l.lane_id = any (array(select lane_id from locked))`;

/** across projects: the caller holds the root lane. After laneLeases, whose new lanes only a later statement sees. */
export function countLeases(db: Queryable, params: CountLeasesParams): Promise<number> {
  return count(db, {
    text: countLeasesText,
    values: [
      params.lane_ids,
      params.counted,
    ],
  });
}

export interface ReturnEndpointSurplusParams {
  readonly max_in_flight: number;
  readonly project_id: string;
  readonly endpoint: string;
  readonly root_lane_id: number;
}

const returnEndpointSurplusText = `with surplus as materialized (
  select greatest(coalesce(sum(l.in_flight), 0) - $1::int, 0)::int as n
    from jobs j join lanes l on l.project_id = j.project_id and l.job_id = j.id and l.concurrency_key is null
   where j.project_id = $2 and j.endpoint = $3
), pick as materialized (
  select q.ctid as place from run_queue q
   where q.project_id = $2 and q.lane_id is not null
     and q.job_id = any (array(select id from jobs where project_id = $2 and endpoint = $3))
   order by q.rank desc, q.seq desc limit (select n from surplus) for update of q skip locked
), gone as (
  delete from run_queue where ctid = any (array(select place from pick))
  returning project_id, rank, run_id, run_created_at, job_id, attempt, lane_id
), waits as (
  insert into run_parked (project_id, rank, run_id, run_created_at, job_id, attempt, lane_id, root_lane_id)
  select project_id, rank, run_id, run_created_at, job_id, attempt, lane_id, $4 from gone
), freed as materialized (
  select l.counted_lane_id as lane_id, count(*)::int as n
    from gone join lane_levels l on l.lane_id = gone.lane_id
   group by 1
), locked as materialized (
  select lane_id from lanes where lane_id = any (array(select lane_id from freed)) order by parent_lane_id is not null, lane_id for no key update
)
update lanes l set in_flight = l.in_flight - freed.n
  from freed where l.lane_id = freed.lane_id and l.lane_id = any (array(select lane_id from locked))`;

/** Its ready runs beyond the limit that nobody has claimed go back to wait, worst rank first. */
export function returnEndpointSurplus(db: Queryable, params: ReturnEndpointSurplusParams): Promise<number> {
  return count(db, {
    text: returnEndpointSurplusText,
    values: [
      params.max_in_flight,
      params.project_id,
      params.endpoint,
      params.root_lane_id,
    ],
  });
}

export interface RemoveOldAdmissionsParams {
  readonly silent_secs: number;
}

const removeOldAdmissionsText = `with old as materialized (
  select a.project_id, a.endpoint from endpoint_admission a
   where a.updated_at < strait_now() - make_interval(secs => $1::float8)
     and not exists (select from jobs j join run_parked p on p.job_id = j.id and p.project_id = j.project_id
                      where j.project_id = a.project_id and j.endpoint = a.endpoint)
     for update skip locked
)
delete from endpoint_admission a using old where a.project_id = old.project_id and a.endpoint = old.endpoint`;

/**
 * across projects: upkeep.
 * Nobody has called the endpoint for long: no run waits for it. What is locked has been heard of.
 */
export function removeOldAdmissions(db: Queryable, params: RemoveOldAdmissionsParams): Promise<number> {
  return count(db, {
    text: removeOldAdmissionsText,
    values: [params.silent_secs],
  });
}
