-- Bulk operations: one row each; the runs a bulk trigger made carry its id.

-- name: insertBatch :one
insert into batch_operations (project_id, job_id, item_count, created_by)
values (:project_id, :job_id, :item_count, :created_by)
returning id;

-- name: closeBatch :count
update batch_operations
   set status = 'completed', created_count = :created_count, finished_at = strait_now()
 where id = :batch_id and project_id = :project_id;

-- name: removeOldBatches :count
-- across projects: retention.
-- One that was never closed lost its process and counts from its beginning. While a run of it is kept, so is it.
delete from batch_operations
 where id = any (array(
   select b.id from batch_operations b
    where coalesce(b.finished_at, b.created_at) < strait_now() - make_interval(secs => :retention_secs::float8)
      and not exists (select from job_runs r where r.batch_id = b.id)
    order by coalesce(b.finished_at, b.created_at) limit :limit::int));

-- name: findBatch :maybe
select b.* from batch_operations b where b.id = :batch_id and b.project_id = :project_id;

-- name: listBatches :many
select b.* from batch_operations b
 where b.project_id = :project_id
   and (:before_created_at?::timestamptz is null or (b.created_at, b.id) < (:before_created_at?, :before_id?::text))
 order by b.created_at desc, b.id desc
 limit :limit::int;

-- name: openBackground :one
insert into batch_operations (project_id, job_id, kind, item_count, created_count, created_by, filter, source, until_at, after_created_at, after_id)
values (:project_id, :job_id?, :kind, :looked_at::int, :done::int, :created_by, :filter_json::jsonb, :source_json::jsonb,
        coalesce(:until?::timestamptz, strait_now()), :after_created_at?::timestamptz, :after_id?)
returning *;

-- name: lockBackground :maybe
-- across projects: a loop serves every project.
-- The operation that was worked on longest ago. Whoever holds the row works on its next chunk alone.
select b.* from batch_operations b
 where b.status = 'running' and b.filter is not null and b.due_at <= strait_now()
 order by b.due_at, b.id limit 1 for update skip locked;

-- name: advanceBackground :count
-- In the transaction of the chunk.
update batch_operations
   set item_count = item_count + :looked_at::int, created_count = created_count + :done::int, tries = 0, due_at = strait_now(),
       after_created_at = coalesce(:after_created_at?::timestamptz, after_created_at), after_id = coalesce(:after_id?::text, after_id),
       status = case when :ended::bool then 'completed' else status end, finished_at = case when :ended::bool then strait_now() end
 where id = :batch_id and project_id = :project_id;

-- name: postponeBackground :count
-- After a chunk that failed: later each time, and given up in the end.
update batch_operations
   set tries = tries + 1, due_at = strait_now() + make_interval(secs => least(power(2, tries), 300)),
       status = case when tries + 1 >= :most::int then 'failed' else status end,
       finished_at = case when tries + 1 >= :most::int then strait_now() end
 where id = :batch_id and project_id = :project_id and status = 'running';
