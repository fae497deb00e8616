-- What the executor asks of history.

-- name: successTimes :one
-- across projects: workers serve every project; the job comes from a run they hold.
-- The newest runs of a day, at most :sample of them: enough for a percentile, and bounded however busy the job is.
select count(*)::int as "samples!", percentile_cont(0.95) within group (order by secs) as "p95_secs?"
  from (select extract(epoch from finished_at - started_at)::float8 as secs
          from (select status, started_at, finished_at from job_runs
                 where job_id = :job_id and created_at > strait_now() - interval '24 h'
                 order by created_at desc limit :sample::int) r
         where r.status = 'completed' and r.started_at is not null) s;
