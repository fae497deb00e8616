-- Jobs and their configuration.

-- owner: environments. `variables` is what the API shows; values live in `variables_encrypted`.
create table if not exists environments (
  id text primary key default uuidv7()::text,
  project_id text not null,
  name text not null,
  slug text not null,
  parent_id text references environments (id),
  variables jsonb not null default '{}',
  created_at timestamptz not null default strait_now(),
  updated_at timestamptz not null default strait_now(),
  variables_encrypted bytea,
  unique (project_id, slug)
);

create index if not exists idx_environments_parent_id on environments (parent_id)
  where parent_id is not null;

-- owner: jobs
create table if not exists job_groups (
  id text primary key default uuidv7()::text,
  project_id text not null,
  name text not null,
  slug text not null,
  description text,
  paused bool not null default false,
  created_at timestamptz not null default strait_now(),
  updated_at timestamptz not null default strait_now(),
  unique (project_id, slug)
);

-- owner: jobs. The live row is the newest version; older ones are in job_versions.
create table if not exists jobs (
  id text primary key default uuidv7()::text,
  project_id text not null,
  name text not null check (char_length(name) between 1 and 255),
  slug text not null check (char_length(slug) between 1 and 128),
  description text,
  enabled bool not null default true,
  paused bool not null default false,
  group_id text references job_groups (id),
  environment_id text references environments (id),
  tags jsonb not null default '{}' check (jsonb_typeof(tags) = 'object'),

  -- where to
  execution_mode text not null default 'http' check (execution_mode = 'http'),
  endpoint_url text not null check (char_length(endpoint_url) <= 2048),
  fallback_endpoint_url text check (char_length(fallback_endpoint_url) <= 2048),
  endpoint_signing_secret_enc bytea,
  payload_schema jsonb,
  result_schema jsonb,
  default_run_metadata jsonb not null default '{}' check (jsonb_typeof(default_run_metadata) = 'object'),

  -- how long, how often
  timeout_secs int not null default 300 check (timeout_secs between 1 and 86400),
  run_ttl_secs int check (run_ttl_secs between 0 and 2592000),
  max_attempts int not null default 3 check (max_attempts between 1 and 100),
  retry_strategy text not null default 'exponential'
    check (retry_strategy in ('exponential', 'linear', 'fixed', 'custom')),
  retry_delays_secs int[] check (0 < all (retry_delays_secs)),
  retry_priority_boost int not null default 1 check (retry_priority_boost between 0 and 10),
  poison_pill_threshold int check (poison_pill_threshold >= 2),

  -- how many at once; null is no limit
  max_concurrency int check (max_concurrency > 0),
  max_concurrency_per_key int check (max_concurrency_per_key > 0),
  rate_limit_max int,
  rate_limit_window_secs int,
  rate_limit_keys jsonb not null default '[]' check (jsonb_typeof(rate_limit_keys) = 'array'),
  dedup_window_secs int check (dedup_window_secs >= 0),
  debounce_window_secs int not null default 0 check (debounce_window_secs >= 0),
  batch_window_secs int not null default 0 check (batch_window_secs >= 0),
  batch_max_size int not null default 0 check (batch_max_size >= 0),

  -- when
  cron text,
  timezone text,
  execution_window_cron text,
  cron_overlap_policy text not null default 'allow'
    check (cron_overlap_policy in ('allow', 'skip', 'cancel_running')),
  cron_catchup text,
  skip_if_running bool not null default false,

  -- what follows
  on_complete_trigger_workflow text,
  on_complete_trigger_job text,
  on_complete_payload_mapping jsonb,
  on_failure_trigger_workflow text,
  on_failure_trigger_job text,
  on_failure_payload_mapping jsonb,
  webhook_url text,
  webhook_secret text, -- an encrypted envelope, never the secret itself
  dlq_alert_threshold int check (dlq_alert_threshold >= 0),
  queue_depth_alert_threshold int check (queue_depth_alert_threshold >= 0),

  -- versions
  version int not null default 1,
  version_id text,
  version_policy text not null default 'pin' check (version_policy in ('pin', 'latest', 'minor')),
  backwards_compatible bool not null default false,
  created_by text,
  updated_by text,
  created_at timestamptz not null default strait_now(),
  updated_at timestamptz not null default strait_now(),

  unique (project_id, slug),
  constraint jobs_custom_delays_check
    check (retry_strategy <> 'custom' or coalesce(cardinality(retry_delays_secs), 0) > 0),
  constraint jobs_rate_limit_check
    check (coalesce(rate_limit_max, 0) >= 0 and coalesce(rate_limit_window_secs, 0) >= 0
           and (coalesce(rate_limit_max, 0) > 0) = (coalesce(rate_limit_window_secs, 0) > 0)),
  constraint jobs_debounce_or_batch_check check (debounce_window_secs = 0 or batch_window_secs = 0),
  constraint jobs_one_complete_target_check
    check (on_complete_trigger_workflow is null or on_complete_trigger_job is null),
  constraint jobs_one_failure_target_check
    check (on_failure_trigger_workflow is null or on_failure_trigger_job is null)
);

create index if not exists idx_jobs_group_id on jobs (group_id) where group_id is not null;
create index if not exists idx_jobs_environment_id on jobs (environment_id)
  where environment_id is not null;
create index if not exists idx_jobs_project_enabled_created on jobs (project_id, enabled, created_at desc);
create index if not exists idx_jobs_tags on jobs using gin (tags);
create unique index if not exists idx_jobs_version_id on jobs (version_id) where version_id is not null;

-- owner: jobs. The job as it was before each update. Secrets, `paused` and the job's own times are not
-- copied: a run always uses the live ones.
create table if not exists job_versions (
  id text primary key default uuidv7()::text,
  job_id text not null references jobs (id) on delete cascade,
  version int not null,
  version_id text,
  project_id text,
  name text not null,
  slug text not null,
  description text,
  enabled bool not null default true,
  group_id text,
  environment_id text,
  tags jsonb not null default '{}',
  execution_mode text not null default 'http',
  endpoint_url text not null,
  fallback_endpoint_url text,
  payload_schema jsonb,
  result_schema jsonb,
  default_run_metadata jsonb not null default '{}',
  timeout_secs int not null,
  run_ttl_secs int,
  max_attempts int not null,
  retry_strategy text not null default 'exponential',
  retry_delays_secs int[],
  retry_priority_boost int not null default 1,
  poison_pill_threshold int,
  max_concurrency int,
  max_concurrency_per_key int,
  rate_limit_max int,
  rate_limit_window_secs int,
  rate_limit_keys jsonb not null default '[]',
  dedup_window_secs int,
  debounce_window_secs int not null default 0,
  batch_window_secs int not null default 0,
  batch_max_size int not null default 0,
  cron text,
  timezone text,
  execution_window_cron text,
  cron_overlap_policy text not null default 'allow',
  cron_catchup text,
  skip_if_running bool not null default false,
  on_complete_trigger_workflow text,
  on_complete_trigger_job text,
  on_complete_payload_mapping jsonb,
  on_failure_trigger_workflow text,
  on_failure_trigger_job text,
  on_failure_payload_mapping jsonb,
  webhook_url text,
  dlq_alert_threshold int,
  queue_depth_alert_threshold int,
  version_policy text not null default 'pin',
  backwards_compatible bool not null default false,
  created_by text,
  updated_by text,
  created_at timestamptz not null default strait_now(),
  unique (job_id, version)
);

create index if not exists idx_job_versions_version_id on job_versions (version_id)
  where version_id is not null;

-- owner: jobs. `job_id` may start only after `depends_on_job_id` ended as `condition` says.
create table if not exists job_dependencies (
  id text primary key default uuidv7()::text,
  job_id text not null references jobs (id) on delete cascade,
  depends_on_job_id text not null references jobs (id) on delete cascade,
  condition text not null default 'completed' check (condition in ('completed', 'failed', 'any')),
  created_at timestamptz not null default strait_now(),
  unique (job_id, depends_on_job_id)
);

create index if not exists idx_job_dependencies_depends_on_job_id on job_dependencies (depends_on_job_id);

-- owner: secrets. `job_id` null: for the whole project. `key_version` says which master key encrypted it.
create table if not exists job_secrets (
  id text primary key default uuidv7()::text,
  project_id text not null,
  job_id text references jobs (id) on delete cascade,
  environment text not null default 'dev',
  secret_key text not null,
  encrypted_value text not null,
  key_version int not null default 1,
  created_at timestamptz not null default strait_now(),
  updated_at timestamptz not null default strait_now(),
  unique nulls not distinct (project_id, job_id, environment, secret_key)
);

create index if not exists idx_job_secrets_job_id on job_secrets (job_id);
create index if not exists idx_job_secrets_project_env on job_secrets (project_id, environment);
