drop index if exists idx_workflow_runs_version_status;
create index if not exists idx_workflow_runs_project_status on workflow_runs (project_id, status);
drop index if exists idx_workflow_runs_project_status_created;
