-- Runs that are undone as soon as they have failed, and what the reaper looks for.

alter table workflows add column if not exists compensate_on_failure boolean not null default false;
alter table workflow_versions add column if not exists compensate_on_failure boolean not null default false;
alter table workflow_runs
  -- Of the version, copied by the trigger.
  add column if not exists compensate_on_failure boolean not null default false,
  -- How the run ended before it was undone.
  add column if not exists ended_as text,
  -- Nothing wrote it: workflow_run_events tells when a run last went on.
  drop column if exists progressed_at;

create index if not exists idx_workflow_runs_compensating on workflow_runs (id) where status = 'compensating';
-- The reaper goes through them page by page.
create index if not exists idx_workflow_runs_active on workflow_runs (id) where status in ('running', 'paused', 'compensating');
