drop index if exists idx_workflow_runs_pending;
create index if not exists idx_event_triggers_workflow_run on event_triggers (workflow_run_id, status) where status = 'waiting';
drop index if exists idx_event_triggers_of_workflow_run;
