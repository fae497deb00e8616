drop table if exists job_secrets, job_dependencies, job_versions, jobs, job_groups, environments;
