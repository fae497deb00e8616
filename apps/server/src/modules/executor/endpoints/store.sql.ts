// Generated from store.sql by `npm run generate`. Do not edit.
import { count, many, maybe, one, type Queryable } from '../../../platform/db/query.ts';

export interface RecordHealthParams {
  readonly window_secs: number;
  readonly project_ids: readonly (string | null)[];
  readonly endpoints: readonly (string | null)[];
  readonly scores: readonly (number | null)[];
  readonly success_rates: readonly (number | null)[];
  readonly timeout_rates: readonly (number | null)[];
  readonly latency_scores: readonly (number | null)[];
  readonly samples: readonly (number | null)[];
  readonly last_latencies_ms: readonly (number | null)[];
  readonly oks: readonly (number | null)[];
  readonly failures: readonly (number | null)[];
  readonly overloads: readonly (number | null)[];
  readonly logs_ms: readonly (number | null)[];
  readonly peaks: readonly (number | null)[];
  readonly longest_secs: number;
}

export interface RecordHealthRow {
  readonly project_id: string;
  readonly endpoint: string;
  readonly score: number;
  readonly score_before: number | null;
  readonly closed: boolean;
  readonly window_ok: number;
  readonly window_failures: number;
  readonly window_overloads: number;
  readonly window_log_ms: number;
  readonly window_peak: number;
  readonly baseline_ms: number | null;
  readonly baseline_samples: number;
  readonly limited: boolean;
}

const recordHealthText = `insert into endpoint_health_scores as h
       (project_id, endpoint_url, health_score, success_rate, timeout_rate, latency_score, total_requests, last_latency_ms, updated_at,
        window_ok, window_failures, window_overloads, window_log_ms, window_peak, window_since)
select project_id, endpoint, score, success_rate, timeout_rate, latency_score, samples, last_latency_ms, strait_now(),
       ok, failures, overloads, log_ms, peak, strait_now() - make_interval(secs => $1::float8)
  from unnest($2::text[], $3::text[], $4::float8[], $5::float8[], $6::float8[],
              $7::float8[], $8::bigint[], $9::float8[],
              $10::int[], $11::int[], $12::int[], $13::float8[], $14::int[])
       as n (project_id, endpoint, score, success_rate, timeout_rate, latency_score, samples, last_latency_ms,
             ok, failures, overloads, log_ms, peak)
 order by project_id, endpoint
on conflict (project_id, endpoint_url) do update
   set health_score = least(100, greatest(0, excluded.health_score - power(0.9::float8, least(excluded.total_requests, 2000))
         * (100 - h.health_score) * power(2::float8, -least(100, greatest(0, extract(epoch from strait_now() - h.updated_at)::float8) / 600)))),
       success_rate = least(1, greatest(0, excluded.success_rate - power(0.9::float8, least(excluded.total_requests, 2000))
         * (1 - h.success_rate) * power(2::float8, -least(100, greatest(0, extract(epoch from strait_now() - h.updated_at)::float8) / 600)))),
       timeout_rate = least(1, greatest(0, excluded.timeout_rate + power(0.9::float8, least(excluded.total_requests, 2000))
         * h.timeout_rate * power(2::float8, -least(100, greatest(0, extract(epoch from strait_now() - h.updated_at)::float8) / 600)))),
       latency_score = least(1, greatest(0, excluded.latency_score - power(0.9::float8, least(excluded.total_requests, 2000))
         * (1 - h.latency_score) * power(2::float8, -least(100, greatest(0, extract(epoch from strait_now() - h.updated_at)::float8) / 600)))),
       total_requests = h.total_requests + excluded.total_requests,
       last_latency_ms = case when excluded.total_requests > 0 then excluded.last_latency_ms else h.last_latency_ms end,
       window_ok = case when h.window_since <= strait_now() - make_interval(secs => $1::float8) then 0 else h.window_ok + excluded.window_ok end,
       window_failures = case when h.window_since <= strait_now() - make_interval(secs => $1::float8) then 0 else h.window_failures + excluded.window_failures end,
       window_overloads = case when h.window_since <= strait_now() - make_interval(secs => $1::float8) then 0 else h.window_overloads + excluded.window_overloads end,
       window_log_ms = case when h.window_since <= strait_now() - make_interval(secs => $1::float8) then 0 else h.window_log_ms + excluded.window_log_ms end,
       window_peak = case when h.window_since <= strait_now() - make_interval(secs => $1::float8) then 0 else greatest(h.window_peak, excluded.window_peak) end,
       window_since = case when h.window_since <= strait_now() - make_interval(secs => $1::float8) then strait_now() else h.window_since end,
       baseline_ms = case when h.window_since <= strait_now() - make_interval(secs => $1::float8)
         then strait_baseline(h.baseline_ms, h.baseline_samples, h.window_ok + excluded.window_ok, h.window_log_ms + excluded.window_log_ms,
                              extract(epoch from strait_now() - h.window_since)::float8) else h.baseline_ms end,
       baseline_samples = case when h.window_since <= strait_now() - make_interval(secs => $1::float8)
         then least(100, h.baseline_samples + h.window_ok + excluded.window_ok) else h.baseline_samples end,
       updated_at = strait_now()
returning h.project_id, h.endpoint_url as endpoint, h.health_score as score, old.health_score as "score_before",
          coalesce(old.window_since < new.window_since, false) as "closed",
          case when old.window_since > strait_now() - make_interval(secs => $15::float8) then old.window_ok else 0 end as "window_ok",
          case when old.window_since > strait_now() - make_interval(secs => $15::float8) then old.window_failures else 0 end as "window_failures",
          case when old.window_since > strait_now() - make_interval(secs => $15::float8) then old.window_overloads else 0 end as "window_overloads",
          case when old.window_since > strait_now() - make_interval(secs => $15::float8) then old.window_log_ms else 0 end as "window_log_ms",
          case when old.window_since > strait_now() - make_interval(secs => $15::float8) then old.window_peak else 0 end as "window_peak",
          old.baseline_ms as "baseline_ms", coalesce(old.baseline_samples, 0) as "baseline_samples",
          exists (select from endpoint_concurrency c where c.project_id = h.project_id and c.endpoint_url = h.endpoint_url) as "limited"`;

/**
 * across projects: the attempts of one worker.
 * Many results in one update, without losing anybody else's: an average after k results is 0.9^k of what it was plus what
 * the same k results make of a new endpoint, less 0.9^k of new. Before, idle time has decayed it towards 100 points with a
 * half-life of 10 minutes. The score is linear in the three averages, so it goes the same way. The window of results by which
 * concurrency adapts is that of all workers: who writes a second after it began gets it (`closed`: old values, to which his
 * own belong) and begins the next. What is old by then is no news, so he has only his own.
 */
export function recordHealth(db: Queryable, params: RecordHealthParams): Promise<RecordHealthRow[]> {
  return many<RecordHealthRow>(db, {
    text: recordHealthText,
    values: [
      params.window_secs,
      params.project_ids,
      params.endpoints,
      params.scores,
      params.success_rates,
      params.timeout_rates,
      params.latency_scores,
      params.samples,
      params.last_latencies_ms,
      params.oks,
      params.failures,
      params.overloads,
      params.logs_ms,
      params.peaks,
      params.longest_secs,
    ],
    name: 'executor_endpoints_recordHealth_3ae017f6',
  });
}

export interface LockHealthParams {
  readonly project_id: string;
  readonly endpoint: string;
}

export interface LockHealthRow {
  readonly endpoint_url: string;
}

const lockHealthText = `select endpoint_url from endpoint_health_scores where project_id = $1 and endpoint_url = $2 for no key update`;

/** across projects: the attempts of one worker. */
export function lockHealth(db: Queryable, params: LockHealthParams): Promise<LockHealthRow | undefined> {
  return maybe<LockHealthRow>(db, {
    text: lockHealthText,
    values: [
      params.project_id,
      params.endpoint,
    ],
  });
}

export interface FindLoadParams {
  readonly project_id: string;
  readonly endpoint: string;
}

export interface FindLoadRow {
  readonly limit: number | null;
  readonly observed: number | null;
  readonly used: number | null;
  readonly calm: number | null;
  readonly since_change_ms: number;
  readonly since_judged_ms: number;
  readonly in_flight: number;
}

const findLoadText = `select a.max_in_flight as "limit", c.observed as "observed", c.used as "used", c.calm as "calm",
       coalesce(extract(epoch from strait_now() - c.changed_at) * 1000, 0)::float8 as "since_change_ms",
       coalesce(extract(epoch from strait_now() - c.judged_at) * 1000, 0)::float8 as "since_judged_ms",
       coalesce(e.in_flight, 0) as "in_flight"
  from (select $1::text as project_id, $2::text as endpoint) n
  left join endpoint_admission a on a.project_id = n.project_id and a.endpoint = n.endpoint
  left join endpoint_rooms e on e.project_id = n.project_id and e.endpoint = n.endpoint
  left join endpoint_concurrency c on c.project_id = n.project_id and c.endpoint_url = n.endpoint`;

/**
 * across projects: the attempts of one worker. The caller holds the health row.
 * How its limit stands; `in_flight`, once it has one, by the slots of all its jobs.
 */
export function findLoad(db: Queryable, params: FindLoadParams): Promise<FindLoadRow> {
  return one<FindLoadRow>(db, {
    text: findLoadText,
    values: [
      params.project_id,
      params.endpoint,
    ],
  });
}

export interface CountExecutingParams {
  readonly project_id: string;
  readonly endpoint: string;
  readonly look: number;
}

export interface CountExecutingRow {
  readonly executing: number;
}

const countExecutingText = `with mine as materialized (
  select j.id from jobs j where j.project_id = $1 and j.endpoint = $2
)
select ((select count(*) from job_runs r
          where r.project_id = $1 and r.status = 'executing' and r.job_id = any (array(select id from mine)))
        + (select count(*) from (select x.run_id, x.run_created_at from run_active x where not x.marked limit $3::int) a
            cross join lateral (select r.job_id from job_runs r where r.id = a.run_id and r.created_at = a.run_created_at limit 1) r
           where r.job_id = any (array(select id from mine))))::int as "executing"`;

/**
 * across projects: the attempts of one worker. The caller holds the health row.
 * Leases of all jobs that call the endpoint, which nothing counts before it has a limit: those whose runs say so, found by their project, and
 * those of the last moment. Of the latter only so many are looked at: they are everybody's.
 */
export function countExecuting(db: Queryable, params: CountExecutingParams): Promise<CountExecutingRow> {
  return one<CountExecutingRow>(db, {
    text: countExecutingText,
    values: [
      params.project_id,
      params.endpoint,
      params.look,
    ],
  });
}

export interface PutConcurrencyParams {
  readonly project_id: string;
  readonly endpoint: string;
  readonly observed: number;
  readonly used: number;
  readonly calm: number;
  readonly moved: boolean;
  readonly judged: boolean;
}

const putConcurrencyText = `insert into endpoint_concurrency as c (project_id, endpoint_url, observed, used, calm, changed_at, judged_at)
values ($1, $2, $3, $4, $5, strait_now(), strait_now())
on conflict (project_id, endpoint_url) do update
   set observed = excluded.observed, used = excluded.used, calm = excluded.calm,
       changed_at = case when $6::bool then strait_now() else c.changed_at end,
       judged_at = case when $7::bool then strait_now() else c.judged_at end`;

/** across projects: the attempts of one worker. The caller holds the health row. */
export function putConcurrency(db: Queryable, params: PutConcurrencyParams): Promise<number> {
  return count(db, {
    text: putConcurrencyText,
    values: [
      params.project_id,
      params.endpoint,
      params.observed,
      params.used,
      params.calm,
      params.moved,
      params.judged,
    ],
  });
}

export interface RemoveConcurrencyParams {
  readonly project_id: string;
  readonly endpoint: string;
}

const removeConcurrencyText = `delete from endpoint_concurrency where project_id = $1 and endpoint_url = $2`;

/** across projects: the attempts of one worker. The caller holds the health row. */
export function removeConcurrency(db: Queryable, params: RemoveConcurrencyParams): Promise<number> {
  return count(db, {
    text: removeConcurrencyText,
    values: [
      params.project_id,
      params.endpoint,
    ],
  });
}

export interface ListSilentLimitsParams {
  readonly after_project_id: string;
  readonly after_endpoint: string;
  readonly silent_secs: number;
  readonly limit: number;
}

export interface ListSilentLimitsRow {
  readonly project_id: string;
  readonly endpoint: string;
}

const listSilentLimitsText = `select project_id, endpoint_url as endpoint from endpoint_concurrency c
 where (project_id, endpoint_url) > ($1, $2)
   and judged_at <= strait_now() - make_interval(secs => $3::float8)
   and not exists (select from endpoint_admission a where a.project_id = c.project_id and a.endpoint = c.endpoint_url and a.closed)
 order by project_id, endpoint_url limit $4::int`;

/**
 * across projects: upkeep.
 * In order, after one of them: those that long runs hold are not in the way of others. Silence of a closed endpoint says nothing: when it opens, what waited must not come all at once.
 */
export function listSilentLimits(db: Queryable, params: ListSilentLimitsParams): Promise<ListSilentLimitsRow[]> {
  return many<ListSilentLimitsRow>(db, {
    text: listSilentLimitsText,
    values: [
      params.after_project_id,
      params.after_endpoint,
      params.silent_secs,
      params.limit,
    ],
  });
}

export interface EnsureBreakersParams {
  readonly project_ids: readonly (string | null)[];
  readonly endpoints: readonly (string | null)[];
}

const ensureBreakersText = `insert into endpoint_circuit_state (project_id, endpoint_url)
select project_id, endpoint from unnest($1::text[], $2::text[]) as n (project_id, endpoint)
 order by project_id, endpoint
on conflict do nothing`;

/** across projects: the attempts of one worker. */
export function ensureBreakers(db: Queryable, params: EnsureBreakersParams): Promise<number> {
  return count(db, {
    text: ensureBreakersText,
    values: [
      params.project_ids,
      params.endpoints,
    ],
  });
}

export interface RecordResultsParams {
  readonly open_secs: number;
  readonly threshold: number;
  readonly project_ids: readonly (string | null)[];
  readonly endpoints: readonly (string | null)[];
  readonly leading: readonly (number | null)[];
  readonly trailing: readonly (number | null)[];
  readonly longest: readonly (number | null)[];
  readonly succeeded: readonly (boolean | null)[];
}

export interface RecordResultsRow {
  readonly project_id: string;
  readonly endpoint: string;
  readonly state: string;
  readonly state_before: string;
}

const recordResultsText = `update endpoint_circuit_state c
   set failures = case when n.succeeded then n.last_row else c.failures + n.first_row end,
       last_failure_at = case when n.longest > 0 then strait_now() else c.last_failure_at end,
       state = case when n.opens then 'open' else c.state end,
       opened_at = case when n.opens then strait_now() else c.opened_at end,
       open_secs = case when n.opens then $1::int else c.open_secs end,
       half_open_until = case when n.opens then strait_now() + make_interval(secs => $1::int) else c.half_open_until end,
       updated_at = strait_now()
  from (select b.*, $2::int > 0 and (b.longest >= $2::int or k.failures + b.first_row >= $2::int) as opens
          from unnest($3::text[], $4::text[], $5::int[], $6::int[], $7::int[], $8::bool[])
               as b (project_id, endpoint, first_row, last_row, longest, succeeded)
          join endpoint_circuit_state k on k.project_id = b.project_id and k.endpoint_url = b.endpoint and k.state = 'closed') n
 where c.project_id = n.project_id and c.endpoint_url = n.endpoint and c.state = 'closed'
   and (n.longest > 0 or (n.succeeded and c.failures > 0))
returning c.project_id, c.endpoint_url as endpoint, c.state, old.state as "state_before"`;

/**
 * across projects: the attempts of one worker. The caller holds the health rows.
 * Counts failures in a row; what reaches the threshold opens. A success where none is counted changes nothing, and what
 * was under way when the breaker opened does not count.
 */
export function recordResults(db: Queryable, params: RecordResultsParams): Promise<RecordResultsRow[]> {
  return many<RecordResultsRow>(db, {
    text: recordResultsText,
    values: [
      params.open_secs,
      params.threshold,
      params.project_ids,
      params.endpoints,
      params.leading,
      params.trailing,
      params.longest,
      params.succeeded,
    ],
    name: 'executor_endpoints_recordResults_0b41af62',
  });
}

export interface HalfOpenParams {
  readonly project_id: string;
  readonly endpoint: string;
}

const halfOpenText = `update endpoint_circuit_state set state = 'half_open', updated_at = strait_now()
 where project_id = $1 and endpoint_url = $2 and state = 'open'`;

/** across projects: workers serve every project. */
export function halfOpen(db: Queryable, params: HalfOpenParams): Promise<number> {
  return count(db, {
    text: halfOpenText,
    values: [
      params.project_id,
      params.endpoint,
    ],
  });
}

export interface SettleProbeParams {
  readonly closes: boolean;
  readonly doubles: boolean;
  readonly longest_open_secs: number;
  readonly project_id: string;
  readonly endpoint: string;
}

export interface SettleProbeRow {
  readonly state: string;
}

const settleProbeText = `update endpoint_circuit_state
   set state = case when $1::bool then 'closed' else 'open' end,
       failures = case when $1::bool then 0 when $2::bool then failures + 1 else failures end,
       last_failure_at = case when $2::bool then strait_now() else last_failure_at end,
       opened_at = case when $1::bool then null else strait_now() end,
       open_secs = case when $2::bool then least(open_secs * 2, $3::int) else open_secs end,
       half_open_until = case when $1::bool then null
         else strait_now() + make_interval(secs => case when $2::bool then least(open_secs * 2, $3::int) else open_secs end) end,
       updated_at = strait_now()
 where project_id = $4 and endpoint_url = $5 and state in ('open', 'half_open')
returning state`;

/**
 * across projects: workers serve every project. The caller holds the health row and ended the probe.
 * half_open → closed, or open for twice as long as before (:doubles), or for as long as before.
 */
export function settleProbe(db: Queryable, params: SettleProbeParams): Promise<SettleProbeRow | undefined> {
  return maybe<SettleProbeRow>(db, {
    text: settleProbeText,
    values: [
      params.closes,
      params.doubles,
      params.longest_open_secs,
      params.project_id,
      params.endpoint,
    ],
  });
}

export interface ListFactsParams {
  readonly project_ids: readonly (string | null)[];
  readonly endpoints: readonly (string | null)[];
}

export interface ListFactsRow {
  readonly project_id: string;
  readonly endpoint: string;
  readonly score: number;
  readonly breaker: string;
  readonly reopens_at: string | null;
  readonly closed: boolean | null;
  readonly share: number | null;
  readonly probe_at: string | null;
  readonly now: string;
}

const listFactsText = `select h.project_id, h.endpoint_url as endpoint, h.health_score as score, coalesce(c.state, 'closed') as "breaker",
       c.half_open_until as "reopens_at", a.closed as "closed", a.share as "share", a.probe_at as "probe_at", strait_now() as "now"
  from unnest($1::text[], $2::text[]) as n (project_id, endpoint)
  join endpoint_health_scores h on h.project_id = n.project_id and h.endpoint_url = n.endpoint
  left join endpoint_circuit_state c on c.project_id = n.project_id and c.endpoint_url = n.endpoint
  left join endpoint_admission a on a.project_id = n.project_id and a.endpoint = n.endpoint
 order by h.project_id, h.endpoint_url`;

/** across projects: the attempts of one worker. The caller holds the health rows. */
export function listFacts(db: Queryable, params: ListFactsParams): Promise<ListFactsRow[]> {
  return many<ListFactsRow>(db, {
    text: listFactsText,
    values: [
      params.project_ids,
      params.endpoints,
    ],
  });
}

export interface ListStandingParams {
  readonly silent_secs: number;
  readonly limit: number;
}

export interface ListStandingRow {
  readonly project_id: string;
  readonly endpoint: string;
}

const listStandingText = `select a.project_id, a.endpoint from endpoint_admission a
  join endpoint_health_scores h on h.project_id = a.project_id and h.endpoint_url = a.endpoint
 where not a.closed and h.updated_at < strait_now() - make_interval(secs => $1::float8)
 order by a.project_id, a.endpoint limit $2::int`;

/**
 * across projects: upkeep.
 * Endpoints that slow their jobs and have not been heard of for a while: idle time speaks for them.
 */
export function listStanding(db: Queryable, params: ListStandingParams): Promise<ListStandingRow[]> {
  return many<ListStandingRow>(db, {
    text: listStandingText,
    values: [
      params.silent_secs,
      params.limit,
    ],
  });
}

export interface RemoveOldHealthParams {
  readonly silent_secs: number;
}

const removeOldHealthText = `delete from endpoint_health_scores h
 where h.updated_at < strait_now() - make_interval(secs => $1::float8)
   and not exists (select from endpoint_admission a where a.project_id = h.project_id and a.endpoint = h.endpoint_url)`;

/** across projects: upkeep. */
export function removeOldHealth(db: Queryable, params: RemoveOldHealthParams): Promise<number> {
  return count(db, {
    text: removeOldHealthText,
    values: [params.silent_secs],
  });
}

export interface RemoveOldBreakersParams {
  readonly silent_secs: number;
}

const removeOldBreakersText = `delete from endpoint_circuit_state c
 where c.updated_at < strait_now() - make_interval(secs => $1::float8)
   and not exists (select from endpoint_health_scores h where h.project_id = c.project_id and h.endpoint_url = c.endpoint_url)`;

/** across projects: upkeep. */
export function removeOldBreakers(db: Queryable, params: RemoveOldBreakersParams): Promise<number> {
  return count(db, {
    text: removeOldBreakersText,
    values: [params.silent_secs],
  });
}

export interface RemoveOldConcurrencyParams {
  readonly silent_secs: number;
}

const removeOldConcurrencyText = `delete from endpoint_concurrency c
 where c.judged_at < strait_now() - make_interval(secs => $1::float8)
   and not exists (select from endpoint_admission a where a.project_id = c.project_id and a.endpoint = c.endpoint_url)`;

/** across projects: upkeep. */
export function removeOldConcurrency(db: Queryable, params: RemoveOldConcurrencyParams): Promise<number> {
  return count(db, {
    text: removeOldConcurrencyText,
    values: [params.silent_secs],
  });
}

export interface ListEndpointsOfJobParams {
  readonly project_id: string;
  readonly job_id: string;
}

export interface ListEndpointsOfJobRow {
  readonly role: string;
  readonly endpoint: string;
  readonly breaker: string;
  readonly failures: number;
  readonly opened_at: string | null;
  readonly reopens_at: string | null;
  readonly last_failure_at: string | null;
  readonly score: number;
  readonly success_rate: number;
  readonly timeout_rate: number;
  readonly latency_score: number;
  readonly total_requests: number;
  readonly last_latency_ms: number | null;
  readonly updated_at: string | null;
  readonly closed: boolean;
  readonly share: number;
  readonly probe_at: string | null;
  readonly probe_run_id: string | null;
  readonly max_in_flight: number | null;
}

const listEndpointsOfJobText = `select e.role as "role", e.endpoint as "endpoint", coalesce(c.state, 'closed') as "breaker", coalesce(c.failures, 0) as "failures",
       c.opened_at as "opened_at", c.half_open_until as "reopens_at", c.last_failure_at as "last_failure_at",
       coalesce(100 - (100 - h.health_score) * power(2::float8, -least(100, greatest(0, extract(epoch from strait_now() - h.updated_at)::float8) / 600)), 100)
         as "score",
       coalesce(h.success_rate, 1) as "success_rate", coalesce(h.timeout_rate, 0) as "timeout_rate", coalesce(h.latency_score, 1) as "latency_score",
       coalesce(h.total_requests, 0) as "total_requests", h.last_latency_ms as "last_latency_ms", h.updated_at as "updated_at",
       coalesce(a.closed, false) as "closed", coalesce(a.share, 1) as "share", a.probe_at as "probe_at", a.probe_run_id as "probe_run_id",
       a.max_in_flight as "max_in_flight"
  from jobs j
 cross join lateral (values ('primary', j.endpoint), ('fallback', strait_endpoint(j.fallback_endpoint_url))) as e (role, endpoint)
  left join endpoint_circuit_state c on c.project_id = j.project_id and c.endpoint_url = e.endpoint
  left join endpoint_health_scores h on h.project_id = j.project_id and h.endpoint_url = e.endpoint
  left join endpoint_admission a on a.project_id = j.project_id and a.endpoint = e.endpoint
 where j.project_id = $1 and j.id = $2 and e.endpoint is not null
 order by e.role desc`;

/** The score as it stands after the idle time since its last result. */
export function listEndpointsOfJob(db: Queryable, params: ListEndpointsOfJobParams): Promise<ListEndpointsOfJobRow[]> {
  return many<ListEndpointsOfJobRow>(db, {
    text: listEndpointsOfJobText,
    values: [
      params.project_id,
      params.job_id,
    ],
  });
}
