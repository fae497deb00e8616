-- Schedules of jobs. Whoever fires holds the row of the schedule; an edit waits for it and then writes the row anew.

-- name: readTime :one
select strait_now() as "now!";

-- name: putSchedules :many
-- The due instant of an unchanged expression stays, also one that is due right now and not taken yet.
with input as materialized (
  select * from unnest(:job_ids::text[], :crons::text[], :timezones::text[], :overlap_policies::text[], :catchups::text[],
                       :enabled::bool[], :next_fires::timestamptz[], :problems::text[])
              as n(job_id, cron, timezone, overlap_policy, catchup, enabled, next_fire_at, problem)
   order by job_id
), put as (
  insert into job_schedules as s (job_id, project_id, cron, timezone, overlap_policy, catchup, enabled, next_fire_at, problem)
  select job_id, :project_id, cron, timezone, overlap_policy, catchup, enabled, next_fire_at, problem from input
  on conflict (job_id) do update
     set cron = excluded.cron, timezone = excluded.timezone, overlap_policy = excluded.overlap_policy,
         catchup = excluded.catchup, enabled = excluded.enabled, problem = excluded.problem, updated_at = strait_now(),
         next_fire_at = case when excluded.next_fire_at is null or s.next_fire_at is null or s.cron <> excluded.cron
                                  or s.timezone <> excluded.timezone then excluded.next_fire_at
                             else s.next_fire_at end
  returning s.job_id
)
select job_id, (select true from pg_notify('schedule_wake', '')) as "told!" from put;

-- name: removeSchedules :count
delete from job_schedules where job_id = any (:job_ids::text[]) and project_id = :project_id;

-- name: takeDueSchedules :many
-- across projects: a loop serves all of them.
-- Due ones that no other scheduler holds, in its transaction. Those that cancel runs are taken one at a time.
select job_id, project_id, cron, timezone, overlap_policy, catchup, next_fire_at as "next_fire_at!", strait_now() as "now!"
  from job_schedules
 where next_fire_at <= strait_now() and (overlap_policy = 'cancel_running') = :cancels::bool
   and (:only_job_id?::text is null or job_id = :only_job_id) and job_id <> all (:except_job_ids::text[])
 order by next_fire_at limit :limit::int for no key update skip locked;

-- name: listDueJobs :many
-- across projects: a loop serves all of them.
select job_id from job_schedules
 where next_fire_at <= strait_now() and (overlap_policy = 'cancel_running') = :cancels::bool
   and job_id <> all (:except_job_ids::text[])
 order by next_fire_at limit :limit::int;

-- name: nextDue :one
-- across projects: a loop serves all of them.
-- Milliseconds until the earliest fire, negative when it is due; null without any.
select (extract(epoch from min(next_fire_at) - strait_now()) * 1000)::float8 as "in_ms?"
  from job_schedules where next_fire_at is not null and job_id <> all (:except_job_ids::text[]);

-- name: claimFires :many
-- across projects: the caller holds the schedules.
-- Instants not in the answer were decided before.
insert into schedule_fires (job_id, fire_at, project_id, outcome)
select n.job_id, n.fire_at, n.project_id, n.outcome
  from unnest(:job_ids::text[], :project_ids::text[], :fires::timestamptz[], :outcomes::text[]) as n(job_id, project_id, fire_at, outcome)
 order by n.job_id, n.fire_at
on conflict do nothing
returning job_id, fire_at;

-- name: recordFires :count
-- across projects: the caller claimed them in this transaction.
update schedule_fires f set outcome = n.outcome, run_id = n.run_id
  from unnest(:job_ids::text[], :fires::timestamptz[], :outcomes::text[], :run_ids::text[]) as n(job_id, fire_at, outcome, run_id)
 where f.job_id = n.job_id and f.fire_at = n.fire_at;

-- name: advanceSchedules :count
-- across projects: the caller holds the schedules.
update job_schedules s
   set next_fire_at = n.next_fire_at, problem = n.problem, updated_at = strait_now(),
       last_fire_at = coalesce(n.fired_at, s.last_fire_at), last_run_id = case when n.fired_at is null then s.last_run_id else n.run_id end
  from unnest(:job_ids::text[], :next_fires::timestamptz[], :problems::text[], :fired::timestamptz[], :run_ids::text[])
       as n(job_id, next_fire_at, problem, fired_at, run_id)
 where s.job_id = n.job_id;

-- name: removeOldFires :count
-- across projects: retention.
delete from schedule_fires f
 where f.ctid = any (array(select o.ctid from schedule_fires o
                            where o.created_at < strait_now() - make_interval(secs => :retention_secs::float8)
                            order by o.created_at limit :limit::int));

-- name: repairSchedules :count
-- across projects: a loop serves all of them.
-- Jobs that a program without schedules made or changed, during an upgrade. The first scheduler finds their next instant.
with wrong as materialized (
  select j.id, j.project_id, j.cron, coalesce(j.timezone, 'UTC') as timezone, j.cron_overlap_policy, j.cron_catchup, j.enabled
    from jobs j left join job_schedules s on s.job_id = j.id
   where j.cron is not null and j.deleting_at is null
     and (s.job_id is null or (s.cron, s.timezone, s.overlap_policy, s.catchup, s.enabled)
          is distinct from (j.cron, coalesce(j.timezone, 'UTC'), j.cron_overlap_policy, j.cron_catchup, j.enabled))
   order by j.id limit :limit::int
     for no key update of j skip locked
)
insert into job_schedules as s (job_id, project_id, cron, timezone, overlap_policy, catchup, enabled, next_fire_at)
select id, project_id, cron, timezone, cron_overlap_policy, cron_catchup, enabled, case when enabled then strait_now() end from wrong
on conflict (job_id) do update
   set cron = excluded.cron, timezone = excluded.timezone, overlap_policy = excluded.overlap_policy, catchup = excluded.catchup,
       enabled = excluded.enabled, next_fire_at = excluded.next_fire_at, problem = null, updated_at = strait_now();

-- name: removeStraySchedules :count
-- across projects: a loop serves all of them.
delete from job_schedules s
 where s.job_id = any (array(select x.job_id from job_schedules x join jobs j on j.id = x.job_id
                              where j.cron is null order by x.job_id limit :limit::int for update of x skip locked));

-- name: findSchedule :maybe
select s.*, j.paused or coalesce(g.paused, false) or exists (select from project_quotas q where q.project_id = s.project_id and q.queue_paused)
         as "job_paused!", strait_now() as "now!"
  from job_schedules s join jobs j on j.id = s.job_id left join job_groups g on g.id = j.group_id
 where s.job_id = :job_id and s.project_id = :project_id;

-- name: listFires :many
select fire_at, outcome, run_id from schedule_fires
 where job_id = :job_id and project_id = :project_id order by fire_at desc limit :limit::int;
