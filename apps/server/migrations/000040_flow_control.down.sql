drop index if exists idx_batch_buffer_job_key;
create index if not exists idx_batch_buffer_job_key on batch_buffer (job_id, batch_key);
alter table batch_buffer drop column if exists metadata, drop column if exists ttl_secs, drop column if exists concurrency_key,
  drop column if exists seq;
alter table debounce_pending drop column if exists metadata;
drop table if exists recent_payloads;
drop function if exists strait_take_tokens(text[], float8[], float8[], int, text);
drop table if exists rate_limit_levels;
drop index if exists run_delayed_project;
drop table if exists queued_room;
