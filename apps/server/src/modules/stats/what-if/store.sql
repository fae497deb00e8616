-- What a job was asked to do in a window, for replaying it.

-- name: listArrivals :many
-- Runs that ended, with when they could have started and how long they took; the newest of the window when there are more.
select (extract(epoch from greatest(created_at, scheduled_at)) * 1000)::float8 as "ready_ms!", priority, concurrency_key as key,
       greatest(extract(epoch from finished_at - started_at) * 1000, 0)::float8 as "duration_ms!"
  from job_runs
 where job_id = :job_id and project_id = :project_id
   and created_at >= :since::timestamptz and created_at < :until::timestamptz
   and started_at is not null and finished_at is not null
 order by created_at desc, id desc limit :limit::int;
