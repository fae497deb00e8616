-- Waits for events. Whoever ends a wait takes the run's place row first and the trigger second, both guarded;
-- in the other order two of them could deadlock.

-- name: insertTrigger :maybe prepared
-- No row: another trigger of the project waits for this key. The attempt is the one that waits: it and later ones are told what comes.
-- With a notify URL it is told in time: the notification comes and goes with the wait.
with made as (
  insert into event_triggers (event_key, project_id, source_type, trigger_type, job_run_id, job_run_attempt, job_run_replays, timeout_secs,
         expires_at, request_payload, notify_url, notify_status)
  select :event_key, :project_id, 'job_run', 'event', r.id, r.attempt, coalesce((r.metadata ->> '_replays')::int, 0), :timeout_secs::int,
         strait_now() + make_interval(secs => :timeout_secs::int), :request_payload_json?::jsonb, nullif(:notify_url::text, ''),
         case when :notify_url <> '' then 'pending' else '' end
    from job_runs r
   where r.id = :run_id and r.created_at = strait_id_time(:run_id) and r.project_id = :project_id
  on conflict (project_id, event_key) where status = 'waiting' do nothing
  returning id, project_id, event_key, expires_at
), told as (
  insert into event_notifications (trigger_id, project_id) select id, project_id from made where :notify_url <> '' returning trigger_id
), woken as materialized (
  select pg_notify('event_notify', '') where exists (select from told)
)
select id, event_key, expires_at from made where (select count(*) from woken) >= 0;

-- name: lockWaitLimit :maybe
-- Makes waits of a project with a limit follow each other; no row = no limit.
select max_active_event_triggers as "most!" from project_quotas
 where project_id = :project_id and max_active_event_triggers > 0 for no key update;

-- name: countEventWaits :one
-- Without waits for children and sleeps of steps, which no limit refuses: they must not use up what events may have.
select count(*)::int as "waits!" from event_triggers
 where project_id = :project_id and status = 'waiting' and trigger_type = 'event' and not event_key ^@ 'spawn-await:';

-- name: findTrigger :maybe
-- The one that waits, else the newest.
select t.* from event_triggers t
 where t.project_id = :project_id
   and t.id = coalesce((select w.id from event_triggers w where w.project_id = :project_id and w.event_key = :event_key and w.status = 'waiting'),
                       (select n.id from event_triggers n where n.project_id = :project_id and n.event_key = :event_key
                         order by n.requested_at desc, n.id desc limit 1));

-- name: findTriggerById :maybe
select t.* from event_triggers t where t.id = :trigger_id and t.project_id = :project_id;

-- name: receiveTrigger :maybe
-- No row: it does not wait any more.
update event_triggers
   set status = 'received', received_at = strait_now(), updated_at = strait_now(), response_payload = :payload_json?::jsonb, sent_by = :sent_by
 where id = :trigger_id and project_id = :project_id and status = 'waiting'
returning *;

-- name: expireTrigger :maybe
update event_triggers set status = 'timed_out', error = :error, updated_at = strait_now()
 where id = :trigger_id and project_id = :project_id and status = 'waiting' and expires_at <= strait_now()
returning id;

-- name: cancelTrigger :maybe
update event_triggers set status = 'canceled', error = :error, updated_at = strait_now()
 where id = :trigger_id and project_id = :project_id and status = 'waiting'
returning id;

-- name: cancelTriggersOf :many
update event_triggers set status = 'canceled', error = :error, updated_at = strait_now()
 where job_run_id = any (:run_ids::text[]) and project_id = :project_id and status = 'waiting'
returning id;

-- name: countWaitingOf :one
select count(*)::int as "waiting!" from event_triggers
 where job_run_id = :run_id and project_id = :project_id and status = 'waiting';

-- name: listDueTriggers :many
-- across projects: a loop serves all of them.
select id, project_id, job_run_id as "job_run_id!", event_key, timeout_secs from event_triggers
 where status = 'waiting' and expires_at <= strait_now() and source_type = 'job_run' and job_run_id is not null
 order by expires_at limit :limit::int;

-- name: removeOldTriggers :count
-- across projects: retention.
-- Waits that ended longer ago. What a live run received may still have to be sent to it.
delete from event_triggers t
 where t.id = any (array(
   select o.id from event_triggers o
    where o.status <> 'waiting' and o.updated_at < strait_now() - make_interval(secs => :retention_secs::float8)
      and not exists (
        select from job_runs r
         where r.id = o.job_run_id and r.created_at = strait_id_time(o.job_run_id)
           and (r.status = any ('{delayed,queued,dequeued,executing,waiting}')) is true)
    order by o.updated_at limit :limit::int));

-- name: listForgottenReceipts :many
-- across projects: a loop serves all of them.
-- Received a while ago, yet the run still waits and for nothing else. Cannot happen while both are written
-- together; looked at for an hour.
select t.id, t.project_id, t.job_run_id as "job_run_id!" from event_triggers t
 where t.status = 'received' and t.source_type = 'job_run'
   and t.received_at between strait_now() - interval '1 hour' and strait_now() - interval '30 s'
   and exists (select from run_waiting w where w.run_id = t.job_run_id)
   and not exists (select from event_triggers o where o.job_run_id = t.job_run_id and o.requested_at > t.requested_at)
 limit :limit::int;

-- name: cancelOrphanedTriggers :many
-- across projects: a loop serves all of them.
-- A trigger waits only together with its run: both rows come and go in one transaction, so in one snapshot a
-- trigger without the run's waiting row is left over.
update event_triggers t set status = 'canceled', error = 'the run no longer waits', updated_at = strait_now()
 where t.id = any (array(
   select o.id from event_triggers o
    where o.status = 'waiting' and o.source_type = 'job_run' and o.job_run_id is not null
      and not exists (select from run_waiting w where w.run_id = o.job_run_id)
    limit :limit::int))
   and t.status = 'waiting'
returning t.id;

-- name: listFinishedAwaits :many
-- across projects: a child may run in another project than its parent.
-- Parents that wait for a child which has ended together with everything it spawned. Run on the queue's pool, where
-- it reads waits that are under way and never the history: 19 ms with 50,000 waits, 200 for children, on the build
-- machine. `limit 1`
-- keeps the look at each child a primary key look-up instead of a hash of all runs.
select t.id, t.project_id, t.job_run_id as "job_run_id!", c.id as "child_id?", c.status as "child_status?", c.result as "child_result?",
       c.error as "child_error?", substr(t.event_key, 13) as "awaited_id!"
  from event_triggers t
  left join lateral (
       select r.id, r.status, r.result, r.error from job_runs r
        where r.id = substr(t.event_key, 13)
          and r.created_at = case when substr(t.event_key, 13) ~ '^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$'
                                  then strait_id_time(substr(t.event_key, 13)) end
        limit 1) c on true
 where t.status = 'waiting' and t.event_key >= 'spawn-await:' and t.event_key < 'spawn-await;' and t.job_run_id is not null
   and exists (select from run_waiting w where w.run_id = t.job_run_id)
   and (c.status is null or c.status = any (:terminal::text[]))
   and not exists (
     with recursive below (id, status, level) as (
       select d.id, d.status, 1 from job_runs d where d.parent_run_id = c.id
       union all
       select d.id, d.status, below.level + 1 from below join job_runs d on d.parent_run_id = below.id where below.level < 20
     )
     select from below where below.status <> all (:terminal::text[]))
 limit :limit::int;

-- name: findResumeFacts :one prepared
-- across projects: asked by the worker that holds the run.
-- The newest checkpoint, and what ended the newest wait: a later attempt is told as well, as the one that heard it may have
-- crashed with it. A replay has waited for nothing yet.
select c.state as "checkpoint_state?", c.created_at as "checkpoint_at?", t.response_payload as "event_payload?"
  from (select 1) x
  left join lateral (select state::text as state, created_at from run_checkpoints where run_id = :run_id order by sequence desc limit 1) c on true
  left join lateral (select response_payload::text as response_payload
                       from event_triggers e
                       join job_runs r on r.id = e.job_run_id and r.created_at = strait_id_time(:run_id)
                      where e.job_run_id = :run_id and e.status = 'received'
                        and coalesce(e.job_run_attempt, r.attempt) <= r.attempt
                        and coalesce(e.job_run_replays, 0) = coalesce((r.metadata ->> '_replays')::int, 0)
                      order by e.received_at desc limit 1) t on true;

-- name: insertStepTrigger :maybe
-- Of a step of a workflow. No row: another trigger of the project waits for this key. One whose event came early is born received.
with made as (
  insert into event_triggers (event_key, project_id, source_type, trigger_type, workflow_run_id, workflow_step_run_id, timeout_secs, expires_at,
         request_payload, notify_url, notify_status, status, received_at, response_payload, sent_by)
  values (:event_key, :project_id, 'workflow_step', :trigger_type, :workflow_run_id, :step_run_id, :timeout_secs::int,
          to_timestamp(:expires_at::float8 / 1000), :request_payload_json?::jsonb, nullif(:notify_url::text, ''),
          case when :notify_url <> '' then 'pending' else '' end, case when :is_received::boolean then 'received' else 'waiting' end,
          case when :is_received then strait_now() end, :response_payload_json?::jsonb, :sent_by)
  on conflict (project_id, event_key) where status = 'waiting' do nothing
  returning id, project_id
), told as (
  insert into event_notifications (trigger_id, project_id) select id, project_id from made where :notify_url <> '' returning trigger_id
), woken as materialized (
  select pg_notify('event_notify', '') where exists (select from told)
)
select id from made where (select count(*) from woken) >= 0;

-- name: endStepTriggers :count
-- The caller holds the lock of the workflow runs; each end is guarded by the state.
update event_triggers t
   set status = e.to_status, error = e.error, updated_at = strait_now(),
       received_at = case when e.to_status = 'received' then strait_now() end,
       response_payload = case when e.to_status = 'received' then e.payload else t.response_payload end,
       sent_by = case when e.to_status = 'received' then coalesce(e.actor, 'system') else t.sent_by end
  from jsonb_to_recordset(:ends::jsonb) as e(trigger_id text, to_status text, actor text, error text, payload jsonb)
 where t.id = e.trigger_id and t.project_id = :project_id and t.status = 'waiting';

-- name: cancelStepTriggers :count
update event_triggers t set status = 'canceled', error = :error, updated_at = strait_now()
 where t.workflow_run_id = :workflow_run_id and t.project_id = :project_id and t.status = 'waiting';

-- name: cancelTriggerById :count
update event_triggers t set status = 'canceled', error = :error, updated_at = strait_now()
 where t.id = :trigger_id and t.project_id = :project_id and t.status = 'waiting';

-- name: removeStepTriggers :count
-- across projects: retention of the workflow runs that these steps belong to.
delete from event_triggers t where t.workflow_step_run_id = any (:step_run_ids::text[]);

-- name: findKeyWaiter :maybe
-- Who waits for this key now.
select t.id, t.workflow_step_run_id from event_triggers t
 where t.project_id = :project_id and t.event_key = :event_key and t.status = 'waiting';

-- name: findWaiter :maybe
-- Who waits for an event of this key: no sleep, no parent that waits for a child.
select t.* from event_triggers t
 where t.project_id = :project_id and t.event_key = :event_key and t.status = 'waiting' and t.trigger_type = 'event'
   and not t.event_key ^@ 'spawn-await:';
