alter table batch_operations drop constraint if exists batch_operations_job_id_fkey;
alter table batch_operations add constraint batch_operations_job_id_fkey foreign key (job_id) references jobs (id);
drop index if exists idx_jobs_deleting;
alter table jobs drop column if exists deleting_at;
