-- Which attempt of a run waited, so that what it received is told to that attempt and no other; null: before this was kept.
alter table event_triggers add column if not exists job_run_attempt int;
-- Replays from the dead letter queue begin with attempt 1 again.
alter table event_triggers add column if not exists job_run_replays int;

-- Waits for events that a project may have at a time; null or 0: no limit.
alter table project_quotas add column if not exists max_active_event_triggers int;
