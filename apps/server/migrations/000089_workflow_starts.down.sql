drop table if exists canary_deployments;
drop table if exists workflow_schedule_fires;
drop table if exists workflow_schedules;
