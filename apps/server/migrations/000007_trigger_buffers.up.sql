-- Triggers that do not become runs at once.

-- owner: queue. Triggers of batching jobs, until the window closes or the size is reached.
create table if not exists batch_buffer (
  id text primary key default uuidv7()::text,
  job_id text not null references jobs (id) on delete cascade,
  project_id text not null,
  batch_key text not null default '',
  payload jsonb not null,
  tags jsonb,
  priority int not null default 0,
  triggered_by text not null default 'api',
  created_by text,
  created_at timestamptz not null default strait_now()
);

create index if not exists idx_batch_buffer_created on batch_buffer (created_at);
create index if not exists idx_batch_buffer_job_key on batch_buffer (job_id, batch_key);

-- owner: queue. The latest trigger per debounce key, until it fires.
create table if not exists debounce_pending (
  id text primary key default uuidv7()::text,
  job_id text not null references jobs (id) on delete cascade,
  project_id text not null,
  debounce_key text not null default '',
  payload jsonb,
  tags jsonb,
  priority int not null default 0,
  concurrency_key text,
  ttl_secs int,
  triggered_by text not null default 'api',
  created_by text,
  fire_at timestamptz not null,
  created_at timestamptz not null default strait_now(),
  unique (job_id, debounce_key)
);

create index if not exists idx_debounce_pending_fire on debounce_pending (fire_at);
