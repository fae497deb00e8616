-- What keeps the queue moving without anybody asking: due instants, expiry, lost leases, parked runs,
-- and the always-on checker.

-- name: moveDue :many prepared
-- across projects: the mover serves every project.
-- Delayed and retrying runs whose instant has come enter run_queue, at most :limit per call. A delayed run whose job
-- depends on others goes to `waiting` unless they ended as asked; as in enqueueRuns.
with due as materialized (
  select ctid from run_delayed where due_at <= strait_now() order by due_at limit :limit::int for update skip locked
), moved as (
  delete from run_delayed where ctid = any (array(select ctid from due))
  returning project_id, rank, run_id, run_created_at, job_id, attempt
), judged as materialized (
  select r.id, r.job_id, strait_matching(r.idempotency_key, r.triggered_by, r.metadata) as matching,
         extract(epoch from r.expires_at - greatest(r.created_at, r.scheduled_at))::float8 as ttl_secs,
         coalesce(r.expires_at, strait_now() + strait_dependency_wait()) as expires_at
    from job_runs r join jobs j on j.id = r.job_id
   where r.id = any (array(select m.run_id from moved m join jobs d on d.id = m.job_id where d.has_dependencies and m.attempt = 1))
     and r.created_at >= (select min(run_created_at) from moved) and r.created_at <= (select max(run_created_at) from moved)
     and (r.status = 'delayed') is true
     and not strait_dependencies_met(r.job_id, strait_matching(r.idempotency_key, r.triggered_by, r.metadata))
), dependents as (
  insert into run_waiting (run_id, run_created_at, attempt, claim_seq, job_id, matching, ttl_secs, expires_at, unchecked)
  select id, strait_id_time(id), 1, 0, job_id, matching, ttl_secs, expires_at, true from judged
), placed as materialized (
  select m.*, case when j.max_concurrency > 0 or j.max_concurrency_per_key > 0 or q.max_executing_runs > 0
                        or q.max_daily_cost_microusd > 0 or b.job_id is not null or j.has_key_limits or j.paused or coalesce(g.paused, false) or coalesce(q.queue_paused, false) or coalesce(a.closed or a.max_in_flight is not null, false)
                   then strait_place(m.project_id, m.job_id, (select r.concurrency_key from job_runs r
                                                               where r.id = m.run_id and r.created_at = m.run_created_at)) end as place
    from moved m join jobs j on j.id = m.job_id
    left join job_groups g on g.id = j.group_id
    left join project_quotas q on q.project_id = m.project_id
    left join job_budgets b on b.job_id = m.job_id
    left join endpoint_admission a on a.project_id = j.project_id and a.endpoint = j.endpoint
   where m.run_id <> all (array(select id from judged))
), ready as (
  insert into run_queue (project_id, rank, run_id, run_created_at, job_id, attempt)
  select project_id, rank, run_id, run_created_at, job_id, attempt from placed where place is null order by rank
), waits as (
  insert into run_parked (project_id, rank, run_id, run_created_at, job_id, attempt, lane_id, root_lane_id)
  select project_id, rank, run_id, run_created_at, job_id, attempt, place[1], place[2] from placed where place is not null
), done as (
  update job_runs r
     set status = case when r.id = any (array(select id from judged)) then 'waiting' else 'queued' end,
         expires_at = case when r.id = any (array(select id from judged))
                           then coalesce(r.expires_at, strait_now() + strait_dependency_wait()) else r.expires_at end
   where r.id = any (array(select run_id from moved))
     and r.created_at >= (select min(run_created_at) from moved) and r.created_at <= (select max(run_created_at) from moved)
     and (r.status = 'delayed') is true
  returning r.id, r.attempt, r.status
), told as (
  insert into run_events (run_id, type, level, message, data)
  select id, 'state_change', 'info', status, jsonb_build_object('from', 'delayed', 'to', status, 'attempt', attempt) from done
), woken as materialized (
  select pg_notify('run_wake', 'ready') where exists (select from moved)
  union all
  select pg_notify('run_live', '') where exists (select from done)
  union all select pg_notify('run_ended', '') where exists (select from judged)
  union all select pg_notify('run_promote', place[2]::text) from placed where place is not null group by place[2]
)
select run_id, (select count(*) from woken)::int as "woken!" from moved;

-- name: nextDue :one prepared
-- across projects: one timer per process.
-- Milliseconds until the earliest delayed run is due (negative when overdue); null when none waits.
select (extract(epoch from (select due_at from run_delayed order by due_at limit 1) - strait_now()) * 1000)::float8 as "due_in_ms?";

-- name: expireRuns :many
-- across projects: expiry is a rule of the run, not of a caller.
-- Ends runs that were never started within their time to live, those that wait for other jobs included (claim_seq 0). A
-- leased run has no place here and is left alone.
with over as materialized (
  (select id, created_at from job_runs
    where expires_at <= strait_now() and status in ('delayed', 'queued')
    order by expires_at limit :limit::int)
  union all
  (select run_id, run_created_at from run_waiting
    where expires_at <= strait_now() and claim_seq = 0 order by expires_at limit :limit::int)
), q as (delete from run_queue where run_id = any (array(select id from over)) returning run_id, lane_id),
   p as (delete from run_parked where run_id = any (array(select id from over)) returning run_id),
   d as (delete from run_delayed where run_id = any (array(select id from over)) returning run_id),
   w as (delete from run_waiting where run_id = any (array(select id from over)) and claim_seq = 0 and expires_at <= strait_now() returning run_id),
done as (
  update job_runs r
     set status = 'expired', finished_at = strait_now(), error = 'run expired', expires_at = null
   where r.id = any (array(select run_id from q union all select run_id from p union all select run_id from d
                           union all select run_id from w))
     and r.created_at >= (select min(created_at) from over) and r.created_at <= (select max(created_at) from over)
     and (r.status = any ('{delayed,queued,waiting}')) is true and r.expires_at <= strait_now()
  returning r.id, r.created_at, r.workflow_step_run_id, r.project_id, r.job_id, r.attempt, r.idempotency_key
), told as (
  insert into run_events (run_id, type, level, message, data)
  select id, 'state_change', 'warn', 'run expired', jsonb_build_object('to', 'expired', 'attempt', attempt,
           'from', case when exists (select from w where w.run_id = done.id) then 'waiting' else 'queued' end) from done
), noted as (
  insert into run_endings (run_id, run_created_at, job_id, project_id, status, attempt, error, error_class)
  select id, created_at, job_id, project_id, 'expired', attempt, 'run expired', null from done
   where job_id = any (array(select id from jobs where followed and id = any (array(select job_id from done))))
  returning run_id
), stepped as (
  insert into step_endings (run_id, run_created_at, workflow_step_run_id, status)
  select id, created_at, workflow_step_run_id, 'expired' from done where workflow_step_run_id is not null
  returning run_id
), slots as materialized (
  select l.counted_lane_id as lane_id, count(*)::int as n
    from q x join lane_levels l on l.lane_id = x.lane_id
   group by 1
), lane_locks as materialized (
  select lane_id from lanes where lane_id = any (array(select lane_id from slots)) order by parent_lane_id is not null, lane_id for no key update
), lowered as (
  update lanes l set in_flight = l.in_flight - slots.n
    from slots where l.lane_id = slots.lane_id and l.lane_id = any (array(select lane_id from lane_locks))
), freed as (
  update job_run_idempotency i set expires_at = strait_now() + make_interval(secs => :idempotency_retention_secs::int)
    from done where done.idempotency_key is not null and (select count(*) from lane_locks) is not null
     and i.job_id = done.job_id and i.idempotency_key = done.idempotency_key and i.run_id = done.id
), live as materialized (
  select pg_notify('run_live', '') where exists (select from done)
  union all select pg_notify('run_ended', '') where exists (select from noted)
  union all select pg_notify('step_ended', '') where exists (select from stepped)
  union all select pg_notify('run_promote', l.root_lane_id::text) from slots join lanes l on l.lane_id = slots.lane_id group by l.root_lane_id
)
select id, (select count(*) from live)::int as "told!" from done;

-- name: lockLostLeases :many
-- across projects: a dead worker's runs belong to many projects.
-- Leases nobody looks after any more, locked for the rest of the transaction: a worker that fell silent (or
-- whose row is gone), an endpoint that owns its run and stopped beating, a deadline that passed. The
-- conditions are checked again under the lock, so a hand-over that just committed escapes.
select x.run_id, x.run_created_at, x.attempt, x.claim_seq, x.started_at, x.worker_id,
       x.deadline_at is not null and x.deadline_at <= strait_now() as "overdue!",
       r.job_id, r.project_id, r.priority, r.job_version, r.job_version_id, r.metadata, r.max_attempts_override,
       r.timeout_secs_override, r.retry_backoff, r.retry_initial_delay_secs, r.retry_max_delay_secs,
       j.version as live_version, j.version_policy, j.backwards_compatible
  from run_active x
  join job_runs r on r.id = x.run_id and r.created_at = x.run_created_at
  join jobs j on j.id = r.job_id
 where (x.worker_id is not null and not exists (
          select from workers w where w.id = x.worker_id
             and w.heartbeat_at > strait_now() - make_interval(secs => :lease_secs::float8)))
    or (x.worker_id is null and (x.endpoint_beat_at < strait_now() - make_interval(secs => :stale_secs::float8)
                              or x.deadline_at <= strait_now()))
 order by x.run_id limit :limit::int for update of x skip locked;

-- name: removeLostWorkers :count
-- across projects: a worker belongs to no project.
-- Rows of processes that are long gone; none is needed once its leases are reaped.
delete from workers w
 where w.heartbeat_at < strait_now() - make_interval(secs => :silent_secs::float8)
   and not exists (select from run_active x where x.worker_id = w.id);

-- name: markExecuting :many prepared
-- across projects: fenced by the lease of exactly this claim.
-- Copies a lease that lives longer than a moment into the wide row. The lease row is updated first: only
-- reading it would let a hand-back commit in between and leave `executing` without a lease.
with held as materialized (
  update run_active set marked = true
   where run_id = any (:run_ids::text[]) and claim_seq = (:claims_json::jsonb ->> run_id)::bigint and not marked
  returning run_id, attempt, started_at
), done as (
  update job_runs r
     set status = 'executing', expires_at = null, next_retry_at = null, execution_trace = null,
         claimed_at = (:starts_json::jsonb ->> r.id)::timestamptz,
         started_at = coalesce(r.started_at, (:starts_json::jsonb ->> r.id)::timestamptz),
         job_version = coalesce((:versions_json::jsonb -> r.id ->> 0)::int, r.job_version),
         job_version_id = coalesce(:versions_json::jsonb -> r.id ->> 1, r.job_version_id)
   where r.id = any (array(select run_id from held))
     and r.created_at >= :created_from::timestamptz and r.created_at <= :created_to::timestamptz
     and (r.status = 'queued') is true
  returning r.id
), told as (
  insert into run_events (run_id, type, level, message, data, created_at)
  select run_id, 'state_change', 'info', 'executing',
         jsonb_build_object('from', 'queued', 'to', 'executing', 'attempt', attempt), started_at
    from held
), live as materialized (select pg_notify('run_live', '') where exists (select from done))
select id, (select count(*) from live)::int as "told!" from done;

-- The always-on checker (queue-performance §7). Every query must return no row; each must see one snapshot, or it
-- sees moves in flight. :limit bounds what is reported, not what is looked at.

-- name: forbidHistoryScans :one
-- For the rest of the transaction: statistics may be old, and then job_runs looks smaller than it is.
select set_config('enable_seqscan', 'off', true) as "value!";

-- name: checkLost :many
-- across projects: checker.
-- 1: a live run without a place. Live runs are found without their history: by the index that holds nothing else, and
-- for the two states it lacks by one probe per project (every run has its job's project).
with recursive project (id) as (
  (select project_id from jobs order by project_id limit 1)
  union all
  select (select j.project_id from jobs j where j.project_id > p.id order by j.project_id limit 1)
    from project p where p.id is not null
)
select id as "run_id!" from (
  select id from job_runs where status in ('queued', 'dequeued', 'executing')
  union all
  select x.id from project p cross join lateral (
         select d.id from job_runs d where d.project_id = p.id and d.status = 'delayed'
         union all
         select w.id from job_runs w where w.project_id = p.id and w.status = 'waiting') x
  except
  -- One hashed pass. As anti joins this was planned on tables that were empty when they were last analyzed, as nested
  -- loops over whole indexes: 10,000 queued runs against 2,000 leases took 2.4 s of CPU.
  (select run_id from run_queue union all select run_id from run_parked union all select run_id from run_delayed
   union all select run_id from run_active union all select run_id from run_waiting)) r
 limit :limit::int;

-- name: checkTwoPlaces :many
-- across projects: checker.
-- 2: a run in two places.
select run_id as "run_id!" from (
  select run_id from run_queue union all select run_id from run_parked union all select run_id from run_delayed
  union all select run_id from run_active union all select run_id from run_waiting) place
 group by run_id having count(*) > 1 limit :limit::int;

-- name: checkWrongPlace :many
-- across projects: checker.
-- 3: a place that does not fit the run's state or attempt.
select p.run_id as "run_id!"
  from (select run_id, run_created_at, attempt, 'q' as t from run_queue
        union all select run_id, run_created_at, attempt, 'p' from run_parked
        union all select run_id, run_created_at, attempt, 'd' from run_delayed
        union all select run_id, run_created_at, attempt, 'a' from run_active
        union all select run_id, run_created_at, attempt, 'w' from run_waiting) p
  left join job_runs r on r.id = p.run_id and r.created_at = p.run_created_at
 where r.id is null or r.attempt <> p.attempt
    or not case p.t when 'a' then r.status in ('queued', 'dequeued', 'executing') when 'w' then r.status = 'waiting'
                    when 'q' then r.status = 'queued' else r.status in ('delayed', 'queued') end
 limit :limit::int;

-- name: checkSlots :many
-- across projects: checker.
-- 4: a lane whose number is not the count of its slots.
with slots as materialized (
  select lane_id, count(*)::int as n
    from (select lane_id from run_queue where lane_id is not null
          union all select lane_id from run_active where lane_id is not null) x
   group by 1
), truth as materialized (
  select l.counted_lane_id as lane_id, sum(slots.n)::int as n
    from slots join lane_levels l on l.lane_id = slots.lane_id
   group by 1
)
select l.lane_id as "lane_id!" from lanes l left join truth on truth.lane_id = l.lane_id
 where l.in_flight <> coalesce(truth.n, 0)
 limit :limit::int;

-- name: checkOverCap :many
-- across projects: checker.
-- 5: more slots than the limit; legitimate only while a lowered limit drains.
select lane_id from lanes where in_flight > max_inflight limit :limit::int;

-- name: checkOrphans :many
-- across projects: checker.
-- 6: a parked run whose lane is not the lane it names.
select p.run_id from run_parked p
 where not exists (select from lanes l where l.lane_id = p.lane_id and l.root_lane_id = p.root_lane_id)
 limit :limit::int;

-- name: checkLateMark :many
-- across projects: checker.
-- 7: a lease that disagrees with the wide row, or was not copied into it for a second.
select a.run_id from run_active a join job_runs r on r.id = a.run_id and r.created_at = a.run_created_at
 where a.marked <> (r.status = 'executing') or (not a.marked and a.started_at < strait_now() - interval '1 s')
 limit :limit::int;

-- name: checkSilent :many
-- across projects: checker.
-- 8: a lease nobody has looked after for two minutes.
select a.run_id from run_active a left join workers w on w.id = a.worker_id
 where coalesce(w.heartbeat_at, a.endpoint_beat_at, '-infinity') < strait_now() - interval '2 min'
 limit :limit::int;

-- name: checkOverdue :many
-- across projects: checker.
-- 9: a delayed run that should have moved long ago, or one that waits for other jobs beyond its time to live.
select run_id as "run_id!" from run_delayed where due_at < strait_now() - interval '5 s'
union all
select run_id from run_waiting where claim_seq = 0 and expires_at < strait_now() - interval '1 min' limit :limit::int;

-- name: checkIdleRoom :many
-- across projects: checker.
-- 10: a run that is next, with room on every level, and nobody promotes it. Only a finding when the same run is seen twice, 3 s
-- apart: a lane that is being worked through always has somebody next. Next means before those of other lanes as well where
-- they share a limit, as in a promotion: of a job's keys, an endpoint's jobs and a project's jobs only the first, since a slot
-- that has just come back is free for a moment without being anybody else's. Lanes that a budget concerns may wait for money.
with endpoint as materialized (
  select coalesce(jsonb_object_agg(e.project_id || ' ' || e.endpoint, e.in_flight >= e.cap), '{}') as full_by_name from endpoint_rooms e
), next as materialized (
  select p.run_id, p.seq, l.root_lane_id, l.job_lane_id, l.job_cap, l.project_cap, s.turn, coalesce(s.key_slots < s.key_min, false) as guaranteed,
         case when s.turn is null then p.rank else min(p.rank) over (partition by l.job_lane_id) end as rank, p.rank as own_rank,
         case when e.is_full is not null then l.endpoint end as counted_endpoint
    from lane_rooms l
         cross join lateral (select p.run_id, p.rank, p.seq from run_parked p where p.root_lane_id = l.root_lane_id and p.lane_id = l.lane_id
                              order by p.rank, p.seq limit 1) p
         cross join lateral (select case when not l.endpoint_closed
                                         then ((select full_by_name from endpoint) ->> (l.project_id || ' ' || l.endpoint))::bool end as is_full) e
         left join lateral (select k.* from lane_shares k where k.lane_id = l.lane_id offset 0) s on true
   where l.lane_id <> 0 and not (l.job_disabled or l.job_paused or l.group_paused)
     and (not l.endpoint_closed or l.probe_due) and not l.budgeted
     and (l.key_in_flight >= l.key_cap) is not true and (l.job_in_flight >= l.job_cap) is not true
     and e.is_full is not true and (l.project_in_flight >= l.project_cap) is not true
), of_job as (
  select *, row_number() over (partition by job_lane_id order by guaranteed desc, turn, own_rank, seq) as nth from next
), of_endpoint as (
  select *, row_number() over (partition by root_lane_id, counted_endpoint order by guaranteed desc, rank, seq) as nth_of_endpoint
    from of_job where job_cap is null or nth = 1
), of_project as (
  select *, row_number() over (partition by root_lane_id order by guaranteed desc, rank, seq) as nth_of_project
    from of_endpoint where counted_endpoint is null or nth_of_endpoint = 1
)
select run_id as "run_id!" from of_project where project_cap is null or nth_of_project = 1
 limit :limit::int;
