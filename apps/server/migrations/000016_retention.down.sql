drop index if exists idx_event_triggers_ended;
drop index if exists idx_batch_operations_ended;
drop index if exists idx_runs_dead_by_job;
drop index if exists idx_runs_dead_by_project;
