// Generated from store.sql by `npm run generate`. Do not edit.
import { count, many, maybe, type Queryable } from '../../../platform/db/query.ts';

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
   where a.project_id = w.project_id and a.endpoint = w.endpoint and not w.closed and w.share >= 1
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
  select project_id, endpoint from gone union all select project_id, endpoint from put where opened
), told as materialized (
  select pg_notify('run_promote', l.lane_id::text)
    from lanes l where l.project_id = any (array(select project_id from opened)) and l.job_id is null and l.concurrency_key is null
)
select project_id as "project_id", endpoint as "endpoint", (select count(*) from told)::int as "told" from opened`;

/**
 * across projects: the endpoints of one worker's attempts.
 * An endpoint that neither is closed nor slows has no row. Answers with those that let more through than before; their
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

export interface RemoveOldAdmissionsParams {
  readonly silent_secs: number;
}

const removeOldAdmissionsText = `delete from endpoint_admission a
 where a.updated_at < strait_now() - make_interval(secs => $1::float8)
   and not exists (select from jobs j join run_parked p on p.job_id = j.id and p.project_id = j.project_id
                    where j.project_id = a.project_id and j.endpoint = a.endpoint)`;

/**
 * across projects: upkeep.
 * Nobody has called the endpoint for long: no run waits for it.
 */
export function removeOldAdmissions(db: Queryable, params: RemoveOldAdmissionsParams): Promise<number> {
  return count(db, {
    text: removeOldAdmissionsText,
    values: [params.silent_secs],
  });
}
