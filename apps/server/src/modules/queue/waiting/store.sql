-- Runs in `waiting`: suspended by their own handler until an event, a child or a deadline. Waiting deletes the
-- lease, so the handler's own reply is fenced off whatever it says; resuming always goes through the queue.

-- name: waitRun :maybe prepared
-- executing → waiting, by the claim that holds the lease. No row: the claim is no longer the run's.
with gone as (
  delete from run_active where run_id = :run_id and claim_seq = :claim_seq
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
     and r.project_id = :project_id and (r.status = any ('{queued,dequeued,executing}')) is true
  returning r.id, r.attempt
), told as (
  insert into run_events (run_id, type, level, message, data, created_at)
  select run_id, 'state_change', 'info', 'executing',
         jsonb_build_object('from', 'queued', 'to', 'executing', 'attempt', attempt), started_at from gone where not marked
  union all
  select id, 'state_change', 'info', 'waiting',
         jsonb_build_object('from', 'executing', 'to', 'waiting', 'attempt', attempt, 'event_key', :event_key::text), strait_now() from done
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
select id, (select count(*) from live)::int as "told!" from done;

-- name: resumeRun :maybe prepared
-- waiting → queued, attempt unchanged. No row: it does not wait (any more).
with gone as (
  delete from run_waiting where run_id = :run_id returning run_id, run_created_at, attempt
), done as (
  update job_runs r set status = 'queued'
   where r.id = (select run_id from gone) and r.created_at = (select run_created_at from gone)
     and r.project_id = :project_id and (r.status = 'waiting') is true
  returning r.id, r.created_at, r.project_id, r.job_id, r.attempt, r.priority, r.scheduled_at, r.concurrency_key
), placed as materialized (
  select b.*, strait_place(b.project_id, b.job_id, b.concurrency_key) as place
    from done b
), ready as (
  insert into run_queue (project_id, rank, run_id, run_created_at, job_id, attempt)
  select project_id, (extract(epoch from greatest(created_at, scheduled_at)) * 1000)::bigint - priority * :aging_ms::bigint, id, created_at, job_id, attempt from placed where place is null
), waits as (
  insert into run_parked (project_id, rank, run_id, run_created_at, job_id, attempt, lane_id, root_lane_id)
  select project_id, (extract(epoch from greatest(created_at, scheduled_at)) * 1000)::bigint - priority * :aging_ms::bigint, id, created_at, job_id, attempt, place[1], place[2] from placed where place is not null
), told as (
  insert into run_events (run_id, type, level, message, data)
  select id, 'state_change', 'info', 'queued',
         jsonb_build_object('from', 'waiting', 'to', 'queued', 'attempt', attempt, 'reason', :reason::text) from done
), woken as materialized (
  select pg_notify('run_wake', 'ready') where exists (select from done)
  union all select pg_notify('run_live', '') where exists (select from done)
  union all select pg_notify('run_promote', place[2]::text) from placed where place is not null group by place[2]
)
select id, (select count(*) from woken)::int as "woken!" from done;

-- name: endWaitingRun :maybe prepared
-- waiting → a terminal state: completed or failed by the claim that waits (:claim_seq), timed_out by the deadline
-- (:claim_seq null: whoever waits).
with gone as (
  delete from run_waiting where run_id = :run_id and (:claim_seq?::bigint is null or claim_seq = :claim_seq?)
  returning run_id, run_created_at, attempt
), done as (
  update job_runs r
     set status = :status, finished_at = strait_now(), error = :error?, error_class = :error_class?, result = coalesce(:result_json?::jsonb, r.result)
   where r.id = (select run_id from gone) and r.created_at = (select run_created_at from gone)
     and r.project_id = :project_id and (r.status = 'waiting') is true
  returning r.id, r.created_at, r.workflow_step_run_id, r.project_id, r.job_id, r.status, r.error, r.error_class, r.attempt, r.idempotency_key
), told as (
  insert into run_events (run_id, type, level, message, data)
  select id, 'state_change', case when :status = 'completed' then 'info' else 'error' end, coalesce(:error?::text, :status),
         jsonb_build_object('from', 'waiting', 'to', :status::text, 'attempt', attempt) from done
), freed as (
  update job_run_idempotency i set expires_at = strait_now() + make_interval(secs => :idempotency_retention_secs::int)
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
select id, (select count(*) from live)::int as "told!" from done;
