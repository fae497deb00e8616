-- What cannot be in healthy operation, looked for in one page of the runs that have not ended. Each statement sees one
-- snapshot, and what ends work tells of it in the same transaction: however slow the queue is, nothing here fits it.

-- name: listPage :many
-- across projects: the reaper serves every project.
select r.id from workflow_runs r
 where r.id > :after_id and r.status in ('running', 'paused', 'compensating') order by r.id limit :limit::int;

-- name: listOrphanSteps :many
-- across projects: the reaper serves every project.
-- Steps, children of maps and compensations whose job run has ended or is gone, and nobody is going to tell them.
with work as materialized (
  select r.id as workflow_run_id, r.project_id, s.step_ref, s.id as step_run_id, s.job_run_id, s.started_at
    from workflow_runs r join workflow_step_runs s on s.workflow_run_id = r.id
   where r.id > :after_id and r.id <= :to_id and r.status in ('running', 'paused') and s.status = 'running' and s.job_run_id is not null
  union all
  select r.id, r.project_id, s.step_ref, s.id, c.job_run_id, s.started_at
    from workflow_runs r join workflow_step_runs s on s.workflow_run_id = r.id
    join workflow_map_children c on c.step_run_id = s.id and c.attempt = s.attempt
   where r.id > :after_id and r.id <= :to_id and r.status in ('running', 'paused') and s.status = 'running'
     and c.status = 'open' and c.job_run_id is not null
  union all
  select r.id, r.project_id, c.step_ref, c.step_run_id, c.job_run_id, c.started_at
    from workflow_runs r join compensation_runs c on c.workflow_run_id = r.id
   where r.id > :after_id and r.id <= :to_id and r.status = 'compensating' and c.status = 'running'
)
select w.workflow_run_id as "workflow_run_id!", w.project_id as "project_id!", w.step_ref as "step_ref!", w.step_run_id as "step_run_id!",
       w.job_run_id as "job_run_id!"
  from work w left join job_runs j on j.id = w.job_run_id and j.created_at = strait_id_time(w.job_run_id)
 where case when j.id is null then w.started_at
            when j.status = any (:terminal::text[]) then j.finished_at end < strait_now() - make_interval(secs => :grace_secs::float8)
   and not exists (select from step_endings e where e.workflow_step_run_id = w.step_run_id and e.run_id = w.job_run_id)
 limit :limit::int;

-- name: listOrphanChildren :many
-- across projects: the reaper serves every project.
-- Child runs that have ended, and neither does the step that started them know nor is it going to be told.
with work as materialized (
  select r.id as workflow_run_id, r.project_id, s.step_ref, s.id as step_run_id, s.child_run_id
    from workflow_runs r join workflow_step_runs s on s.workflow_run_id = r.id
   where r.id > :after_id and r.id <= :to_id and r.status in ('running', 'paused') and s.status = 'running' and s.child_run_id is not null
  union all
  select r.id, r.project_id, s.step_ref, s.id, c.child_run_id
    from workflow_runs r join workflow_step_runs s on s.workflow_run_id = r.id
    join workflow_map_children c on c.step_run_id = s.id and c.attempt = s.attempt
   where r.id > :after_id and r.id <= :to_id and r.status in ('running', 'paused') and s.status = 'running'
     and c.status = 'open' and c.child_run_id is not null
)
select w.workflow_run_id as "workflow_run_id!", w.project_id as "project_id!", w.step_ref as "step_ref!", c.id as child_run_id
  from work w
  join workflow_runs c on c.parent_step_run_id = w.step_run_id and coalesce(c.first_run_id, c.id) = w.child_run_id
 where c.status not in ('pending', 'running', 'paused') and not c.continued and c.news_due_at is null
   and coalesce(c.finished_at, c.created_at) < strait_now() - make_interval(secs => :grace_secs::float8)
 limit :limit::int;

-- name: tellAgain :count
-- A child run that has ended has news once more.
update workflow_runs c set news_due_at = strait_now(), news_tries = 0
 where c.id = :child_run_id and c.project_id = :project_id and c.news_due_at is null and not c.continued
   and c.status not in ('pending', 'running', 'paused');

-- name: listForgottenWaits :many
-- across projects: the reaper serves every project.
-- Steps whose trigger has ended or is gone, and they still wait.
select r.id as workflow_run_id, r.project_id, s.step_ref, s.state, s.wait_id as "trigger_id!", t.status as "trigger_status?",
       t.response_payload as "response_payload?", coalesce(t.sent_by, '') as "sent_by!"
  from workflow_runs r join workflow_step_runs s on s.workflow_run_id = r.id
  left join event_triggers t on t.id = s.wait_id
 where r.id > :after_id and r.id <= :to_id and r.status in ('running', 'paused') and s.status = 'waiting' and s.state in ('e', 's')
   and s.wait_id is not null and (t.status <> 'waiting') is not false
   and coalesce(t.received_at, t.updated_at, s.started_at) < strait_now() - make_interval(secs => :grace_secs::float8)
 limit :limit::int;

-- name: listStrayChildren :many
-- across projects: the reaper serves every project.
-- Child runs that go on although their parent has ended, or the step that started them is over or runs another one.
select r.id as workflow_run_id, r.project_id, p.status as parent_status
  from workflow_runs r join workflow_runs p on p.id = r.parent_workflow_run_id
  join workflow_step_runs s on s.id = r.parent_step_run_id
  left join workflow_map_children c on c.child_run_id = coalesce(r.first_run_id, r.id) and c.step_run_id = s.id
 where r.id > :after_id and r.id <= :to_id and r.status in ('running', 'paused')
   and r.created_at < strait_now() - make_interval(secs => :grace_secs::float8)
   and coalesce(p.finished_at, s.finished_at, s.started_at, s.created_at) < strait_now() - make_interval(secs => :grace_secs::float8)
   and (p.status not in ('pending', 'running', 'paused')
        or case when c.status is not null then c.status <> 'open'
                else s.status <> 'running' or s.child_run_id is distinct from coalesce(r.first_run_id, r.id) end)
 limit :limit::int;

-- name: listStalled :many
-- across projects: the reaper serves every project.
-- Nothing of them runs, waits for somebody or for a time, or for a quota; and nothing has happened for long.
select r.id as workflow_run_id, r.project_id
  from workflow_runs r
 where r.id > :after_id and r.id <= :to_id and r.status = 'running'
   and r.started_at < strait_now() - make_interval(secs => :threshold_secs::float8)
   and not exists (select from workflow_step_runs s where s.workflow_run_id = r.id and s.status in ('running', 'waiting')
                      and s.state in ('r', 'a', 'g', 'e', 's', 't', 'q'))
   and coalesce((select e.created_at from workflow_run_events e where e.workflow_run_id = r.id order by e.id desc limit 1), r.started_at)
       < strait_now() - make_interval(secs => :threshold_secs::float8)
 limit :limit::int;
