-- Deleting a job in steps: marked first, then its runs go chunk by chunk, then the row.

-- A marked job is gone for everybody but the loop that removes it. It is disabled, so that no statement creates or
-- revives a run of it, and carries its id as slug, so that the name is free at once.
alter table jobs add column if not exists deleting_at timestamptz
  constraint jobs_deleting_check check (deleting_at is null or not enabled);

create index if not exists idx_jobs_deleting on jobs (deleting_at) where deleting_at is not null;

-- A bulk operation outlives its job.
alter table batch_operations drop constraint if exists batch_operations_job_id_fkey;
alter table batch_operations add constraint batch_operations_job_id_fkey
  foreign key (job_id) references jobs (id) on delete set null;
