-- Schedules of workflows. Whoever fires holds the workflow and then the schedule, in the order in which edits take them.

-- name: putSchedule :maybe
-- The due instant of an unchanged expression stays, also one that is due right now and not taken yet.
with put as (
  insert into workflow_schedules as s (workflow_id, project_id, cron, timezone, enabled, next_fire_at, problem)
  values (:workflow_id, :project_id, :cron, :timezone, :enabled, :next_fire_at?, :problem?)
  on conflict (workflow_id) do update
     set cron = excluded.cron, timezone = excluded.timezone, enabled = excluded.enabled, problem = excluded.problem,
         updated_at = strait_now(),
         next_fire_at = case when excluded.next_fire_at is null or s.next_fire_at is null or s.cron <> excluded.cron
                                  or s.timezone <> excluded.timezone then excluded.next_fire_at
                             else s.next_fire_at end
   where s.project_id = :project_id
  returning s.workflow_id
)
select workflow_id, (select true from pg_notify('schedule_wake', '')) as "told!" from put;

-- name: readTime :one
select strait_now() as "now!";

-- name: removeSchedule :count
delete from workflow_schedules where workflow_id = :workflow_id and project_id = :project_id;

-- name: listDue :many
-- across projects: a loop serves all of them.
select workflow_id, project_id from workflow_schedules
 where next_fire_at <= strait_now() and workflow_id <> all (:except_ids::text[])
 order by next_fire_at limit :limit::int;

-- name: nextDue :one
-- across projects: a loop serves all of them.
-- Milliseconds until the earliest fire, negative when it is due; null without any.
select (extract(epoch from min(next_fire_at) - strait_now()) * 1000)::float8 as "in_ms?"
  from workflow_schedules where next_fire_at is not null and workflow_id <> all (:except_ids::text[]);

-- name: holdWorkflow :maybe
-- No row: somebody edits it, fires it or starts a limited run of it right now, or it is gone.
select w.id, w.skip_if_running from workflows w
 where w.id = :workflow_id and w.project_id = :project_id and w.deleting_at is null for no key update skip locked;

-- name: takeDue :maybe
-- No row: it was fired or changed meanwhile.
select cron, timezone, next_fire_at as "next_fire_at!", strait_now() as "now!" from workflow_schedules
 where workflow_id = :workflow_id and project_id = :project_id and next_fire_at <= strait_now() for no key update;

-- name: isRunning :one
select exists (select from workflow_runs r
                where r.project_id = :project_id and r.workflow_id = :workflow_id
                  and r.status in ('pending', 'running', 'paused')) as "running!";

-- name: claimFire :maybe
-- No row: this instant was decided before.
insert into workflow_schedule_fires (workflow_id, fire_at, project_id, outcome)
values (:workflow_id, :fire_at, :project_id, :outcome)
on conflict do nothing
returning fire_at;

-- name: recordFire :count
update workflow_schedule_fires set outcome = :outcome, workflow_run_id = :workflow_run_id?, reason = :reason?
 where workflow_id = :workflow_id and project_id = :project_id and fire_at = :fire_at;

-- name: advanceSchedule :count
update workflow_schedules
   set next_fire_at = :next_fire_at?, problem = :problem?, updated_at = strait_now(),
       last_fire_at = coalesce(:fired_at?, last_fire_at), last_run_id = coalesce(:workflow_run_id?, last_run_id)
 where workflow_id = :workflow_id and project_id = :project_id;

-- name: removeOldFires :count
-- across projects: retention.
delete from workflow_schedule_fires f
 where f.ctid = any (array(select o.ctid from workflow_schedule_fires o
                            where o.created_at < strait_now() - make_interval(secs => :retention_secs::float8)
                            order by o.created_at limit :limit::int));

-- name: repairSchedules :count
-- across projects: a loop serves all of them.
-- Workflows that a program without schedules made or changed, during an upgrade. The first scheduler finds their next instant.
with wrong as materialized (
  select w.id, w.project_id, w.cron, coalesce(nullif(w.cron_timezone, ''), 'UTC') as timezone, w.enabled
    from workflows w left join workflow_schedules s on s.workflow_id = w.id
   where w.cron <> '' and w.deleting_at is null
     and (s.workflow_id is null or (s.cron, s.timezone, s.enabled)
          is distinct from (w.cron, coalesce(nullif(w.cron_timezone, ''), 'UTC'), w.enabled))
   order by w.id limit :limit::int
     for no key update of w skip locked
)
insert into workflow_schedules as s (workflow_id, project_id, cron, timezone, enabled, next_fire_at)
select id, project_id, cron, timezone, enabled, case when enabled then strait_now() end from wrong
on conflict (workflow_id) do update
   set cron = excluded.cron, timezone = excluded.timezone, enabled = excluded.enabled, next_fire_at = excluded.next_fire_at,
       problem = null, updated_at = strait_now();

-- name: removeStrays :count
-- across projects: a loop serves all of them.
delete from workflow_schedules s
 where s.workflow_id = any (array(select x.workflow_id from workflow_schedules x join workflows w on w.id = x.workflow_id
                                   where coalesce(w.cron, '') = '' or w.deleting_at is not null
                                   order by x.workflow_id limit :limit::int for update of x skip locked));

-- name: findSchedule :maybe
select s.*, w.skip_if_running, strait_now() as "now!"
  from workflow_schedules s join workflows w on w.id = s.workflow_id
 where s.workflow_id = :workflow_id and s.project_id = :project_id;

-- name: listFires :many
select fire_at, outcome, workflow_run_id, reason from workflow_schedule_fires
 where workflow_id = :workflow_id and project_id = :project_id order by fire_at desc limit :limit::int;
