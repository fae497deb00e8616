-- Bulk operations that go on in the background: what they are about, and how far they got. `filter` null: a bulk trigger,
-- which is one transaction. A chunk and the step of the cursor behind it are one transaction.
alter table batch_operations add column if not exists filter jsonb;
alter table batch_operations add column if not exists source jsonb; -- who asked, for the audit trail
alter table batch_operations add column if not exists until_at timestamptz; -- runs created later are not meant
alter table batch_operations add column if not exists after_created_at timestamptz;
alter table batch_operations add column if not exists after_id text;
alter table batch_operations add column if not exists tries int not null default 0;
alter table batch_operations add column if not exists due_at timestamptz not null default strait_now();

create index if not exists idx_batch_operations_background on batch_operations (due_at, id)
  where status = 'running' and filter is not null;
