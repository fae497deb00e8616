-- How long workflow runs are kept after they have ended.

-- name: lockOldRuns :many
-- across projects: retention.
-- The oldest that may go, whatever they ended as. A child run stays as long as the run that started it, and a run as long
-- as one of its children lives. What somebody works on right now comes with a later round.
with due as materialized (
  select o.id
    from unnest(:statuses::text[]) as t(status)
   cross join lateral (
         select r.id, r.finished_at from workflow_runs r
          where r.status = t.status and r.finished_at < strait_now() - make_interval(secs => :retention_secs::float8)
            and not exists (select from workflow_runs p where p.id = r.parent_workflow_run_id)
            and not exists (select from workflow_runs c where c.parent_workflow_run_id = r.id
                               and c.status in ('pending', 'running', 'paused', 'compensating'))
          order by r.finished_at limit :limit::int) o
   order by o.finished_at, o.id limit :limit::int
)
select r.id, (select count(*) from workflow_step_runs s where s.workflow_run_id = r.id)::int as "steps!"
  from workflow_runs r
 where r.id = any (array(select id from due)) and r.status = any (:statuses)
   and r.finished_at < strait_now() - make_interval(secs => :retention_secs)
 order by r.finished_at, r.id for update skip locked;

-- name: listStepIds :many
-- across projects: retention.
select s.id from workflow_step_runs s where s.workflow_run_id = any (:run_ids::text[]);

-- name: deleteRuns :count
-- across projects: retention.
-- With their steps, decisions, approvals, labels, history, children of maps and compensations; the caller holds their locks.
delete from workflow_runs r where r.id = any (:run_ids::text[]) and r.status = any (:statuses::text[]);
