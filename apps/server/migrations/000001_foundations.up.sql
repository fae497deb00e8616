-- The clock, ids, and what the server needs before any subsystem exists.

-- The time everything in this schema is compared with. Tests replace this function to shift the clock;
-- it is inlined by the planner, so calling it costs what now() costs.
create or replace function strait_now() returns timestamptz
  language sql stable parallel safe
  return now();

-- A run id of the current (possibly shifted) moment. A run's created_at is strait_id_time(id).
create or replace function strait_run_id() returns text
  language sql volatile parallel safe
  return uuidv7(strait_now() - now())::text;

-- The moment inside a UUIDv7, in milliseconds; null for other UUIDs, an error for anything else.
-- `created_at = strait_id_time($1)` beside `id = $1` finds a run in one partition.
create or replace function strait_id_time(id text) returns timestamptz
  language sql immutable strict parallel safe
  return uuid_extract_timestamp(id::uuid);

-- owner: platform/services. Who runs a once-per-cluster loop. `fence` grows with every change of holder.
create table if not exists leader_leases (
  name text primary key,
  holder text not null,
  fence bigint not null default 1,
  expires_at timestamptz not null
) with (fillfactor = 50);

-- owner: limits. Fixed windows of the API's rate limits. Losing them in a crash of PostgreSQL is harmless.
create unlogged table if not exists rate_limit_windows (
  bucket text primary key,
  window_start timestamptz not null,
  hits int not null default 0
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);

create index if not exists idx_rate_limit_windows_start on rate_limit_windows (window_start);

-- owner: projects. Only a directory: project ids are opaque text elsewhere, without foreign keys.
create table if not exists projects (
  id text primary key default uuidv7()::text,
  org_id text,
  name text,
  created_at timestamptz not null default strait_now(),
  deleted_at timestamptz
);

-- owner: projects. Limits of a project; null means no limit.
create table if not exists project_quotas (
  project_id text primary key,
  max_queued_runs int,
  max_executing_runs int,
  max_jobs int,
  timezone text,
  created_at timestamptz not null default strait_now(),
  updated_at timestamptz not null default strait_now(),
  max_cost_per_run_microusd bigint,
  max_daily_cost_microusd bigint,
  rate_limit_requests int,
  rate_limit_window_secs int,
  compute_daily_cost_limit_microusd bigint,
  default_region text,
  plan_tier text default 'free'
);
