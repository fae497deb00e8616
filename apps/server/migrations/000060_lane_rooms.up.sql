-- owner: queue. What decides whether runs that wait in a lane may start, in one place: promotion reads it, and so does the answer to
-- "why has this run not started". A cap is null where nothing limits; limits are read from where they are set.
create or replace view lane_rooms with (security_invoker = true) as
select l.lane_id, l.root_lane_id, l.project_id, l.job_id, l.concurrency_key, jl.lane_id as job_lane_id,
       j.id is not null and not j.enabled as job_disabled,
       coalesce(j.paused, false) as job_paused,
       coalesce(g.paused, false) as group_paused, j.group_id,
       case when l.concurrency_key is not null then nullif(j.max_concurrency_per_key, 0) end as key_cap,
       case when l.concurrency_key is not null then l.in_flight end as key_in_flight,
       nullif(j.max_concurrency, 0) as job_cap, jl.in_flight as job_in_flight,
       nullif(q.max_executing_runs, 0) as project_cap, pl.in_flight as project_in_flight
  from lanes l
  left join jobs j on j.id = l.job_id
  left join job_groups g on g.id = j.group_id
  left join lanes jl on jl.lane_id = case when l.concurrency_key is not null then l.parent_lane_id when l.job_id is not null then l.lane_id end
  left join lanes pl on pl.lane_id = l.root_lane_id and pl.job_id is null
  left join project_quotas q on q.project_id = pl.project_id;
