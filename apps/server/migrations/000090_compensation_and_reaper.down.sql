drop index if exists idx_workflow_runs_active;
drop index if exists idx_workflow_runs_compensating;
alter table workflow_runs drop column if exists compensate_on_failure, drop column if exists ended_as,
  add column if not exists progressed_at timestamptz;
create index if not exists idx_workflow_runs_active_progress on workflow_runs (progressed_at) where status = 'running';
alter table workflow_versions drop column if exists compensate_on_failure;
alter table workflows drop column if exists compensate_on_failure;
