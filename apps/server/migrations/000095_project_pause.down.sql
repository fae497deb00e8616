create or replace view lane_rooms with (security_invoker = true) as
select l.lane_id, l.root_lane_id, l.project_id, l.job_id, l.concurrency_key, jl.lane_id as job_lane_id,
       j.id is not null and not j.enabled as job_disabled,
       coalesce(j.paused, false) as job_paused,
       coalesce(g.paused, false) as group_paused, j.group_id,
       case when l.concurrency_key is not null then coalesce(own.max_concurrency, each.max_concurrency, nullif(j.max_concurrency_per_key, 0)) end as key_cap,
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
  left join job_budgets b on b.job_id = l.job_id
  left join job_key_limits own on j.has_key_limits and own.job_id = l.job_id and own.concurrency_key = l.concurrency_key
  left join job_key_limits each on j.has_key_limits and each.job_id = l.job_id and each.concurrency_key = '*'
   and l.concurrency_key is not null and own.job_id is null;

create or replace function strait_lane_level(of_job text, of_key text) returns table (level text)
  language sql stable as $$
  select case when of_key <> '' and (j.max_concurrency_per_key > 0 or j.has_key_limits or b.max_daily_cost_per_key_microusd > 0) then 'key'
              when j.max_concurrency > 0 or j.has_key_limits or not j.enabled or j.paused or g.paused or a.closed or a.max_in_flight is not null
                   or b.max_daily_cost_microusd > 0 or q.max_daily_cost_microusd > 0 then 'job'
              when q.max_executing_runs > 0 then 'project' end
    from jobs j
    left join project_quotas q on q.project_id = j.project_id
    left join job_groups g on g.id = j.group_id
    left join endpoint_admission a on a.project_id = j.project_id and a.endpoint = j.endpoint
    left join job_budgets b on b.job_id = j.id
   where j.id = of_job limit 1
$$;

alter table project_quotas drop column if exists queue_paused;
