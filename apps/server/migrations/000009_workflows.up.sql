-- Workflow definitions: the editable ones, and the frozen ones that runs follow.

-- owner: workflows. In limits, 0 means none.
create table if not exists workflows (
  id text primary key default uuidv7()::text,
  project_id text not null,
  name text not null,
  slug text not null,
  description text,
  enabled bool not null default true,
  version int not null default 1,
  created_at timestamptz not null default strait_now(),
  updated_at timestamptz not null default strait_now(),
  timeout_secs int not null default 0,
  max_concurrent_runs int not null default 0,
  max_parallel_steps int not null default 0,
  cron text,
  cron_timezone text,
  skip_if_running bool not null default false,
  created_by text,
  updated_by text,
  version_id text,
  version_policy text not null default 'pin',
  tags jsonb not null default '{}',
  backwards_compatible bool not null default false,
  unique (project_id, slug)
);

create index if not exists idx_workflows_enabled_cron on workflows (enabled, cron)
  where cron is not null and cron <> '';
create index if not exists idx_workflows_tags on workflows using gin (tags);
create unique index if not exists idx_workflows_version_id on workflows (version_id)
  where version_id is not null;

-- owner: workflows. Frozen header per version number.
create table if not exists workflow_versions (
  id text primary key default uuidv7()::text,
  workflow_id text not null references workflows (id) on delete cascade,
  version int not null,
  project_id text not null,
  name text not null,
  slug text not null,
  description text,
  enabled bool not null,
  timeout_secs int not null,
  max_concurrent_runs int not null,
  created_at timestamptz not null default strait_now(),
  max_parallel_steps int not null default 0,
  cron text,
  cron_timezone text,
  skip_if_running bool not null default false,
  version_id text,
  backwards_compatible bool not null default false,
  created_by text default '',
  updated_by text default '',
  unique (workflow_id, version)
);

-- owner: workflows. Editable steps; depends_on holds step_refs. Runs never point here, so steps can be
-- replaced.
create table if not exists workflow_steps (
  id text primary key default uuidv7()::text,
  workflow_id text not null references workflows (id) on delete cascade,
  job_id text references jobs (id),
  step_ref text not null,
  depends_on text[] not null default '{}',
  condition jsonb,
  on_failure text not null default 'fail_workflow',
  payload jsonb,
  created_at timestamptz not null default strait_now(),
  step_type text not null default 'job',
  approval_timeout_secs int not null default 0,
  approval_approvers text[] not null default '{}',
  retry_max_attempts int not null default 0,
  retry_backoff text not null default 'exponential',
  retry_initial_delay_secs int not null default 1,
  retry_max_delay_secs int not null default 3600,
  timeout_secs_override int not null default 0,
  output_transform text not null default '',
  sub_workflow_id text,
  max_nesting_depth int not null default 0,
  event_key text,
  event_timeout_secs int not null default 3600,
  event_notify_url text,
  event_emit_key text,
  sleep_duration_secs int not null default 0,
  concurrency_key text not null default '',
  resource_class text not null default 'small',
  unique (workflow_id, step_ref)
);

create index if not exists idx_workflow_steps_job_id on workflow_steps (job_id);

-- owner: workflows. Frozen steps; step runs point here.
create table if not exists workflow_version_steps (
  id text primary key default uuidv7()::text,
  workflow_version_id text not null references workflow_versions (id) on delete cascade,
  job_id text references jobs (id),
  step_ref text not null,
  depends_on text[] not null default '{}',
  condition jsonb,
  on_failure text not null default 'fail_workflow',
  payload jsonb,
  step_type text not null default 'job',
  approval_timeout_secs int not null default 0,
  approval_approvers text[] not null default '{}',
  retry_max_attempts int not null default 0,
  retry_backoff text not null default 'exponential',
  retry_initial_delay_secs int not null default 1,
  retry_max_delay_secs int not null default 3600,
  created_at timestamptz not null default strait_now(),
  timeout_secs_override int not null default 0,
  output_transform text not null default '',
  sub_workflow_id text,
  max_nesting_depth int not null default 0,
  event_key text,
  event_timeout_secs int not null default 3600,
  event_notify_url text,
  event_emit_key text,
  sleep_duration_secs int not null default 0,
  concurrency_key text not null default '',
  resource_class text not null default 'small',
  unique (workflow_version_id, step_ref)
);

create index if not exists idx_workflow_version_steps_job_id on workflow_version_steps (job_id)
  where job_id is not null;

-- owner: workflows. A whole definition as one document.
create table if not exists workflow_snapshots (
  id text primary key default uuidv7()::text,
  workflow_id text not null references workflows (id) on delete cascade,
  version_id text not null default '',
  version int not null default 1,
  definition jsonb not null,
  created_at timestamptz not null default strait_now()
);

create unique index if not exists idx_workflow_snapshots_wf_version on workflow_snapshots (workflow_id, version_id)
  where version_id <> '';
create index if not exists idx_workflow_snapshots_workflow_id on workflow_snapshots (workflow_id);

-- owner: workflows. Limits on the shape of graphs, one row per project; 0 means none.
create table if not exists workflow_policies (
  id text primary key default uuidv7()::text,
  project_id text not null,
  max_fan_out int not null default 0,
  max_depth int not null default 0,
  forbidden_step_types text[] not null default '{}',
  require_approval_for_deploy bool not null default false,
  created_at timestamptz not null default strait_now(),
  updated_at timestamptz not null default strait_now(),
  unique (project_id)
);
