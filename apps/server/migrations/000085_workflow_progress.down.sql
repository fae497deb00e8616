drop table if exists step_endings;
drop index if exists idx_event_triggers_step_expires;
alter table project_quotas drop column if exists event_buffer_secs;
drop table if exists early_events;
drop table if exists event_emits;
drop table if exists workflow_run_events;
drop table if exists compensation_runs;
drop table if exists workflow_map_children;
alter table workflow_step_approvals drop column if exists kind, drop column if exists reminded_at;
drop index if exists idx_workflow_step_approvals_step_run;
drop index if exists idx_workflow_step_approvals_pending;
alter table workflow_step_approvals add constraint workflow_step_approvals_workflow_step_run_id_key unique (workflow_step_run_id);
drop index if exists idx_workflow_step_runs_quota;
drop index if exists idx_workflow_step_runs_retry;
alter table workflow_step_runs drop constraint if exists workflow_step_runs_state_check;
alter table workflow_step_runs
  drop column if exists state, drop column if exists wait_reason, drop column if exists child_run_id, drop column if exists wait_id,
  drop column if exists next_retry_at, drop column if exists gate_passed, drop column if exists map;
drop function if exists strait_step_wait_reason(text);
drop function if exists strait_step_status(text);
alter table workflow_runs
  drop column if exists timeout_secs, drop column if exists depth, drop column if exists continues_run_id,
  drop column if exists first_run_id, drop column if exists generation, drop column if exists continued,
  drop column if exists step_overrides, drop column if exists idempotency_key, drop column if exists payload_hash,
  drop column if exists news_due_at, drop column if exists news_tries, drop column if exists progressed_at;
drop index if exists idx_workflow_runs_expiring;
drop index if exists idx_workflow_runs_project_created_id;
drop index if exists idx_workflow_runs_workflow_created;
