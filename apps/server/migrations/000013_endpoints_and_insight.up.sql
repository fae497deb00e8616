-- How endpoints and jobs are doing.

-- owner: executor. Circuit breaker per project and endpoint: tenants on one URL do not affect each
-- other.
create table if not exists endpoint_circuit_state (
  project_id text not null,
  endpoint_url text not null,
  state text not null default 'closed' check (state in ('closed', 'open', 'half_open')),
  failures int not null default 0,
  last_failure_at timestamptz,
  opened_at timestamptz,
  half_open_until timestamptz,
  updated_at timestamptz not null default strait_now(),
  created_at timestamptz not null default strait_now(),
  primary key (project_id, endpoint_url)
) with (fillfactor = 70);

-- owner: executor. Moving averages per project and endpoint; health_score is 0 to 100.
create table if not exists endpoint_health_scores (
  project_id text not null,
  endpoint_url text not null,
  health_score float8 not null default 100,
  success_rate float8 not null default 1,
  timeout_rate float8 not null default 0,
  latency_score float8 not null default 1,
  total_requests bigint not null default 0,
  last_latency_ms float8 not null default 0,
  updated_at timestamptz not null default strait_now(),
  created_at timestamptz not null default strait_now(),
  primary key (project_id, endpoint_url)
) with (fillfactor = 70);

-- owner: slos
create table if not exists job_slos (
  id text primary key default uuidv7()::text,
  job_id text not null references jobs (id) on delete cascade,
  project_id text not null,
  metric text not null check (metric in ('success_rate', 'p95_latency_secs', 'p99_latency_secs')),
  target float8 not null,
  window_hours int not null check (window_hours in (24, 168, 720)),
  created_at timestamptz not null default strait_now(),
  unique (job_id, metric, window_hours)
);

-- owner: slos
create table if not exists job_slo_evaluations (
  id text primary key default uuidv7()::text,
  slo_id text not null references job_slos (id) on delete cascade,
  current_value float8 not null,
  budget_remaining float8 not null,
  evaluated_at timestamptz not null default strait_now()
);

create index if not exists idx_job_slo_evaluations_slo_id
  on job_slo_evaluations (slo_id, evaluated_at desc);

-- owner: stats. Roll-up per job and hour.
create table if not exists job_stats_hourly (
  job_id text not null,
  project_id text not null,
  hour timestamptz not null,
  total int not null default 0,
  completed int not null default 0,
  failed int not null default 0,
  timed_out int not null default 0,
  canceled int not null default 0,
  avg_duration_ms bigint,
  p95_duration_ms bigint,
  total_cost_microusd bigint default 0,
  primary key (job_id, hour)
);

create index if not exists idx_job_stats_hourly_project on job_stats_hourly (project_id, hour);
