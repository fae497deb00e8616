-- No endpoint has a limit of its own any more; what waits for one is promoted by the sweep.
drop view if exists endpoint_rooms;
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

create or replace function strait_admit(project_ids text[], job_ids text[], keys text[], counts int[])
  returns table (job_id text, concurrency_key text, lane_id bigint, root_lane_id bigint, admitted bool)
  language plpgsql as $$
#variable_conflict use_column
declare
  site_lanes bigint[];
  site_roots bigint[];
  held bigint[];
begin
  select array_agg(p.place[1] order by p.ord), array_agg(p.place[2] order by p.ord) into site_lanes, site_roots
    from (select s.ord, coalesce(
                   case w.level
                     when 'key' then (select array[l.lane_id, l.root_lane_id] from lanes l
                                       where l.project_id = s.project_id and l.job_id = s.job_id and l.concurrency_key = s.key)
                     when 'job' then (select array[l.lane_id, l.root_lane_id] from lanes l
                                       where l.project_id = s.project_id and l.job_id = s.job_id and l.concurrency_key is null)
                     when 'project' then (select array[l.lane_id, l.root_lane_id] from lanes l
                                           where l.project_id = s.project_id and l.job_id is null and l.concurrency_key is null) end,
                   case when w.level is not null
                        then strait_lane(s.project_id, case when w.level <> 'project' then s.job_id end, case when w.level = 'key' then s.key end) end) as place
            from unnest(project_ids, job_ids, keys) with ordinality as s(project_id, job_id, key, ord)
           cross join lateral strait_lane_level(s.job_id, s.key) w) p;
  held := array(select l.lane_id from lanes l where l.lane_id = any (site_roots) order by l.lane_id for no key update skip locked);
  if held <> '{}' then
    held := held || array(
      select l.lane_id from lanes l
       where l.lane_id = any (site_lanes || array(select k.parent_lane_id from lanes k where k.lane_id = any (site_lanes)))
         and l.root_lane_id = any (held) and l.lane_id <> all (held)
       order by l.lane_id for no key update skip locked);
  end if;
  return query
    with site as materialized (
      select s.job_id, s.concurrency_key, s.n, s.lane_id, s.root_lane_id
        from unnest(job_ids, keys, counts, site_lanes, site_roots) as s(job_id, concurrency_key, n, lane_id, root_lane_id)
    ), room as materialized (
      select s.job_id, s.concurrency_key, s.n, l.lane_id, l.job_lane_id, l.root_lane_id,
             coalesce(l.key_in_flight + s.n <= l.key_cap, true) as fits_key,
             coalesce(l.job_in_flight + sum(s.n) over (partition by l.job_lane_id) <= l.job_cap, true) as fits_job,
             coalesce(l.project_in_flight + sum(s.n) over (partition by l.root_lane_id) <= l.project_cap, true) as fits_project
        from site s cross join lateral (select * from lane_rooms r where r.lane_id = s.lane_id limit 1) l
       where l.root_lane_id = any (held) and l.lane_id = any (held) and (l.job_lane_id is null or l.job_lane_id = any (held))
         and not (l.job_disabled or l.job_paused or l.group_paused or l.endpoint_closed or l.budgeted)
         and (select p.run_id from run_parked p where p.root_lane_id = l.root_lane_id and p.lane_id = l.lane_id limit 1) is null
         and (coalesce(l.job_cap, l.project_cap) is null
              or (select p.run_id from run_parked p where p.root_lane_id = l.root_lane_id limit 1) is null)
    ), enters as materialized (
      select r.job_id, r.concurrency_key, r.n, r.lane_id
        from room r where r.fits_key and r.fits_job and r.fits_project
    ), raised as (
      update lanes l set in_flight = l.in_flight + up.n, used_at = strait_now()
        from (select v.counted_lane_id as lane_id, sum(e.n)::int as n
                from enters e join lane_levels v on v.lane_id = e.lane_id group by 1) up
       where l.lane_id = up.lane_id
    )
    select s.job_id, s.concurrency_key, s.lane_id, s.root_lane_id,
           coalesce(s.job_id || ' ' || s.concurrency_key = any (array(select e.job_id || ' ' || e.concurrency_key from enters e)), false)
      from site s;
end $$;

delete from endpoint_admission where not closed and share >= 1;
drop index if exists idx_jobs_project_endpoint;
drop table if exists endpoint_concurrency;
drop function if exists strait_baseline(float8, int, int, float8, float8);
alter table endpoint_health_scores drop column if exists window_since;
alter table endpoint_health_scores drop column if exists window_ok;
alter table endpoint_health_scores drop column if exists window_failures;
alter table endpoint_health_scores drop column if exists window_overloads;
alter table endpoint_health_scores drop column if exists window_log_ms;
alter table endpoint_health_scores drop column if exists window_peak;
alter table endpoint_health_scores drop column if exists baseline_ms;
alter table endpoint_health_scores drop column if exists baseline_samples;
alter table endpoint_admission drop column if exists max_in_flight;
