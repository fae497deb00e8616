-- What the workflow engine keeps of a run: fine states of steps, children of maps, undone steps, and what is still to be told.

alter table workflow_runs
  add column if not exists timeout_secs int not null default 0,
  -- Runs above it.
  add column if not exists depth int not null default 0,
  -- continue_as_new: which run it continues, the first of them, how many came before, and whether another continues it.
  add column if not exists continues_run_id text,
  add column if not exists first_run_id text,
  add column if not exists generation int not null default 0,
  add column if not exists continued boolean not null default false,
  -- Steps that the trigger switched off.
  add column if not exists step_overrides jsonb not null default '[]',
  add column if not exists idempotency_key text,
  add column if not exists payload_hash text,
  -- Set when a child ends: the step that started it is still to be told. Due then; later after each failure.
  add column if not exists news_due_at timestamptz,
  add column if not exists news_tries int not null default 0,
  -- The last progression that changed something.
  add column if not exists progressed_at timestamptz;

create unique index if not exists idx_workflow_runs_idempotency_key on workflow_runs (workflow_id, idempotency_key)
  where idempotency_key is not null;
create index if not exists idx_workflow_runs_news on workflow_runs (news_due_at) where news_due_at is not null;
create index if not exists idx_workflow_runs_expiring on workflow_runs (expires_at)
  where expires_at is not null and status in ('running', 'paused');
create index if not exists idx_workflow_runs_active_progress on workflow_runs (progressed_at) where status = 'running';
create index if not exists idx_workflow_runs_continues on workflow_runs (continues_run_id) where continues_run_id is not null;
create index if not exists idx_workflow_runs_project_created_id on workflow_runs (project_id, created_at desc, id desc);
create index if not exists idx_workflow_runs_workflow_created on workflow_runs (workflow_id, created_at desc, id desc);

-- The status of a step on the wire follows from its fine state (workflows/engine/states.ts).
create or replace function strait_step_status(state text) returns text language sql immutable parallel safe as $$
  select case when state in ('p') then 'pending' when state in ('d', 'm', 'k', 'l', 'q', 'z', 'a', 'g', 'e', 's', 't') then 'waiting'
              when state = 'r' then 'running' when state = 'C' then 'completed' when state = 'F' then 'failed'
              when state in ('S', 'D') then 'skipped' when state in ('W', 'R') then 'canceled' end
$$;
create or replace function strait_step_wait_reason(state text) returns text language sql immutable parallel safe as $$
  select case state when 'd' then 'dependencies' when 'm' then 'capacity' when 'k' then 'capacity' when 'l' then 'capacity'
              when 'q' then 'capacity' when 'z' then 'capacity' when 'a' then 'approval' when 'g' then 'cost_gate'
              when 'e' then 'event' when 's' then 'sleep' when 't' then 'retry' end
$$;

alter table workflow_step_runs
  add column if not exists state text not null default 'p',
  add column if not exists wait_reason text,
  -- A child workflow run in flight; the first of those that continue each other.
  add column if not exists child_run_id text,
  -- The approval or event trigger it is parked on.
  add column if not exists wait_id text,
  add column if not exists next_retry_at timestamptz,
  add column if not exists gate_passed boolean not null default false,
  -- {total, started, completed, failed} of a map.
  add column if not exists map jsonb;
alter table workflow_step_runs drop constraint if exists workflow_step_runs_state_check;
alter table workflow_step_runs add constraint workflow_step_runs_state_check
  check (status = strait_step_status(state) and wait_reason is not distinct from strait_step_wait_reason(state));
create index if not exists idx_workflow_step_runs_retry on workflow_step_runs (next_retry_at) where state = 't';
create index if not exists idx_workflow_step_runs_quota on workflow_step_runs (workflow_run_id) where state = 'q';

-- A step that runs again has another approval; the old one stays as history.
alter table workflow_step_approvals drop constraint if exists workflow_step_approvals_workflow_step_run_id_key;
create unique index if not exists idx_workflow_step_approvals_pending on workflow_step_approvals (workflow_step_run_id)
  where status = 'pending';
create index if not exists idx_workflow_step_approvals_step_run on workflow_step_approvals (workflow_step_run_id);
alter table workflow_step_approvals
  add column if not exists kind text not null default 'approval',
  add column if not exists reminded_at timestamptz;

-- owner: workflows. One row per element of a list that a map step goes through.
create table if not exists workflow_map_children (
  step_run_id text not null references workflow_step_runs (id) on delete cascade,
  attempt int not null,
  index int not null,
  status text not null default 'open' check (status in ('open', 'completed', 'failed', 'canceled')),
  item jsonb not null,
  job_run_id text,
  child_run_id text,
  output jsonb,
  error text,
  primary key (step_run_id, attempt, index)
);
create index if not exists idx_workflow_map_children_job_run on workflow_map_children (job_run_id) where job_run_id is not null;
create index if not exists idx_workflow_map_children_child_run on workflow_map_children (child_run_id) where child_run_id is not null;
create index if not exists idx_workflow_map_children_open on workflow_map_children (step_run_id, attempt, index) where status = 'open';

-- owner: workflows. Steps that are undone after their run has failed, one after the other.
create table if not exists compensation_runs (
  id text primary key default uuidv7()::text,
  workflow_run_id text not null references workflow_runs (id) on delete cascade,
  step_run_id text not null references workflow_step_runs (id) on delete cascade,
  step_ref text not null,
  job_id text not null,
  job_run_id text,
  position int not null,
  status text not null default 'pending' check (status in ('pending', 'running', 'completed', 'failed')),
  error text,
  created_at timestamptz not null default strait_now(),
  started_at timestamptz,
  finished_at timestamptz,
  unique (workflow_run_id, position)
);
create index if not exists idx_compensation_runs_job_run on compensation_runs (job_run_id) where job_run_id is not null;
create index if not exists idx_compensation_runs_step_run on compensation_runs (step_run_id);

-- owner: workflows. Every change of a run and its steps, in order: what live streams send and webhooks will be made of.
create table if not exists workflow_run_events (
  id bigint generated always as identity primary key,
  workflow_run_id text not null references workflow_runs (id) on delete cascade,
  project_id text not null,
  step_ref text,
  from_status text,
  to_status text not null,
  attempt int,
  reason text not null default '',
  created_at timestamptz not null default strait_now()
);
create index if not exists idx_workflow_run_events_run on workflow_run_events (workflow_run_id, id);

-- owner: events. What completed steps send to whoever waits for it, after their own commit.
create table if not exists event_emits (
  id bigint generated always as identity primary key,
  project_id text not null,
  event_key text not null,
  payload jsonb,
  sent_by text not null,
  workflow_step_run_id text,
  due_at timestamptz not null default strait_now(),
  tries int not null default 0
);
create index if not exists idx_event_emits_due on event_emits (due_at, id);
-- owner: events. Events that came before anybody waited for them, kept for as long as the project wants; null or 0: not at all.
create table if not exists early_events (
  id bigint generated always as identity primary key,
  project_id text not null,
  event_key text not null,
  payload jsonb,
  sent_by text not null,
  created_at timestamptz not null default strait_now(),
  expires_at timestamptz not null
);
create index if not exists idx_early_events_key on early_events (project_id, event_key, id);
create index if not exists idx_early_events_expires on early_events (expires_at);
alter table project_quotas add column if not exists event_buffer_secs int;

create index if not exists idx_event_triggers_step_expires on event_triggers (expires_at)
  where status = 'waiting' and source_type = 'workflow_step';

-- owner: queue. Ends of job runs that steps of workflows started; who deletes a row acts on it in the same transaction.
create table if not exists step_endings (
  ending_id bigint generated always as identity primary key,
  run_id text not null,
  run_created_at timestamptz not null,
  workflow_step_run_id text not null,
  status text not null,
  due_at timestamptz not null default strait_now(), -- later after a failed try
  tries int not null default 0
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0, vacuum_truncate = false);
create index if not exists idx_step_endings_due on step_endings (due_at, ending_id);
create index if not exists idx_step_endings_step_run on step_endings (workflow_step_run_id);
