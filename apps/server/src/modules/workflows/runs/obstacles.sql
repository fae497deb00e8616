-- What steps that do not go on wait for, outside of the board of their run. Nothing here locks anything.

-- name: readParent :one
-- Whether the step that started the run is over, as the engine is told under the lock (progression/store.sql).
select coalesce((select case when c.status is not null then c.status <> 'open' else p.state = any ('{C,F,S,D,W,R}') end
                   from workflow_runs r join workflow_step_runs p on p.id = r.parent_step_run_id
                   left join workflow_map_children c on c.child_run_id = coalesce(r.first_run_id, r.id) and c.step_run_id = p.id
                  where r.id = :workflow_run_id and r.project_id = :project_id), false) as "step_over!";

-- name: findApprovals :many
select a.id, a.approvers, a.expires_at from workflow_step_approvals a
  join workflow_runs r on r.id = a.workflow_run_id and r.project_id = :project_id
 where a.id = any (:ids::text[]) and a.status = 'pending';

-- name: findTriggers :many
select t.id, t.event_key, t.expires_at from event_triggers t
 where t.id = any (:ids::text[]) and t.project_id = :project_id and t.status = 'waiting';

-- name: findJobRuns :many
select j.id, j.status from unnest(:ids::text[]) as i(id)
 cross join lateral (select r.id, r.status from job_runs r
                      where r.id = i.id and r.created_at = strait_id_time(i.id) and r.project_id = :project_id offset 0) j;

-- name: findChildRuns :many
-- The run in flight of each child: the first or the one that continues it.
select coalesce(c.first_run_id, c.id) as "first_run_id!", c.id, c.status from workflow_runs c
 where c.project_id = :project_id and (c.id = any (:ids::text[]) or c.first_run_id = any (:ids::text[]))
   and c.status in ('pending', 'running', 'paused');

-- name: findLastRuns :many
-- How a child ended: the last of the runs that continue the first.
select distinct on (coalesce(c.first_run_id, c.id)) coalesce(c.first_run_id, c.id) as "first_run_id!", c.id from workflow_runs c
 where c.project_id = :project_id and c.parent_step_run_id = any (:step_run_ids::text[])
   and coalesce(c.first_run_id, c.id) = any (:ids::text[])
 order by coalesce(c.first_run_id, c.id), c.generation desc;

-- name: listMapWork :many
select c.index, coalesce(c.job_run_id, c.child_run_id) as "id!" from workflow_map_children c
  join workflow_step_runs s on s.id = c.step_run_id and s.attempt = c.attempt
  join workflow_runs r on r.id = s.workflow_run_id and r.project_id = :project_id
 where s.id = :step_run_id and c.status = 'open' and coalesce(c.job_run_id, c.child_run_id) is not null
 order by c.index limit :limit::int;

-- name: findWorkflowLimit :maybe
select w.slug, w.max_concurrent_runs,
       (select count(*)::int from workflow_runs r
         where r.project_id = :project_id and r.workflow_id = w.id and r.status in ('pending', 'running', 'paused')) as "active!"
  from workflows w where w.id = :workflow_id and w.project_id = :project_id and w.deleting_at is null;

-- name: listActiveRuns :many
select r.id from workflow_runs r
 where r.project_id = :project_id and r.workflow_id = :workflow_id and r.status in ('pending', 'running', 'paused')
 order by r.created_at, r.id limit :limit::int;

-- name: findQuotas :maybe
-- All of them: whoever sets one sets all. Waits as admission counts them.
select q.max_queued_runs, q.max_executing_runs, q.max_jobs, q.max_active_event_triggers, q.max_cost_per_run_microusd,
       q.max_daily_cost_microusd, q.rate_limit_requests, q.rate_limit_window_secs, q.timezone,
       (select count(*)::int from event_triggers t
         where t.project_id = :project_id and t.status = 'waiting' and t.trigger_type = 'event' and not t.event_key ^@ 'spawn-await:') as "waits!"
  from project_quotas q where q.project_id = :project_id;

-- name: findActor :maybe
-- Who did this last, as far as the audit trail reaches.
select a.actor_id from audit_events a
 where a.project_id = :project_id and a.resource_type = 'workflow_run' and a.resource_id = :workflow_run_id and a.action = :action
 order by a.created_at desc limit 1;
