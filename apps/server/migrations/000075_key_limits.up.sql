-- Concurrency keys of a job that do not all count the same: what each is guaranteed, how far it may burst, and its weight.

-- owner: jobs. Never versioned, like every limit: always the live one. The key `*` stands for every key without a row.
create table if not exists job_key_limits (
  job_id text not null references jobs (id) on delete cascade,
  concurrency_key text not null check (concurrency_key <> ''),
  project_id text not null,
  min_concurrency int not null default 0 check (min_concurrency >= 0),
  max_concurrency int check (max_concurrency >= greatest(min_concurrency, 1)), -- null: max_concurrency_per_key of the job
  weight int not null default 1 check (weight between 1 and 1000),
  updated_by text,
  updated_at timestamptz not null default strait_now(),
  primary key (job_id, concurrency_key)
);

-- Whether job_key_limits has a row of the job: all its runs wait in the lane of their key, or of the job.
alter table jobs add column if not exists has_key_limits bool not null default false;

-- `turn`: where the lane of a key is in the order of turns, grown by 1 / weight with every run it is promoted. `clock`, of the
-- lane of a job: where those who wait are. Only the holder of the root changes them.
alter table lanes add column if not exists turn float8 not null default 0;
alter table lanes add column if not exists clock float8 not null default 0;

-- Where the k-th waiting run of a key comes in the order in which slots of its job are handed out, smaller first. 0: slots that
-- are guaranteed. 1: whole slots of its share of the job, `level` being slots per weight. 2: what is left over, because shares
-- are seldom whole: by turns, so that over time starts go by weight as well. Null: the job does not share by key.
create or replace function strait_turn(key_slots int, k bigint, key_min int, key_weight int, level float8, turn float8) returns float8[]
  language sql immutable parallel safe
  return case when key_weight is null then null
              when key_slots + k <= key_min then array[0, (key_slots + k)::float8 / key_weight]
              when key_slots + k <= level * key_weight + 1e-6 then array[1, (key_slots + k)::float8 / key_weight]
              else array[2, turn + (k - 1)::float8 / key_weight] end;

-- Slots per weight at which the larger of min and level * weight of all keys adds up to `slots`. Of every "these have their min,
-- the others share the rest" the least is the true one, and in the order of min per weight one of them is true.
create or replace function strait_level(slots bigint, mins int[], weights int[]) returns float8
  language sql immutable parallel safe
  return (select greatest(min((slots - guaranteed) / others), 0)
            from (select sum(k.m) over by_need - k.m as guaranteed, sum(k.w) over () - sum(k.w) over by_need + k.w::float8 as others
                    from unnest(mins, weights) with ordinality k(m, w, n)
                  window by_need as (order by k.m::float8 / k.w desc, k.n)) x);

-- The limit of one key, as lane_rooms says it of a lane.
create or replace function strait_key_cap(of_job text, of_key text) returns int
  language sql stable
  return (select coalesce(own.max_concurrency, each.max_concurrency, nullif(j.max_concurrency_per_key, 0))
            from jobs j
            left join job_key_limits own on own.job_id = j.id and own.concurrency_key = of_key
            left join job_key_limits each on each.job_id = j.id and each.concurrency_key = '*' and own.job_id is null
           where j.id = of_job);

-- As in 000020, with the limit of the key.
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
                 else strait_key_cap(of_job, of_key) end)
    on conflict do nothing;
  end loop;
end $$;

-- As in 000065, and runs of a job whose keys share always wait in lanes of it: there they are counted.
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

-- As in 000060, with the limit of the key (key_cap). owner: queue.
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

-- owner: queue. Lanes of jobs whose keys share its slots, and how. Runs without a key share as one that has weight 1. `turn` is
-- where the lane is in the order of turns (strait_turn), `key_max` what the key's own limit says.
create or replace view lane_shares with (security_invoker = true) as
select l.lane_id, coalesce(own.min_concurrency, 0) as key_min, coalesce(own.weight, each.weight, 1) as key_weight,
       coalesce(own.max_concurrency, each.max_concurrency) as key_max,
       case when l.concurrency_key is not null then l.in_flight
            else l.in_flight - (select coalesce(sum(k.in_flight), 0)::int from lanes k
                                 where k.root_lane_id = l.root_lane_id and k.parent_lane_id = l.lane_id) end as key_slots,
       greatest(l.turn, jl.clock) as turn
  from lanes l
  join jobs j on j.id = l.job_id and j.has_key_limits
  left join lanes jl on jl.lane_id = case when l.concurrency_key is not null then l.parent_lane_id else l.lane_id end
  left join job_key_limits own on own.job_id = l.job_id and own.concurrency_key = l.concurrency_key
  left join job_key_limits each on each.job_id = l.job_id and each.concurrency_key = '*'
   and l.concurrency_key is not null and own.job_id is null;
