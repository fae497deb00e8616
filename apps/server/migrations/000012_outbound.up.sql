-- What leaves the installation.

-- owner: webhooks. `secret` is an encrypted envelope.
create table if not exists webhook_subscriptions (
  id text primary key default uuidv7()::text,
  project_id text not null,
  webhook_url text not null,
  event_types text[] not null default '{}',
  secret text not null,
  active bool not null default true,
  created_at timestamptz not null default strait_now()
);

create index if not exists idx_webhook_subscriptions_project_active on webhook_subscriptions (project_id, created_at desc)
  where active = true;

-- owner: webhooks. Outbox and dead letters of all webhooks. A sender holds a lease while it tries.
-- Secrets are encrypted envelopes.
create table if not exists webhook_deliveries (
  id text primary key default uuidv7()::text,
  project_id text not null,
  run_id text,
  job_id text,
  webhook_url text not null,
  status text not null default 'pending',
  attempts int not null default 0,
  max_attempts int not null default 3,
  last_status_code int,
  last_error text,
  next_retry_at timestamptz,
  delivered_at timestamptz,
  created_at timestamptz not null default strait_now(),
  updated_at timestamptz not null default strait_now(),
  event_trigger_id text references event_triggers (id) on delete cascade,
  workflow_run_id text references workflow_runs (id) on delete set null,
  subscription_id text,
  webhook_secret text,
  webhook_secret_prev text,
  payload jsonb,
  event_type text,
  payload_size_bytes int not null default 0,
  last_response_body text,
  response_time_ms int,
  sequence int not null default 0,
  last_attempt_at timestamptz,
  webhook_retry_policy text,
  lease_token text,
  lease_expires_at timestamptz
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.01,
        autovacuum_vacuum_cost_delay = 5);

create index if not exists idx_webhook_deliveries_job_id on webhook_deliveries (job_id);
create index if not exists idx_webhook_deliveries_pending_retry on webhook_deliveries (next_retry_at)
  where status = 'pending' and next_retry_at is not null;
create index if not exists idx_webhook_deliveries_run_seq on webhook_deliveries (run_id, sequence)
  where run_id is not null;
create index if not exists idx_webhook_deliveries_status_created on webhook_deliveries (status, created_at);
create index if not exists idx_webhook_deliveries_url_dead on webhook_deliveries (webhook_url, created_at)
  where status = 'dead';
create index if not exists idx_webhook_deliveries_pending on webhook_deliveries (next_retry_at)
  where status = 'pending';
create index if not exists idx_webhook_deliveries_event_trigger on webhook_deliveries (event_trigger_id)
  where event_trigger_id is not null;
create index if not exists idx_webhook_deliveries_workflow_run_id on webhook_deliveries (workflow_run_id)
  where workflow_run_id is not null;
create index if not exists idx_webhook_deliveries_project_created
  on webhook_deliveries (project_id, created_at desc)
  include (status);

-- owner: log-drains. `auth_config` holds encrypted envelopes, not credentials.
create table if not exists log_drains (
  id text primary key default uuidv7()::text,
  project_id text not null,
  name text not null,
  drain_type text not null default 'http',
  endpoint_url text not null,
  auth_type text not null default 'none',
  auth_config jsonb not null default '{}',
  level_filter text[] not null default '{}',
  enabled bool not null default true,
  created_at timestamptz not null default strait_now(),
  updated_at timestamptz not null default strait_now()
);

create index if not exists idx_log_drains_project on log_drains (project_id, enabled);
