// Generated from store.sql by `npm run generate`. Do not edit.
import type { JsonColumns } from '../../../platform/db/json-columns.ts';
import { count, many, one, type Queryable } from '../../../platform/db/query.ts';

export interface MoveDueParams {
  readonly limit: number;
}

export interface MoveDueRow {
  readonly run_id: string;
  readonly woken: number;
}

const moveDueText = `with due as materialized (
  select ctid from run_delayed where due_at <= strait_now() order by due_at limit $1::int for update skip locked
), moved as (
  delete from run_delayed where ctid = any (array(select ctid from due))
  returning project_id, rank, run_id, run_created_at, job_id, attempt
), judged as materialized (
  select r.id, r.job_id, strait_matching(r.idempotency_key, r.triggered_by, r.metadata) as matching,
         extract(epoch from r.expires_at - greatest(r.created_at, r.scheduled_at))::float8 as ttl_secs,
         coalesce(r.expires_at, strait_now() + strait_dependency_wait()) as expires_at
    from job_runs r join jobs j on j.id = r.job_id
   where r.id = any (array(select m.run_id from moved m join jobs d on d.id = m.job_id where d.has_dependencies and m.attempt = 1))
     and r.created_at >= (select min(run_created_at) from moved) and r.created_at <= (select max(run_created_at) from moved)
     and (r.status = 'delayed') is true
     and not strait_dependencies_met(r.job_id, strait_matching(r.idempotency_key, r.triggered_by, r.metadata))
), dependents as (
  insert into run_waiting (run_id, run_created_at, attempt, claim_seq, job_id, matching, ttl_secs, expires_at, unchecked)
  select id, strait_id_time(id), 1, 0, job_id, matching, ttl_secs, expires_at, true from judged
), placed as materialized (
  select m.*, case when j.max_concurrency > 0 or j.max_concurrency_per_key > 0 or q.max_executing_runs > 0
                        or q.max_daily_cost_microusd > 0 or b.job_id is not null or j.has_key_limits or j.paused or coalesce(g.paused, false) or coalesce(q.queue_paused, false) or coalesce(a.closed or a.max_in_flight is not null, false)
                   then strait_place(m.project_id, m.job_id, (select r.concurrency_key from job_runs r
                                                               where r.id = m.run_id and r.created_at = m.run_created_at)) end as place
    from moved m join jobs j on j.id = m.job_id
    left join job_groups g on g.id = j.group_id
    left join project_quotas q on q.project_id = m.project_id
    left join job_budgets b on b.job_id = m.job_id
    left join endpoint_admission a on a.project_id = j.project_id and a.endpoint = j.endpoint
   where m.run_id <> all (array(select id from judged))
), ready as (
  insert into run_queue (project_id, rank, run_id, run_created_at, job_id, attempt)
  select project_id, rank, run_id, run_created_at, job_id, attempt from placed where place is null order by rank
), waits as (
  insert into run_parked (project_id, rank, run_id, run_created_at, job_id, attempt, lane_id, root_lane_id)
  select project_id, rank, run_id, run_created_at, job_id, attempt, place[1], place[2] from placed where place is not null
), done as (
  update job_runs r
     set status = case when r.id = any (array(select id from judged)) then 'waiting' else 'queued' end,
         expires_at = case when r.id = any (array(select id from judged))
                           then coalesce(r.expires_at, strait_now() + strait_dependency_wait()) else r.expires_at end
   where r.id = any (array(select run_id from moved))
     and r.created_at >= (select min(run_created_at) from moved) and r.created_at <= (select max(run_created_at) from moved)
     and (r.status = 'delayed') is true
  returning r.id, r.attempt, r.status
), told as (
  insert into run_events (run_id, type, level, message, data)
  select id, 'state_change', 'info', status, jsonb_build_object('from', 'delayed', 'to', status, 'attempt', attempt) from done
), woken as materialized (
  select pg_notify('run_wake', 'ready') where exists (select from moved)
  union all
  select pg_notify('run_live', '') where exists (select from done)
  union all select pg_notify('run_ended', '') where exists (select from judged)
  union all select pg_notify('run_promote', place[2]::text) from placed where place is not null group by place[2]
)
select run_id, (select count(*) from woken)::int as "woken" from moved`;

/**
 * across projects: the mover serves every project.
 * Delayed and retrying runs whose instant has come enter run_queue, at most :limit per call. A delayed run whose job
 * depends on others goes to `waiting` unless they ended as asked; as in enqueueRuns.
 */
export function moveDue(db: Queryable, params: MoveDueParams): Promise<MoveDueRow[]> {
  return many<MoveDueRow>(db, {
    text: moveDueText,
    values: [params.limit],
    name: 'queue_upkeep_moveDue_c91d0960',
  });
}

export interface NextDueRow {
  readonly due_in_ms: number | null;
}

const nextDueText = `select (extract(epoch from (select due_at from run_delayed order by due_at limit 1) - strait_now()) * 1000)::float8 as "due_in_ms"`;

/**
 * across projects: one timer per process.
 * Milliseconds until the earliest delayed run is due (negative when overdue); null when none waits.
 */
export function nextDue(db: Queryable): Promise<NextDueRow> {
  return one<NextDueRow>(db, {
    text: nextDueText,
    values: [],
    name: 'queue_upkeep_nextDue_a4789546',
  });
}

export interface ExpireRunsParams {
  readonly limit: number;
  readonly idempotency_retention_secs: number;
}

export interface ExpireRunsRow {
  readonly id: string;
  readonly told: number;
}

const expireRunsText = `with over as materialized (
  (select id, created_at from job_runs
    where expires_at <= strait_now() and status in ('delayed', 'queued')
    order by expires_at limit $1::int)
  union all
  (select run_id, run_created_at from run_waiting
    where expires_at <= strait_now() and claim_seq = 0 order by expires_at limit $1::int)
), q as (delete from run_queue where run_id = any (array(select id from over)) returning run_id, lane_id),
   p as (delete from run_parked where run_id = any (array(select id from over)) returning run_id),
   d as (delete from run_delayed where run_id = any (array(select id from over)) returning run_id),
   w as (delete from run_waiting where run_id = any (array(select id from over)) and claim_seq = 0 and expires_at <= strait_now() returning run_id),
done as (
  update job_runs r
     set status = 'expired', finished_at = strait_now(), error = 'run expired', expires_at = null
   where r.id = any (array(select run_id from q union all select run_id from p union all select run_id from d
                           union all select run_id from w))
     and r.created_at >= (select min(created_at) from over) and r.created_at <= (select max(created_at) from over)
     and (r.status = any ('{delayed,queued,waiting}')) is true and r.expires_at <= strait_now()
  returning r.id, r.created_at, r.workflow_step_run_id, r.project_id, r.job_id, r.attempt, r.idempotency_key
), told as (
  insert into run_events (run_id, type, level, message, data)
  select id, 'state_change', 'warn', 'run expired', jsonb_build_object('to', 'expired', 'attempt', attempt,
           'from', case when exists (select from w where w.run_id = done.id) then 'waiting' else 'queued' end) from done
), noted as (
  insert into run_endings (run_id, run_created_at, job_id, project_id, status, attempt, error, error_class)
  select id, created_at, job_id, project_id, 'expired', attempt, 'run expired', null from done
   where job_id = any (array(select id from jobs where followed and id = any (array(select job_id from done))))
  returning run_id
), stepped as (
  insert into step_endings (run_id, run_created_at, workflow_step_run_id, status)
  select id, created_at, workflow_step_run_id, 'expired' from done where workflow_step_run_id is not null
  returning run_id
), slots as materialized (
  select l.counted_lane_id as lane_id, count(*)::int as n
    from q x join lane_levels l on l.lane_id = x.lane_id
   group by 1
), lane_locks as materialized (
  select lane_id from lanes where lane_id = any (array(select lane_id from slots)) order by parent_lane_id is not null, lane_id for no key update
), lowered as (
  update lanes l set in_flight = l.in_flight - slots.n
    from slots where l.lane_id = slots.lane_id and l.lane_id = any (array(select lane_id from lane_locks))
), freed as (
  update job_run_idempotency i set expires_at = strait_now() + make_interval(secs => $2::int)
    from done where done.idempotency_key is not null and (select count(*) from lane_locks) is not null
     and i.job_id = done.job_id and i.idempotency_key = done.idempotency_key and i.run_id = done.id
), live as materialized (
  select pg_notify('run_live', '') where exists (select from done)
  union all select pg_notify('run_ended', '') where exists (select from noted)
  union all select pg_notify('step_ended', '') where exists (select from stepped)
  union all select pg_notify('run_promote', l.root_lane_id::text) from slots join lanes l on l.lane_id = slots.lane_id group by l.root_lane_id
)
select id, (select count(*) from live)::int as "told" from done`;

/**
 * across projects: expiry is a rule of the run, not of a caller.
 * Ends runs that were never started within their time to live, those that wait for other jobs included (claim_seq 0). A
 * leased run has no place here and is left alone.
 */
export function expireRuns(db: Queryable, params: ExpireRunsParams): Promise<ExpireRunsRow[]> {
  return many<ExpireRunsRow>(db, {
    text: expireRunsText,
    values: [
      params.limit,
      params.idempotency_retention_secs,
    ],
  });
}

export interface LockLostLeasesParams {
  readonly lease_secs: number;
  readonly stale_secs: number;
  readonly limit: number;
}

export interface LockLostLeasesRow {
  readonly run_id: string;
  readonly run_created_at: string;
  readonly attempt: number;
  readonly claim_seq: number;
  readonly started_at: string;
  readonly worker_id: number | null;
  readonly overdue: boolean;
  readonly job_id: string;
  readonly project_id: string;
  readonly priority: number;
  readonly job_version: number;
  readonly job_version_id: string | null;
  readonly metadata: JsonColumns['job_runs.metadata'];
  readonly max_attempts_override: number | null;
  readonly timeout_secs_override: number | null;
  readonly retry_backoff: string | null;
  readonly retry_initial_delay_secs: number | null;
  readonly retry_max_delay_secs: number | null;
  readonly live_version: number;
  readonly version_policy: string;
  readonly backwards_compatible: boolean;
}

const lockLostLeasesText = `select x.run_id, x.run_created_at, x.attempt, x.claim_seq, x.started_at, x.worker_id,
       x.deadline_at is not null and x.deadline_at <= strait_now() as "overdue",
       r.job_id, r.project_id, r.priority, r.job_version, r.job_version_id, r.metadata, r.max_attempts_override,
       r.timeout_secs_override, r.retry_backoff, r.retry_initial_delay_secs, r.retry_max_delay_secs,
       j.version as live_version, j.version_policy, j.backwards_compatible
  from run_active x
  join job_runs r on r.id = x.run_id and r.created_at = x.run_created_at
  join jobs j on j.id = r.job_id
 where (x.worker_id is not null and not exists (
          select from workers w where w.id = x.worker_id
             and w.heartbeat_at > strait_now() - make_interval(secs => $1::float8)))
    or (x.worker_id is null and (x.endpoint_beat_at < strait_now() - make_interval(secs => $2::float8)
                              or x.deadline_at <= strait_now()))
 order by x.run_id limit $3::int for update of x skip locked`;

/**
 * across projects: a dead worker's runs belong to many projects.
 * Leases nobody looks after any more, locked for the rest of the transaction: a worker that fell silent (or
 * whose row is gone), an endpoint that owns its run and stopped beating, a deadline that passed. The
 * conditions are checked again under the lock, so a hand-over that just committed escapes.
 */
export function lockLostLeases(db: Queryable, params: LockLostLeasesParams): Promise<LockLostLeasesRow[]> {
  return many<LockLostLeasesRow>(db, {
    text: lockLostLeasesText,
    values: [
      params.lease_secs,
      params.stale_secs,
      params.limit,
    ],
  });
}

export interface RemoveLostWorkersParams {
  readonly silent_secs: number;
}

const removeLostWorkersText = `delete from workers w
 where w.heartbeat_at < strait_now() - make_interval(secs => $1::float8)
   and not exists (select from run_active x where x.worker_id = w.id)`;

/**
 * across projects: a worker belongs to no project.
 * Rows of processes that are long gone; none is needed once its leases are reaped.
 */
export function removeLostWorkers(db: Queryable, params: RemoveLostWorkersParams): Promise<number> {
  return count(db, {
    text: removeLostWorkersText,
    values: [params.silent_secs],
  });
}

export interface MarkExecutingParams {
  readonly run_ids: readonly (string | null)[];
  readonly claims_json: string;
  readonly starts_json: string;
  readonly versions_json: string;
  readonly created_from: string;
  readonly created_to: string;
}

export interface MarkExecutingRow {
  readonly id: string;
  readonly told: number;
}

const markExecutingText = `with held as materialized (
  update run_active set marked = true
   where run_id = any ($1::text[]) and claim_seq = ($2::jsonb ->> run_id)::bigint and not marked
  returning run_id, attempt, started_at
), done as (
  update job_runs r
     set status = 'executing', expires_at = null, next_retry_at = null, execution_trace = null,
         claimed_at = ($3::jsonb ->> r.id)::timestamptz,
         started_at = coalesce(r.started_at, ($3::jsonb ->> r.id)::timestamptz),
         job_version = coalesce(($4::jsonb -> r.id ->> 0)::int, r.job_version),
         job_version_id = coalesce($4::jsonb -> r.id ->> 1, r.job_version_id)
   where r.id = any (array(select run_id from held))
     and r.created_at >= $5::timestamptz and r.created_at <= $6::timestamptz
     and (r.status = 'queued') is true
  returning r.id
), told as (
  insert into run_events (run_id, type, level, message, data, created_at)
  select run_id, 'state_change', 'info', 'executing',
         jsonb_build_object('from', 'queued', 'to', 'executing', 'attempt', attempt), started_at
    from held
), live as materialized (select pg_notify('run_live', '') where exists (select from done))
select id, (select count(*) from live)::int as "told" from done`;

/**
 * across projects: fenced by the lease of exactly this claim.
 * Copies a lease that lives longer than a moment into the wide row. The lease row is updated first: only
 * reading it would let a hand-back commit in between and leave `executing` without a lease.
 */
export function markExecuting(db: Queryable, params: MarkExecutingParams): Promise<MarkExecutingRow[]> {
  return many<MarkExecutingRow>(db, {
    text: markExecutingText,
    values: [
      params.run_ids,
      params.claims_json,
      params.starts_json,
      params.versions_json,
      params.created_from,
      params.created_to,
    ],
    name: 'queue_upkeep_markExecuting_609f9ace',
  });
}

export interface ForbidHistoryScansRow {
  readonly value: string;
}

const forbidHistoryScansText = `select set_config('enable_seqscan', 'off', true) as "value"`;

/** For the rest of the transaction: statistics may be old, and then job_runs looks smaller than it is. */
export function forbidHistoryScans(db: Queryable): Promise<ForbidHistoryScansRow> {
  return one<ForbidHistoryScansRow>(db, {
    text: forbidHistoryScansText,
    values: [],
  });
}

export interface CheckLostParams {
  readonly limit: number;
}

export interface CheckLostRow {
  readonly run_id: string;
}

const checkLostText = `with recursive project (id) as (
  (select project_id from jobs order by project_id limit 1)
  union all
  select (select j.project_id from jobs j where j.project_id > p.id order by j.project_id limit 1)
    from project p where p.id is not null
)
select id as "run_id" from (
  select id from job_runs where status in ('queued', 'dequeued', 'executing')
  union all
  select x.id from project p cross join lateral (
         select d.id from job_runs d where d.project_id = p.id and d.status = 'delayed'
         union all
         select w.id from job_runs w where w.project_id = p.id and w.status = 'waiting') x
  except
  (select run_id from run_queue union all select run_id from run_parked union all select run_id from run_delayed
   union all select run_id from run_active union all select run_id from run_waiting)) r
 limit $1::int`;

/**
 * across projects: checker.
 * 1: a live run without a place. Live runs are found without their history: by the index that holds nothing else, and
 * for the two states it lacks by one probe per project (every run has its job's project).
 */
export function checkLost(db: Queryable, params: CheckLostParams): Promise<CheckLostRow[]> {
  return many<CheckLostRow>(db, {
    text: checkLostText,
    values: [params.limit],
  });
}

export interface CheckTwoPlacesParams {
  readonly limit: number;
}

export interface CheckTwoPlacesRow {
  readonly run_id: string;
}

const checkTwoPlacesText = `select run_id as "run_id" from (
  select run_id from run_queue union all select run_id from run_parked union all select run_id from run_delayed
  union all select run_id from run_active union all select run_id from run_waiting) place
 group by run_id having count(*) > 1 limit $1::int`;

/**
 * across projects: checker.
 * 2: a run in two places.
 */
export function checkTwoPlaces(db: Queryable, params: CheckTwoPlacesParams): Promise<CheckTwoPlacesRow[]> {
  return many<CheckTwoPlacesRow>(db, {
    text: checkTwoPlacesText,
    values: [params.limit],
  });
}

export interface CheckWrongPlaceParams {
  readonly limit: number;
}

export interface CheckWrongPlaceRow {
  readonly run_id: string;
}

const checkWrongPlaceText = `select p.run_id as "run_id"
  from (select run_id, run_created_at, attempt, 'q' as t from run_queue
        union all select run_id, run_created_at, attempt, 'p' from run_parked
        union all select run_id, run_created_at, attempt, 'd' from run_delayed
        union all select run_id, run_created_at, attempt, 'a' from run_active
        union all select run_id, run_created_at, attempt, 'w' from run_waiting) p
  left join job_runs r on r.id = p.run_id and r.created_at = p.run_created_at
 where r.id is null or r.attempt <> p.attempt
    or not case p.t when 'a' then r.status in ('queued', 'dequeued', 'executing') when 'w' then r.status = 'waiting'
                    when 'q' then r.status = 'queued' else r.status in ('delayed', 'queued') end
 limit $1::int`;

/**
 * across projects: checker.
 * 3: a place that does not fit the run's state or attempt.
 */
export function checkWrongPlace(db: Queryable, params: CheckWrongPlaceParams): Promise<CheckWrongPlaceRow[]> {
  return many<CheckWrongPlaceRow>(db, {
    text: checkWrongPlaceText,
    values: [params.limit],
  });
}

export interface CheckSlotsParams {
  readonly limit: number;
}

export interface CheckSlotsRow {
  readonly lane_id: number;
}

const checkSlotsText = `with slots as materialized (
  select lane_id, count(*)::int as n
    from (select lane_id from run_queue where lane_id is not null
          union all select lane_id from run_active where lane_id is not null) x
   group by 1
), truth as materialized (
  select l.counted_lane_id as lane_id, sum(slots.n)::int as n
    from slots join lane_levels l on l.lane_id = slots.lane_id
   group by 1
)
select l.lane_id as "lane_id" from lanes l left join truth on truth.lane_id = l.lane_id
 where l.in_flight <> coalesce(truth.n, 0)
 limit $1::int`;

/**
 * across projects: checker.
 * 4: a lane whose number is not the count of its slots.
 */
export function checkSlots(db: Queryable, params: CheckSlotsParams): Promise<CheckSlotsRow[]> {
  return many<CheckSlotsRow>(db, {
    text: checkSlotsText,
    values: [params.limit],
  });
}

export interface CheckOverCapParams {
  readonly limit: number;
}

export interface CheckOverCapRow {
  readonly lane_id: number;
}

const checkOverCapText = `select lane_id from lanes where in_flight > max_inflight limit $1::int`;

/**
 * across projects: checker.
 * 5: more slots than the limit; legitimate only while a lowered limit drains.
 */
export function checkOverCap(db: Queryable, params: CheckOverCapParams): Promise<CheckOverCapRow[]> {
  return many<CheckOverCapRow>(db, {
    text: checkOverCapText,
    values: [params.limit],
  });
}

export interface CheckOrphansParams {
  readonly limit: number;
}

export interface CheckOrphansRow {
  readonly run_id: string;
}

const checkOrphansText = `select p.run_id from run_parked p
 where not exists (select from lanes l where l.lane_id = p.lane_id and l.root_lane_id = p.root_lane_id)
 limit $1::int`;

/**
 * across projects: checker.
 * 6: a parked run whose lane is not the lane it names.
 */
export function checkOrphans(db: Queryable, params: CheckOrphansParams): Promise<CheckOrphansRow[]> {
  return many<CheckOrphansRow>(db, {
    text: checkOrphansText,
    values: [params.limit],
  });
}

export interface CheckLateMarkParams {
  readonly limit: number;
}

export interface CheckLateMarkRow {
  readonly run_id: string;
}

const checkLateMarkText = `select a.run_id from run_active a join job_runs r on r.id = a.run_id and r.created_at = a.run_created_at
 where a.marked <> (r.status = 'executing') or (not a.marked and a.started_at < strait_now() - interval '1 s')
 limit $1::int`;

/**
 * across projects: checker.
 * 7: a lease that disagrees with the wide row, or was not copied into it for a second.
 */
export function checkLateMark(db: Queryable, params: CheckLateMarkParams): Promise<CheckLateMarkRow[]> {
  return many<CheckLateMarkRow>(db, {
    text: checkLateMarkText,
    values: [params.limit],
  });
}

export interface CheckSilentParams {
  readonly limit: number;
}

export interface CheckSilentRow {
  readonly run_id: string;
}

const checkSilentText = `select a.run_id from run_active a left join workers w on w.id = a.worker_id
 where coalesce(w.heartbeat_at, a.endpoint_beat_at, '-infinity') < strait_now() - interval '2 min'
 limit $1::int`;

/**
 * across projects: checker.
 * 8: a lease nobody has looked after for two minutes.
 */
export function checkSilent(db: Queryable, params: CheckSilentParams): Promise<CheckSilentRow[]> {
  return many<CheckSilentRow>(db, {
    text: checkSilentText,
    values: [params.limit],
  });
}

export interface CheckOverdueParams {
  readonly limit: number;
}

export interface CheckOverdueRow {
  readonly run_id: string;
}

const checkOverdueText = `select run_id as "run_id" from run_delayed where due_at < strait_now() - interval '5 s'
union all
select run_id from run_waiting where claim_seq = 0 and expires_at < strait_now() - interval '1 min' limit $1::int`;

/**
 * across projects: checker.
 * 9: a delayed run that should have moved long ago, or one that waits for other jobs beyond its time to live.
 */
export function checkOverdue(db: Queryable, params: CheckOverdueParams): Promise<CheckOverdueRow[]> {
  return many<CheckOverdueRow>(db, {
    text: checkOverdueText,
    values: [params.limit],
  });
}

export interface CheckIdleRoomParams {
  readonly limit: number;
}

export interface CheckIdleRoomRow {
  readonly run_id: string;
}

const checkIdleRoomText = `with endpoint as materialized (
  select coalesce(jsonb_object_agg(e.project_id || ' ' || e.endpoint, e.in_flight >= e.cap), '{}') as full_by_name from endpoint_rooms e
), next as materialized (
  select p.run_id, p.seq, l.root_lane_id, l.job_lane_id, l.job_cap, l.project_cap, s.turn, coalesce(s.key_slots < s.key_min, false) as guaranteed,
         case when s.turn is null then p.rank else min(p.rank) over (partition by l.job_lane_id) end as rank, p.rank as own_rank,
         case when e.is_full is not null then l.endpoint end as counted_endpoint
    from lane_rooms l
         cross join lateral (select p.run_id, p.rank, p.seq from run_parked p where p.root_lane_id = l.root_lane_id and p.lane_id = l.lane_id
                              order by p.rank, p.seq limit 1) p
         cross join lateral (select case when not l.endpoint_closed
                                         then ((select full_by_name from endpoint) ->> (l.project_id || ' ' || l.endpoint))::bool end as is_full) e
         left join lateral (select k.* from lane_shares k where k.lane_id = l.lane_id offset 0) s on true
   where l.lane_id <> 0 and not (l.job_disabled or l.job_paused or l.group_paused)
     and (not l.endpoint_closed or l.probe_due) and not l.budgeted
     and (l.key_in_flight >= l.key_cap) is not true and (l.job_in_flight >= l.job_cap) is not true
     and e.is_full is not true and (l.project_in_flight >= l.project_cap) is not true
), of_job as (
  select *, row_number() over (partition by job_lane_id order by guaranteed desc, turn, own_rank, seq) as nth from next
), of_endpoint as (
  select *, row_number() over (partition by root_lane_id, counted_endpoint order by guaranteed desc, rank, seq) as nth_of_endpoint
    from of_job where job_cap is null or nth = 1
), of_project as (
  select *, row_number() over (partition by root_lane_id order by guaranteed desc, rank, seq) as nth_of_project
    from of_endpoint where counted_endpoint is null or nth_of_endpoint = 1
)
select run_id as "run_id" from of_project where project_cap is null or nth_of_project = 1
 limit $1::int`;

/**
 * across projects: checker.
 * 10: a run that is next, with room on every level, and nobody promotes it. Only a finding when the same run is seen twice, 3 s
 * apart: a lane that is being worked through always has somebody next. Next means before those of other lanes as well where
 * they share a limit, as in a promotion: of a job's keys, an endpoint's jobs and a project's jobs only the first, since a slot
 * that has just come back is free for a moment without being anybody else's. Lanes that a budget concerns may wait for money.
 */
export function checkIdleRoom(db: Queryable, params: CheckIdleRoomParams): Promise<CheckIdleRoomRow[]> {
  return many<CheckIdleRoomRow>(db, {
    text: checkIdleRoomText,
    values: [params.limit],
  });
}
