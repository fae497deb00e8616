drop view if exists lane_shares;
create or replace view lane_rooms with (security_invoker = true) as
select l.lane_id, l.root_lane_id, l.project_id, l.job_id, l.concurrency_key, jl.lane_id as job_lane_id,
       j.id is not null and not j.enabled as job_disabled,
       coalesce(j.paused, false) as job_paused,
       coalesce(g.paused, false) as group_paused, j.group_id,
       case when l.concurrency_key is not null then nullif(j.max_concurrency_per_key, 0) end as key_cap,
       case when l.concurrency_key is not null then l.in_flight end as key_in_flight,
       -- An endpoint that is slow or often fails lets through a share.
       case when j.max_concurrency > 0 then greatest(1, ceil(j.max_concurrency * coalesce(a.share, 1)))::int end as job_cap,
       jl.in_flight as job_in_flight,
       nullif(q.max_executing_runs, 0) as project_cap, pl.in_flight as project_in_flight,
       j.endpoint, coalesce(a.closed, false) as endpoint_closed, a.probe_at, a.closed and strait_probe_due(a) as probe_due,
       -- A budget may concern the lane: strait_money says what is left of it.
       coalesce(q.max_daily_cost_microusd > 0, false) or b.job_id is not null as budgeted
  from lanes l
  left join jobs j on j.id = l.job_id
  left join job_groups g on g.id = j.group_id
  left join endpoint_admission a on a.project_id = j.project_id and a.endpoint = j.endpoint
  left join lanes jl on jl.lane_id = case when l.concurrency_key is not null then l.parent_lane_id when l.job_id is not null then l.lane_id end
  left join lanes pl on pl.lane_id = l.root_lane_id and pl.job_id is null
  left join project_quotas q on q.project_id = pl.project_id
  left join job_budgets b on b.job_id = l.job_id;
create or replace function strait_lane(of_project text, of_job text, of_key text) returns bigint[]
  language plpgsql as $$
declare
  found_lane bigint[];
  parent bigint[];
  new_id bigint;
begin
  loop
    if of_job is null then
      select array[lane_id, root_lane_id] into found_lane from lanes
       where project_id = of_project and job_id is null and concurrency_key is null;
    elsif of_key is null then
      select array[lane_id, root_lane_id] into found_lane from lanes
       where project_id = of_project and job_id = of_job and concurrency_key is null;
    else
      select array[lane_id, root_lane_id] into found_lane from lanes
       where project_id = of_project and job_id = of_job and concurrency_key = of_key;
    end if;
    if found_lane is not null then
      return found_lane;
    end if;
    if of_key is not null then
      parent := strait_lane(of_project, of_job, null);
    elsif of_job is not null then
      parent := strait_lane(of_project, null, null);
    end if;
    new_id := nextval(pg_get_serial_sequence('lanes', 'lane_id'));
    insert into lanes (lane_id, root_lane_id, parent_lane_id, project_id, job_id, concurrency_key, max_inflight)
    values (new_id, coalesce(parent[2], new_id), parent[1], of_project, of_job, of_key,
            case when of_job is null then (select nullif(max_executing_runs, 0) from project_quotas where project_id = of_project)
                 when of_key is null then (select nullif(max_concurrency, 0) from jobs where id = of_job)
                 else (select nullif(max_concurrency_per_key, 0) from jobs where id = of_job) end)
    on conflict do nothing;
  end loop;
end $$;

create or replace function strait_lane_level(of_job text, of_key text) returns table (level text)
  language sql stable as $$
  select case when of_key <> '' and (j.max_concurrency_per_key > 0 or b.max_daily_cost_per_key_microusd > 0) then 'key'
              when j.max_concurrency > 0 or not j.enabled or j.paused or g.paused or a.closed or a.max_in_flight is not null
                   or b.max_daily_cost_microusd > 0 or q.max_daily_cost_microusd > 0 then 'job'
              when q.max_executing_runs > 0 then 'project' end
    from jobs j
    left join project_quotas q on q.project_id = j.project_id
    left join job_groups g on g.id = j.group_id
    left join endpoint_admission a on a.project_id = j.project_id and a.endpoint = j.endpoint
    left join job_budgets b on b.job_id = j.id
   where j.id = of_job limit 1
$$;
drop function if exists strait_turn(int, bigint, int, int, float8, float8);
drop function if exists strait_level(bigint, int[], int[]);
drop function if exists strait_key_cap(text, text);
alter table lanes drop column if exists turn, drop column if exists clock;
alter table jobs drop column if exists has_key_limits;
drop table if exists job_key_limits;
