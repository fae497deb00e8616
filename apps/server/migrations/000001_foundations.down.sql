drop table if exists project_quotas, projects, rate_limit_windows, leader_leases;
drop function if exists strait_run_id();
drop function if exists strait_id_time(text);
drop function if exists strait_now();
