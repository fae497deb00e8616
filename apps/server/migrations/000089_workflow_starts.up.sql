-- Other ways in which runs of workflows start: schedules, ends of jobs, and two versions side by side.

-- owner: scheduler. One row per workflow with a cron expression, written in the transaction that changes the workflow, so
-- that nothing here is older than the workflow. next_fire_at null: the workflow is disabled, or `problem` says why nothing
-- fires.
create table if not exists workflow_schedules (
  workflow_id text primary key references workflows (id) on delete cascade,
  project_id text not null,
  cron text not null,
  timezone text not null,
  enabled bool not null,
  next_fire_at timestamptz,
  problem text,
  last_fire_at timestamptz,
  last_run_id text,
  created_at timestamptz not null default strait_now(),
  updated_at timestamptz not null default strait_now()
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02);
create index if not exists workflow_schedules_due on workflow_schedules (next_fire_at) where next_fire_at is not null;

-- owner: scheduler. What became of each instant of a schedule; its key is what makes a fire happen once.
create table if not exists workflow_schedule_fires (
  workflow_id text not null,
  fire_at timestamptz not null,
  project_id text not null,
  -- skipped: a run was there already, or as many as there may be; missed: nobody was there in time; refused: the workflow
  -- could not start, `reason` says why.
  outcome text not null check (outcome in ('created', 'skipped', 'missed', 'refused')),
  workflow_run_id text,
  reason text,
  created_at timestamptz not null default strait_now(),
  primary key (workflow_id, fire_at)
);
create index if not exists workflow_schedule_fires_created on workflow_schedule_fires (created_at);

-- Workflows that have an expression already: looked at by the first scheduler, which finds the next instant.
insert into workflow_schedules (workflow_id, project_id, cron, timezone, enabled, next_fire_at)
select id, project_id, cron, coalesce(nullif(cron_timezone, ''), 'UTC'), enabled, case when enabled then strait_now() end
  from workflows where cron is not null and cron <> '' and deleting_at is null
on conflict (workflow_id) do nothing;

-- How many runs led to one, so that a workflow whose job starts it again comes to an end.
alter table workflow_runs add column if not exists lineage_depth int not null default 0;
-- Ends of jobs that start a workflow are acted on like those that start a job.
update jobs j set followed = true
 where not j.followed
   and (j.on_complete_trigger_workflow is not null or j.on_failure_trigger_workflow is not null
        or exists (select from job_versions v where v.job_id = j.id
                      and (v.on_complete_trigger_workflow is not null or v.on_failure_trigger_workflow is not null)));

-- owner: workflows. A share of the triggers of a workflow gets another version than the rest.
create table if not exists canary_deployments (
  id text primary key default uuidv7()::text,
  project_id text not null,
  workflow_id text not null references workflows (id) on delete cascade,
  source_version int not null,
  target_version int not null check (target_version <> source_version),
  traffic_pct float8 not null check (traffic_pct between 0 and 100),
  status text not null default 'active' check (status in ('active', 'completed', 'rolled_back')),
  -- {enabled, steps, interval_secs, failure_rate_threshold, latency_p99_threshold_secs}
  auto_promote jsonb not null,
  -- Only runs since then are judged.
  share_since timestamptz not null default strait_now(),
  -- When the share is looked at next; null: by people only.
  due_at timestamptz,
  -- Why it ended.
  reason text,
  created_by text,
  created_at timestamptz not null default strait_now(),
  updated_at timestamptz not null default strait_now(),
  finished_at timestamptz
);
create unique index if not exists idx_canary_deployments_active on canary_deployments (workflow_id) where status = 'active';
create index if not exists idx_canary_deployments_workflow on canary_deployments (workflow_id, created_at desc);
create index if not exists idx_canary_deployments_due on canary_deployments (due_at) where status = 'active' and due_at is not null;
