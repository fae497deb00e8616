drop index if exists idx_event_triggers_waiting_prefix;
drop index if exists idx_event_triggers_key;
drop index if exists idx_event_triggers_project_ended;
drop index if exists idx_event_triggers_project_requested;
drop table if exists event_notifications;
