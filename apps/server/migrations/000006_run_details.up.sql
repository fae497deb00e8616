-- What hangs off a run. `run_created_at` comes from the run id and makes the foreign key to the
-- partitioned job_runs possible.

-- owner: runs. State snapshots a run resumes from.
create table if not exists run_checkpoints (
  id text primary key default uuidv7()::text,
  run_id text not null,
  run_created_at timestamptz not null generated always as (uuid_extract_timestamp(run_id::uuid)) stored,
  sequence int not null,
  source text not null default 'auto',
  state jsonb not null,
  created_at timestamptz not null default strait_now(),
  unique (run_id, sequence),
  constraint run_checkpoints_run_id_fkey foreign key (run_id, run_created_at)
    references job_runs (id, created_at) on delete cascade
);

-- owner: runs. Model calls with their cost in millionths of a US dollar.
create table if not exists run_usage (
  id text primary key default uuidv7()::text,
  run_id text not null,
  run_created_at timestamptz not null generated always as (uuid_extract_timestamp(run_id::uuid)) stored,
  provider text not null,
  model text not null,
  prompt_tokens int not null default 0,
  completion_tokens int not null default 0,
  total_tokens int not null default 0,
  cost_microusd bigint not null default 0,
  created_at timestamptz not null default strait_now(),
  constraint run_usage_run_id_fkey foreign key (run_id, run_created_at)
    references job_runs (id, created_at) on delete cascade
);

create index if not exists idx_run_usage_created_at on run_usage (created_at);
create index if not exists idx_run_usage_run_id_created_at on run_usage (run_id, created_at desc);

-- owner: runs. Tool calls a run reports.
create table if not exists run_tool_calls (
  id text primary key default uuidv7()::text,
  run_id text not null,
  run_created_at timestamptz not null generated always as (uuid_extract_timestamp(run_id::uuid)) stored,
  tool_name text not null,
  input jsonb,
  output jsonb,
  duration_ms int,
  status text not null default 'completed',
  created_at timestamptz not null default strait_now(),
  constraint run_tool_calls_run_id_fkey foreign key (run_id, run_created_at)
    references job_runs (id, created_at) on delete cascade
);

create index if not exists idx_run_tool_calls_run_id_created_at on run_tool_calls (run_id, created_at desc);

-- owner: runs. Named outputs, one row per key.
create table if not exists run_outputs (
  id text primary key default uuidv7()::text,
  run_id text not null,
  run_created_at timestamptz not null generated always as (uuid_extract_timestamp(run_id::uuid)) stored,
  output_key text not null,
  schema jsonb,
  value jsonb not null,
  created_at timestamptz not null default strait_now(),
  unique (run_id, output_key),
  constraint run_outputs_run_id_fkey foreign key (run_id, run_created_at)
    references job_runs (id, created_at) on delete cascade
);

-- owner: runs. Mutable key/value store of a run.
create table if not exists run_state (
  run_id text not null,
  run_created_at timestamptz not null generated always as (uuid_extract_timestamp(run_id::uuid)) stored,
  state_key text not null check (char_length(state_key) <= 256),
  value jsonb not null,
  updated_at timestamptz not null default strait_now(),
  primary key (run_id, state_key),
  constraint run_state_run_id_fkey foreign key (run_id, run_created_at)
    references job_runs (id, created_at) on delete cascade
);

-- owner: runs. Prices per million tokens, valid from a moment on.
create table if not exists pricing_catalog (
  id text primary key default uuidv7()::text,
  provider text not null,
  model text not null,
  input_cost_microusd bigint not null,
  output_cost_microusd bigint not null,
  active bool not null default true,
  effective_from timestamptz not null default strait_now(),
  created_at timestamptz not null default strait_now(),
  unique (provider, model, effective_from)
);

create index if not exists idx_pricing_catalog_provider_model_active
  on pricing_catalog (provider, model, active, effective_from desc);
