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
