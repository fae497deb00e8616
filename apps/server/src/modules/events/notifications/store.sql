-- What notify URLs are still to be told. Who sends holds the row until `due_at`; `attempts` tells him from who sends after him.

-- name: claimNotifications :many
-- across projects: a loop serves all of them.
with due as materialized (
  select n.id from event_notifications n where n.due_at <= strait_now() order by n.due_at limit :limit::int for update skip locked
), held as (
  update event_notifications n
     set attempts = n.attempts + 1, due_at = strait_now() + make_interval(secs => :hold_secs::int)
   where n.id = any (array(select id from due))
  returning n.id, n.attempts, n.trigger_id, n.project_id
)
select h.id, h.attempts, h.trigger_id, h.project_id, t.event_key, t.expires_at, t.notify_url as "notify_url!", t.job_run_id as "job_run_id?",
       (select r.job_id from job_runs r where r.id = t.job_run_id and r.created_at = strait_id_time(t.job_run_id)) as "job_id?"
  from held h join event_triggers t on t.id = h.trigger_id order by h.id;

-- name: endNotification :count
-- 0: somebody else sends it by now.
with gone as (
  delete from event_notifications where id = :id and project_id = :project_id and attempts = :attempts returning trigger_id
)
update event_triggers t set notify_status = :status from gone where t.id = gone.trigger_id and t.project_id = :project_id;

-- name: postponeNotification :count
update event_notifications
   set due_at = strait_now() + make_interval(secs => :secs::float8), attempts = attempts - case when :uncounted::boolean then 1 else 0 end
 where id = :id and project_id = :project_id and attempts = :attempts;

-- name: nextNotification :one
-- across projects: a loop serves all of them.
-- In milliseconds from now; null: there is none.
select (extract(epoch from (select min(due_at) from event_notifications) - strait_now()) * 1000)::float8 as "next_ms?";
