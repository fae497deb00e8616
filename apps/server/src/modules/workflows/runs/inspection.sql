-- Looking into workflow runs. Whatever changes them is in progression/.

-- name: readSteps :many
-- Of one instant with the run, in the order of its graph.
select s.id, s.step_ref, s.state, s.attempt, s.started_at, s.finished_at, s.next_retry_at, s.error, s.job_run_id, s.child_run_id,
       s.wait_id, s.map, r.status as run_status, r.started_at as run_started_at, r.finished_at as run_finished_at, strait_now() as "now!"
  from workflow_step_runs s join workflow_runs r on r.id = s.workflow_run_id and r.project_id = :project_id
 where r.id = :workflow_run_id
 order by s.step_ref collate "C";

-- name: listDecisions :many
select d.* from workflow_step_decisions d join workflow_runs r on r.id = d.workflow_run_id and r.project_id = :project_id
 where d.workflow_run_id = :workflow_run_id
   and (:step_ref?::text is null or d.step_ref = :step_ref)
   and (:decision_type?::text is null or d.decision_type = :decision_type)
   and (:before_created_at?::timestamptz is null or (d.created_at, d.id) < (:before_created_at, :before_id?::text))
 order by d.created_at desc, d.id desc limit :limit::int;

-- name: listLabels :many
select l.label_key, l.label_value from workflow_run_labels l join workflow_runs r on r.id = l.workflow_run_id and r.project_id = :project_id
 where r.id = :workflow_run_id order by l.label_key;

-- name: listMapChildren :many
-- Of the present attempt. What it starts later has neither a job run nor a child run yet.
select c.index, c.item, c.output, c.error, c.job_run_id, c.child_run_id as child_workflow_run_id,
       case when c.status <> 'open' then c.status when coalesce(c.job_run_id, c.child_run_id) is null then 'pending' else 'running' end as "status!"
  from workflow_map_children c
  join workflow_step_runs s on s.id = c.step_run_id and s.attempt = c.attempt
  join workflow_runs r on r.id = s.workflow_run_id and r.project_id = :project_id
 where r.id = :workflow_run_id and s.step_ref = :step_ref
   and (:after_index?::int is null or c.index > :after_index)
   and (:status?::text is null or :status
        = case when c.status <> 'open' then c.status when coalesce(c.job_run_id, c.child_run_id) is null then 'pending' else 'running' end)
 order by c.index limit :limit::int;

-- name: countByVersion :many
-- Active runs by version and status.
select r.workflow_version as "version!", r.status, count(*)::int as "runs!" from workflow_runs r
 where r.project_id = :project_id and r.workflow_id = :workflow_id and r.status in ('pending', 'running', 'paused')
 group by r.workflow_version, r.status;

-- name: countByStatus :many
select r.status, count(*)::int as "runs!" from workflow_runs r
 where r.project_id = :project_id and r.workflow_id = :workflow_id and r.workflow_version = :version
 group by r.status;

-- name: findVersionIds :many
select v.version, v.version_id from workflow_versions v
 where v.project_id = :project_id and v.workflow_id = :workflow_id and v.version = any (:versions::int[]);

-- name: listStepsWithoutOutputs :many
-- Outputs may be large; those of single steps can be read one by one.
select s.id, s.workflow_run_id, s.workflow_step_id, s.step_ref, s.job_run_id, s.status, s.deps_completed, s.deps_required, s.error,
       s.started_at, s.finished_at, s.created_at, s.attempt, s.state, s.wait_reason, s.child_run_id, s.wait_id, s.next_retry_at,
       s.gate_passed, s.map
  from workflow_step_runs s join workflow_runs r on r.id = s.workflow_run_id and r.project_id = :project_id
 where r.id = :workflow_run_id order by s.created_at, s.id;

-- name: listApprovals :many
select a.id, s.step_ref, a.kind, a.status, a.approvers, a.approved_by, a.requested_at, a.approved_at, a.expires_at, a.error
  from workflow_step_approvals a join workflow_runs r on r.id = a.workflow_run_id and r.project_id = :project_id
  join workflow_step_runs s on s.id = a.workflow_step_run_id
 where r.id = :workflow_run_id
 order by a.requested_at desc, a.id desc limit :limit::int;

-- name: listTriggers :many
select t.id, s.step_ref, t.trigger_type, t.event_key, t.status, t.requested_at, t.received_at, t.expires_at, t.error, t.sent_by
  from event_triggers t join workflow_step_runs s on s.id = t.workflow_step_run_id
  join workflow_runs r on r.id = s.workflow_run_id and r.project_id = :project_id
 where r.id = :workflow_run_id and t.project_id = :project_id
 order by t.requested_at desc, t.id desc limit :limit::int;

-- name: listJobRuns :many
-- Those of children of maps and of earlier attempts included.
select j.id, s.step_ref, j.job_id, j.status, j.attempt, j.error, j.created_at, j.started_at, j.finished_at
  from workflow_step_runs s join workflow_runs r on r.id = s.workflow_run_id and r.project_id = :project_id
  join job_runs j on j.workflow_step_run_id = s.id and j.project_id = :project_id
 where r.id = :workflow_run_id
 order by j.created_at desc, j.id desc limit :limit::int;

-- name: listChildRuns :many
select c.id, s.step_ref as "step_ref?", c.workflow_id, c.status, c.error, c.created_at, c.started_at, c.finished_at
  from workflow_runs c join workflow_runs r on r.id = c.parent_workflow_run_id and r.project_id = :project_id
  left join workflow_step_runs s on s.id = c.parent_step_run_id
 where r.id = :workflow_run_id and c.project_id = :project_id
 order by c.created_at desc, c.id desc limit :limit::int;

-- name: listNewestEvents :many
select e.id, e.step_ref, e.from_status, e.to_status, e.attempt, e.reason, e.created_at from workflow_run_events e
 where e.workflow_run_id = :workflow_run_id and e.project_id = :project_id
 order by e.id desc limit :limit::int;

-- name: readSnapshot :maybe
-- Run, steps and the newest event of one instant: later events tell all that comes after it, and nothing of it.
select r.*, strait_now() as "now!", coalesce((select max(e.id) from workflow_run_events e where e.workflow_run_id = r.id), 0)::float8 as "event_id!",
       (select coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object('step_ref', s.step_ref, 'status', s.status, 'wait_reason', s.wait_reason,
                                                                       'attempt', s.attempt)) order by s.step_ref collate "C"), '[]')
          from workflow_step_runs s where s.workflow_run_id = r.id) as "steps!"
  from workflow_runs r where r.id = :workflow_run_id and r.project_id = :project_id;

-- name: listEventsAfter :many
-- The next events of a run in order, with its status of the same instant; a run without a next event is one row. Events of one
-- run are written under its lock, so that what has a smaller id is visible earlier.
select r.status as run_status, e.id as "id?", e.step_ref as "step_ref?", e.from_status as "from_status?", e.to_status as "to_status?",
       e.attempt as "attempt?", e.reason as "reason?", e.created_at as "created_at?"
  from workflow_runs r
  left join lateral (select n.* from workflow_run_events n where n.workflow_run_id = r.id and n.id > :after_id::bigint
                      order by n.id limit :limit::int) e on true
 where r.id = :workflow_run_id and r.project_id = :project_id
 order by e.id;
