drop table if exists event_subscriptions, event_sources, event_triggers;
