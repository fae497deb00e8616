-- Nothing is held because of its endpoint any more; the sweep promotes what waits.
-- Where a run has to wait for slots: its narrowest lane and the root; null when nothing limits it and its job may run.
create or replace function strait_place(of_project text, of_job text, of_key text) returns bigint[]
  language plpgsql as $$
declare
  job_limit int;
  key_limit int;
  project_limit int;
  held bool;
begin
  select nullif(j.max_concurrency, 0), nullif(j.max_concurrency_per_key, 0), nullif(q.max_executing_runs, 0),
         not j.enabled or j.paused or coalesce(g.paused, false)
    into job_limit, key_limit, project_limit, held
    from jobs j
    left join project_quotas q on q.project_id = j.project_id
    left join job_groups g on g.id = j.group_id
   where j.id = of_job;
  if key_limit is not null and of_key <> '' then
    return strait_lane(of_project, of_job, of_key);
  elsif job_limit is not null or held then
    return strait_lane(of_project, of_job, null);
  elsif project_limit is not null then
    return strait_lane(of_project, null, null);
  end if;
  return null;
end $$;

drop function if exists strait_probe_due(endpoint_admission);
drop table if exists endpoint_admission;
alter table endpoint_circuit_state drop column if exists open_secs;
alter table jobs drop column if exists endpoint;
drop function if exists strait_endpoint(text);
