-- owner: queue. Where a run has to wait, asked of one function; and the lanes in which a slot counts.

-- In which lane a run of the job with this key has to wait, for slots, its endpoint or money: that of its key, of its job or of
-- its project; null when nothing limits it. As in 000020, 000035 and 000050, in one look. A pause or a closed endpoint holds
-- in the lane of the job; so does a budget, because there its reservation is known. The limit keeps it one lookup per row
-- wherever it is inlined.
create or replace function strait_lane_level(of_job text, of_key text) returns table (level text)
  language sql stable as $$
  select case when of_key <> '' and (j.max_concurrency_per_key > 0 or b.max_daily_cost_per_key_microusd > 0) then 'key'
              when j.max_concurrency > 0 or not j.enabled or j.paused or g.paused or a.closed
                   or b.max_daily_cost_microusd > 0 or q.max_daily_cost_microusd > 0 then 'job'
              when q.max_executing_runs > 0 then 'project' end
    from jobs j
    left join project_quotas q on q.project_id = j.project_id
    left join job_groups g on g.id = j.group_id
    left join endpoint_admission a on a.project_id = j.project_id and a.endpoint = j.endpoint
    left join job_budgets b on b.job_id = j.id
   where j.id = of_job limit 1
$$;

drop function if exists strait_place_slots(text, text, text);

-- The lanes that a slot of a lane counts in: itself, its parent and its root.
create or replace view lane_levels with (security_invoker = true) as
select l.lane_id, level.counted_lane_id, l.root_lane_id
  from lanes l
 cross join lateral (values (l.lane_id), (l.parent_lane_id), (nullif(nullif(l.root_lane_id, l.parent_lane_id), l.lane_id))) level (counted_lane_id)
 where level.counted_lane_id is not null;

-- Where a run has to wait: its narrowest lane and the root; null when nothing limits it and its job may run.
create or replace function strait_place(of_project text, of_job text, of_key text) returns bigint[]
  language plpgsql as $$
declare
  found_level text := (select level from strait_lane_level(of_job, of_key));
begin
  return case found_level when 'key' then strait_lane(of_project, of_job, of_key)
                          when 'job' then strait_lane(of_project, of_job, null)
                          when 'project' then strait_lane(of_project, null, null) end;
end $$;
