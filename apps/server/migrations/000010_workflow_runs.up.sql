-- Workflow runs and the state of their steps.

-- owner: workflows
create table if not exists workflow_runs (
  id text primary key default uuidv7()::text,
  workflow_id text not null references workflows (id),
  project_id text not null,
  status text not null default 'pending',
  triggered_by text not null default 'manual',
  payload jsonb,
  error text,
  started_at timestamptz,
  finished_at timestamptz,
  expires_at timestamptz,
  created_at timestamptz not null default strait_now(),
  workflow_version int not null default 1,
  max_parallel_steps int not null default 0,
  retry_of_run_id text,
  parent_workflow_run_id text,
  created_by text,
  workflow_version_id text,
  tags jsonb not null default '{}',
  parent_step_run_id text,
  trace_context jsonb,
  workflow_snapshot_id text references workflow_snapshots (id)
);

create index if not exists idx_workflow_runs_parent_step_run_id on workflow_runs (parent_step_run_id);
create index if not exists idx_workflow_runs_parent_workflow_run_id on workflow_runs (parent_workflow_run_id)
  where parent_workflow_run_id is not null;
create index if not exists idx_workflow_runs_project_created on workflow_runs (project_id, created_at desc);
create index if not exists idx_workflow_runs_project_status on workflow_runs (project_id, status);
create index if not exists idx_workflow_runs_retry_of_run_id on workflow_runs (retry_of_run_id)
  where retry_of_run_id is not null;
create index if not exists idx_workflow_runs_status_expires on workflow_runs (status, expires_at)
  where expires_at is not null;
create index if not exists idx_workflow_runs_status_finished on workflow_runs (status, finished_at)
  where finished_at is not null;
create index if not exists idx_workflow_runs_tags on workflow_runs using gin (tags);
create index if not exists idx_workflow_runs_workflow_status_created
  on workflow_runs (workflow_id, status, created_at);
create index if not exists idx_workflow_runs_workflow_snapshot_id on workflow_runs (workflow_snapshot_id)
  where workflow_snapshot_id is not null;

-- owner: workflows. workflow_step_id is the frozen step.
create table if not exists workflow_step_runs (
  id text primary key default uuidv7()::text,
  workflow_run_id text not null references workflow_runs (id) on delete cascade,
  workflow_step_id text not null references workflow_version_steps (id),
  step_ref text not null,
  job_run_id text,
  status text not null default 'pending',
  deps_completed int not null default 0,
  deps_required int not null default 0,
  output jsonb,
  error text,
  started_at timestamptz,
  finished_at timestamptz,
  created_at timestamptz not null default strait_now(),
  attempt int not null default 1,
  unique (workflow_run_id, step_ref)
);

create index if not exists idx_step_runs_job_run on workflow_step_runs (job_run_id)
  where job_run_id is not null;
create index if not exists idx_step_runs_workflow_run_status
  on workflow_step_runs (workflow_run_id, status);
create index if not exists idx_workflow_step_runs_workflow_step_id on workflow_step_runs (workflow_step_id);

-- A child run outlives the step that started it.
do $$ begin
  if not exists (select from pg_constraint where conname = 'workflow_runs_parent_step_run_id_fkey'
                    and conrelid = 'workflow_runs'::regclass) then
    alter table workflow_runs add constraint workflow_runs_parent_step_run_id_fkey
      foreign key (parent_step_run_id) references workflow_step_runs (id) on delete set null;
  end if;
end $$;

-- owner: workflows. Why a step waited or was skipped.
create table if not exists workflow_step_decisions (
  id text primary key default uuidv7()::text,
  workflow_run_id text not null references workflow_runs (id) on delete cascade,
  step_run_id text not null references workflow_step_runs (id) on delete cascade,
  step_ref text not null,
  decision_type text not null,
  decision text not null,
  explanation text not null,
  details jsonb,
  created_at timestamptz not null default strait_now()
);

create index if not exists idx_step_decisions_step_run_id on workflow_step_decisions (step_run_id);
create index if not exists idx_workflow_step_decisions_run_created
  on workflow_step_decisions (workflow_run_id, created_at desc);
create index if not exists idx_workflow_step_decisions_step
  on workflow_step_decisions (workflow_run_id, step_ref, created_at desc);

-- owner: workflows
create table if not exists workflow_step_approvals (
  id text primary key default uuidv7()::text,
  workflow_run_id text not null references workflow_runs (id) on delete cascade,
  workflow_step_run_id text not null references workflow_step_runs (id) on delete cascade,
  approvers text[] not null default '{}',
  status text not null default 'pending',
  approved_by text,
  requested_at timestamptz not null default strait_now(),
  approved_at timestamptz,
  expires_at timestamptz,
  error text,
  unique (workflow_step_run_id)
);

create index if not exists idx_workflow_step_approvals_status_expires
  on workflow_step_approvals (status, expires_at);
create index if not exists idx_workflow_step_approvals_workflow_run_id
  on workflow_step_approvals (workflow_run_id);

-- owner: workflows
create table if not exists workflow_run_labels (
  workflow_run_id text not null references workflow_runs (id) on delete cascade,
  label_key text not null,
  label_value text not null,
  primary key (workflow_run_id, label_key)
);

create index if not exists idx_workflow_run_labels_key_value
  on workflow_run_labels (label_key, label_value);
