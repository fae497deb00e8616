-- A job's runs as a whole: whether any lives, how they ended, and their removal with the job.

-- name: hasLiveRuns :one
-- Delayed and waiting runs are found by their places: no index of job_runs holds them by job.
select exists (select from job_runs r where r.job_id = :job_id and r.project_id = :project_id
                  and r.status in ('queued', 'dequeued', 'executing'))
    or exists (select from run_delayed d where d.job_id = :job_id and d.project_id = :project_id)
    or exists (select from run_parked p where p.job_id = :job_id and p.project_id = :project_id)
    or exists (select from run_waiting w join job_runs r on r.id = w.run_id and r.created_at = w.run_created_at
                where r.job_id = :job_id and r.project_id = :project_id) as "live!";

-- name: removeRuns :count
-- Newest first: a run goes before the run it continues. Events have no cascade on purpose and go first; everything
-- else that hangs off a run follows it. Live runs never go, whoever asks.
with old as materialized (
  select id, created_at from job_runs
   where job_id = :job_id and project_id = :project_id
     and (status <> all ('{delayed,queued,dequeued,executing,waiting}')) is true
   order by created_at desc, id desc limit :limit::int
), told as (delete from run_events where run_id = any (array(select id from old))),
   freed as (delete from job_run_idempotency where job_id = :job_id and run_id = any (array(select id from old)))
delete from job_runs r using old where r.id = old.id and r.created_at = old.created_at;

-- name: cutContinuations :count
-- Runs of other jobs that continue one of this job's runs keep living without the link.
update job_runs c set continuation_of = null
 where c.project_id = :project_id
   and c.continuation_of = any (array(select id from job_runs where job_id = :job_id and project_id = :project_id
                                       order by created_at desc, id desc limit :limit::int));

-- name: removeKeys :count
-- across projects: the caller has locked the job in its project.
delete from job_run_idempotency where job_id = :job_id;

-- name: removeLanes :count
delete from lanes where job_id = :job_id and project_id = :project_id;

-- name: jobHealth :one
-- Ended runs of one job inside a window, by the time they were created.
select (strait_now() - make_interval(secs => :window_secs::int)) as "since!",
       count(*) filter (where status = 'completed')::int as "completed!",
       count(*) filter (where status = 'failed')::int as "failed!",
       count(*) filter (where status = 'timed_out')::int as "timed_out!",
       count(*) filter (where status = 'crashed')::int as "crashed!",
       count(*) filter (where status = 'system_failed')::int as "system_failed!",
       count(*) filter (where status = 'canceled')::int as "canceled!",
       count(*) filter (where status = 'expired')::int as "expired!",
       count(*) filter (where status = 'dead_letter')::int as "dead_letter!",
       coalesce(avg(extract(epoch from finished_at - started_at)), 0)::float8 as "avg_duration_secs!",
       coalesce(percentile_cont(0.95) within group (order by extract(epoch from finished_at - started_at)), 0)::float8 as "p95_duration_secs!"
  from job_runs
 where job_id = :job_id and project_id = :project_id
   and created_at > strait_now() - make_interval(secs => :window_secs::int);

-- name: countByState :many
-- The newest runs of each of these jobs, at most :limit of one; `full`: one of them has as many.
with newest as materialized (
  select j.job_id, r.status from unnest(:job_ids::text[]) as j(job_id)
   cross join lateral (select x.status from job_runs x where x.job_id = j.job_id and x.project_id = :project_id
                        order by x.created_at desc, x.id desc limit :limit::int) r
)
select status, count(*)::int as "runs!",
       exists (select from newest group by job_id having count(*) >= :limit::int) as "full!"
  from newest group by status order by status;
