-- Canaries. Whoever changes one holds its workflow (`lockWorkflow` of definitions), then the canary.

-- name: findRoute :maybe
-- `kept`: what an earlier child of the same step follows.
select c.source_version, c.target_version, c.traffic_pct,
       (select r.workflow_version from workflow_runs r
         where r.project_id = :project_id and r.workflow_id = c.workflow_id and r.parent_step_run_id = :step_run_id?::text
         order by r.created_at desc limit 1) as "kept?"
  from canary_deployments c
 where c.workflow_id = :workflow_id and c.project_id = :project_id and c.status = 'active';

-- name: insertCanary :maybe
-- No row: the workflow has an active one.
insert into canary_deployments (project_id, workflow_id, source_version, target_version, traffic_pct, auto_promote, due_at, created_by)
values (:project_id, :workflow_id, :source_version, :target_version, :traffic_pct, :auto_promote::jsonb,
        strait_now() + make_interval(secs => :due_in_secs?::float8), :actor_id)
on conflict (workflow_id) where status = 'active' do nothing
returning *;

-- name: findCanary :maybe
-- The active one, else the last.
select c.* from canary_deployments c
 where c.workflow_id = :workflow_id and c.project_id = :project_id
 order by c.status = 'active' desc, c.created_at desc, c.id desc limit 1;

-- name: changeShare :maybe
-- What was measured counts for the share it was measured with; a change of the rules alone keeps it.
update canary_deployments c
   set traffic_pct = :traffic_pct, auto_promote = :auto_promote::jsonb, updated_at = strait_now(),
       share_since = case when c.traffic_pct = :traffic_pct then c.share_since else strait_now() end,
       due_at = strait_now() + make_interval(secs => :due_in_secs?::float8)
 where c.id = :canary_id and c.project_id = :project_id and c.status = 'active'
returning c.*;

-- name: endCanary :maybe
update canary_deployments c
   set status = :status, traffic_pct = :traffic_pct, reason = :reason?, due_at = null,
       updated_at = strait_now(), finished_at = strait_now()
 where c.id = :canary_id and c.project_id = :project_id and c.status = 'active'
returning c.*;

-- name: measureVersion :one
-- Runs of a version that began since the share is what it is. Retries of runs say nothing about their version.
select count(*)::int as "ended!",
       (count(*) filter (where r.status <> 'completed'))::int as "failed!",
       (percentile_cont(0.99) within group (order by extract(epoch from r.finished_at - r.started_at)::float8)
          filter (where r.status = 'completed'))::float8 as "latency_p99_secs?"
  from workflow_runs r
 where r.project_id = :project_id and r.workflow_id = :workflow_id and r.workflow_version = :version
   and r.created_at >= :since::timestamptz and r.retry_of_run_id is null
   and r.status in ('completed', 'failed', 'timed_out', 'compensating', 'compensated', 'compensation_failed');

-- name: listDueCanaries :many
-- across projects: a loop serves all of them.
select c.id as canary_id, c.project_id, c.workflow_id from canary_deployments c join workflows w on w.id = c.workflow_id
 where c.status = 'active' and c.due_at <= strait_now() and w.deleting_at is null
 order by c.due_at limit :limit::int;

-- name: lockDueCanary :maybe
-- No row: somebody looked at it or changed it meanwhile.
select c.* from canary_deployments c
 where c.id = :canary_id and c.project_id = :project_id and c.status = 'active' and c.due_at <= strait_now()
   for no key update;

-- name: findVersionSteps :maybe
select v.version, (select count(*) from workflow_version_steps s where s.workflow_version_id = v.id)::int as "steps!"
  from workflow_versions v
 where v.workflow_id = :workflow_id and v.project_id = :project_id
   and (v.version_id = :version_ref or v.version::text = :version_ref);
