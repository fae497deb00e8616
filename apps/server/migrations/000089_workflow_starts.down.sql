drop table if exists canary_deployments;
alter table workflow_runs drop column if exists lineage_depth;
drop table if exists workflow_schedule_fires;
drop table if exists workflow_schedules;
