-- What is due for workflow runs, found without locks: who acts on it locks the run first and looks again.

-- name: listStepEndings :many prepared
-- across projects: a loop serves every project.
-- Ends of job runs, oldest first; `workflow_run_id` null: the run is gone. Whose run it was never changes.
select e.ending_id, s.workflow_run_id as "workflow_run_id?", r.project_id as "project_id?", s.step_ref as "step_ref?",
       exists (select from workflow_map_children c where c.job_run_id = e.run_id) as "is_child!"
  from step_endings e left join workflow_step_runs s on s.id = e.workflow_step_run_id
  left join workflow_runs r on r.id = s.workflow_run_id
 where e.due_at <= strait_now() order by e.due_at, e.ending_id limit :limit::int;

-- name: tryToRing :one prepared
-- As tryToTell: one process rings for a run, the others go on with the next.
select pg_try_advisory_xact_lock(hashtextextended('timer ' || :project_id || ' ' || :workflow_run_id, 0)) as "mine!";

-- name: tryToTell :one prepared
-- One process tells a run of ends at a time; the others do not queue up behind its lock.
select pg_try_advisory_xact_lock(hashtextextended(:project_id || ' ' || :workflow_run_id, 0)) as "mine!";

-- name: findMapChildren :many prepared
-- Children of maps behind ends of job runs, under the lock of the run.
select s.id, s.step_ref, e.job_run_id as "job_run_id!", c.attempt as "map_attempt!", c.index as "map_index!", c.status = 'open' as "open!"
  from unnest(:step_run_ids::text[], :job_run_ids::text[]) as e(step_run_id, job_run_id)
  join workflow_step_runs s on s.id = e.step_run_id and s.workflow_run_id = :workflow_run_id
  join workflow_runs r on r.id = s.workflow_run_id and r.project_id = :project_id
  join workflow_map_children c on c.job_run_id = e.job_run_id and c.step_run_id = s.id;

-- name: noteMapOutputs :count prepared
-- What the children gave; their status is the engine's to decide.
update workflow_map_children c set output = e.output, error = e.error
  from jsonb_to_recordset(:ends::jsonb) as e(index int, output jsonb, error text), workflow_step_runs s, workflow_runs r
 where s.id = :step_run_id and r.id = s.workflow_run_id and r.project_id = :project_id
   and c.step_run_id = s.id and c.attempt = :attempt and c.index = e.index and c.status = 'open';

-- name: listNews :many prepared
-- across projects: a loop serves every project.
-- Child runs that have ended and whose parents do not know yet.
select r.id, r.project_id, r.parent_workflow_run_id as "parent_run_id?", r.news_due_at from workflow_runs r
 where r.news_due_at <= strait_now() order by r.news_due_at limit :limit::int;

-- name: takeNews :maybe prepared
-- The caller holds the lock of the parent. No row: told already, or the child runs again. One that is undone has ended as it
-- did before: its parent does not wait for that.
update workflow_runs r set news_due_at = null
 where r.id = :workflow_run_id and r.project_id = :project_id and r.news_due_at is not null
   and r.status not in ('pending', 'running', 'paused')
returning coalesce(case when r.status <> 'canceled' then r.ended_as end, r.status) as "status!", r.error, coalesce(r.first_run_id, r.id) as "first_run_id!", r.parent_step_run_id as "parent_step_run_id?";

-- name: forgetNews :count
-- Its parent is gone.
update workflow_runs r set news_due_at = null where r.id = :workflow_run_id and r.project_id = :project_id and r.news_due_at is not null;

-- name: forgetStaleNews :count
-- The child runs again. Guarded, because it may have ended anew meanwhile: that is news.
update workflow_runs r set news_due_at = null
 where r.id = :workflow_run_id and r.project_id = :project_id and r.news_due_at is not null and r.status in ('pending', 'running', 'paused');

-- name: postponeNews :count
update workflow_runs r
   set news_tries = r.news_tries + 1, news_due_at = strait_now() + make_interval(secs => least(power(2, least(r.news_tries, 20)), 300))
 where r.id = :workflow_run_id and r.project_id = :project_id and r.news_due_at is not null;

-- name: sumOutputs :one prepared
-- How large they are together, before they are read.
select coalesce(sum(octet_length(s.output::text)), 0)::float8 as "bytes!"
  from workflow_step_runs s join workflow_runs r on r.id = s.workflow_run_id and r.project_id = :project_id
 where r.id = :workflow_run_id;

-- name: outputsOf :one prepared
select coalesce(jsonb_object_agg(s.step_ref, s.output) filter (where s.output is not null), '{}') as "outputs!"
  from workflow_step_runs s join workflow_runs r on r.id = s.workflow_run_id and r.project_id = :project_id
 where r.id = :workflow_run_id;

-- name: parentStep :maybe prepared
select s.id, s.step_ref, c.attempt as "map_attempt?", c.index as "map_index?", c.status = 'open' as "open?"
  from workflow_step_runs s join workflow_runs r on r.id = s.workflow_run_id and r.project_id = :project_id
  left join workflow_map_children c on c.child_run_id = :child_run_id and c.step_run_id = s.id
 where s.id = :step_run_id and s.workflow_run_id = :workflow_run_id;

-- name: listDueTriggers :many
-- across projects: a loop serves every project.
-- Sleeps that are over and events that did not come. What these four leave out are runs that are left alone for a while.
select t.id, t.project_id, t.trigger_type, s.workflow_run_id as "workflow_run_id?", s.step_ref as "step_ref?" from event_triggers t
  left join workflow_step_runs s on s.id = t.workflow_step_run_id
 where t.status = 'waiting' and t.source_type = 'workflow_step' and t.expires_at <= strait_now()
   and (s.workflow_run_id = any (:except_runs::text[])) is not true
 order by t.expires_at limit :limit::int;

-- name: listDueApprovals :many
-- across projects: a loop serves every project.
select a.id, r.project_id, r.id as workflow_run_id, s.step_ref from workflow_step_approvals a
  join workflow_step_runs s on s.id = a.workflow_step_run_id join workflow_runs r on r.id = a.workflow_run_id
 where a.status = 'pending' and a.expires_at <= strait_now() and r.id <> all (:except_runs::text[]) order by a.expires_at limit :limit::int;

-- name: listDueRetries :many
-- across projects: a loop serves every project.
-- Of paused runs too: nothing happens to those, so they are left out until they go on.
select r.project_id, s.workflow_run_id, s.step_ref from workflow_step_runs s join workflow_runs r on r.id = s.workflow_run_id
 where s.state = 't' and s.next_retry_at <= strait_now() and r.status = 'running' and r.id <> all (:except_runs::text[])
 order by s.next_retry_at limit :limit::int;

-- name: listDueRuns :many
-- across projects: a loop serves every project.
select r.id, r.project_id from workflow_runs r
 where r.status in ('running', 'paused') and r.expires_at <= strait_now() and r.id <> all (:except_runs::text[])
 order by r.expires_at limit :limit::int;

-- name: listUnbegun :many
-- across projects: a loop serves every project.
-- Runs below others, left pending by a transaction that had begun many already.
select r.id, r.project_id from workflow_runs r
 where r.status = 'pending' and r.id <> all (:except_runs::text[]) order by r.id limit :limit::int;

-- name: nextDue :one
-- across projects: a loop serves every project.
-- When the next timer of any kind is over, in milliseconds from now; null: none is set.
select (extract(epoch from least(
         (select min(t.expires_at) from event_triggers t where t.status = 'waiting' and t.source_type = 'workflow_step' and t.expires_at > strait_now()),
         (select min(a.expires_at) from workflow_step_approvals a where a.status = 'pending' and a.expires_at > strait_now()),
         (select min(s.next_retry_at) from workflow_step_runs s where s.state = 't' and s.next_retry_at > strait_now()),
         (select min(r.expires_at) from workflow_runs r where r.status in ('running', 'paused') and r.expires_at > strait_now())
       ) - strait_now()) * 1000)::float8 as "next_ms?";

-- name: listBlocked :many
-- across projects: a loop serves every project.
-- Runs with steps that wait for a quota: it may have room by now. In pages, as the next ones: those of a full project must
-- not be all that is ever looked at.
select distinct s.workflow_run_id, r.project_id from workflow_step_runs s join workflow_runs r on r.id = s.workflow_run_id
 where s.state = 'q' and r.status = 'running' and s.workflow_run_id > :after_id
 order by s.workflow_run_id limit :limit::int;

-- name: listUnstartedMaps :many
-- across projects: a loop serves every project.
-- Maps with children left to start and none in flight: their quota was full.
select s.workflow_run_id, r.project_id from workflow_step_runs s join workflow_runs r on r.id = s.workflow_run_id
 where s.state = 'r' and r.status = 'running' and s.map is not null
   and (s.map ->> 'started')::int < (s.map ->> 'total')::int
   and (s.map ->> 'started')::int = (s.map ->> 'completed')::int + (s.map ->> 'failed')::int
   and s.workflow_run_id > :after_id
 order by s.workflow_run_id limit :limit::int;

-- name: lockRuns :many
-- Waits for whoever works on one of these, in the order in which everybody locks them.
select r.id from workflow_runs r where r.project_id = :project_id and r.id = any (:workflow_run_ids::text[]) order by r.id for no key update;

-- name: findStepRef :maybe
select s.step_ref from workflow_step_runs s join workflow_runs r on r.id = s.workflow_run_id and r.project_id = :project_id
 where s.workflow_run_id = :workflow_run_id and s.id = :step_run_id;

-- name: listForsakenWaits :many
-- across projects: a loop serves every project.
-- A trigger of a step waits only together with the step: both are written in one transaction, so in one snapshot one whose step is
-- not parked on it is left over.
select t.id, t.project_id from event_triggers t
 where t.status = 'waiting' and t.source_type = 'workflow_step'
   and not exists (select from workflow_step_runs s where s.id = t.workflow_step_run_id and s.wait_id = t.id and s.state in ('e', 's'))
 order by t.expires_at limit :limit::int;
