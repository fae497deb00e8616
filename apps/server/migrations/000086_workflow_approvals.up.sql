-- Approvals carry their project, so that an inbox reads no approvals of others, and when a reminder of them is due.

alter table workflow_step_approvals
  add column if not exists project_id text,
  add column if not exists remind_at timestamptz;
update workflow_step_approvals a
   set project_id = r.project_id,
       remind_at = case when a.status = 'pending' then a.requested_at + (a.expires_at - a.requested_at) / 2 end
  from workflow_runs r where r.id = a.workflow_run_id and a.project_id is null;
alter table workflow_step_approvals alter column project_id set not null;

create index if not exists idx_workflow_step_approvals_project_status
  on workflow_step_approvals (project_id, status, requested_at desc, id desc);
create index if not exists idx_workflow_step_approvals_remind on workflow_step_approvals (remind_at)
  where status = 'pending' and reminded_at is null and remind_at is not null;
