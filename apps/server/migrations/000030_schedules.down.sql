drop table if exists schedule_fires;
drop table if exists job_schedules;
alter table jobs drop constraint if exists jobs_cron_catchup_check;
alter table job_versions alter column cron_catchup drop not null;
alter table job_versions alter column cron_catchup drop default;
alter table jobs alter column cron_catchup drop not null;
alter table jobs alter column cron_catchup drop default;
