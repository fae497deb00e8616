-- What keeps the queue moving without anybody asking: due instants, expiry, lost leases, parked runs,
-- the always-on checker, partitions.

-- name: moveDue :many prepared
-- across projects: the mover serves every project.
-- Delayed and retrying runs whose instant has come enter run_queue, at most :limit per call.
with due as materialized (
  select ctid from run_delayed where due_at <= strait_now() order by due_at limit :limit::int for update skip locked
), moved as (
  delete from run_delayed where ctid = any (array(select ctid from due))
  returning project_id, rank, run_id, run_created_at, job_id, attempt
), ready as (
  insert into run_queue (project_id, rank, run_id, run_created_at, job_id, attempt)
  select project_id, rank, run_id, run_created_at, job_id, attempt from moved order by rank
), done as (
  update job_runs r set status = 'queued'
   where r.id = any (array(select run_id from moved))
     and r.created_at >= (select min(run_created_at) from moved) and r.created_at <= (select max(run_created_at) from moved)
     and (r.status = 'delayed') is true
  returning r.id, r.attempt
), told as (
  insert into run_events (run_id, type, level, message, data)
  select id, 'state_change', 'info', 'queued', jsonb_build_object('from', 'delayed', 'to', 'queued', 'attempt', attempt) from done
), woken as materialized (
  select pg_notify('run_wake', 'ready') where exists (select from moved)
  union all
  select pg_notify('run_live', '') where exists (select from done)
)
select run_id, (select count(*) from woken)::int as "woken!" from moved;

-- name: nextDue :one prepared
-- across projects: one timer per process.
-- Milliseconds until the earliest delayed run is due (negative when overdue); null when none waits.
select (extract(epoch from (select due_at from run_delayed order by due_at limit 1) - strait_now()) * 1000)::float8 as "due_in_ms?";

-- name: expireRuns :many
-- across projects: expiry is a rule of the run, not of a caller.
-- Ends runs that were never started within their time to live. A leased run has no place here and is left alone.
with over as materialized (
  select id, created_at from job_runs
   where expires_at <= strait_now() and status in ('delayed', 'queued')
   order by expires_at limit :limit::int
), q as (delete from run_queue where run_id = any (array(select id from over)) returning run_id),
   p as (delete from run_parked where run_id = any (array(select id from over)) returning run_id),
   d as (delete from run_delayed where run_id = any (array(select id from over)) returning run_id),
done as (
  update job_runs r
     set status = 'expired', finished_at = strait_now(), error = 'run expired', expires_at = null
   where r.id = any (array(select run_id from q union all select run_id from p union all select run_id from d))
     and r.created_at >= (select min(created_at) from over) and r.created_at <= (select max(created_at) from over)
     and (r.status = any ('{delayed,queued}')) is true and r.expires_at <= strait_now()
  returning r.id, r.job_id, r.attempt, r.idempotency_key
), told as (
  insert into run_events (run_id, type, level, message, data)
  select id, 'state_change', 'warn', 'run expired', jsonb_build_object('from', 'queued', 'to', 'expired', 'attempt', attempt) from done
), freed as (
  update job_run_idempotency i set expires_at = strait_now() + make_interval(secs => :idempotency_retention_secs::int)
    from done where done.idempotency_key is not null
     and i.job_id = done.job_id and i.idempotency_key = done.idempotency_key and i.run_id = done.id
), live as materialized (select pg_notify('run_live', '') where exists (select from done))
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
-- Rows of processes that are long gone; none is needed once its leases are reaped.
delete from workers w
 where w.heartbeat_at < strait_now() - make_interval(secs => :silent_secs::float8)
   and not exists (select from run_active x where x.worker_id = w.id);

-- name: promoteParked :many
-- across projects: the sweep serves every project.
-- Parked runs whose job may run again, best rank first, at most :limit per lane and call.
with lane as materialized (
  select l.lane_id, l.root_lane_id
    from lanes l
    join jobs j on j.id = l.job_id and j.enabled and not j.paused
    left join job_groups g on g.id = j.group_id
   where l.max_inflight is null and not coalesce(g.paused, false)
     and exists (select from run_parked p where p.root_lane_id = l.root_lane_id and p.lane_id = l.lane_id)
), pick as materialized (
  select x.ctid as place from lane cross join lateral (
         select p.ctid from run_parked p where p.root_lane_id = lane.root_lane_id and p.lane_id = lane.lane_id
          order by p.rank, p.seq limit :limit::int for update skip locked) x
), moved as (
  delete from run_parked where ctid = any (array(select place from pick))
  returning project_id, rank, run_id, run_created_at, job_id, attempt
), ready as (
  insert into run_queue (project_id, rank, run_id, run_created_at, job_id, attempt)
  select project_id, rank, run_id, run_created_at, job_id, attempt from moved
), woken as materialized (select pg_notify('run_wake', 'ready') where exists (select from moved))
select run_id, (select count(*) from woken)::int as "woken!" from moved;

-- name: purgeIdempotencyKeys :count
-- across projects: retention.
delete from job_run_idempotency where ctid = any (array(
  select ctid from job_run_idempotency where expires_at <= strait_now() limit :limit::int for update skip locked));

-- name: ensurePartitions :many
-- across projects: storage.
select strait_ensure_run_partitions(:months_ahead::int) as partition;
