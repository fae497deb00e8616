-- What the live streams read.

-- name: findWatched :maybe
select r.id, r.status, r.job_id, strait_now() as "now!" from job_runs r
 where r.id = :run_id and r.created_at = strait_id_time(:run_id) and r.project_id = :project_id;

-- name: findNewestStateChange :maybe
-- Where a run stands, as an event.
select e.id, e.run_id, e.type, coalesce(e.level, '') as "level!", coalesce(e.message, '') as "message!", e.data, e.created_at
  from run_events e
  join job_runs r on r.id = e.run_id and r.created_at = e.run_created_at
 where e.run_id = :run_id and r.project_id = :project_id and e.type = 'state_change'
 order by e.id desc limit 1;

-- name: listEventsAfter :many
-- One page of history, in the order of the ids: those are what a client gives back.
select e.id, e.run_id, e.type, coalesce(e.level, '') as "level!", coalesce(e.message, '') as "message!", e.data, e.created_at
  from run_events e
  join job_runs r on r.id = e.run_id and r.created_at = e.run_created_at
 where e.run_id = :run_id and r.project_id = :project_id and e.id > :after_id
 order by e.id
 limit :limit::int;

-- name: listNewEvents :many
-- across projects: the runs were checked against their callers' projects when their streams began.
-- What is newer than each run's own moment, for all watched runs at once.
select e.id, e.run_id, e.type, coalesce(e.level, '') as "level!", coalesce(e.message, '') as "message!", e.data, e.created_at
  from unnest(:run_ids::text[], :sinces::timestamptz[]) as w(run_id, since)
  join run_events e on e.run_id = w.run_id and e.created_at >= w.since
 order by e.id;
