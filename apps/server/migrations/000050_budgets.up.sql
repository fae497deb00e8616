-- Budgets: money per local day of a project, of a job and of each concurrency key of a job, reserved before a run is
-- dispatched. Exact by one rule: whoever changes what is reserved, or spends beyond a reservation, holds the root lane
-- of the project. What a run spends within its reservation only moves from one side to the other.

-- What happens to a run that does not fit into max_daily_cost_microusd.
alter table project_quotas add column if not exists cost_breach_policy text not null default 'reject'
  constraint project_quotas_cost_breach_policy_check check (cost_breach_policy in ('reject', 'wait', 'pause'));

-- owner: jobs. Never versioned, like every limit: always the live one. Null: no such limit; no estimate: the run
-- reserves the most a run of the project may cost.
create table if not exists job_budgets (
  job_id text primary key references jobs (id) on delete cascade,
  project_id text not null,
  max_daily_cost_microusd bigint check (max_daily_cost_microusd > 0),
  max_daily_cost_per_key_microusd bigint check (max_daily_cost_per_key_microusd > 0),
  cost_estimate_microusd bigint check (cost_estimate_microusd > 0),
  breach_policy text not null default 'wait' check (breach_policy in ('reject', 'wait', 'pause')),
  updated_by text,
  updated_at timestamptz not null default strait_now()
);

-- owner: queue. What runs in run_queue and run_active may still spend: reserved minus used. One row per run, made by
-- the promotion that admits it, removed by the next promotion of its tree once the run is in neither.
create table if not exists cost_reservations (
  run_id text primary key,
  root_lane_id bigint not null,
  project_id text not null,
  job_id text not null,
  concurrency_key text not null default '',
  reserved_microusd bigint not null check (reserved_microusd >= 0),
  used_microusd bigint not null default 0 check (used_microusd >= 0)
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0, vacuum_truncate = false);

create index if not exists idx_cost_reservations_root_lane_id on cost_reservations (root_lane_id);
create index if not exists idx_cost_reservations_job_id on cost_reservations (job_id, concurrency_key);

-- owner: queue. What was spent on a local day: of the project (job_id ''), of a job (concurrency_key ''), of a key.
create table if not exists cost_days (
  project_id text not null,
  day date not null,
  job_id text not null default '',
  concurrency_key text not null default '',
  spent_microusd bigint not null default 0,
  primary key (project_id, day, job_id, concurrency_key)
) with (fillfactor = 50, autovacuum_vacuum_cost_delay = 0);

create index if not exists idx_cost_days_day on cost_days (day);

-- owner: queue. What became of budgets: each type once per scope and local day.
create table if not exists budget_events (
  id text primary key default uuidv7()::text,
  project_id text not null,
  day date not null,
  type text not null check (type in ('budget.threshold_reached', 'spending.limit_reached')),
  job_id text not null default '',
  concurrency_key text not null default '',
  limit_microusd bigint not null,
  spent_microusd bigint not null,
  reserved_microusd bigint not null,
  created_at timestamptz not null default strait_now(),
  unique (project_id, day, type, job_id, concurrency_key)
);

create index if not exists idx_budget_events_project_created on budget_events (project_id, created_at desc, id desc);

-- The date on the wall in a time zone, now; a zone PostgreSQL does not know counts as UTC.
create or replace function strait_local_day(zone text) returns date
  language plpgsql stable as $$
begin
  if zone is null or zone in ('', 'UTC') then
    return (strait_now() at time zone 'UTC')::date;
  end if;
  return (strait_now() at time zone zone)::date;
exception when invalid_parameter_value then
  return (strait_now() at time zone 'UTC')::date;
end $$;

-- The instant at which a local day begins.
create or replace function strait_day_start(zone text, day date) returns timestamptz
  language plpgsql stable as $$
begin
  if zone is null or zone in ('', 'UTC') then
    return day::timestamp at time zone 'UTC';
  end if;
  return day::timestamp at time zone zone;
exception when invalid_parameter_value then
  return day::timestamp at time zone 'UTC';
end $$;

-- What runs recorded since an instant, one row per record. The queue keeps the books and runs keep the records; here the
-- two meet, in one snapshot.
create or replace function strait_usage_since(since timestamptz)
  returns table (project_id text, job_id text, concurrency_key text, microusd bigint, recorded_at timestamptz)
  language plpgsql stable as $$
begin
  return query
    select r.project_id, r.job_id, coalesce(r.concurrency_key, ''), u.cost_microusd, u.created_at
      from run_usage u join job_runs r on r.id = u.run_id and r.created_at = u.run_created_at
     where u.created_at >= since and u.cost_microusd > 0;
end $$;

-- What a run has recorded so far, over all its attempts.
create or replace function strait_run_cost(of_run text) returns bigint
  language sql stable
  return (select coalesce(sum(u.cost_microusd), 0) from run_usage u where u.run_id = of_run)::bigint;

-- What a run of the job reserves: the job's estimate, else the most a run may cost; with both the smaller; with neither
-- nothing, and it starts while anything is left.
create or replace function strait_reserve(of_project text, of_job text) returns bigint
  language sql stable
  return coalesce(least(nullif((select b.cost_estimate_microusd from job_budgets b where b.job_id = of_job), 0),
                        nullif((select q.max_cost_per_run_microusd from project_quotas q where q.project_id = of_project), 0)), 0);

-- The money of a job (of one of its keys): [1] what a run reserves, [2] to [4] what is left today of the budgets of key,
-- job and project, [5] to [7] what would be left if everything reserved came back unspent. Null elements: no such
-- budget; null: none at all. Stable on purpose: all of it in the snapshot of the statement that asks, because money moves
-- from reserved to spent meanwhile. Who asks for many lanes adds up what is reserved once, and brings it along.
create or replace function strait_money(of_project text, of_job text, of_key text, held_by_key bigint default null,
                                        held_by_job bigint default null, held_by_project bigint default null) returns bigint[]
  language plpgsql stable as $$
declare
  project_limit bigint;
  job_limit bigint;
  key_limit bigint;
  today date;
  unspent bigint[] := array[null, null, null]::bigint[];
  held bigint[] := array[null, null, null]::bigint[];
begin
  select nullif(q.max_daily_cost_microusd, 0), q.timezone into project_limit from project_quotas q where q.project_id = of_project;
  select b.max_daily_cost_microusd, case when of_key <> '' then b.max_daily_cost_per_key_microusd end
    into job_limit, key_limit from job_budgets b where b.job_id = of_job;
  if project_limit is null and job_limit is null and key_limit is null then
    return null;
  end if;
  today := strait_local_day((select q.timezone from project_quotas q where q.project_id = of_project));
  if key_limit is not null then
    unspent[1] := key_limit - coalesce((select d.spent_microusd from cost_days d where d.project_id = of_project and d.day = today
                                           and d.job_id = of_job and d.concurrency_key = of_key), 0);
    held[1] := coalesce(held_by_key, (select sum(greatest(v.reserved_microusd - v.used_microusd, 0)) from cost_reservations v
                                       where v.job_id = of_job and v.concurrency_key = of_key), 0);
  end if;
  if job_limit is not null then
    unspent[2] := job_limit - coalesce((select d.spent_microusd from cost_days d where d.project_id = of_project and d.day = today
                                           and d.job_id = of_job and d.concurrency_key = ''), 0);
    held[2] := coalesce(held_by_job, (select sum(greatest(v.reserved_microusd - v.used_microusd, 0)) from cost_reservations v
                                       where v.job_id = of_job), 0);
  end if;
  if project_limit is not null then
    unspent[3] := project_limit - coalesce((select d.spent_microusd from cost_days d where d.project_id = of_project and d.day = today
                                               and d.job_id = '' and d.concurrency_key = ''), 0);
    held[3] := coalesce(held_by_project, (select sum(greatest(v.reserved_microusd - v.used_microusd, 0)) from cost_reservations v
                                           where v.root_lane_id = (select l.lane_id from lanes l where l.project_id = of_project
                                                                      and l.job_id is null and l.concurrency_key is null)), 0);
  end if;
  return array[strait_reserve(of_project, of_job), unspent[1] - held[1], unspent[2] - held[2], unspent[3] - held[3],
               unspent[1], unspent[2], unspent[3]];
end $$;

-- Whether a run of this job and key needs a reservation to be dispatched.
create or replace function strait_budgeted(of_project text, of_job text, of_key text) returns bool
  language sql stable
  return exists (select from project_quotas q where q.project_id = of_project and q.max_daily_cost_microusd > 0)
      or exists (select from job_budgets b where b.job_id = of_job
                    and (b.max_daily_cost_microusd > 0 or (b.max_daily_cost_per_key_microusd > 0 and of_key <> '')));

-- strait_place as it was when only slots were counted; around it, what budgets ask for. A run that a budget concerns
-- always waits in a lane of its job: there its reservation is known.
do $$
begin
  if not exists (select from pg_proc where proname = 'strait_place_slots' and pronamespace = current_schema()::regnamespace) then
    alter function strait_place(text, text, text) rename to strait_place_slots;
  end if;
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

-- What was spent today before this migration, so that a budget set today counts it.
insert into cost_days (project_id, day, job_id, concurrency_key, spent_microusd)
select u.project_id, strait_local_day(q.timezone), s.job_id, s.concurrency_key, sum(u.microusd)
  from strait_usage_since(strait_now() - interval '27 h') u
  left join project_quotas q on q.project_id = u.project_id
 cross join lateral (select '' as job_id, '' as concurrency_key union select u.job_id, '' union select u.job_id, u.concurrency_key) s
 where u.recorded_at >= strait_day_start(q.timezone, strait_local_day(q.timezone))
 group by 1, 2, 3, 4
on conflict do nothing;
