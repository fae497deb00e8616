-- Triggers that do not become runs at once. Whoever takes rows out creates the run in the same transaction.

-- name: debounceTrigger :one
-- The latest trigger per (job, key) replaces the one before and moves its instant, at most :most_windows windows after the
-- first. Waits for whoever is firing the row, and begins a new one if that commits.
insert into debounce_pending as d (job_id, project_id, debounce_key, payload, tags, metadata, priority, concurrency_key, ttl_secs,
       created_by, fire_at)
values (:job_id, :project_id, :debounce_key, :payload_json::jsonb, :tags?::jsonb, :metadata?::jsonb, :priority, :concurrency_key?,
        :ttl_secs?, :created_by?, strait_now() + make_interval(secs => :window_secs::float8))
on conflict (job_id, debounce_key) do update
   set payload = excluded.payload, tags = excluded.tags, metadata = excluded.metadata, priority = excluded.priority,
       concurrency_key = excluded.concurrency_key, ttl_secs = excluded.ttl_secs, created_by = excluded.created_by,
       fire_at = least(excluded.fire_at, d.created_at + make_interval(secs => :window_secs::float8 * :most_windows::float8))
returning fire_at;

-- name: takeDueTrigger :maybe
-- across projects: the loop fires for every project.
-- The earliest due row, gone when the transaction that creates its run commits. A newer trigger for the same key waits for
-- that, so none is lost and none fires twice. Rows of jobs that may not run are left alone.
delete from debounce_pending d
 where d.id = (select x.id from debounce_pending x join jobs j on j.id = x.job_id left join job_groups g on g.id = j.group_id
                where x.fire_at <= strait_now() and j.enabled and not j.paused and not coalesce(g.paused, false)
                  and not exists (select from project_quotas q where q.project_id = x.project_id and q.queue_paused)
                order by x.fire_at limit 1 for update of x skip locked)
   and d.fire_at <= strait_now()
returning job_id, project_id, payload::text as "payload!", tags, metadata, priority, concurrency_key, ttl_secs, created_by;

-- name: putOffTriggers :count
-- across projects: the loop fires for every project.
-- What is due but whose job may not run is looked at again later, so that it does not stand in the way of others.
update debounce_pending d set fire_at = strait_now() + make_interval(secs => :later_secs::int)
  from jobs j left join job_groups g on g.id = j.group_id
 where d.fire_at <= strait_now() and j.id = d.job_id and (not j.enabled or j.paused or coalesce(g.paused, false)
        or exists (select from project_quotas q where q.project_id = d.project_id and q.queue_paused));

-- name: lockBatch :one
-- Those who fill or empty one batch do so one after the other.
select true as "locked!" from pg_advisory_xact_lock(hashtextextended(:job_id || ' ' || :batch_key, 40));

-- name: addToBatch :one
-- Items in the order they came; answers how many were there before (at most :enough).
with added as (
  insert into batch_buffer (job_id, project_id, batch_key, payload, priority, tags, metadata, concurrency_key, ttl_secs, created_by)
  select :job_id, :project_id, :batch_key, n.payload::jsonb, n.priority, n.extra -> 'tags', n.extra -> 'metadata',
         n.extra ->> 'concurrency_key', (n.extra ->> 'ttl_secs')::int, n.extra ->> 'created_by'
    from unnest(:payloads::text[], :priorities::int[], :extras::jsonb[]) with ordinality as n(payload, priority, extra, ord)
   order by n.ord
)
select count(*)::int as "before!"
  from (select from batch_buffer where job_id = :job_id and batch_key = :batch_key and project_id = :project_id limit :enough::int) x;

-- name: takeBatch :maybe
-- across projects: the loop serves every project; the batch is named by its job.
-- The oldest items in the order they came, at most :limit and about :max_bytes, as one payload. The first gives the run what
-- is not priority. The caller holds the batch.
with standing as materialized (
  select b.ctid as place, b.seq, b.payload,
         sum(octet_length(b.payload::text)) over (order by b.seq) - octet_length(b.payload::text) as bytes_before
    from (select ctid, seq, payload from batch_buffer where job_id = :job_id and batch_key = :batch_key
           order by seq limit :limit::int) b
), gone as (
  delete from batch_buffer where ctid = any (array(select place from standing where bytes_before < :max_bytes::bigint))
  returning seq, project_id, payload, priority, tags, metadata, concurrency_key, ttl_secs, created_by
)
select f.project_id, a.payload as "payload!", a.items as "items!", a.priority as "priority!", f.tags, f.metadata, f.concurrency_key,
       f.ttl_secs, f.created_by
  from (select jsonb_build_object('items', jsonb_agg(payload order by seq))::text as payload, count(*)::int as items,
               max(priority) as priority, min(seq) as first from gone) a
  join gone f on f.seq = a.first;

-- name: listDueBatches :many
-- across projects: the loop serves every project.
-- Batches whose window is over or that are full, oldest first. A job without a window any more has no reason to wait.
select b.job_id, b.project_id, b.batch_key from batch_buffer b join jobs j on j.id = b.job_id
 where j.enabled
 group by b.job_id, b.project_id, b.batch_key, j.batch_window_secs, j.batch_max_size
having min(b.created_at) <= strait_now() - make_interval(secs => j.batch_window_secs)
    or (j.batch_max_size > 0 and count(*) >= j.batch_max_size)
 order by min(b.created_at) limit :limit::int;

-- name: isBatchDue :one
-- across projects: asked for a batch that the caller holds.
select exists (select from batch_buffer b join jobs j on j.id = b.job_id
                where b.job_id = :job_id and b.batch_key = :batch_key and j.enabled
                group by j.batch_window_secs, j.batch_max_size
               having min(b.created_at) <= strait_now() - make_interval(secs => j.batch_window_secs)
                   or (j.batch_max_size > 0 and count(*) >= j.batch_max_size)) as "due!";
