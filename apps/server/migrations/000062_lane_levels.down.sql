drop view if exists lane_levels;
drop function if exists strait_lane_level(text, text);

-- As the migrations before left it: the slots of 000035, and around them what budgets ask for (000050).
alter function strait_place(text, text, text) rename to strait_place_slots;

create or replace function strait_place_slots(of_project text, of_job text, of_key text) returns bigint[]
  language plpgsql as $$
declare
  job_limit int;
  key_limit int;
  project_limit int;
  held bool;
begin
  select nullif(j.max_concurrency, 0), nullif(j.max_concurrency_per_key, 0), nullif(q.max_executing_runs, 0),
         not j.enabled or j.paused or coalesce(g.paused, false) or coalesce(a.closed, false)
    into job_limit, key_limit, project_limit, held
    from jobs j
    left join project_quotas q on q.project_id = j.project_id
    left join job_groups g on g.id = j.group_id
    left join endpoint_admission a on a.project_id = j.project_id and a.endpoint = j.endpoint
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

create or replace function strait_place(of_project text, of_job text, of_key text) returns bigint[]
  language plpgsql as $$
declare
  found_lane bigint[] := strait_place_slots(of_project, of_job, of_key);
begin
  -- As strait_budgeted; written out, because every limited run comes by here.
  if not exists (select from project_quotas q where q.project_id = of_project and q.max_daily_cost_microusd > 0)
     and not exists (select from job_budgets b where b.job_id = of_job
                        and (b.max_daily_cost_microusd > 0 or (b.max_daily_cost_per_key_microusd > 0 and of_key <> ''))) then
    return found_lane;
  elsif of_key <> '' and exists (select from job_budgets b where b.job_id = of_job and b.max_daily_cost_per_key_microusd > 0) then
    return strait_lane(of_project, of_job, of_key);
  elsif found_lane is not null and exists (select from lanes l where l.lane_id = found_lane[1] and l.job_id is not null) then
    return found_lane;
  end if;
  return strait_lane(of_project, of_job, null);
end $$;
