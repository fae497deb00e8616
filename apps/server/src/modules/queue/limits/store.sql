-- Slots. A slot is a row of run_queue or run_active; `in_flight` of a lane and of everything above it caches their
-- number and changes in the transaction that writes the row. Only the holder of the root lane raises it; anybody may
-- lower it. Everybody locks the root before other lanes of its tree. Whoever holds a lane takes place rows with SKIP LOCKED.

-- name: lockRoot :one prepared
-- across projects: promotion serves every project.
-- The right to hand out slots in this tree until the transaction ends, where a run waits in it or money is reserved. Not `held`
-- although `some` waits: somebody else has it just now. Looked at before the lock, so it may miss what came this moment: a run
-- that came to wait says so once it is there.
with found as materialized (
  select exists (select from run_parked p where p.root_lane_id = :root_lane_id) as waits,
         exists (select from cost_reservations v where v.root_lane_id = :root_lane_id) as reserves
)
select f.waits or f.reserves as "some!", f.reserves as "reserves!", l.lane_id is not null as "held!"
  from found f left join lateral (
       select r.lane_id from lanes r where r.lane_id = :root_lane_id and r.root_lane_id = :root_lane_id and (f.waits or f.reserves)
          for no key update skip locked) l on true;

-- name: waitForRoot :maybe
-- across projects: promotion serves every project.
select lane_id from lanes where lane_id = :root_lane_id and root_lane_id = :root_lane_id for no key update;

-- name: promoteLanes :many prepared
-- across projects: promotion serves every project.
-- The caller holds the root in the same transaction; this statement's snapshot is younger than that lock. From each lane of
-- the tree with parked runs and room the best ranked runs, cut by rank to the room of the job and of the project, enter
-- run_queue with their slots taken on every level. When that is more than a :page of lanes, from those whose first run is
-- first. A job whose keys share hands its slots out in the order of strait_turn; in the project what it hands out first
-- stands where its best ranked run would, but what is guaranteed goes before all. Limits are read from
-- where they are set, so a changed one counts at once. A job whose endpoint is slow or often fails gets a share of its limit;
-- one whose endpoint is closed nothing, but for one run per endpoint when a probe is due: promising it the probe is taking the
-- endpoint's turn, and exact, because all its jobs are in this tree. So is the room of an endpoint that takes only so many at a
-- time (endpoint_rooms): cut over its jobs, between that of the job and of the project; a probe is one by itself, so it asks for no room there. Returns one row per lane looked into; `capped` when only
-- the size of the batch stopped it. Of many lanes each gives a share of the batch, or all of their backlogs would be read for it.
-- Money is cut like room: what a run of a budgeted lane may still cost is reserved with its slots, or it stays. `money`
-- is that of strait_money. A run too dear for what is left does not keep cheaper ones of other lanes waiting.
with recursive waiting (lane_id, n) as (
  (select p.lane_id, 1 from run_parked p where p.root_lane_id = :root_lane_id order by p.lane_id limit 1)
  union all
  select (select p.lane_id from run_parked p
           where p.root_lane_id = :root_lane_id and p.lane_id > w.lane_id order by p.lane_id limit 1), w.n + 1
    from waiting w where w.lane_id is not null and w.n < :lanes::int
), seen as materialized (
  -- Job by job: what concerns a job is looked up once for all lanes of its keys. The lane made last is that of a key if one is.
  select l.job_id, max(l.lane_id) as any_lane, array_agg(l.lane_id) as lane_ids, array_agg(l.concurrency_key) as keys,
         array_agg(l.in_flight) as in_flights, (select j.has_key_limits from jobs j where j.id = l.job_id) as shares, count(*)::int as lanes
    from waiting w cross join lateral (select k.* from lanes k where k.lane_id = w.lane_id limit 1) l
   where w.lane_id is not null and w.lane_id <> 0
   group by l.job_id
), held as materialized (
  select v.job_id, v.concurrency_key, sum(greatest(v.reserved_microusd - v.used_microusd, 0))::bigint as microusd
    from cost_reservations v where v.root_lane_id = :root_lane_id group by 1, 2
), job_held as materialized (
  select job_id, sum(microusd)::bigint as microusd from held group by 1
), limited as materialized (
  -- Once for all lanes: who counts an endpoint looks at every job that calls it.
  select jsonb_object_agg(e.endpoint, e.cap - e.in_flight) as rooms from endpoint_rooms e
   where e.project_id = (select r.project_id from lanes r where r.lane_id = :root_lane_id)
), lane as materialized (
  select x.lane_id, l.job_lane_id,
         coalesce(case when x.concurrency_key is null then null
                       when seen.shares then strait_key_cap(l.job_id, x.concurrency_key) else l.key_cap end - x.in_flight, :most::int) as own_room,
         coalesce(l.job_cap - l.job_in_flight, :most::int) as job_room,
         coalesce(l.project_cap - l.project_in_flight, :most::int) as project_room,
         case when n.room is not null then l.endpoint end as counted_endpoint, coalesce(n.room, :most::int) as endpoint_room,
         case when l.endpoint_closed then l.endpoint end as probes,
         greatest(2 * :most::int / (least((select sum(lanes)::int from seen), :page::int) + 1), 5) as share,
         k.key_min, k.key_weight, k.key_slots, k.turn,
         case when l.budgeted then strait_money(l.project_id, l.job_id, x.concurrency_key,
           coalesce((select h.microusd from held h where h.job_id = l.job_id and h.concurrency_key = x.concurrency_key), 0),
           coalesce((select h.microusd from job_held h where h.job_id = l.job_id), 0),
           coalesce((select sum(h.microusd) from job_held h), 0)::bigint) end as money
    -- Each by its index: the hot pool knows no hash join.
    from seen cross join lateral (select r.* from lane_rooms r where r.lane_id = seen.any_lane offset 0) l
         cross join lateral (select case when not l.endpoint_closed then ((select rooms from limited) ->> l.endpoint)::int end as room) n
         cross join lateral unnest(seen.lane_ids, seen.keys, seen.in_flights) x(lane_id, concurrency_key, in_flight)
         left join lateral (select s.* from lane_shares s where s.lane_id = x.lane_id and seen.shares offset 0) k on true
   where not (l.job_disabled or l.job_paused or l.group_paused)
     and (not l.endpoint_closed or l.probe_due)
), sharing as materialized (
  -- Of jobs whose keys share, over the keys that can take slots: slots per weight, and how far turns have come.
  select job_lane_id, strait_level(greatest(least(min(job_room), min(endpoint_room), min(project_room)), 0) + sum(key_slots),
                                   array_agg(key_min), array_agg(key_weight)) as level, min(turn) as clock, count(*) as keys
    from lane where key_weight is not null and own_room > 0 group by job_lane_id
), chosen as materialized (
  select lane_id, job_lane_id, own_room, job_room, counted_endpoint, endpoint_room, project_room, probes, share, key_min, key_weight, key_slots, turn, money
    from lane where (select count(*) from lane) <= :page::int
  union all
  -- The first of each lane, at most as many as their job has room for. One that has no money for it is not in the way.
  (select lane_id, job_lane_id, own_room, job_room, counted_endpoint, endpoint_room, project_room, probes, share, key_min, key_weight, key_slots, turn, money
     from (select *, (array_agg(rank) filter (where first_turn is not null) over (partition by job_lane_id order by rank, seq
                      rows between unbounded preceding and unbounded following))[of_job] as job_rank
             from (select lane.*, x.rank, x.seq, x.first_turn,
                          row_number() over (partition by lane.job_lane_id order by x.first_turn, x.rank, x.seq) as of_job
                     from lane left join sharing on sharing.job_lane_id = lane.job_lane_id
                          cross join lateral (
                          select p.rank, p.seq, p.run_id, strait_turn(lane.key_slots, 1, lane.key_min, lane.key_weight, sharing.level, lane.turn) as first_turn
                            from run_parked p where p.root_lane_id = :root_lane_id and p.lane_id = lane.lane_id
                           order by p.rank, p.seq limit 1) x
                    where (select count(*) from lane) > :page::int and least(lane.own_room, lane.job_room, lane.endpoint_room, lane.project_room) > 0
                      and coalesce(least(lane.money[2], lane.money[3], lane.money[4]) >= greatest(lane.money[1] - strait_run_cost(x.run_id), 1), true)) h
            where job_lane_id is null or of_job <= least(job_room, endpoint_room) or money is not null) h
    order by coalesce(first_turn[1] = 0, false) desc, coalesce(job_rank, rank), seq limit :page::int)
), pick as materialized (
  select x.place, x.rank, x.seq, x.run_id, lane.lane_id, lane.job_lane_id, lane.job_room, lane.project_room, lane.money, lane.probes,
         lane.counted_endpoint, lane.endpoint_room, lane.key_slots, lane.key_min, lane.key_weight, lane.turn,
         case when lane.money is not null then greatest(lane.money[1] - strait_run_cost(x.run_id), 0) end as cost
    from chosen lane left join sharing on sharing.job_lane_id = lane.job_lane_id
         cross join lateral (
         select p.ctid as place, p.rank, p.seq, p.run_id from run_parked p
          where p.root_lane_id = :root_lane_id and p.lane_id = lane.lane_id
          order by p.rank, p.seq
          limit greatest(least(lane.own_room, lane.job_room, lane.endpoint_room, lane.project_room, :most::int,
                               -- Not less than what it is due, or lighter keys would have it.
                               greatest(lane.share, ceil(greatest(lane.key_min, sharing.level * lane.key_weight) - lane.key_slots)),
                               case when lane.probes is not null then 1 end,
                               -- Rounded up: the first may have spent part of its own already.
                               case when least(lane.money[2], lane.money[3], lane.money[4]) <= 0 then 0
                                    when lane.money[1] > 0 then (least(lane.money[2], lane.money[3], lane.money[4]) - 1) / lane.money[1] + 1 end), 0)
            for update skip locked) x
), turns as materialized (
  select p.*, strait_turn(p.key_slots, p.k, p.key_min, p.key_weight, sharing.level, p.turn) as turn_of_run, sharing.clock
    from (select pick.*, row_number() over (partition by lane_id order by rank, seq) as k,
                 sum(cost) over (partition by lane_id order by rank, seq) as lane_cost
            from pick where coalesce(cost <= least(money[2], money[3], money[4]), true)) p
    left join sharing on sharing.job_lane_id = p.job_lane_id
), cut as materialized (
  select place, run_id, probes, cost, row_number() over of_tree as of_project, project_room,
         coalesce(sum(cost) over of_tree <= money[4], true) as affordable
    from (select p.*, row_number() over (partition by counted_endpoint order by guaranteed desc, rank, of_turn, seq) as of_endpoint,
                 row_number() over (partition by probes order by guaranteed desc, rank, of_turn, seq) as of_probe
            from (select place, seq, run_id, probes, cost, money, project_room, job_lane_id, job_room, counted_endpoint, endpoint_room, lane_cost,
                         row_number() over of_its_job as of_job, sum(cost) over of_its_job as job_cost,
                         coalesce(turn_of_run[1] = 0, false) as guaranteed,
                         case when turn_of_run is null then 0 else row_number() over of_its_job end as of_turn,
                         -- The job stands in the project by the ranks it has, whichever of its keys is served.
                         case when turn_of_run is null then rank
                              else (array_agg(rank) filter (where turn_of_run is not null) over (partition by job_lane_id order by rank, seq
                                      rows between unbounded preceding and unbounded following))[row_number() over of_its_job] end as rank
                    from turns window of_its_job as (partition by job_lane_id order by turn_of_run, rank, seq)) p
           where (job_lane_id is null or of_job <= job_room)
             and coalesce(job_cost <= money[3], true) and coalesce(lane_cost <= money[2], true)) e
   where (counted_endpoint is null or of_endpoint <= endpoint_room)
     -- Of those that their job lets through and that can be paid for: another would keep the endpoint closed for all of them.
     and (probes is null or of_probe = 1)
  window of_tree as (order by guaranteed desc, rank, of_turn, seq)
), promises as materialized (
  select a.project_id, a.endpoint from endpoint_admission a
   where a.project_id = (select project_id from lanes where lane_id = :root_lane_id)
     and a.endpoint = any (array(select cut.probes from cut where cut.probes is not null and cut.of_project <= least(cut.project_room, :most::int) and cut.affordable))
   order by a.endpoint for update
), promised as (
  update endpoint_admission a
     set probe_run_id = cut.run_id, probe_claim = null, probe_until = strait_now() + interval '10 s'
    from promises p join cut on cut.probes = p.endpoint
   where cut.of_project <= least(cut.project_room, :most::int) and cut.affordable
     and a.project_id = p.project_id and a.endpoint = p.endpoint
), moved as materialized (
  delete from run_parked where ctid = any (array(select place from cut where of_project <= least(project_room, :most::int) and affordable))
  returning project_id, rank, run_id, run_created_at, job_id, attempt, lane_id
), reserved as (
  insert into cost_reservations (run_id, root_lane_id, project_id, job_id, concurrency_key, reserved_microusd)
  select r.id, :root_lane_id, r.project_id, r.job_id, coalesce(r.concurrency_key, ''), cut.cost
    from cut join job_runs r on r.id = cut.run_id and r.created_at = strait_id_time(cut.run_id)
   where cut.cost is not null and cut.run_id = any (array(select run_id from moved))
  on conflict (run_id) do update set root_lane_id = excluded.root_lane_id, reserved_microusd = excluded.reserved_microusd, used_microusd = 0
), ready as (
  insert into run_queue (project_id, rank, run_id, run_created_at, job_id, attempt, lane_id)
  select project_id, rank, run_id, run_created_at, job_id, attempt, lane_id from moved order by rank
), taken as materialized (
  select l.counted_lane_id as lane_id, sum(x.n)::int as n, sum(x.n) filter (where l.counted_lane_id = l.lane_id) as own
    from (select lane_id, count(*)::int as n from moved group by lane_id) x join lane_levels l on l.lane_id = x.lane_id
   group by 1
), charged as materialized (
  -- Ahead of the others by ten turns at most: what a key got while it was alone, or as its minimum, is soon forgotten.
  select k.lane_id, k.job_lane_id, greatest(k.turn, least(k.turn + taken.own::float8 / k.key_weight, k.clock + 10)) as turn
    from (select lane_id, min(job_lane_id) as job_lane_id, min(key_weight) as key_weight, min(turn) as turn, min(clock) as clock
            from turns where key_weight is not null group by lane_id) k join taken on taken.lane_id = k.lane_id
   where taken.own > 0
), raised as (
  update lanes l set in_flight = l.in_flight + taken.n, used_at = strait_now(),
         turn = coalesce(charged.turn, l.turn),
         -- Where the last of those who can take slots is. Who comes later begins there.
         clock = greatest(l.clock, case when sharing.keys > (select count(*) from charged c where c.job_lane_id = l.lane_id) then sharing.clock
                                        else (select min(c.turn) from charged c where c.job_lane_id = l.lane_id) end)
    from taken left join charged on charged.lane_id = taken.lane_id left join sharing on sharing.job_lane_id = taken.lane_id
   where l.lane_id = taken.lane_id
), woken as materialized (select pg_notify('run_wake', 'ready') where exists (select from moved))
select lane_id as "lane_id!", sum(moved)::int as "moved!",
       sum(picked) >= (select share from lane limit 1) as "capped!", (select count(*) from woken)::int as "woken!",
       coalesce(bool_or(budgeted), false) as "budgeted!"
  from (select lane_id, 0 as moved, 0 as picked, false as budgeted from chosen
        union all select lane_id, 1, 0, false from moved
        union all select lane_id, 0, 1, false from pick
        union all select lane_id, 0, 0, true from lane where money is not null) l
 group by lane_id order by lane_id;

-- name: listWaitingRoots :many
-- across projects: the sweep serves every project.
-- Trees with parked runs, in order of their roots, after one of them. The reserved lane 0 holds what people hold.
with recursive waiting (root_lane_id, n) as (
  (select p.root_lane_id, 1 from run_parked p where p.root_lane_id > :after_lane_id order by p.root_lane_id limit 1)
  union all
  select (select p.root_lane_id from run_parked p where p.root_lane_id > w.root_lane_id order by p.root_lane_id limit 1), w.n + 1
    from waiting w where w.root_lane_id is not null and w.n < :limit::int
)
select root_lane_id as "root_lane_id!" from waiting where root_lane_id is not null;

-- name: rootOfLane :maybe
-- across projects: the recount serves every project.
select root_lane_id from lanes where lane_id = :lane_id;

-- name: rootOfProject :maybe
select root_lane_id from lanes where project_id = :project_id and job_id is null and concurrency_key is null;

-- name: ensureLanesOfJob :maybe
-- The job's lane, when the job or its project has a limit: made before anything is counted.
select strait_lane(j.project_id, j.id, null) as "lane?"
  from jobs j left join project_quotas q on q.project_id = j.project_id left join job_budgets b on b.job_id = j.id
 where j.id = :job_id and j.project_id = :project_id
   and (j.has_key_limits or nullif(j.max_concurrency, 0) is not null or nullif(j.max_concurrency_per_key, 0) is not null
        or nullif(q.max_executing_runs, 0) is not null or nullif(q.max_daily_cost_microusd, 0) is not null or b.job_id is not null);

-- name: ensureLaneOfProject :maybe
select strait_lane(q.project_id, null, null) as "lane?"
  from project_quotas q where q.project_id = :project_id
   and (nullif(q.max_executing_runs, 0) is not null or nullif(q.max_daily_cost_microusd, 0) is not null);

-- name: adoptQueued :count
-- across projects: the caller holds the root lane of the tree, and recounts it afterwards.
-- Runs that entered the queue under other limits go back to where limits are looked at; claims under way are not waited
-- for, their verdict catches them.
with wrong as materialized (
  select q.ctid as found_at, strait_place(q.project_id, q.job_id, r.concurrency_key) as place
    from run_queue q join job_runs r on r.id = q.run_id and r.created_at = q.run_created_at
   where q.project_id = :project_id and (:job_id?::text is null or q.job_id = :job_id?)
   order by q.rank, q.seq limit :limit::int for update of q skip locked
), gone as (
  delete from run_queue q using wrong
   where q.ctid = wrong.found_at and wrong.place is not null and q.lane_id is distinct from wrong.place[1]
  returning q.project_id, q.rank, q.run_id, q.run_created_at, q.job_id, q.attempt, wrong.place
)
insert into run_parked (project_id, rank, run_id, run_created_at, job_id, attempt, lane_id, root_lane_id)
select project_id, rank, run_id, run_created_at, job_id, attempt, place[1], place[2] from gone;

-- name: adoptParked :count
-- The caller holds the root lane of the tree.
-- Runs that wait in a lane that is too wide, because nothing narrower limited them when they came, move to the right one: from
-- that of the project to that of their job, from there to that of their key. At most :limit; again while it is that many.
with wrong as materialized (
  select p.ctid as found_at, strait_place(p.project_id, p.job_id, r.concurrency_key) as place
    from lanes l
    join run_parked p on p.root_lane_id = l.root_lane_id and p.lane_id = l.lane_id and p.job_id = :job_id
    join job_runs r on r.id = p.run_id and r.created_at = p.run_created_at
   cross join lateral strait_lane_level(p.job_id, r.concurrency_key) narrow
   where l.project_id = :project_id and l.concurrency_key is null and (l.job_id = :job_id or l.job_id is null)
     and (narrow.level = 'key' or (narrow.level = 'job' and l.job_id is null))
   limit :limit::int for update of p skip locked
), gone as (
  delete from run_parked p using wrong where p.ctid = wrong.found_at
  returning p.project_id, p.rank, p.run_id, p.run_created_at, p.job_id, p.attempt, wrong.place
)
insert into run_parked (project_id, rank, run_id, run_created_at, job_id, attempt, lane_id, root_lane_id)
select project_id, rank, run_id, run_created_at, job_id, attempt, place[1], place[2] from gone;

-- name: adoptLeases :count
-- across projects: the caller holds the root lane of the tree, and recounts it afterwards.
-- Gives leases that were taken under other limits the lanes that count them now.
with mine as materialized (
  select a.run_id, strait_place(r.project_id, r.job_id, r.concurrency_key) as place
    from run_active a join job_runs r on r.id = a.run_id and r.created_at = a.run_created_at
   where r.project_id = :project_id and (:job_id?::text is null or r.job_id = :job_id?)
     for no key update of a skip locked
)
update run_active a set lane_id = mine.place[1] from mine
 where a.run_id = mine.run_id and mine.place is not null and a.lane_id is distinct from mine.place[1];

-- name: returnSurplus :count
-- across projects: the caller holds the root lane of the tree.
-- After a limit was lowered: unclaimed runs beyond it go back to wait, worst rank first.
with level as materialized (
  select l.lane_id, l.job_id, l.concurrency_key,
         case when l.job_id is null then nullif(q.max_executing_runs, 0)
              when l.concurrency_key is null then nullif(j.max_concurrency, 0)
              else strait_key_cap(l.job_id, l.concurrency_key) end as cap, l.in_flight
    from lanes l left join jobs j on j.id = l.job_id left join project_quotas q on q.project_id = l.project_id
   where l.root_lane_id = :root_lane_id
), over as materialized (
  select lane_id, in_flight - cap as surplus from level where in_flight > cap
), pick as materialized (
  select x.place from over cross join lateral (
         select q.ctid as place from run_queue q join lanes l on l.lane_id = q.lane_id
          where q.project_id = :project_id and over.lane_id in (l.lane_id, l.parent_lane_id, l.root_lane_id)
          order by q.rank desc, q.seq desc limit over.surplus for update of q skip locked) x
), gone as (
  delete from run_queue where ctid = any (array(select place from pick))
  returning project_id, rank, run_id, run_created_at, job_id, attempt, lane_id
), waiting as (
  insert into run_parked (project_id, rank, run_id, run_created_at, job_id, attempt, lane_id, root_lane_id)
  select project_id, rank, run_id, run_created_at, job_id, attempt, lane_id, :root_lane_id from gone
), freed as materialized (
  select l.counted_lane_id as lane_id, count(*)::int as n
    from gone join lane_levels l on l.lane_id = gone.lane_id
   group by 1
), locked as materialized (
  select lane_id from lanes where lane_id = any (array(select lane_id from freed)) order by parent_lane_id is not null, lane_id for no key update
)
update lanes l set in_flight = l.in_flight - freed.n
  from freed where l.lane_id = freed.lane_id and l.lane_id = any (array(select lane_id from locked));

-- name: lockTree :many
-- across projects: the caller repairs or changes one tree.
select lane_id from lanes where root_lane_id = :root_lane_id order by parent_lane_id is not null, lane_id for no key update;

-- name: recountTree :many
-- across projects: the caller holds every lane of the tree, in an earlier statement.
-- Counts again what is cached, and caches the limits as they are set (the checker compares the two; while a lowered one
-- drains, what is in flight counts as the limit). Answers with what was wrong.
with slots as materialized (
  select lane_id, count(*)::int as n
    from (select lane_id from run_queue where lane_id is not null union all select lane_id from run_active where lane_id is not null) s
   group by 1
), truth as materialized (
  select l.lane_id, l.in_flight as was,
         coalesce((select sum(s.n) from slots s join lanes k on k.lane_id = s.lane_id
                    where l.lane_id in (k.lane_id, k.parent_lane_id, k.root_lane_id)), 0)::int as counted,
         case when l.job_id is null then (select nullif(q.max_executing_runs, 0) from project_quotas q where q.project_id = l.project_id)
              when l.concurrency_key is null then (select nullif(j.max_concurrency, 0) from jobs j where j.id = l.job_id)
              else strait_key_cap(l.job_id, l.concurrency_key) end as cap
    from lanes l where l.root_lane_id = :root_lane_id and l.lane_id <> 0
), mended as (
  update lanes l set in_flight = truth.counted, max_inflight = greatest(truth.cap, case when truth.cap is not null then truth.counted end)
    from truth where truth.lane_id = l.lane_id and (l.in_flight <> truth.counted or l.max_inflight is distinct from truth.cap)
  returning l.lane_id
)
select lane_id, was, counted as "counted!" from truth where was <> counted;

-- name: listDrift :many
-- across projects: the recount serves every project.
-- Trees whose numbers do not fit in this one snapshot: suspects, to be counted again under their lock. Also those whose
-- lowered limit may have drained.
with slots as materialized (
  select lane_id, count(*)::int as n
            from (select lane_id from run_queue where lane_id is not null union all select lane_id from run_active where lane_id is not null) x
           group by 1
), truth as (
  select l.counted_lane_id as lane_id, sum(slots.n)::int as n
    from slots join lane_levels l on l.lane_id = slots.lane_id
   group by 1
)
select distinct l.root_lane_id as "root_lane_id!"
  from lanes l join lane_rooms r on r.lane_id = l.lane_id left join truth on truth.lane_id = l.lane_id
 where l.in_flight <> coalesce(truth.n, 0)
    or (l.lane_id <> 0 and coalesce(truth.n, 0) <= l.max_inflight
        and l.max_inflight > case when l.concurrency_key is not null then r.key_cap when l.job_id is not null then r.job_cap else r.project_cap end)
 limit :limit::int;

-- name: removeIdleLanes :count
-- across projects: upkeep.
-- Lanes of keys that nobody used for an hour; one that is needed again is made again. Everything is looked at once more
-- under the lock: promotion changes the row, and a run that is being parked shares its key.
delete from lanes l
 where l.lane_id = any (array(select lane_id from lanes where concurrency_key is not null and in_flight = 0
                               and used_at < strait_now() - interval '1 h'
                               and not exists (select from run_parked p where p.root_lane_id = lanes.root_lane_id and p.lane_id = lanes.lane_id)
                               order by lane_id limit :limit::int for update skip locked))
   and l.in_flight = 0 and l.used_at < strait_now() - interval '1 h';

-- name: tellPromoters :many
-- across projects: a signal, no data.
select true as "told!" from unnest(:root_lane_ids::bigint[]) r, pg_notify('run_promote', r::text);
