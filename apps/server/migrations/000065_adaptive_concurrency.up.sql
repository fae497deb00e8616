-- Adaptive concurrency: an endpoint in trouble takes only so many runs at a time, all jobs of its project together.

-- Null: no such limit. Beside `closed` and `share`, one row says all that an endpoint lets through.
alter table endpoint_admission add column if not exists max_in_flight int check (max_in_flight > 0);

-- Results since window_since, of all workers; who writes after a second takes them and judges. Latencies of successes as a
-- sum of logarithms: one that takes forever among many says little. baseline_ms follows the usual latency slowly.
alter table endpoint_health_scores add column if not exists window_since timestamptz not null default strait_now();
alter table endpoint_health_scores add column if not exists window_ok int not null default 0;
alter table endpoint_health_scores add column if not exists window_failures int not null default 0;
alter table endpoint_health_scores add column if not exists window_overloads int not null default 0;
alter table endpoint_health_scores add column if not exists window_log_ms float8 not null default 0;
alter table endpoint_health_scores add column if not exists window_peak int not null default 0;
alter table endpoint_health_scores add column if not exists baseline_ms float8;
alter table endpoint_health_scores add column if not exists baseline_samples int not null default 0;

-- owner: executor. How the limit of an endpoint moves; a row only while endpoint_admission.max_in_flight is set.
create table if not exists endpoint_concurrency (
  project_id text not null,
  endpoint_url text not null,
  observed int not null, -- in flight when trouble was first seen
  used float8 not null, -- in flight at most, of late
  calm int not null, -- windows in a row without trouble
  changed_at timestamptz not null, -- when the limit last moved
  judged_at timestamptz not null, -- when a window was last judged
  primary key (project_id, endpoint_url)
) with (fillfactor = 50);

-- The usual latency after `ok` more successes over `secs` seconds: their mean at first, then with a half-life of five minutes,
-- so that trouble stands out from it, and what stays becomes usual.
create or replace function strait_baseline(before_ms float8, samples int, ok int, log_ms float8, secs float8) returns float8
  language sql immutable parallel safe as $$
  select case when ok = 0 then before_ms
              when before_ms is null then exp(log_ms / ok)
              else exp(ln(before_ms) + (log_ms / ok - ln(before_ms))
                       * case when samples < 100 then ok::float8 / (samples + ok)
                              else least(0.1, 1 - power(2::float8, -least(300, greatest(0, secs)) / 300)) end) end
$$;

-- All jobs that call an endpoint share its limit.
create index if not exists idx_jobs_project_endpoint on jobs (project_id, endpoint);

-- As in 000062; in addition, runs of an endpoint with a limit wait in a lane of their job, where they are counted.
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

-- owner: queue. What is left of the limits of endpoints, beside lane_rooms and read by the same: promotion, the checker, and the answer to "why
-- has this run not started". Lanes of jobs count those of their keys as well. Whoever counts an endpoint looks at every job that calls it:
-- once per statement, never per lane. The bound keeps lanes one lookup per job.
create or replace view endpoint_rooms with (security_invoker = true) as
select a.project_id, a.endpoint, a.max_in_flight as cap,
       (select coalesce(sum(l.in_flight), 0)::int
          from jobs j cross join lateral (select k.in_flight from lanes k
                                           where k.project_id = j.project_id and k.job_id = j.id and k.concurrency_key is null limit 1) l
         where j.project_id = a.project_id and j.endpoint = a.endpoint) as in_flight
  from endpoint_admission a where a.max_in_flight is not null;
