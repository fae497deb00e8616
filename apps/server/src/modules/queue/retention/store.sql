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
-- `begun`: may hold something that is past :retention_secs; `past`: nothing new comes into it.
select leaf as "leaf!", lower_bound as "lower_bound!", upper_bound as "upper_bound!",
       upper_bound < strait_now() - make_interval(secs => :retention_secs::float8) as "past!",
       lower_bound < strait_now() - make_interval(secs => :retention_secs::float8) as "begun!"
  from strait_run_partitions();

-- name: isOccupied :one
-- across projects: storage.
select exists (select from job_runs where created_at >= :lower_bound::timestamptz and created_at < :upper_bound::timestamptz) as "occupied!";

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

-- name: listCrowded :many
-- across projects: the caps are settings of the server.
-- Projects and jobs with more dead letters than they may have, among those where one died within :recent_secs, each with
-- the first dead letter beyond the cap: seen from the newest, or from the oldest when :from_oldest. Every look is a probe of
-- an index that holds nothing but dead letters; at most cap + 1 entries of it are read per project and job.
with recursive project (id) as (
  (select project_id from job_runs where status = 'dead_letter' order by project_id limit 1)
  union all
  select (select r.project_id from job_runs r where r.status = 'dead_letter' and r.project_id > p.id order by r.project_id limit 1)
    from project p where p.id is not null
), job (id) as (
  (select job_id from job_runs where status = 'dead_letter' order by job_id limit 1)
  union all
  select (select r.job_id from job_runs r where r.status = 'dead_letter' and r.job_id > j.id order by r.job_id limit 1)
    from job j where j.id is not null
)
select p.id as "project_id?", null as "job_id?", x.finished_at as "finished_at!", x.id as "run_id!"
  from project p cross join lateral (
       select newest.finished_at, newest.id from (
         select r.finished_at, r.id from job_runs r
          where not :from_oldest::bool and r.project_id = p.id and r.status = 'dead_letter'
          order by r.finished_at desc, r.id desc offset :per_project::int limit 1) newest
       union all
       select oldest.finished_at, oldest.id from (
         select r.finished_at, r.id from job_runs r
          where :from_oldest::bool and r.project_id = p.id and r.status = 'dead_letter'
          order by r.finished_at, r.id offset :per_project::int limit 1) oldest) x
 where :per_project::int > 0 and p.id is not null
   and (select n.finished_at from job_runs n where n.project_id = p.id and n.status = 'dead_letter'
         order by n.finished_at desc limit 1) > strait_now() - make_interval(secs => :recent_secs::float8)
union all
select null, j.id, x.finished_at, x.id
  from job j cross join lateral (
       select newest.finished_at, newest.id from (
         select r.finished_at, r.id from job_runs r
          where not :from_oldest::bool and r.job_id = j.id and r.status = 'dead_letter'
          order by r.finished_at desc, r.id desc offset :per_job::int limit 1) newest
       union all
       select oldest.finished_at, oldest.id from (
         select r.finished_at, r.id from job_runs r
          where :from_oldest::bool and r.job_id = j.id and r.status = 'dead_letter'
          order by r.finished_at, r.id offset :per_job::int limit 1) oldest) x
 where :per_job::int > 0 and j.id is not null
   and (select n.finished_at from job_runs n where n.job_id = j.id and n.status = 'dead_letter'
         order by n.finished_at desc limit 1) > strait_now() - make_interval(secs => :recent_secs::float8);

-- name: dropDeadLetters :count
-- across projects: the caps are settings of the server.
-- The oldest dead letters of one project or job, up to and including the run that listCrowded named, with what hangs off
-- them.
with found as materialized (
  (select r.id, r.created_at from job_runs r
    where r.project_id = :of_project?::text and r.status = 'dead_letter'
      and (r.finished_at, r.id) <= (:finished_at::timestamptz, :run_id::text)
    order by r.finished_at, r.id limit :limit::int)
  union all
  (select r.id, r.created_at from job_runs r
    where r.job_id = :of_job?::text and r.status = 'dead_letter'
      and (r.finished_at, r.id) <= (:finished_at::timestamptz, :run_id::text)
    order by r.finished_at, r.id limit :limit::int)
), old as materialized (
  select r.id, r.created_at, r.job_id, r.idempotency_key from job_runs r
   where r.id = any (array(select id from found))
     and r.created_at >= (select min(created_at) from found) and r.created_at <= (select max(created_at) from found)
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
-- The newest dead letters of one project or job, from the run that listCrowded named on, become system_failed: those
-- before them keep their place.
with found as materialized (
  (select r.id, r.created_at from job_runs r
    where r.project_id = :of_project?::text and r.status = 'dead_letter'
      and (r.finished_at, r.id) >= (:finished_at::timestamptz, :run_id::text)
    order by r.finished_at, r.id limit :limit::int)
  union all
  (select r.id, r.created_at from job_runs r
    where r.job_id = :of_job?::text and r.status = 'dead_letter'
      and (r.finished_at, r.id) >= (:finished_at::timestamptz, :run_id::text)
    order by r.finished_at, r.id limit :limit::int)
), done as (
  update job_runs r set status = 'system_failed', error_class = 'dlq_overflow'
   where r.id = any (array(select id from found))
     and r.created_at >= (select min(created_at) from found) and r.created_at <= (select max(created_at) from found)
     and (r.status = 'dead_letter') is true
  returning r.id, r.attempt
), told as (
  insert into run_events (run_id, type, level, message, data)
  select id, 'state_change', 'error', 'the dead letter queue is full',
         jsonb_build_object('from', 'dead_letter', 'to', 'system_failed', 'attempt', attempt, 'error_class', 'dlq_overflow')
    from done
), live as materialized (select pg_notify('run_live', '') where exists (select from done))
select id, (select count(*) from live)::int as "told!" from done;
