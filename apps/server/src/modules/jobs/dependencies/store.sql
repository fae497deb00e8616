-- Which jobs have to end before runs of a job may start.

-- name: serializeDependencies :one
-- across projects: a lock, no data.
-- Cycles are looked for one change at a time per project: two that each see no cycle could close one together.
select true as "locked!" from pg_advisory_xact_lock(hashtextextended(:project_id::text, 7302));

-- name: findCycle :maybe
-- Whether :depends_on_job_id already waits for :job_id, over any number of jobs.
with recursive above (job_id) as (
  select d.depends_on_job_id from job_dependencies d where d.job_id = :depends_on_job_id
  union
  select d.depends_on_job_id from above join job_dependencies d on d.job_id = above.job_id
)
select j.id from jobs j where j.id = :job_id and j.project_id = :project_id and j.id in (select job_id from above);

-- name: countDependencies :one
-- across projects: the caller holds the job in its project.
select count(*)::int as "dependencies!" from job_dependencies where job_id = :job_id;

-- name: insertDependency :maybe
-- With the flags that say so on both jobs. No row: it exists, or one of the jobs is gone.
with mine as materialized (
  select j.id from jobs j
   where j.id = any (array[:job_id::text, :depends_on_job_id::text]) and j.project_id = :project_id and j.deleting_at is null
   order by j.id for no key update
), made as (
  insert into job_dependencies (job_id, depends_on_job_id, condition)
  select :job_id, :depends_on_job_id, :condition where (select count(*) from mine) = 2
      on conflict (job_id, depends_on_job_id) do nothing
  returning *
), flagged as (
  update jobs j set has_dependencies = j.has_dependencies or j.id = :job_id, followed = j.followed or j.id = :depends_on_job_id
   where j.id = any (array(select id from mine)) and j.project_id = :project_id and exists (select from made)
)
select * from made;

-- name: listDependencies :many
select d.* from job_dependencies d join jobs j on j.id = d.job_id
 where d.job_id = :job_id and j.project_id = :project_id
   and (:before_created_at?::timestamptz is null or (d.created_at, d.id) < (:before_created_at, :before_id?::text))
 order by d.created_at desc, d.id desc limit :limit::int;

-- name: deleteDependency :maybe
delete from job_dependencies d using jobs j
 where d.id = :dependency_id and d.job_id = :job_id and j.id = d.job_id and j.project_id = :project_id
returning d.id, d.depends_on_job_id;

-- name: clearFlags :count
-- After a dependency is gone, on the jobs at its two ends.
update jobs j
   set has_dependencies = exists (select from job_dependencies d where d.job_id = j.id),
       followed = coalesce(j.on_complete_trigger_job, j.on_failure_trigger_job, j.on_complete_trigger_workflow,
                           j.on_failure_trigger_workflow) is not null
                  or exists (select from job_dependencies d where d.depends_on_job_id = j.id)
                  or exists (select from job_versions v where v.job_id = j.id
                                and coalesce(v.on_complete_trigger_job, v.on_failure_trigger_job, v.on_complete_trigger_workflow,
                                             v.on_failure_trigger_workflow) is not null)
 where j.id = any (:job_ids::text[]) and j.project_id = :project_id;
