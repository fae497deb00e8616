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
