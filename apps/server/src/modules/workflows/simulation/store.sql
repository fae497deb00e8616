-- What simulations look up.

-- name: averageCosts :many
-- Of each job's last completed runs.
select j.job_id as "job_id!", coalesce(avg(u.cost), 0)::float8 as "average!"
  from unnest(:job_ids::text[]) as j(job_id)
 cross join lateral (
   select coalesce((select sum(x.cost_microusd) from run_usage x where x.run_id = r.id), 0) as cost
     from job_runs r where r.project_id = :project_id and r.job_id = j.job_id and r.status = 'completed'
    order by r.created_at desc limit 50) u
 group by j.job_id;
