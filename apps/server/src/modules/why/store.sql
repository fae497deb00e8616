-- Why a run has not started: where it stands, and what promotion and claims look at (lane_rooms, endpoint_rooms). Read-only.

-- name: findRunPlace :maybe
-- The run and its one place; `active` also while the wide row does not show it yet.
select r.id, r.status, r.job_id, j.slug as job_slug, r.concurrency_key, r.attempt,
       case when a.run_id is not null then 'active' when q.run_id is not null then 'queue' when p.run_id is not null then 'parked'
            when d.run_id is not null then 'delayed' when w.run_id is not null then 'waiting' else 'none' end as "place!",
       p.lane_id as "lane_id?", p.root_lane_id as "root_lane_id?", d.due_at as "due_at?", w.expires_at as "waits_until?", r.started_at as "started_at?",
       coalesce(e.closed and e.probe_run_id is distinct from r.id, false) as "endpoint_closed!", e.probe_at as "probe_at?",
       not j.enabled as "job_disabled!", j.paused as "job_paused!", coalesce(g.paused, false) as "group_paused!", j.group_id as "group_id?",
       exists (select from workers where heartbeat_at > strait_now() - make_interval(secs => :lease_secs::float8)) as "worker_lives!"
  from job_runs r
  join jobs j on j.id = r.job_id
  left join job_groups g on g.id = j.group_id
  left join endpoint_admission e on e.project_id = j.project_id and e.endpoint = j.endpoint
  left join run_active a on a.run_id = r.id
  left join run_queue q on q.run_id = r.id
  left join run_parked p on p.run_id = r.id
  left join run_delayed d on d.run_id = r.id
  left join run_waiting w on w.run_id = r.id
 where r.id = :run_id and r.created_at = strait_id_time(:run_id) and r.project_id = :project_id
 limit 1;

-- name: countAhead :one
-- Ready runs of the project that go first, up to a thousand.
select count(*)::int as "ahead!"
  from (select from run_queue q, run_queue mine
         where mine.run_id = :run_id and mine.project_id = :project_id
           and q.project_id = :project_id and (q.rank, q.seq) < (mine.rank, mine.seq) limit 1000) x;

-- name: findRoom :maybe
-- The lane of a waiting run with all that limits it, and how many better ranked runs compete for the same room, counted as
-- promotion cuts: from each lane at most its own room, of each job at most the job's, of each endpoint with a limit at most
-- the endpoint's. A number at the room or beyond it
-- means that this run would not be promoted now.
with me as materialized (
  select p.run_id, p.rank, p.seq, p.lane_id, p.root_lane_id from run_parked p where p.run_id = :run_id and p.project_id = :project_id
), tree as materialized (
  select l.*, least(greatest(coalesce(l.key_cap - l.key_in_flight, 1000000), 0), 1000) as own_room,
         greatest(coalesce(l.job_cap - l.job_in_flight, 1000000), 0) as job_room,
         greatest(coalesce(l.project_cap - l.project_in_flight, 1000000), 0) as project_room,
         e.endpoint as counted_endpoint, e.cap as endpoint_cap, e.in_flight as endpoint_in_flight,
         greatest(coalesce(e.cap - e.in_flight, 1000000), 0) as endpoint_room,
         l.job_disabled or l.job_paused or l.group_paused or l.endpoint_closed as shut
    from lane_rooms l left join endpoint_rooms e on e.project_id = l.project_id and e.endpoint = l.endpoint
   where l.root_lane_id = (select root_lane_id from me) and l.lane_id <> 0
), better as materialized (
  select t.lane_id, t.job_lane_id, t.job_room, t.counted_endpoint, t.endpoint_room, x.n
    from tree t cross join lateral (
         select count(*)::int as n
           from (select from run_parked p, me
                  where p.root_lane_id = me.root_lane_id and p.lane_id = t.lane_id and (p.rank, p.seq) < (me.rank, me.seq)
                  limit least(t.own_room, t.job_room, t.endpoint_room, t.project_room)) y) x
   where not t.shut and x.n > 0
), by_job as (
  select job_lane_id, counted_endpoint, min(endpoint_room) as endpoint_room, least(sum(n), min(job_room))::int as n
    from better group by job_lane_id, counted_endpoint
), by_endpoint as (
  select counted_endpoint, sum(n)::int as wanted,
         case when counted_endpoint is null then sum(n) else least(sum(n), min(endpoint_room)) end::int as n
    from by_job group by counted_endpoint
)
select t.lane_id, t.concurrency_key, t.job_disabled as "job_disabled!", t.job_paused as "job_paused!", t.group_paused as "group_paused!",
       t.group_id as "group_id?", t.key_cap as "key_cap?", t.key_in_flight as "key_in_flight?", t.job_cap as "job_cap?",
       t.job_in_flight as "job_in_flight?", t.project_cap as "project_cap?", t.project_in_flight as "project_in_flight?",
       t.job_lane_id as "job_lane_id?", t.endpoint as "endpoint?", t.endpoint_cap as "endpoint_cap?",
       t.endpoint_in_flight as "endpoint_in_flight?", money.of_run as "reserves?", money.of_left as "money_left?",
       (select count(*)::int from (select from run_parked p where p.root_lane_id = me.root_lane_id and p.lane_id = me.lane_id
                                      and (p.rank, p.seq) < (me.rank, me.seq) limit 1000) y) as "ahead_in_lane!",
       coalesce((select sum(n)::int from better b where b.job_lane_id = t.job_lane_id), 0) as "ahead_in_job!",
       coalesce((select wanted from by_endpoint e where e.counted_endpoint = t.counted_endpoint), 0) as "ahead_at_endpoint!",
       coalesce((select sum(n)::int from by_endpoint), 0) as "ahead_in_project!"
  from me join tree t on t.lane_id = me.lane_id
  left join lateral (select m.of[1] as of_run, least(m.of[2], m.of[3], m.of[4]) as of_left
                       from (select strait_money(t.project_id, t.job_id, t.concurrency_key) as of) m) money on t.budgeted;

-- name: listHolders :many
-- Runs that execute in a lane or below it, the oldest first.
select a.run_id from run_active a join lanes l on l.lane_id = a.lane_id
 where l.project_id = :project_id and :lane_id::bigint in (l.lane_id, l.parent_lane_id, l.root_lane_id)
 order by a.started_at limit :limit::int;

-- name: listEndpointHolders :many
-- Runs that execute in lanes of the jobs that call an endpoint, the oldest first.
select a.run_id from run_active a join lanes l on l.lane_id = a.lane_id join jobs j on j.id = l.job_id
 where l.project_id = :project_id and j.project_id = :project_id and j.endpoint = :endpoint
 order by a.started_at limit :limit::int;

-- name: listWaits :many
-- What a waiting run waits for.
select event_key, trigger_type, source_type, expires_at from event_triggers
 where job_run_id = :run_id and project_id = :project_id and status = 'waiting' order by requested_at limit 10;

-- name: recentDuration :one
-- Seconds from start to end of the job's last ended runs, for an estimate.
select coalesce(avg(extract(epoch from finished_at - started_at)), 0)::float8 as "secs!"
  from (select started_at, finished_at from job_runs
         where job_id = :job_id and project_id = :project_id and created_at > strait_now() - interval '7 days'
           and finished_at is not null and started_at is not null
         order by created_at desc, id desc limit 50) x;
