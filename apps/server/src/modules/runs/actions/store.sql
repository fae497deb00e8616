-- What operator actions read; what they change, they change through the queue's verbs.

-- name: findStanding :maybe
-- Where a run stands right now. A lease that is not yet in the wide row counts as executing.
select case when r.status = 'queued' and exists (select from run_active a where a.run_id = r.id) then 'executing'
            else r.status end as "status!",
       exists (select from run_parked p where p.run_id = r.id and p.lane_id = 0) as "held!",
       r.job_id, r.idempotency_key, r.job_version,
       j.version as live_version, j.version_policy, j.backwards_compatible
  from job_runs r
  join jobs j on j.id = r.job_id
 where r.id = :run_id and r.created_at = strait_id_time(:run_id) and r.project_id = :project_id;

-- name: listRuns :many
select r.* from job_runs r
 where r.id = any (:run_ids::text[]) and r.project_id = :project_id
   and r.created_at >= :created_from::timestamptz and r.created_at <= :created_to::timestamptz
 order by r.id;

-- name: listReplaySources :many
-- What a new run takes over. Runs of pinned jobs keep their version, others get the live one.
select r.id, r.status, r.job_id, coalesce(r.payload::text, 'null') as "payload_json!", r.priority, r.tags, r.metadata, r.concurrency_key,
       r.debug_mode, r.max_attempts_override, r.timeout_secs_override, r.retry_backoff, r.retry_initial_delay_secs,
       r.retry_max_delay_secs,
       case when j.version_policy = 'pin' then r.job_version end as "job_version?",
       case when j.version_policy = 'pin' then r.job_version_id end as "job_version_id?"
  from job_runs r join jobs j on j.id = r.job_id
 where r.id = any (:run_ids::text[]) and r.project_id = :project_id
   and r.created_at >= :created_from::timestamptz and r.created_at <= :created_to::timestamptz;

-- name: findCheckpointState :maybe
select c.state::text as "state_json!"
  from run_checkpoints c join job_runs r on r.id = c.run_id and r.created_at = c.run_created_at
 where c.run_id = :run_id and c.sequence = :sequence and r.project_id = :project_id;

-- name: listDeadLetterIds :many
-- Oldest first.
select r.id from job_runs r
 where r.project_id = :project_id and r.status = 'dead_letter'
 order by r.created_at limit :limit::int;

-- name: listUnstarted :many
-- One chunk of pending runs that never started and existed when the caller began (:until), oldest first.
select r.id, r.created_at, coalesce(:until?::timestamptz, strait_now()) as "until!"
  from unnest(:statuses::text[]) as s(status) cross join lateral (
  select x.id, x.created_at from job_runs x
   where x.project_id = :project_id and x.status = s.status and x.attempt = 1 and x.started_at is null
     and x.created_at <= coalesce(:until?::timestamptz, strait_now())
     and (:after_created_at?::timestamptz is null or x.created_at >= :after_created_at?::timestamptz)
     and (:after_created_at?::timestamptz is null or (x.created_at, x.id) > (:after_created_at?::timestamptz, :after_id?::text))
     and (:job_id?::text is null or x.job_id = :job_id?)
     and (:batch_id?::text is null or x.batch_id = :batch_id?)
     and (:triggered_by?::text is null or x.triggered_by = :triggered_by?)
   order by x.created_at, x.id
   limit :limit::int) r
 order by r.created_at, r.id
 limit :limit::int;

-- name: listEnded :many
-- One chunk of ended runs in these states that match, oldest first.
select r.id, r.created_at, r.status
  from unnest(:statuses::text[]) as s(status) cross join lateral (
  select x.id, x.created_at, x.status from job_runs x
   where x.project_id = :project_id and x.status = s.status
     and x.created_at <= :until::timestamptz
     and (:after_created_at?::timestamptz is null or x.created_at >= :after_created_at?::timestamptz)
     and (:after_created_at?::timestamptz is null or (x.created_at, x.id) > (:after_created_at?::timestamptz, :after_id?::text))
     and (:job_id?::text is null or x.job_id = :job_id?)
     and (:batch_id?::text is null or x.batch_id = :batch_id?)
     and (:triggered_by?::text is null or x.triggered_by = :triggered_by?)
     and (:error_class?::text is null or x.error_class = :error_class?)
   order by x.created_at, x.id
   limit :limit::int) r
 order by r.created_at, r.id
 limit :limit::int;

-- name: lockUnstarted :many
-- Those of the runs that still stand where nothing has started them; locked, so that no claim takes them. Waits for whoever
-- has one: it may only move it to another place, where the next look finds it (listUnlocked).
with q as materialized (
  select run_id from run_queue where run_id = any (:run_ids::text[]) and project_id = :project_id and attempt = 1 order by run_id for update
), p as materialized (
  select run_id from run_parked where run_id = any (:run_ids::text[]) and project_id = :project_id and attempt = 1 order by run_id for update
), d as materialized (
  select run_id from run_delayed where run_id = any (:run_ids::text[]) and project_id = :project_id and attempt = 1 order by run_id for update
)
select run_id as "id!" from q union all select run_id from p union all select run_id from d;

-- name: listUnlocked :many
-- Those of the runs that nothing has started and nothing ended: they were between two places.
select r.id from job_runs r
 where r.id = any (:run_ids::text[]) and r.project_id = :project_id
   and r.created_at >= :created_from::timestamptz and r.created_at <= :created_to::timestamptz
   and (r.status = any ('{delayed,queued}')) is true and r.attempt = 1 and r.started_at is null
   and not exists (select from run_active a where a.run_id = r.id);
