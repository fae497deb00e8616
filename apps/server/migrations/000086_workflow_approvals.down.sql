drop index if exists idx_workflow_step_approvals_remind;
drop index if exists idx_workflow_step_approvals_project_status;
alter table workflow_step_approvals drop column if exists remind_at, drop column if exists project_id;
