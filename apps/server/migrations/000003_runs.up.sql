-- Runs, their events, and the partitions they live in.

-- owner: runs. One row per bulk operation; runs it triggered carry its id.
create table if not exists batch_operations (
  id text primary key default uuidv7()::text,
  project_id text not null,
  job_id text references jobs (id),
  kind text not null default 'trigger',
  status text not null default 'running',
  item_count int not null,
  created_count int not null default 0,
  results jsonb,
  created_by text not null default '',
  created_at timestamptz not null default strait_now(),
  finished_at timestamptz
);

create index if not exists idx_batch_operations_project on batch_operations (project_id, created_at desc);
create index if not exists idx_batch_operations_job_id on batch_operations (job_id);

-- owner: queue. One row per execution of a job: the durable record. Where a live run stands is said by
-- its one row in the queue's place tables (next migration).
-- `created_at` is the time inside the id: this makes ids unique over all partitions, and whoever knows
-- an id knows the partition. So the writer supplies both, id = strait_run_id() first.
create table if not exists job_runs (
  id text not null default strait_run_id(),
  job_id text not null references jobs (id),
  project_id text not null,
  status text not null default 'queued' constraint job_runs_status_check check (status in (
    'delayed', 'queued', 'dequeued', 'executing', 'waiting', 'completed', 'failed', 'timed_out',
    'crashed', 'system_failed', 'canceled', 'expired', 'dead_letter')),
  attempt int not null default 1,
  payload jsonb,
  result jsonb,
  error text,
  triggered_by text not null default 'manual',
  scheduled_at timestamptz,
  claimed_at timestamptz,
  started_at timestamptz,
  finished_at timestamptz,
  heartbeat_at timestamptz,
  next_retry_at timestamptz,
  expires_at timestamptz,
  created_at timestamptz not null,
  parent_run_id text,
  priority int not null default 0,
  idempotency_key text,
  job_version int not null default 1,
  workflow_step_run_id text,
  error_class text,
  metadata jsonb not null default '{}',
  execution_trace jsonb,
  debug_mode bool not null default false,
  continuation_of text,
  continuation_created_at timestamptz
    generated always as (uuid_extract_timestamp(continuation_of::uuid)) stored,
  lineage_depth int not null default 0,
  max_attempts_override int,
  timeout_secs_override int,
  retry_backoff text,
  retry_initial_delay_secs int,
  retry_max_delay_secs int,
  created_by text,
  job_version_id text,
  tags jsonb not null default '{}',
  batch_id text references batch_operations (id),
  concurrency_key text,
  execution_mode text not null default 'http',
  machine_id text,
  primary key (id, created_at),
  constraint job_runs_created_at_check
    check (created_at is not distinct from uuid_extract_timestamp(id::uuid)),
  -- match full: a continuation_of that is no UUIDv7 is refused instead of being left unchecked.
  constraint job_runs_continuation_of_fkey
    foreign key (continuation_of, continuation_created_at) references job_runs (id, created_at) match full
) partition by range (created_at);

-- Every index here is paid for at each state change. Do not add one without measuring.
create index if not exists idx_runs_queue_covering on job_runs (created_at)
  include (job_id, priority, scheduled_at, next_retry_at) where status = 'queued';
create index if not exists idx_runs_status_project_covering
  on job_runs (project_id, status, created_at desc)
  include (job_id, priority, scheduled_at, next_retry_at);
create index if not exists idx_runs_heartbeat on job_runs (heartbeat_at) where status = 'executing';
create index if not exists idx_runs_expires on job_runs (expires_at)
  where expires_at is not null and status in ('delayed', 'queued');
create index if not exists idx_job_runs_active_by_job on job_runs (job_id)
  where status in ('queued', 'dequeued', 'executing');
create index if not exists idx_job_runs_parent_run_id on job_runs (parent_run_id)
  where parent_run_id is not null;
-- Pending lists: 1 MB wrote 5 % more WAL per run than 4 MB, 32 MB no less; a search reads the whole list.
create index if not exists idx_runs_metadata on job_runs using gin (metadata jsonb_path_ops)
  with (fastupdate = on, gin_pending_list_limit = 4096);
create index if not exists idx_job_runs_payload_gin on job_runs using gin (payload jsonb_path_ops)
  with (fastupdate = on, gin_pending_list_limit = 4096) where payload is not null;
create index if not exists idx_job_runs_job_created on job_runs (job_id, created_at desc, id desc);
create index if not exists idx_job_runs_batch_id on job_runs (batch_id) where batch_id is not null;
create index if not exists idx_job_runs_continuation_of on job_runs (continuation_of)
  where continuation_of is not null;
create index if not exists idx_job_runs_workflow_step_run on job_runs (workflow_step_run_id)
  where workflow_step_run_id is not null;

-- owner: queue. One row per (job, key): the primary key settles who creates the run. `expires_at` is
-- null while the run lives; after it the key may be taken over.
create table if not exists job_run_idempotency (
  job_id text not null,
  idempotency_key text not null,
  run_id text not null,
  payload_hash text,
  created_at timestamptz not null default strait_now(),
  expires_at timestamptz,
  primary key (job_id, idempotency_key)
);

create index if not exists idx_idempotency_expires on job_run_idempotency (expires_at)
  where expires_at is not null;

-- owner: queue. Append-only history and log of a run.
-- No action on delete: events go first, on purpose, when a run is deleted.
create table if not exists run_events (
  id text primary key default uuidv7()::text,
  run_id text not null,
  run_created_at timestamptz not null generated always as (uuid_extract_timestamp(run_id::uuid)) stored,
  type text not null, -- log, state_change, error, progress
  level text,
  message text,
  data jsonb not null default '{}',
  created_at timestamptz not null default strait_now(),
  constraint run_events_run_id_fkey foreign key (run_id, run_created_at) references job_runs (id, created_at)
) with (autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.02,
        autovacuum_vacuum_cost_delay = 10);

create index if not exists idx_events_run_id on run_events (run_id, created_at);
