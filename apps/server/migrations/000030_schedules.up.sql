-- Schedules as rows: any number of schedulers take the due ones, none holds a list of its own.

-- What a job does about fires that were missed. Null was never enforced and meant nothing.
update jobs set cron_catchup = 'latest' where cron_catchup is null or cron_catchup not in ('none', 'latest', 'all');
update job_versions set cron_catchup = 'latest' where cron_catchup is null or cron_catchup not in ('none', 'latest', 'all');
alter table jobs alter column cron_catchup set default 'latest';
alter table jobs alter column cron_catchup set not null;
alter table job_versions alter column cron_catchup set default 'latest';
alter table job_versions alter column cron_catchup set not null;
alter table jobs drop constraint if exists jobs_cron_catchup_check;
alter table jobs add constraint jobs_cron_catchup_check check (cron_catchup in ('none', 'latest', 'all'));

-- owner: scheduler. One row per job with a cron expression, written in the transaction that changes the job, so that
-- nothing here is older than the job. Expression and policies are copied: who locks the row has all of it as it is.
-- next_fire_at null: the job is disabled, or `problem` says why nothing fires.
create table if not exists job_schedules (
  job_id text primary key references jobs (id) on delete cascade,
  project_id text not null,
  cron text not null,
  timezone text not null,
  overlap_policy text not null,
  catchup text not null,
  enabled bool not null,
  next_fire_at timestamptz,
  problem text,
  last_fire_at timestamptz,
  last_run_id text,
  created_at timestamptz not null default strait_now(),
  updated_at timestamptz not null default strait_now()
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02);

create index if not exists job_schedules_due on job_schedules (next_fire_at) where next_fire_at is not null;

-- owner: scheduler. What became of each instant of a schedule; its key is what makes a fire happen once. No foreign
-- key to the job: its check would wait for a deletion that waits for the schedule.
create table if not exists schedule_fires (
  job_id text not null,
  fire_at timestamptz not null,
  project_id text not null,
  -- created; held: the idempotency key of the instant belonged to another run; skipped: the job was running;
  -- missed: nobody was there in time; refused: the job was disabled or deleted meanwhile.
  outcome text not null check (outcome in ('created', 'held', 'skipped', 'missed', 'refused')),
  run_id text,
  created_at timestamptz not null default strait_now(),
  primary key (job_id, fire_at)
);

create index if not exists schedule_fires_created on schedule_fires (created_at);

-- Jobs that have an expression already: looked at by the first scheduler, which finds the next instant. Only what falls
-- between this migration and that look can fire.
insert into job_schedules (job_id, project_id, cron, timezone, overlap_policy, catchup, enabled, next_fire_at)
select id, project_id, cron, coalesce(timezone, 'UTC'), cron_overlap_policy, cron_catchup, enabled, case when enabled then strait_now() end
  from jobs where cron is not null and cron <> '' and deleting_at is null
on conflict (job_id) do nothing;
