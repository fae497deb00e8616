-- Lists of workflow runs by status in their order, and how many runs follow a version, both from an index.

create index if not exists idx_workflow_runs_project_status_created on workflow_runs (project_id, status, created_at desc, id desc);
drop index if exists idx_workflow_runs_project_status;
create index if not exists idx_workflow_runs_version_status on workflow_runs (workflow_id, workflow_version, status);
