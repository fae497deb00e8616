-- What leaves the database: idempotency keys, runs past the retention of their state, dead letters beyond the
-- caps, whole months. Runs go with everything that hangs off them; live runs never go.

-- name: purgeIdempotencyKeys :count
-- across projects: retention.
delete from job_run_idempotency where ctid = any (array(
  select ctid from job_run_idempotency where expires_at <= strait_now() limit :limit::int for update skip locked));

-- name: ensurePartitions :many
-- across projects: storage.
select strait_ensure_run_partitions(:months_ahead::int) as partition;

-- name: listPartitions :many
-- across projects: storage.
select leaf as "leaf!", lower_bound as "lower_bound!", upper_bound as "upper_bound!",
       upper_bound < strait_now() - make_interval(secs => :retention_secs::float8) as "old!",
       lower_bound < strait_now() - make_interval(secs => :retention_secs::float8) as "begun!"
  from strait_run_partitions();

-- name: purgePartition :one
-- across projects: retention drops whole months.
select strait_purge_run_partition(:leaf, :max_rows::int)::int as "changed!";

-- name: retirePartition :count
-- across projects: retention drops whole months.
select strait_retire_run_partition(:leaf);

-- name: removeOldRuns :one prepared
-- across projects: retention.
-- One page of a leaf in the order of ids. What ended longer ago than its state is kept for goes: events first (their
-- foreign key has no cascade on purpose), links of runs that continue one of them are cut, other details cascade. `last_id`
-- is where the next page begins; null at the end of the leaf.
with page as materialized (
  select id, status, finished_at from job_runs
   where created_at >= :lower_bound::timestamptz and created_at < :upper_bound::timestamptz and id > :after_id::text
   order by id limit :limit::int
), old as materialized (
  select r.id, r.created_at, r.job_id, r.idempotency_key from job_runs r
   where r.id = any (array(
         select id from page
          where finished_at < strait_now() - make_interval(secs => case
                  when status in ('completed', 'failed', 'canceled', 'expired') then :short_secs::float8
                  when status in ('timed_out', 'crashed', 'system_failed') then :long_secs::float8
                  when status = 'dead_letter' then :dead_letter_secs::float8 end)))
     and r.created_at >= :lower_bound::timestamptz and r.created_at < :upper_bound::timestamptz
     and (r.status = any ('{completed,failed,canceled,expired,timed_out,crashed,system_failed,dead_letter}')) is true
     for update skip locked
), told as (delete from run_events where run_id = any (array(select id from old))),
freed as (
  delete from job_run_idempotency i using old
   where i.job_id = old.job_id and i.idempotency_key = old.idempotency_key and i.run_id = old.id
), cut as (
  update job_runs c set continuation_of = null
   where c.continuation_of = any (array(select id from old)) and c.id <> all (array(select id from old))
), gone as (
  delete from job_runs r using old where r.id = old.id and r.created_at = old.created_at returning r.id
)
select (select max(id) from page) as "last_id?", (select count(*) from gone)::int as "removed!";

-- name: dropDeadLetters :count
-- across projects: the caps are settings of the server.
-- The oldest dead letters beyond the caps, with what hangs off them.
with ranked as (
  select x.id, x.created_at, x.of_project, x.of_job
    from projects p cross join lateral (
         select r.id, r.created_at,
                row_number() over (order by r.created_at desc, r.id desc) as of_project,
                row_number() over (partition by r.job_id order by r.created_at desc, r.id desc) as of_job
           from job_runs r where r.project_id = p.id and r.status = 'dead_letter') x
), old as materialized (
  select r.id, r.created_at, r.job_id, r.idempotency_key from job_runs r
   where (r.id, r.created_at) in (
         select id, created_at from ranked
          where (:per_project::int > 0 and of_project > :per_project::int) or (:per_job::int > 0 and of_job > :per_job::int)
          order by created_at limit :limit::int)
     and (r.status = 'dead_letter') is true
     for update skip locked
), told as (delete from run_events where run_id = any (array(select id from old))),
freed as (
  delete from job_run_idempotency i using old
   where i.job_id = old.job_id and i.idempotency_key = old.idempotency_key and i.run_id = old.id
), cut as (
  update job_runs c set continuation_of = null
   where c.continuation_of = any (array(select id from old)) and c.id <> all (array(select id from old))
)
delete from job_runs r using old where r.id = old.id and r.created_at = old.created_at;

-- name: rejectDeadLetters :many
-- across projects: the caps are settings of the server.
-- The newest dead letters beyond the caps become system_failed: those before them keep their place.
with ranked as (
  select x.id, x.created_at, x.of_project, x.of_job
    from projects p cross join lateral (
         select r.id, r.created_at,
                row_number() over (order by r.created_at, r.id) as of_project,
                row_number() over (partition by r.job_id order by r.created_at, r.id) as of_job
           from job_runs r where r.project_id = p.id and r.status = 'dead_letter') x
), done as (
  update job_runs r set status = 'system_failed', error_class = 'dlq_overflow'
   where (r.id, r.created_at) in (
         select id, created_at from ranked
          where (:per_project::int > 0 and of_project > :per_project::int) or (:per_job::int > 0 and of_job > :per_job::int)
          order by created_at limit :limit::int)
     and (r.status = 'dead_letter') is true
  returning r.id, r.attempt
), told as (
  insert into run_events (run_id, type, level, message, data)
  select id, 'state_change', 'error', 'the dead letter queue is full',
         jsonb_build_object('from', 'dead_letter', 'to', 'system_failed', 'attempt', attempt, 'error_class', 'dlq_overflow')
    from done
), live as materialized (select pg_notify('run_live', '') where exists (select from done))
select id, (select count(*) from live)::int as "told!" from done;
