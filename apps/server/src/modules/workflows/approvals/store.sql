-- Looking at approvals, and reminders of them. Whatever decides one is in progression/.

-- name: findApproval :maybe
-- The last one of a step. `current`: the step has not been reset since.
select a.*, s.step_ref,
       coalesce(s.wait_id = a.id, false) or (a.kind = 'cost_gate' and a.status = 'approved' and s.gate_passed) as "current!"
  from workflow_step_approvals a join workflow_step_runs s on s.id = a.workflow_step_run_id
 where a.project_id = :project_id and a.workflow_run_id = :workflow_run_id and s.step_ref = :step_ref
 order by a.requested_at desc, a.id desc limit 1;

-- name: listApprovals :many
select a.*, s.step_ref
  from workflow_step_approvals a join workflow_step_runs s on s.id = a.workflow_step_run_id
 where a.project_id = :project_id and a.workflow_run_id = :workflow_run_id
   and (:after_requested_at?::timestamptz is null or (a.requested_at, a.id) > (:after_requested_at, :after_id?::text))
 order by a.requested_at, a.id limit :limit::int;

-- name: listOwn :many
-- Entries are in lower case, as rules.ts makes them. The collation of the database may know ASCII only.
select a.*, s.step_ref
  from workflow_step_approvals a join workflow_step_runs s on s.id = a.workflow_step_run_id
 where a.project_id = :project_id and a.status = :status
   and ((a.kind = 'cost_gate' and a.approvers = '{}')
     or exists (select from unnest(a.approvers) n(name) where lower(n.name collate pg_c_utf8) = any (:entries::text[])))
   and (:before_requested_at?::timestamptz is null or (a.requested_at, a.id) < (:before_requested_at, :before_id?::text))
 order by a.requested_at desc, a.id desc limit :limit::int;

-- name: listDueReminders :many
-- across projects: a loop serves every project.
-- Half of the time to decide is over.
select a.id as approval_id, a.project_id, a.workflow_run_id from workflow_step_approvals a
 where a.status = 'pending' and a.reminded_at is null and a.remind_at <= strait_now() and a.expires_at > strait_now()
 order by a.remind_at limit :limit::int;

-- name: markReminded :count
-- The caller holds the lock of the run. Nothing: reminded or decided meanwhile.
with reminded as (
  update workflow_step_approvals a set reminded_at = strait_now()
   where a.id = :approval_id and a.project_id = :project_id and a.status = 'pending' and a.reminded_at is null
  returning a.workflow_run_id, a.workflow_step_run_id, a.project_id
), told as (
  insert into workflow_run_events (workflow_run_id, project_id, step_ref, from_status, to_status, attempt, reason)
  select m.workflow_run_id, m.project_id, s.step_ref, s.status, s.status, s.attempt, 'approval reminder'
    from reminded m join workflow_step_runs s on s.id = m.workflow_step_run_id
  returning workflow_run_id
), woken as materialized (
  select pg_notify('workflow_live', t.workflow_run_id) from told t
)
select t.workflow_run_id from told t where (select count(*) from woken) >= 0;
