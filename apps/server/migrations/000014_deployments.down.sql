drop table if exists deployment_versions;
