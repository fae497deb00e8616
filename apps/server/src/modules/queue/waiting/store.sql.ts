// Generated from store.sql by `npm run generate`. Do not edit.
import { maybe, type Queryable } from '../../../platform/db/query.ts';

export interface WaitRunParams {
  readonly run_id: string;
  readonly claim_seq: number;
  readonly project_id: string;
  readonly event_key: string;
}

export interface WaitRunRow {
  readonly id: string;
  readonly told: number;
}

const waitRunText = `with gone as (
  delete from run_active where run_id = $1 and claim_seq = $2
  returning run_id, run_created_at, attempt, claim_seq, started_at, marked, lane_id
), place as (
  insert into run_waiting (run_id, run_created_at, attempt, claim_seq)
  select run_id, run_created_at, attempt, claim_seq from gone
), done as (
  update job_runs r
     set status = 'waiting', claimed_at = (select started_at from gone),
         started_at = coalesce(r.started_at, (select started_at from gone)), expires_at = null, next_retry_at = null, heartbeat_at = null,
         execution_trace = null
   where r.id = (select run_id from gone) and r.created_at = (select run_created_at from gone)
     and r.project_id = $3 and (r.status = any ('{queued,dequeued,executing}')) is true
  returning r.id, r.attempt
), told as (
  insert into run_events (run_id, type, level, message, data, created_at)
  select run_id, 'state_change', 'info', 'executing',
         jsonb_build_object('from', 'queued', 'to', 'executing', 'attempt', attempt), started_at from gone where not marked
  union all
  select id, 'state_change', 'info', 'waiting',
         jsonb_build_object('from', 'executing', 'to', 'waiting', 'attempt', attempt, 'event_key', $4::text), strait_now() from done
), slots as materialized (
  select l.counted_lane_id as lane_id, count(*)::int as n
    from gone x join lane_levels l on l.lane_id = x.lane_id
   group by 1
), lane_locks as materialized (
  select lane_id from lanes where lane_id = any (array(select lane_id from slots)) order by parent_lane_id is not null, lane_id for no key update
), lowered as (
  update lanes l set in_flight = l.in_flight - slots.n
    from slots where l.lane_id = slots.lane_id and l.lane_id = any (array(select lane_id from lane_locks))
), live as materialized (
  select pg_notify('run_live', '') where exists (select from done)
  union all select pg_notify('run_promote', l.root_lane_id::text) from slots join lanes l on l.lane_id = slots.lane_id group by l.root_lane_id
)
select id, (select count(*) from live)::int as "told" from done`;

/** executing → waiting, by the claim that holds the lease. No row: the claim is no longer the run's. */
export function waitRun(db: Queryable, params: WaitRunParams): Promise<WaitRunRow | undefined> {
  return maybe<WaitRunRow>(db, {
    text: waitRunText,
    values: [
      params.run_id,
      params.claim_seq,
      params.project_id,
      params.event_key,
    ],
    name: 'queue_waiting_waitRun_e76fbcb6',
  });
}

export interface ResumeRunParams {
  readonly run_id: string;
  readonly project_id: string;
  readonly aging_ms: number;
  readonly reason: string;
}

export interface ResumeRunRow {
  readonly id: string;
  readonly woken: number;
}

const resumeRunText = `with gone as (
  delete from run_waiting where run_id = $1 returning run_id, run_created_at, attempt
), done as (
  update job_runs r set status = 'queued'
   where r.id = (select run_id from gone) and r.created_at = (select run_created_at from gone)
     and r.project_id = $2 and (r.status = 'waiting') is true
  returning r.id, r.created_at, r.project_id, r.job_id, r.attempt, r.priority, r.scheduled_at, r.concurrency_key
), placed as materialized (
  select b.*, strait_place(b.project_id, b.job_id, b.concurrency_key) as place
    from done b
), ready as (
  insert into run_queue (project_id, rank, run_id, run_created_at, job_id, attempt)
  select project_id, (extract(epoch from greatest(created_at, scheduled_at)) * 1000)::bigint - priority * $3::bigint, id, created_at, job_id, attempt from placed where place is null
), waits as (
  insert into run_parked (project_id, rank, run_id, run_created_at, job_id, attempt, lane_id, root_lane_id)
  select project_id, (extract(epoch from greatest(created_at, scheduled_at)) * 1000)::bigint - priority * $3::bigint, id, created_at, job_id, attempt, place[1], place[2] from placed where place is not null
), told as (
  insert into run_events (run_id, type, level, message, data)
  select id, 'state_change', 'info', 'queued',
         jsonb_build_object('from', 'waiting', 'to', 'queued', 'attempt', attempt, 'reason', $4::text) from done
), woken as materialized (
  select pg_notify('run_wake', 'ready') where exists (select from done)
  union all select pg_notify('run_live', '') where exists (select from done)
  union all select pg_notify('run_promote', place[2]::text) from placed where place is not null group by place[2]
)
select id, (select count(*) from woken)::int as "woken" from done`;

/** waiting → queued, attempt unchanged. No row: it does not wait (any more). */
export function resumeRun(db: Queryable, params: ResumeRunParams): Promise<ResumeRunRow | undefined> {
  return maybe<ResumeRunRow>(db, {
    text: resumeRunText,
    values: [
      params.run_id,
      params.project_id,
      params.aging_ms,
      params.reason,
    ],
    name: 'queue_waiting_resumeRun_bda63e1c',
  });
}

export interface EndWaitingRunParams {
  readonly run_id: string;
  readonly claim_seq: number | null;
  readonly status: string;
  readonly error: string | null;
  readonly error_class: string | null;
  readonly result_json: string | null;
  readonly project_id: string;
  readonly idempotency_retention_secs: number;
}

export interface EndWaitingRunRow {
  readonly id: string;
  readonly told: number;
}

const endWaitingRunText = `with gone as (
  delete from run_waiting where run_id = $1 and ($2::bigint is null or claim_seq = $2)
  returning run_id, run_created_at, attempt
), done as (
  update job_runs r
     set status = $3, finished_at = strait_now(), error = $4, error_class = $5, result = coalesce($6::jsonb, r.result)
   where r.id = (select run_id from gone) and r.created_at = (select run_created_at from gone)
     and r.project_id = $7 and (r.status = 'waiting') is true
  returning r.id, r.created_at, r.workflow_step_run_id, r.project_id, r.job_id, r.status, r.error, r.error_class, r.attempt, r.idempotency_key
), told as (
  insert into run_events (run_id, type, level, message, data)
  select id, 'state_change', case when $3 = 'completed' then 'info' else 'error' end, coalesce($4::text, $3),
         jsonb_build_object('from', 'waiting', 'to', $3::text, 'attempt', attempt) from done
), freed as (
  update job_run_idempotency i set expires_at = strait_now() + make_interval(secs => $8::int)
    from done where done.idempotency_key is not null
     and i.job_id = done.job_id and i.idempotency_key = done.idempotency_key and i.run_id = done.id
), noted as (
  insert into run_endings (run_id, run_created_at, job_id, project_id, status, attempt, error, error_class)
  select id, created_at, job_id, project_id, status, attempt, error, error_class from done
   where job_id = any (array(select id from jobs where followed and id = any (array(select job_id from done))))
  returning run_id
), stepped as (
  insert into step_endings (run_id, run_created_at, workflow_step_run_id, status)
  select id, created_at, workflow_step_run_id, status from done where workflow_step_run_id is not null
  returning run_id
), live as materialized (
  select pg_notify('run_live', '') where exists (select from done) union all select pg_notify('run_ended', '') where exists (select from noted)
  union all select pg_notify('step_ended', '') where exists (select from stepped)
)
select id, (select count(*) from live)::int as "told" from done`;

/**
 * waiting → a terminal state: completed or failed by the claim that waits (:claim_seq), timed_out by the deadline
 * (:claim_seq null: whoever waits).
 */
export function endWaitingRun(db: Queryable, params: EndWaitingRunParams): Promise<EndWaitingRunRow | undefined> {
  return maybe<EndWaitingRunRow>(db, {
    text: endWaitingRunText,
    values: [
      params.run_id,
      params.claim_seq,
      params.status,
      params.error,
      params.error_class,
      params.result_json,
      params.project_id,
      params.idempotency_retention_secs,
    ],
    name: 'queue_waiting_endWaitingRun_4d663878',
  });
}
