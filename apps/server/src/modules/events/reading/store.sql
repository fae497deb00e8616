-- Waits of a project: lists, counts, and removing what has ended.

-- name: listTriggers :many
-- Newest first.
select t.* from event_triggers t
 where t.project_id = :project_id
   and (:status?::text is null or t.status = :status)
   and (:workflow_run_id?::text is null or t.workflow_run_id = :workflow_run_id)
   and t.source_type = any (:source_types::text[])
   and (:before_requested_at?::timestamptz is null or (t.requested_at, t.id) < (:before_requested_at, :before_id?::text))
 order by t.requested_at desc, t.id desc limit :limit::int;

-- name: listWaitingUnder :many
-- Waits for events whose key begins with these letters, oldest first: no sleeps, no parents that wait for a child.
select t.* from event_triggers t
 where t.project_id = :project_id and t.status = 'waiting' and t.trigger_type = 'event' and t.event_key ^@ :prefix::text
   and not t.event_key ^@ 'spawn-await:'
 order by t.requested_at, t.id limit :limit::int;

-- name: countTriggers :one
select count(*)::int as "total_count!", (count(*) filter (where t.status = 'waiting'))::int as "waiting_count!",
       (count(*) filter (where t.status = 'received'))::int as "received_count!",
       (count(*) filter (where t.status = 'timed_out'))::int as "timed_out_count!",
       (count(*) filter (where t.status = 'canceled'))::int as "canceled_count!",
       coalesce(avg(extract(epoch from t.received_at - t.requested_at)) filter (where t.status = 'received'), 0)::float8 as "avg_wait_duration_secs!"
  from event_triggers t where t.project_id = :project_id;

-- name: countOld :one
-- What a live run received may still have to be sent to it.
select count(*)::int as "old!" from event_triggers t
 where t.project_id = :project_id and t.status <> 'waiting' and t.updated_at < strait_now() - make_interval(days => :days::int)
   and not exists (select from job_runs r where r.id = t.job_run_id and r.created_at = strait_id_time(t.job_run_id)
                      and (r.status = any ('{delayed,queued,dequeued,executing,waiting}')) is true);

-- name: removeOld :count
delete from event_triggers d
 where d.project_id = :project_id and d.id = any (array(
   select t.id from event_triggers t
    where t.project_id = :project_id and t.status <> 'waiting' and t.updated_at < strait_now() - make_interval(days => :days::int)
      and not exists (select from job_runs r where r.id = t.job_run_id and r.created_at = strait_id_time(t.job_run_id)
                         and (r.status = any ('{delayed,queued,dequeued,executing,waiting}')) is true)
    order by t.updated_at limit :limit::int));
