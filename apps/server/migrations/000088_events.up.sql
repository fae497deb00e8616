-- Events reach steps of workflows: lists of waits, events that come early, notifications of waits.

-- owner: events. What is still to be told to the notify URLs of waits; a row goes when it was told, or given up. (webhook_deliveries
-- belongs to a layer above, and what it keeps of the past is kept by the trigger itself: notify_status.)
create table if not exists event_notifications (
  id text primary key default uuidv7()::text,
  trigger_id text not null references event_triggers (id) on delete cascade,
  project_id text not null,
  -- Counted when an attempt begins: who sends holds the row until `due_at`.
  attempts int not null default 0,
  due_at timestamptz not null default strait_now(),
  created_at timestamptz not null default strait_now()
);
create index if not exists idx_event_notifications_due on event_notifications (due_at);
create index if not exists idx_event_notifications_trigger on event_notifications (trigger_id);

create index if not exists idx_event_triggers_project_requested on event_triggers (project_id, requested_at desc, id desc);
create index if not exists idx_event_triggers_project_ended on event_triggers (project_id, updated_at) where status <> 'waiting';
-- By key: the newest wait, and those that wait by prefix. Keys belong to a project.
create index if not exists idx_event_triggers_key on event_triggers (project_id, event_key, requested_at desc, id desc);
create index if not exists idx_event_triggers_waiting_prefix on event_triggers (project_id, event_key text_pattern_ops)
  where status = 'waiting' and trigger_type = 'event';
