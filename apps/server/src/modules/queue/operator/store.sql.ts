// Generated from store.sql by `npm run generate`. Do not edit.
import { count, many, maybe, type Queryable } from '../../../platform/db/query.ts';

export interface CancelRunsParams {
  readonly run_ids: readonly (string | null)[];
  readonly project_id: string;
  readonly created_from: string;
  readonly created_to: string;
  readonly reason: string;
  readonly idempotency_retention_secs: number;
}

export interface CancelRunsRow {
  readonly id: string;
  readonly told: number;
}

const cancelRunsText = `with mine as materialized (
  select id, created_at from job_runs
   where id = any ($1::text[]) and project_id = $2
     and created_at >= $3::timestamptz and created_at <= $4::timestamptz
), q as (delete from run_queue where run_id = any (array(select id from mine)) returning run_id, lane_id),
   p as (delete from run_parked where run_id = any (array(select id from mine)) returning run_id),
   d as (delete from run_delayed where run_id = any (array(select id from mine)) returning run_id),
   a as (delete from run_active where run_id = any (array(select id from mine)) returning run_id, claim_seq, started_at, lane_id),
   w as (delete from run_waiting where run_id = any (array(select id from mine)) returning run_id),
before as materialized (
  select r.id, r.status from job_runs r
   where r.id = any (array(select id from mine))
     and r.created_at >= $3::timestamptz and r.created_at <= $4::timestamptz
), done as (
  update job_runs r
     set status = 'canceled', finished_at = strait_now(), error = $5, expires_at = null, next_retry_at = null,
         started_at = coalesce((select a.started_at from a where a.run_id = r.id), r.started_at)
   where r.id = any (array(select run_id from q union all select run_id from p union all select run_id from d
                           union all select run_id from a union all select run_id from w))
     and r.created_at >= $3::timestamptz and r.created_at <= $4::timestamptz
     and (r.status = any ('{delayed,queued,dequeued,executing,waiting}')) is true
  returning r.id, r.created_at, r.workflow_step_run_id, r.project_id, r.job_id, r.attempt, r.idempotency_key
), told as (
  insert into run_events (run_id, type, level, message, data)
  select done.id, 'state_change', 'warn', $5,
         jsonb_build_object('to', 'canceled', 'attempt', done.attempt, 'from',
           case when exists (select from a where a.run_id = done.id) then 'executing'
                else (select b.status from before b where b.id = done.id) end)
    from done
), noted as (
  insert into run_endings (run_id, run_created_at, job_id, project_id, status, attempt, error, error_class)
  select id, created_at, job_id, project_id, 'canceled', attempt, $5, null from done
   where job_id = any (array(select id from jobs where followed and id = any (array(select job_id from done))))
  returning run_id
), stepped as (
  insert into step_endings (run_id, run_created_at, workflow_step_run_id, status)
  select id, created_at, workflow_step_run_id, 'canceled' from done where workflow_step_run_id is not null
  returning run_id
), slots as materialized (
  select l.counted_lane_id as lane_id, count(*)::int as n
    from (select lane_id from q union all select lane_id from a) x join lane_levels l on l.lane_id = x.lane_id
   group by 1
), lane_locks as materialized (
  select lane_id from lanes where lane_id = any (array(select lane_id from slots)) order by parent_lane_id is not null, lane_id for no key update
), lowered as (
  update lanes l set in_flight = l.in_flight - slots.n
    from slots where l.lane_id = slots.lane_id and l.lane_id = any (array(select lane_id from lane_locks))
), freed as (
  update job_run_idempotency i set expires_at = strait_now() + make_interval(secs => $6::int)
    from done where done.idempotency_key is not null and (select count(*) from lane_locks) is not null
     and i.job_id = done.job_id and i.idempotency_key = done.idempotency_key and i.run_id = done.id
), live as materialized (
  select pg_notify('run_live', '') where exists (select from done)
  union all select pg_notify('run_ended', '') where exists (select from noted)
  union all select pg_notify('step_ended', '') where exists (select from stepped)
  union all select pg_notify('run_promote', l.root_lane_id::text) from slots join lanes l on l.lane_id = slots.lane_id group by l.root_lane_id
  union all
  select pg_notify('run_abort', a.run_id || ' ' || a.claim_seq) from a
)
select id, (select count(*) from live)::int as "told" from done`;

/** Any place → none. Runs not in the answer were terminal, foreign, or between two places: the caller looks again. */
export function cancelRuns(db: Queryable, params: CancelRunsParams): Promise<CancelRunsRow[]> {
  return many<CancelRunsRow>(db, {
    text: cancelRunsText,
    values: [
      params.run_ids,
      params.project_id,
      params.created_from,
      params.created_to,
      params.reason,
      params.idempotency_retention_secs,
    ],
  });
}

export interface ListChildIdsParams {
  readonly parent_ids: readonly (string | null)[];
  readonly project_id: string;
}

export interface ListChildIdsRow {
  readonly id: string;
  readonly live: boolean;
}

const listChildIdsText = `select id, status = any ('{delayed,queued,dequeued,executing,waiting}') as "live" from job_runs
 where parent_run_id = any ($1::text[]) and project_id = $2`;

/** Ended ones too: what they spawned may still live. */
export function listChildIds(db: Queryable, params: ListChildIdsParams): Promise<ListChildIdsRow[]> {
  return many<ListChildIdsRow>(db, {
    text: listChildIdsText,
    values: [
      params.parent_ids,
      params.project_id,
    ],
  });
}

export interface ReplayDeadLettersParams {
  readonly project_id: string;
  readonly run_ids: readonly (string | null)[];
  readonly created_from: string;
  readonly created_to: string;
  readonly default_ttl_secs: number;
  readonly aging_ms: number;
  readonly actor_id: string;
}

export interface ReplayDeadLettersRow {
  readonly id: string;
  readonly woken: number;
}

const replayDeadLettersText = `with job as materialized (
  select j.id, j.run_ttl_secs from jobs j
   where j.project_id = $1 and j.deleting_at is null
     and j.id = any (array(select r.job_id from job_runs r
                            where r.id = any ($2::text[]) and r.project_id = $1
                              and r.created_at >= $3::timestamptz and r.created_at <= $4::timestamptz))
   order by j.id for key share of j
), done as (
  update job_runs r
     set status = 'queued', attempt = 1, error = null, error_class = null, started_at = null, finished_at = null,
         heartbeat_at = null, next_retry_at = null, execution_trace = null,
         priority = case when r.metadata ->> '_priority' ~ '^(\\d|10)$' then (r.metadata ->> '_priority')::int else r.priority end,
         expires_at = strait_now() + make_interval(secs => coalesce(nullif(j.run_ttl_secs, 0), nullif($5::int, 0))),
         metadata = (r.metadata - '{_error_hash,_error_hash_count,_snooze_count,_priority}'::text[])
                    || jsonb_build_object('_replays', (coalesce((r.metadata ->> '_replays')::int, 0) + 1)::text)
    from job j
   where j.id = r.job_id and r.id = any ($2::text[]) and r.project_id = $1
     and r.created_at >= $3::timestamptz and r.created_at <= $4::timestamptz
     and (r.status = 'dead_letter') is true
  returning r.id, r.created_at, r.project_id, r.job_id, r.priority, r.idempotency_key, r.concurrency_key, 1 as attempt
), placed as materialized (
  select b.*, strait_place(b.project_id, b.job_id, b.concurrency_key) as place
    from done b
), ready as (
  insert into run_queue (project_id, rank, run_id, run_created_at, job_id, attempt)
  select project_id, (extract(epoch from strait_now()) * 1000)::bigint - priority * $6::bigint, id, created_at, job_id, attempt from placed where place is null
), waits as (
  insert into run_parked (project_id, rank, run_id, run_created_at, job_id, attempt, lane_id, root_lane_id)
  select project_id, (extract(epoch from strait_now()) * 1000)::bigint - priority * $6::bigint, id, created_at, job_id, attempt, place[1], place[2] from placed where place is not null
), told as (
  insert into run_events (run_id, type, level, message, data)
  select id, 'state_change', 'info', 'replayed from the dead letter queue',
         jsonb_build_object('from', 'dead_letter', 'to', 'queued', 'attempt', 1, 'by', $7::text) from done
), held as (
  update job_run_idempotency i set expires_at = null
    from done where done.idempotency_key is not null
     and i.job_id = done.job_id and i.idempotency_key = done.idempotency_key and i.run_id = done.id
), woken as materialized (
  select pg_notify('run_wake', 'ready') where exists (select from done)
  union all select pg_notify('run_live', '') where exists (select from done)
  union all select pg_notify('run_promote', place[2]::text) from placed where place is not null group by place[2]
)
select id, (select count(*) from woken)::int as "woken" from done`;

/**
 * dead_letter → queued, the same run from attempt 1. `_replays` in the metadata counts and fences the token
 * the first trigger was answered with; `_priority` is what retries raised (given-priority.ts). The key share keeps the
 * job until this commits; of a job that is being deleted nothing is revived.
 */
export function replayDeadLetters(db: Queryable, params: ReplayDeadLettersParams): Promise<ReplayDeadLettersRow[]> {
  return many<ReplayDeadLettersRow>(db, {
    text: replayDeadLettersText,
    values: [
      params.project_id,
      params.run_ids,
      params.created_from,
      params.created_to,
      params.default_ttl_secs,
      params.aging_ms,
      params.actor_id,
    ],
  });
}

export interface RestartRunParams {
  readonly run_id: string;
  readonly project_id: string;
  readonly max_attempts: number;
  readonly reason: string;
  readonly aging_ms: number;
  readonly actor_id: string;
}

export interface RestartRunRow {
  readonly id: string;
  readonly woken: number;
}

const restartRunText = `with mine as materialized (
  select r.id, r.created_at from job_runs r
   where r.id = $1 and r.created_at = strait_id_time($1) and r.project_id = $2
     and r.attempt < coalesce(r.max_attempts_override, $3::int)
), a as (delete from run_active where run_id = any (array(select id from mine)) returning run_id, attempt, claim_seq, lane_id),
   w as (delete from run_waiting where run_id = any (array(select id from mine)) and claim_seq <> 0 returning run_id, attempt),
done as (
  update job_runs r
     set status = 'queued', attempt = r.attempt + 1, started_at = null, finished_at = null, heartbeat_at = null,
         expires_at = null, next_retry_at = null, error = $4
   where r.id = any (array(select run_id from a union all select run_id from w)) and r.created_at = strait_id_time($1)
     and (r.status = any ('{queued,dequeued,executing,waiting}')) is true
  returning r.id, r.created_at, r.project_id, r.job_id, r.attempt, r.priority, r.scheduled_at, r.concurrency_key
), placed as materialized (
  select b.*, strait_place(b.project_id, b.job_id, b.concurrency_key) as place
    from done b
), ready as (
  insert into run_queue (project_id, rank, run_id, run_created_at, job_id, attempt)
  select project_id, (extract(epoch from greatest(created_at, scheduled_at)) * 1000)::bigint - priority * $5::bigint, id, created_at, job_id, attempt from placed where place is null
), waits as (
  insert into run_parked (project_id, rank, run_id, run_created_at, job_id, attempt, lane_id, root_lane_id)
  select project_id, (extract(epoch from greatest(created_at, scheduled_at)) * 1000)::bigint - priority * $5::bigint, id, created_at, job_id, attempt, place[1], place[2] from placed where place is not null
), told as (
  insert into run_events (run_id, type, level, message, data)
  select id, 'state_change', 'warn', $4,
         jsonb_build_object('from', case when exists (select from w) then 'waiting' else 'executing' end,
                            'to', 'queued', 'attempt', attempt, 'by', $6::text) from done
), slots as materialized (
  select l.counted_lane_id as lane_id, count(*)::int as n
    from a x join lane_levels l on l.lane_id = x.lane_id
   group by 1
), lane_locks as materialized (
  select lane_id from lanes where lane_id = any (array(select lane_id from slots)) order by parent_lane_id is not null, lane_id for no key update
), lowered as (
  update lanes l set in_flight = l.in_flight - slots.n
    from slots where l.lane_id = slots.lane_id and l.lane_id = any (array(select lane_id from lane_locks))
), woken as materialized (
  select pg_notify('run_wake', 'ready') where exists (select from done)
  union all select pg_notify('run_live', '') where exists (select from done)
  union all select pg_notify('run_abort', a.run_id || ' ' || a.claim_seq) from a
  union all select pg_notify('run_promote', l.root_lane_id::text) from slots join lanes l on l.lane_id = slots.lane_id group by l.root_lane_id
  union all select pg_notify('run_promote', place[2]::text) from placed where place is not null group by place[2]
)
select id, (select count(*) from woken)::int as "woken" from done`;

/**
 * executing or waiting → queued, next attempt. No row: neither, or no attempt left (:max_attempts of the run's version).
 * A run that waits for other jobs (claim_seq 0) never started: there is nothing to do again.
 */
export function restartRun(db: Queryable, params: RestartRunParams): Promise<RestartRunRow | undefined> {
  return maybe<RestartRunRow>(db, {
    text: restartRunText,
    values: [
      params.run_id,
      params.project_id,
      params.max_attempts,
      params.reason,
      params.aging_ms,
      params.actor_id,
    ],
  });
}

export interface RescheduleRunParams {
  readonly run_id: string;
  readonly project_id: string;
  readonly scheduled_at: string;
  readonly payload_json: string | null;
  readonly aging_ms: number;
  readonly delayed_by_json: string | null;
  readonly actor_id: string;
}

export interface RescheduleRunRow {
  readonly id: string;
  readonly woken: number;
}

const rescheduleRunText = `with mine as materialized (
  select id, created_at from job_runs
   where id = $1 and created_at = strait_id_time($1) and project_id = $2
     and attempt = 1 and started_at is null and (status = any ('{delayed,queued}')) is true
), q as (delete from run_queue where run_id = any (array(select id from mine)) returning run_id, lane_id),
   p as (delete from run_parked where run_id = any (array(select id from mine)) and lane_id <> 0 returning run_id),
   held as (delete from run_parked where run_id = any (array(select id from mine)) and lane_id = 0 returning run_id),
   d as (delete from run_delayed where run_id = any (array(select id from mine)) returning run_id),
done as (
  update job_runs r
     set status = case when $3::timestamptz > strait_now()
                         or (r.status = 'delayed' and (select j.has_dependencies from jobs j where j.id = r.job_id)) then 'delayed' else 'queued' end,
         scheduled_at = $3::timestamptz,
         expires_at = greatest(strait_now(), $3::timestamptz)
                      + (r.expires_at - greatest(r.created_at, r.scheduled_at)),
         payload = coalesce($4::jsonb, r.payload)
   where r.id = any (array(select run_id from q union all select run_id from p union all select run_id from d
                         union all select run_id from held))
     and r.created_at = strait_id_time($1) and (r.status = any ('{delayed,queued}')) is true
  returning r.id, r.created_at, r.project_id, r.job_id, r.attempt, r.priority, r.status, r.scheduled_at, r.concurrency_key
), placed as materialized (
  select b.*, strait_place(b.project_id, b.job_id, b.concurrency_key) as place
    from done b where b.status = 'queued' and not exists (select from held)
), ready as (
  insert into run_queue (project_id, rank, run_id, run_created_at, job_id, attempt)
  select project_id, (extract(epoch from greatest(created_at, scheduled_at)) * 1000)::bigint - priority * $5::bigint, id, created_at, job_id, attempt from placed where place is null
), waits as (
  insert into run_parked (project_id, rank, run_id, run_created_at, job_id, attempt, lane_id, root_lane_id)
  select project_id, (extract(epoch from greatest(created_at, scheduled_at)) * 1000)::bigint - priority * $5::bigint, id, created_at, job_id, attempt, place[1], place[2] from placed where place is not null
), still_held as (
  insert into run_parked (project_id, rank, run_id, run_created_at, job_id, attempt, lane_id, root_lane_id)
  select project_id, (extract(epoch from greatest(created_at, scheduled_at)) * 1000)::bigint - priority * $5::bigint, id, created_at, job_id, attempt, 0, 0
    from done where exists (select from held)
), later as (
  insert into run_delayed (due_at, project_id, rank, run_id, run_created_at, job_id, attempt, reason)
  select scheduled_at, project_id, (extract(epoch from scheduled_at) * 1000)::bigint - priority * $5::bigint,
         id, created_at, job_id, attempt, $6::jsonb
    from done where status = 'delayed' and not exists (select from held)
), told as (
  insert into run_events (run_id, type, level, message, data)
  select id, 'state_change', 'info', 'rescheduled',
         jsonb_build_object('to', status, 'attempt', attempt, 'scheduled_at', scheduled_at, 'by', $7::text,
                            'delayed_by', $6::jsonb) from done
), slots as materialized (
  select l.counted_lane_id as lane_id, count(*)::int as n
    from q x join lane_levels l on l.lane_id = x.lane_id
   group by 1
), lane_locks as materialized (
  select lane_id from lanes where lane_id = any (array(select lane_id from slots)) order by parent_lane_id is not null, lane_id for no key update
), lowered as (
  update lanes l set in_flight = l.in_flight - slots.n
    from slots where l.lane_id = slots.lane_id and l.lane_id = any (array(select lane_id from lane_locks))
), woken as materialized (
  select pg_notify('run_wake', 'due') where exists (select from done)
  union all select pg_notify('run_live', '') where exists (select from done)
  union all select pg_notify('run_promote', l.root_lane_id::text) from slots join lanes l on l.lane_id = slots.lane_id group by l.root_lane_id
  union all select pg_notify('run_promote', place[2]::text) from placed where place is not null group by place[2]
)
select id, (select count(*) from woken)::int as "woken" from done`;

/**
 * delayed or queued and never started → delayed or queued at another instant, optionally with another payload.
 * A held run stays held, in a new place row, so that nobody who still sees the old one acts on it. What was delayed and
 * has dependencies stays so until the mover judges it.
 */
export function rescheduleRun(db: Queryable, params: RescheduleRunParams): Promise<RescheduleRunRow | undefined> {
  return maybe<RescheduleRunRow>(db, {
    text: rescheduleRunText,
    values: [
      params.run_id,
      params.project_id,
      params.scheduled_at,
      params.payload_json,
      params.aging_ms,
      params.delayed_by_json,
      params.actor_id,
    ],
  });
}

export interface HoldRunParams {
  readonly run_id: string;
  readonly project_id: string;
  readonly actor_id: string;
}

export interface HoldRunRow {
  readonly id: string;
  readonly woken: number;
}

const holdRunText = `with mine as materialized (
  select id, created_at, project_id, job_id, attempt, priority from job_runs
   where id = $1 and created_at = strait_id_time($1) and project_id = $2
), q as (delete from run_queue where run_id = any (array(select id from mine)) returning run_id, run_created_at, project_id, rank, job_id, attempt, lane_id),
   p as (delete from run_parked where run_id = any (array(select id from mine)) and lane_id <> 0 returning run_id, run_created_at, project_id, rank, job_id, attempt),
   d as (delete from run_delayed where run_id = any (array(select id from mine)) returning run_id, run_created_at, project_id, rank, job_id, attempt, reason),
held as (
  insert into run_parked (project_id, rank, run_id, run_created_at, job_id, attempt, lane_id, root_lane_id)
  select project_id, rank, run_id, run_created_at, job_id, attempt, 0, 0
    from (select run_id, run_created_at, project_id, rank, job_id, attempt from q union all select * from p
          union all select run_id, run_created_at, project_id, rank, job_id, attempt from d) x
  returning run_id
), told as (
  insert into run_events (run_id, type, level, message, data)
  select run_id, 'log', 'info', 'held by an operator', jsonb_build_object('by', $3::text, 'delayed_by', (select reason from d)) from held
), slots as materialized (
  select l.counted_lane_id as lane_id, count(*)::int as n
    from q x join lane_levels l on l.lane_id = x.lane_id
   group by 1
), lane_locks as materialized (
  select lane_id from lanes where lane_id = any (array(select lane_id from slots)) order by parent_lane_id is not null, lane_id for no key update
), lowered as (
  update lanes l set in_flight = l.in_flight - slots.n
    from slots where l.lane_id = slots.lane_id and l.lane_id = any (array(select lane_id from lane_locks))
), woken as materialized (
  select pg_notify('run_promote', l.root_lane_id::text) from slots join lanes l on l.lane_id = slots.lane_id group by l.root_lane_id
)
select run_id as id, (select count(*) from woken)::int as "woken" from held`;

/**
 * A pending run moves into the reserved lane 0, whose limit is 0: it keeps its status and is not started
 * until released. Why it was delayed goes into the event: the place has no room for it (releaseRun).
 */
export function holdRun(db: Queryable, params: HoldRunParams): Promise<HoldRunRow | undefined> {
  return maybe<HoldRunRow>(db, {
    text: holdRunText,
    values: [
      params.run_id,
      params.project_id,
      params.actor_id,
    ],
  });
}

export interface ReleaseRunParams {
  readonly run_id: string;
  readonly project_id: string;
  readonly actor_id: string;
}

export interface ReleaseRunRow {
  readonly id: string;
  readonly woken: number;
}

const releaseRunText = `with gone as (
  delete from run_parked where run_id = $1 and lane_id = 0 and project_id = $2
  returning run_id, run_created_at, project_id, rank, job_id, attempt
), due as materialized (
  select r.id, r.concurrency_key, greatest(case when r.status = 'delayed' then r.scheduled_at end, r.next_retry_at) as due_at
    from job_runs r
   where r.id = (select run_id from gone) and r.created_at = strait_id_time($1)
), later as (
  insert into run_delayed (due_at, project_id, rank, run_id, run_created_at, job_id, attempt, reason)
  select (select due_at from due), project_id, rank, run_id, run_created_at, job_id, attempt,
         nullif((select e.data -> 'delayed_by' from run_events e
                  where e.run_id = $1 and jsonb_exists(e.data, 'delayed_by') order by e.created_at desc, e.id desc limit 1), 'null')
    from gone
   where exists (select from due where due_at is not null)
), placed as materialized (
  select g.*, strait_place(g.project_id, g.job_id, due.concurrency_key) as place from gone g cross join due where due.due_at is null
), ready as (
  insert into run_queue (project_id, rank, run_id, run_created_at, job_id, attempt)
  select project_id, rank, run_id, run_created_at, job_id, attempt from placed where place is null
), waits as (
  insert into run_parked (project_id, rank, run_id, run_created_at, job_id, attempt, lane_id, root_lane_id)
  select project_id, rank, run_id, run_created_at, job_id, attempt, place[1], place[2] from placed where place is not null
), told as (
  insert into run_events (run_id, type, level, message, data)
  select run_id, 'log', 'info', 'released by an operator', jsonb_build_object('by', $3::text) from gone
), woken as materialized (
  select pg_notify('run_wake', 'due') where exists (select from gone)
  union all select pg_notify('run_promote', place[2]::text) from placed where place is not null group by place[2]
)
select run_id as id, (select count(*) from woken)::int as "woken" from gone`;

/** A held run goes back where it belongs: run_delayed while its instant is still to come, else where it may start. */
export function releaseRun(db: Queryable, params: ReleaseRunParams): Promise<ReleaseRunRow | undefined> {
  return maybe<ReleaseRunRow>(db, {
    text: releaseRunText,
    values: [
      params.run_id,
      params.project_id,
      params.actor_id,
    ],
  });
}

export interface ClearIdempotencyKeyParams {
  readonly run_id: string;
  readonly project_id: string;
}

export interface ClearIdempotencyKeyRow {
  readonly id: string;
}

const clearIdempotencyKeyText = `with target as materialized (
  select id, job_id, idempotency_key from job_runs
   where id = $1 and created_at = strait_id_time($1) and project_id = $2
     and status <> all ('{dequeued,executing,waiting}') for update
), freed as (
  delete from job_run_idempotency i using target t
   where i.job_id = t.job_id and i.idempotency_key = t.idempotency_key and i.run_id = t.id
), done as (
  update job_runs r set idempotency_key = null
    from target t where r.id = t.id and r.created_at = strait_id_time($1) and t.idempotency_key is not null
)
select id from target where not exists (select from run_active x where x.run_id = target.id)`;

/** Frees the key of a run that no longer (or not yet) executes. */
export function clearIdempotencyKey(db: Queryable, params: ClearIdempotencyKeyParams): Promise<ClearIdempotencyKeyRow | undefined> {
  return maybe<ClearIdempotencyKeyRow>(db, {
    text: clearIdempotencyKeyText,
    values: [
      params.run_id,
      params.project_id,
    ],
  });
}

export interface SetDebugModeParams {
  readonly debug_mode: boolean;
  readonly run_id: string;
  readonly project_id: string;
}

const setDebugModeText = `update job_runs set debug_mode = $1
 where id = $2 and created_at = strait_id_time($2) and project_id = $3`;

export function setDebugMode(db: Queryable, params: SetDebugModeParams): Promise<number> {
  return count(db, {
    text: setDebugModeText,
    values: [
      params.debug_mode,
      params.run_id,
      params.project_id,
    ],
  });
}

export interface ListOpenIdsParams {
  readonly run_ids: readonly (string | null)[];
  readonly project_id: string;
  readonly created_from: string;
  readonly created_to: string;
}

export interface ListOpenIdsRow {
  readonly id: string;
}

const listOpenIdsText = `select id from job_runs
 where id = any ($1::text[]) and project_id = $2
   and created_at >= $3::timestamptz and created_at <= $4::timestamptz
   and (status = any ('{delayed,queued,dequeued,executing,waiting}')) is true`;

/** Of these runs, the ones that are not terminal. */
export function listOpenIds(db: Queryable, params: ListOpenIdsParams): Promise<ListOpenIdsRow[]> {
  return many<ListOpenIdsRow>(db, {
    text: listOpenIdsText,
    values: [
      params.run_ids,
      params.project_id,
      params.created_from,
      params.created_to,
    ],
  });
}
