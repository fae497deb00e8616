-- Which runs of a job are not over yet, for schedules that must not overlap. The first half is read by the index of
-- active runs per job, the second by that of a project's states: it costs what the project has delayed and waiting. There
-- `(job_id = x) is true` keeps the planner from the index of all runs of a job, which would cost its history.

-- name: listBusyJobs :many
-- across projects: schedules of many projects are due at once; each names its job with its project.
select n.job_id as "job_id!"
  from unnest(:job_ids::text[], :project_ids::text[]) as n(job_id, project_id)
 where exists (select from job_runs r where r.job_id = n.job_id and r.project_id = n.project_id
                  and r.status in ('queued', 'dequeued', 'executing'))
    or exists (select from job_runs r where (r.job_id = n.job_id) is true and r.project_id = n.project_id
                  and r.status in ('delayed', 'waiting'));

-- name: listOtherRuns :many
select r.id as "id!" from job_runs r
 where r.job_id = :job_id and r.project_id = :project_id and r.status in ('queued', 'dequeued', 'executing') and r.id <> :run_id
union all
select r.id as "id!" from job_runs r
 where (r.job_id = :job_id) is true and r.project_id = :project_id and r.status in ('delayed', 'waiting') and r.id <> :run_id
 limit :limit::int;
