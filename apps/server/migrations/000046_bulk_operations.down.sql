drop index if exists idx_batch_operations_background;
alter table batch_operations drop column if exists due_at;
alter table batch_operations drop column if exists tries;
alter table batch_operations drop column if exists after_id;
alter table batch_operations drop column if exists after_created_at;
alter table batch_operations drop column if exists until_at;
alter table batch_operations drop column if exists source;
alter table batch_operations drop column if exists filter;
