-- What completed steps send, kept until it was delivered or nobody waits. A row goes in the transaction that acts on it.

-- name: insertEmits :count
-- across projects: the emits name their project.
with told as (
  insert into event_emits (project_id, event_key, payload, sent_by, workflow_step_run_id)
  select e.project_id, e.event_key, e.payload, e.sent_by, e.workflow_step_run_id
    from jsonb_to_recordset(:emits::jsonb) as e(project_id text, event_key text, payload jsonb, sent_by text, workflow_step_run_id text)
  returning id
), woken as materialized (select pg_notify('event_emit', '') where exists (select from told))
select id from told where (select count(*) from woken) >= 0;

-- name: listDueEmits :many
-- across projects: a loop serves all of them.
select id, project_id, event_key, payload, sent_by from event_emits where due_at <= strait_now() order by due_at, id limit :limit::int;

-- name: takeEmit :count
-- 0: somebody else delivered it.
delete from event_emits where id = :emit_id and project_id = :project_id;

-- name: postponeEmit :count
update event_emits
   set tries = tries + 1, due_at = strait_now() + make_interval(secs => least(power(2, least(tries, 20)), 300))
 where id = :emit_id and project_id = :project_id;
