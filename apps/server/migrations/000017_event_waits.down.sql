alter table project_quotas drop column if exists max_active_event_triggers;
alter table event_triggers drop column if exists job_run_replays;
alter table event_triggers drop column if exists job_run_attempt;
