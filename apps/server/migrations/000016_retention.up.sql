-- What retention needs to find its work without reading the history.

-- Dead letters by when they died. Partial: only runs that end as dead letters pay for them. Two, because the caps on
-- dead letters are per project and per job, and each is a probe at an offset.
create index if not exists idx_runs_dead_by_project on job_runs (project_id, finished_at, id) where status = 'dead_letter';
create index if not exists idx_runs_dead_by_job on job_runs (job_id, finished_at, id) where status = 'dead_letter';

-- A bulk operation that was never closed (its process died) counts from its beginning.
create index if not exists idx_batch_operations_ended on batch_operations ((coalesce(finished_at, created_at)));

create index if not exists idx_event_triggers_ended on event_triggers (updated_at) where status <> 'waiting';
