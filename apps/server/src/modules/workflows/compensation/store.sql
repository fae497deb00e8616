-- Steps that are undone, one after the other. The rows come with the change of the run to compensating and follow its lock.

-- name: moveRun :maybe
-- The error stays that of the run. What a parent is told does not change: it has heard of the end that is undone.
update workflow_runs r
   set status = :to_status, ended_as = coalesce(r.ended_as, r.status),
       finished_at = case when :to_status = 'compensating' then null else strait_now() end
 where r.id = :workflow_run_id and r.project_id = :project_id and r.status = :from_status
returning r.id;

-- name: insertRows :count
insert into compensation_runs (workflow_run_id, step_run_id, step_ref, job_id, position)
select r.id, s.id, s.step_ref, p.job_id, p.n::int
  from unnest(:step_refs::text[], :job_ids::text[]) with ordinality as p(step_ref, job_id, n)
  join workflow_runs r on r.id = :workflow_run_id and r.project_id = :project_id
  join workflow_step_runs s on s.workflow_run_id = r.id and s.step_ref = p.step_ref;

-- name: listRows :many
select c.step_ref, c.status, c.job_run_id, c.job_id, c.error, c.started_at, c.finished_at
  from compensation_runs c join workflow_runs r on r.id = c.workflow_run_id and r.project_id = :project_id
 where r.id = :workflow_run_id order by c.position;

-- name: findUndone :one
-- What is to be undone next, with what it has done.
select c.step_run_id, c.job_id, s.output
  from compensation_runs c join workflow_runs r on r.id = c.workflow_run_id and r.project_id = :project_id
  join workflow_step_runs s on s.id = c.step_run_id
 where r.id = :workflow_run_id and c.step_ref = :step_ref;

-- name: startRow :count
update compensation_runs c set status = 'running', job_run_id = :job_run_id, started_at = strait_now()
  from workflow_runs r
 where r.id = :workflow_run_id and r.project_id = :project_id and c.workflow_run_id = r.id and c.step_ref = :step_ref
   and c.status = 'pending';

-- name: endRow :count
update compensation_runs c set status = :to_status, error = :error?::text, finished_at = strait_now()
  from workflow_runs r
 where r.id = :workflow_run_id and r.project_id = :project_id and c.workflow_run_id = r.id and c.step_ref = :step_ref
   and c.status = :from_status;

-- name: stopRows :many
-- All that have not ended; job runs of those that run.
with open as materialized (
  select c.id, c.job_run_id from compensation_runs c join workflow_runs r on r.id = c.workflow_run_id and r.project_id = :project_id
   where r.id = :workflow_run_id and c.status in ('pending', 'running')
), stopped as (
  update compensation_runs c set status = 'failed', error = :error, finished_at = strait_now() from open
   where c.id = open.id and c.status in ('pending', 'running')
)
select open.job_run_id as "job_run_id!" from open where open.job_run_id is not null;

-- name: listIdle :many
-- across projects: a loop serves every project.
-- Runs that are undone, with nothing under way: the queue of the project was full. In pages.
select r.id as workflow_run_id, r.project_id from workflow_runs r
 where r.status = 'compensating' and r.id > :after_id
   and not exists (select from compensation_runs c where c.workflow_run_id = r.id and c.status = 'running')
 order by r.id limit :limit::int;
