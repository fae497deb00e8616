-- Why a run has not started: where it stands, and what promotion and claims look at (lane_rooms, endpoint_rooms).
-- Read-only.

-- name: findRunPlace :maybe prepared
-- The run and its one place; `active` also while the wide row does not show it yet. Why a held run was delayed stands in the
-- event that says it is held, or was rescheduled since.
select r.id, r.status, r.job_id, j.slug as job_slug, r.concurrency_key, r.attempt, strait_now() as "now!",
       case when a.run_id is not null then 'active' when q.run_id is not null then 'queue' when p.run_id is not null then 'parked'
            when d.run_id is not null then 'delayed' when w.run_id is not null then 'waiting' else 'none' end as "place!",
       p.lane_id as "lane_id?", p.root_lane_id as "root_lane_id?", w.expires_at as "waits_until?", r.started_at as "started_at?",
       case when p.lane_id = 0 then greatest(case when r.status = 'delayed' then r.scheduled_at end, r.next_retry_at)
            else d.due_at end as "due_at?",
       case when p.lane_id = 0 then (select nullif(e.data -> 'delayed_by', 'null') from run_events e
                                      where e.run_id = r.id and jsonb_exists(e.data, 'delayed_by') order by e.created_at desc, e.id desc limit 1)
            else d.reason end as "reason?",
       j.execution_window_cron is not null as "windowed!",
       coalesce(e.closed and e.probe_run_id is distinct from r.id, false) as "endpoint_closed!", e.probe_at as "probe_at?",
       coalesce(e.share, 1)::float8 as "endpoint_share!",
       not j.enabled as "job_disabled!", j.paused as "job_paused!", coalesce(g.paused, false) as "group_paused!", j.group_id as "group_id?",
       exists (select from project_quotas q where q.project_id = r.project_id and q.queue_paused) as "project_paused!",
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

-- name: findActor :maybe prepared
-- Who did this last, as far as the audit trail reaches.
select actor_id from audit_events
 where project_id = :project_id and resource_type = :resource_type and resource_id = :resource_id and action = :action
 order by created_at desc limit 1;

-- name: countAhead :one
-- Ready runs of the project that go first, up to a thousand, and how many of it ran when they were last counted.
select count(*)::int as "ahead!",
       (select coalesce(sum(running), 0)::int from queue_depths where project_id = :project_id) as "running!"
  from (select from run_queue q, run_queue mine
         where mine.run_id = :run_id and mine.project_id = :project_id
           and q.project_id = :project_id and (q.rank, q.seq) < (mine.rank, mine.seq) limit 1000) x;

-- name: findRoom :maybe prepared
-- The lane of a waiting run with all that limits it, and how many better ranked runs compete for the same room, counted as
-- promotion cuts: from each lane at most its own room, of each job at most the job's, of each endpoint with a limit at most the
-- endpoint's, and one run for each closed endpoint whose probe is due, whatever its limit. A number at the room or beyond it means that this run would not be promoted now. `before` is all of them, up
-- to a thousand, but for those in lanes that stay shut when this one's is opened. With `shares` a job of the tree serves its
-- keys in turn: who goes first is another question then (standing).
with me as materialized (
  select p.run_id, p.rank, p.seq, p.lane_id, p.root_lane_id from run_parked p where p.run_id = :run_id and p.project_id = :project_id
), project as materialized (
  select exists (select from project_quotas q where q.project_id = :project_id and q.queue_paused) as paused
), limited as materialized (
  select jsonb_object_agg(e.endpoint, jsonb_build_array(e.cap, e.in_flight)) as endpoints from endpoint_rooms e where e.project_id = :project_id
), tree as materialized (
  select l.*, least(greatest(coalesce(l.key_cap - l.key_in_flight, 1000000), 0), 1000) as own_room,
         greatest(coalesce(l.job_cap - l.job_in_flight, 1000000), 0) as job_room,
         greatest(coalesce(l.project_cap - l.project_in_flight, 1000000), 0) as project_room,
         case when e.cap is not null then l.endpoint end as counted_endpoint, e.cap as endpoint_cap, e.in_flight as endpoint_in_flight,
         greatest(coalesce(e.cap - e.in_flight, 1000000), 0) as endpoint_room,
         l.job_disabled or l.job_paused or l.group_paused or (l.endpoint_closed and not l.probe_due) as shut
    from lane_rooms l
   cross join lateral (select (x.of ->> 0)::int as cap, (x.of ->> 1)::int as in_flight
                         from (select case when l.probe_due is not true then (select endpoints from limited) -> l.endpoint end as of) x) e
   where l.root_lane_id = (select root_lane_id from me) and l.lane_id <> 0
), held as materialized (
  select v.job_id, v.concurrency_key, sum(greatest(v.reserved_microusd - v.used_microusd, 0))::bigint as microusd
    from cost_reservations v
   where v.project_id = :project_id and v.root_lane_id = (select root_lane_id from me)
     and (exists (select from run_queue q where q.run_id = v.run_id) or exists (select from run_active a where a.run_id = v.run_id))
   group by 1, 2
), behind as materialized (
  select t.lane_id, t.job_lane_id, t.job_room, t.counted_endpoint, t.endpoint_room,
         case when t.endpoint_closed then t.endpoint end as probes, x.n, x.best_rank, x.best_seq
    from tree t cross join lateral (
         select count(*)::int as n, min(y.rank) as best_rank, (array_agg(y.seq order by y.rank, y.seq))[1] as best_seq
           from (select p.rank, p.seq from run_parked p, me
                  where p.root_lane_id = me.root_lane_id and p.lane_id = t.lane_id and (p.rank, p.seq) < (me.rank, me.seq)
                  order by p.rank, p.seq
                  limit least(t.own_room, t.job_room, t.endpoint_room, t.project_room, case when t.endpoint_closed then 1 end)) y) x
   where not t.shut and x.n > 0
), better as materialized (
  select lane_id, job_lane_id, job_room, counted_endpoint, endpoint_room, n from behind where probes is null
  union all
  (select distinct on (probes) lane_id, job_lane_id, job_room, counted_endpoint, endpoint_room, n from behind
    where probes is not null order by probes, best_rank, best_seq)
), by_job as (
  select job_lane_id, counted_endpoint, min(endpoint_room) as endpoint_room, least(sum(n), min(job_room))::int as n
    from better group by job_lane_id, counted_endpoint
), by_endpoint as (
  select counted_endpoint, sum(n)::int as wanted,
         case when counted_endpoint is null then sum(n) else least(sum(n), min(endpoint_room)) end::int as n
    from by_job group by counted_endpoint
)
select t.lane_id, t.concurrency_key, t.key_cap as "key_cap?", t.key_in_flight as "key_in_flight?", t.job_cap as "job_cap?",
       t.job_in_flight as "job_in_flight?", t.project_cap as "project_cap?", t.project_in_flight as "project_in_flight?",
       t.job_lane_id as "job_lane_id?", t.counted_endpoint as "counted_endpoint?", t.endpoint_cap as "endpoint_cap?",
       t.endpoint_in_flight as "endpoint_in_flight?",
       t.endpoint_closed and not t.probe_due as "endpoint_closed!",
       t.endpoint_closed and exists (select from behind b where b.probes = t.endpoint) as "probe_taken!",
       (select bool_or(budgeted) from tree) as "budgeted!", money.of as "money?",
       exists (select from tree o join jobs j on j.id = o.job_id where j.has_key_limits) as "shares!",
       k.key_min as "key_min?", k.key_max as "key_max?", k.key_weight as "key_weight?", k.key_slots as "key_slots?",
       (select count(*)::int from (select from run_parked p where p.root_lane_id = me.root_lane_id and p.lane_id = me.lane_id
                                      and (p.rank, p.seq) < (me.rank, me.seq) limit 1000) y) as "before_in_lane!",
       (select count(*)::int from (select from tree o cross join lateral (
                 select from run_parked p where p.root_lane_id = me.root_lane_id and p.lane_id = o.lane_id and (p.rank, p.seq) < (me.rank, me.seq) limit 1000) z
               where o.job_lane_id = t.job_lane_id limit 1000) y) as "before_in_job!",
       (select count(*)::int from (select from tree o cross join lateral (
                 select from run_parked p where p.root_lane_id = me.root_lane_id and p.lane_id = o.lane_id and (p.rank, p.seq) < (me.rank, me.seq) limit 1000) z
               where o.counted_endpoint = t.counted_endpoint
                 and (not (o.job_disabled or o.job_paused or o.group_paused) or (select paused from project) or o.job_lane_id = t.job_lane_id or o.group_id = t.group_id)
               limit 1000) y) as "before_at_endpoint!",
       (select count(*)::int from (select from tree o cross join lateral (
                 select from run_parked p where p.root_lane_id = me.root_lane_id and p.lane_id = o.lane_id and (p.rank, p.seq) < (me.rank, me.seq) limit 1000) z
               where not o.shut or (select paused from project) or o.job_lane_id = t.job_lane_id or o.group_id = t.group_id or o.endpoint = t.endpoint limit 1000) y) as "before_in_project!",
       coalesce((select sum(n)::int from better b where b.job_lane_id = t.job_lane_id), 0) as "ahead_in_job!",
       coalesce((select wanted from by_endpoint e where e.counted_endpoint = t.counted_endpoint), 0) as "ahead_at_endpoint!",
       coalesce((select sum(n)::int from by_endpoint), 0) as "ahead_in_project!"
  from me join tree t on t.lane_id = me.lane_id left join lane_shares k on k.lane_id = me.lane_id
  left join lateral (select strait_money(t.project_id, t.job_id, t.concurrency_key,
           coalesce((select h.microusd from held h where h.job_id = t.job_id and h.concurrency_key = t.concurrency_key), 0),
           coalesce((select sum(h.microusd) from held h where h.job_id = t.job_id), 0)::bigint,
           coalesce((select sum(h.microusd) from held h), 0)::bigint) as of) money on t.budgeted;

-- name: listCompetitors :many prepared
-- For trees where a budget is set or keys share: what promotion would look at now, best ranked first from each open lane with
-- room, and the run itself, whose job counts as open. At least one of each lane, so that its key is known; with :look as many,
-- also beyond what there is room for now. `money` is that of strait_money without what runs reserved that stand in neither
-- place any more (promotion gives that back first), `spent` what the run cost before. Rooms are those of its lane.
with me as materialized (
  select p.run_id, p.rank, p.seq, p.lane_id, p.job_id from run_parked p where p.run_id = :run_id and p.project_id = :project_id
), held as materialized (
  select v.job_id, v.concurrency_key, sum(greatest(v.reserved_microusd - v.used_microusd, 0))::bigint as microusd
    from cost_reservations v
   where v.project_id = :project_id and v.root_lane_id = :root_lane_id
     and (exists (select from run_queue q where q.run_id = v.run_id) or exists (select from run_active a where a.run_id = v.run_id))
   group by 1, 2
), limited as materialized (
  select jsonb_object_agg(e.endpoint, e.cap - e.in_flight) as rooms from endpoint_rooms e where e.project_id = :project_id
), tree as materialized (
  select l.lane_id, l.job_lane_id,
         least(greatest(coalesce(l.key_cap - l.key_in_flight, 500), 0), 500) as own_room,
         greatest(coalesce(l.job_cap - l.job_in_flight, 500), 0) as job_room,
         greatest(coalesce(l.project_cap - l.project_in_flight, 500), 0) as project_room,
         case when n.room is not null then l.endpoint end as counted_endpoint, greatest(coalesce(n.room, 500), 0) as endpoint_room,
         case when l.endpoint_closed and l.probe_due then l.endpoint end as probes,
         case when l.budgeted then strait_money(l.project_id, l.job_id, l.concurrency_key,
           coalesce((select h.microusd from held h where h.job_id = l.job_id and h.concurrency_key = l.concurrency_key), 0),
           coalesce((select sum(h.microusd) from held h where h.job_id = l.job_id), 0)::bigint,
           coalesce((select sum(h.microusd) from held h), 0)::bigint) end as money,
         k.key_min, k.key_weight, k.key_slots, k.turn
    from lane_rooms l
    left join lane_shares k on k.lane_id = l.lane_id
   cross join lateral (select case when l.probe_due is not true then ((select rooms from limited) ->> l.endpoint)::int end as room) n
   where l.project_id = :project_id and l.root_lane_id = :root_lane_id and l.lane_id <> 0
     and ((not (l.job_disabled or l.job_paused or l.group_paused) and (not l.endpoint_closed or l.probe_due))
          or l.job_id = (select job_id from me))
     and exists (select from run_parked p where p.root_lane_id = l.root_lane_id and p.lane_id = l.lane_id)
)
select x.run_id as "run_id!", x.rank as "rank!", x.seq as "seq!", t.lane_id as "lane_id!", t.job_lane_id as "job_lane_id?",
       t.own_room as "own_room!", t.job_room as "job_room!",
       t.counted_endpoint as "counted_endpoint?", t.endpoint_room as "endpoint_room!", t.project_room as "project_room!", t.probes as "probes?", t.money as "money?",
       case when t.money is not null then strait_run_cost(x.run_id) else 0 end as "spent!",
       t.key_min as "key_min?", t.key_weight as "key_weight?", t.key_slots as "key_slots?", t.turn as "turn?"
  from tree t cross join lateral (
       (select p.run_id, p.rank, p.seq from run_parked p
         where p.root_lane_id = :root_lane_id and p.lane_id = t.lane_id order by p.rank, p.seq
         limit greatest(least(t.own_room, t.job_room, t.endpoint_room, t.project_room, 500),
                        least(:look::int, case when t.lane_id <> (select lane_id from me) then t.own_room end), 1))
       union
       select me.run_id, me.rank, me.seq from me where me.lane_id = t.lane_id) x
 order by x.rank, x.seq limit :limit::int;

-- name: listHolders :many prepared
-- Runs with a slot in a lane or below it, or in any lane of the jobs that call an endpoint: those that execute, the oldest
-- first, then those that are about to.
with under as materialized (
  select lane_id from lanes where project_id = :project_id and :lane_id?::bigint in (lane_id, parent_lane_id, root_lane_id)
  union all
  select l.lane_id from jobs j join lanes l on l.project_id = j.project_id and l.job_id = j.id
   where j.project_id = :project_id and j.endpoint = :endpoint?::text
), active as (
  select a.run_id, a.started_at from run_active a where a.lane_id = any (array(select lane_id from under)) order by a.started_at limit :limit::int
), ready as (
  select q.run_id, q.rank from (select run_id, lane_id, rank, seq from run_queue where project_id = :project_id order by rank, seq limit 1000) q
   where q.lane_id = any (array(select lane_id from under)) order by q.rank, q.seq limit :limit::int
)
select run_id as "run_id!"
  from (select run_id, 0 as kind, row_number() over (order by started_at) as n from active
        union all select run_id, 1, row_number() over (order by rank) from ready) x
 order by kind, n limit :limit::int;

-- name: findProjectQuotas :maybe prepared
-- All of them: whoever sets one sets all.
select max_queued_runs, max_executing_runs, max_jobs, max_active_event_triggers, max_cost_per_run_microusd,
       max_daily_cost_microusd, rate_limit_requests, rate_limit_window_secs, timezone
  from project_quotas where project_id = :project_id;

-- name: findBudgets :one prepared
-- What is set about money, and when the day is over.
select b.max_daily_cost_microusd as "job_limit?", b.max_daily_cost_per_key_microusd as "key_limit?",
       b.cost_estimate_microusd as "estimate?", b.breach_policy as "job_policy?",
       q.max_daily_cost_microusd as "project_limit?", q.max_cost_per_run_microusd as "per_run?", q.cost_breach_policy as "project_policy?",
       strait_day_start(q.timezone, strait_local_day(q.timezone) + 1) as "day_ends_at!",
       (select max(strait_reserve(l.project_id, l.job_id)) from lanes l
         where l.project_id = :project_id and l.job_id is not null and l.concurrency_key is null) as "dearest?"
  from jobs j left join job_budgets b on b.job_id = j.id left join project_quotas q on q.project_id = j.project_id
 where j.id = :job_id and j.project_id = :project_id;

-- name: listWaits :many
-- What a waiting run waits for.
select event_key, trigger_type, source_type, expires_at from event_triggers
 where job_run_id = :run_id and project_id = :project_id and status = 'waiting' order by requested_at limit 10;

-- name: listAwaited :many
-- Runs that an awaited child still consists of: itself, or of what it spawned the uppermost that live. Whoever cancels those
-- ends the wait. None: it belongs to another project, or nothing of it lives any more.
with recursive below as (
  select r.id, r.status = any ('{delayed,queued,dequeued,executing,waiting}') as lives, 0 as level
    from job_runs r where r.id = :child_id and r.created_at = strait_id_time(:child_id) and r.project_id = :project_id
  union all
  select c.id, c.status = any ('{delayed,queued,dequeued,executing,waiting}'), b.level + 1
    from below b join job_runs c on c.parent_run_id = b.id and c.project_id = :project_id
   where not b.lives and b.level < 20
)
select id as "id!" from below where lives order by level, id limit :limit::int;

-- name: recentDuration :one prepared
-- Seconds from start to end of the job's last ended runs, for an estimate.
select coalesce(avg(extract(epoch from finished_at - started_at)), 0)::float8 as "secs!"
  from (select started_at, finished_at from job_runs
         where job_id = :job_id and project_id = :project_id and created_at > strait_now() - interval '7 days'
           and finished_at is not null and started_at is not null
         order by created_at desc, id desc limit 50) x;
