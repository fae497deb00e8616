-- owner: queue. Why the run may not start before due_at, when somebody else than its caller or its back-off moved the instant:
-- [{kind, until, limit}], in the order in which it was moved. Null, and free, for all others.
alter table run_delayed add column if not exists reason jsonb;
