-- Events from outside and the waits they end.

-- owner: events. A durable wait of a step or a run; sleeps use it too. Keys belong to a project, and
-- only waiting ones must differ.
create table if not exists event_triggers (
  id text primary key default uuidv7()::text,
  event_key text not null,
  project_id text not null,
  source_type text not null,
  trigger_type text not null default 'event',
  workflow_run_id text,
  workflow_step_run_id text,
  job_run_id text,
  status text not null default 'waiting',
  request_payload jsonb,
  response_payload jsonb,
  timeout_secs int not null default 3600,
  requested_at timestamptz not null default strait_now(),
  received_at timestamptz,
  expires_at timestamptz not null,
  error text,
  notify_url text,
  notify_status text not null default '',
  event_emit_key text,
  sent_by text not null default '',
  created_at timestamptz not null default strait_now(),
  updated_at timestamptz not null default strait_now()
);

create index if not exists idx_event_triggers_event_key_prefix
  on event_triggers (event_key text_pattern_ops);
create index if not exists idx_event_triggers_job_run on event_triggers (job_run_id)
  where job_run_id is not null;
create index if not exists idx_event_triggers_reconcile on event_triggers (status, source_type, received_at)
  where status = 'received';
create index if not exists idx_event_triggers_step_run on event_triggers (workflow_step_run_id)
  where workflow_step_run_id is not null;
create index if not exists idx_event_triggers_workflow_run on event_triggers (workflow_run_id, status)
  where status = 'waiting';
create index if not exists idx_event_triggers_project_status on event_triggers (project_id, status);
create index if not exists idx_event_triggers_status_expires on event_triggers (status, expires_at)
  where status = 'waiting';
create unique index if not exists idx_event_triggers_waiting_key on event_triggers (project_id, event_key)
  where status = 'waiting';

-- owner: events. An inbound endpoint: payload schema and how requests are signed.
create table if not exists event_sources (
  id text primary key default uuidv7()::text,
  project_id text not null,
  name text not null,
  description text not null default '',
  schema jsonb,
  enabled bool not null default true,
  created_at timestamptz not null default strait_now(),
  updated_at timestamptz not null default strait_now(),
  signature_header text,
  signature_algorithm text,
  signature_secret_enc bytea,
  unique (project_id, name)
);

create index if not exists idx_event_sources_project on event_sources (project_id, enabled);

-- owner: events. What a source starts.
create table if not exists event_subscriptions (
  id text primary key default uuidv7()::text,
  source_id text not null references event_sources (id) on delete cascade,
  target_type text not null,
  target_id text not null,
  filter_expr jsonb,
  enabled bool not null default true,
  created_at timestamptz not null default strait_now(),
  unique (source_id, target_type, target_id)
);

create index if not exists idx_event_subscriptions_source on event_subscriptions (source_id, enabled);
create index if not exists idx_event_subscriptions_target on event_subscriptions (target_type, target_id);
