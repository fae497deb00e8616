-- How runs of workflows come into being: by a trigger, as a child, as a retry, as a continuation.

-- name: lockForRun :maybe
-- The key share that the foreign key takes anyway: whoever waited for a deletion finds the workflow gone. With a limit on
-- its runs those who start one pass one after the other.
select w.id, w.slug, w.enabled, w.version, w.version_id, w.timeout_secs, w.max_concurrent_runs, w.max_parallel_steps, w.tags
  from workflows w
 where w.project_id = :project_id and (w.id = :workflow or w.slug = :workflow) and w.deleting_at is null
 order by w.id = :workflow desc limit 1 for key share;

-- name: lockLimited :maybe
-- The same workflow again, once it turned out to have a limit.
select w.id, w.enabled, w.max_concurrent_runs from workflows w
 where w.id = :workflow_id and w.project_id = :project_id and w.deleting_at is null for no key update;

-- name: countRuns :one
-- A statement of its own: it sees what those before it wrote.
select count(*)::int as "active!" from workflow_runs r
 where r.project_id = :project_id and r.workflow_id = :workflow_id and r.status in ('pending', 'running', 'paused');

-- name: findRunVersion :maybe
select v.id, v.version, v.version_id, v.timeout_secs, v.max_parallel_steps, v.compensate_on_failure, v.tags,
       (select s.id from workflow_snapshots s where s.workflow_id = v.workflow_id and s.version_id = v.version_id) as "snapshot_id?"
  from workflow_versions v
 where v.workflow_id = :workflow_id and v.project_id = :project_id and v.version = :version;

-- name: listStepRefs :many
select s.step_ref from workflow_version_steps s
  join workflow_versions v on v.id = s.workflow_version_id and v.workflow_id = :workflow_id and v.project_id = :project_id
 where v.version = :version;

-- name: findByKey :maybe
select r.id, r.payload_hash from workflow_runs r
 where r.workflow_id = :workflow_id and r.project_id = :project_id and r.idempotency_key = :idempotency_key;

-- name: insertRun :maybe
-- No row: another run of the workflow has the idempotency key.
insert into workflow_runs (workflow_id, project_id, status, triggered_by, payload, expires_at, workflow_version, workflow_version_id,
       workflow_snapshot_id, max_parallel_steps, timeout_secs, retry_of_run_id, parent_workflow_run_id, parent_step_run_id, depth,
       continues_run_id, first_run_id, generation, created_by, tags, trace_context, step_overrides, idempotency_key, payload_hash,
       compensate_on_failure, lineage_depth)
select n.workflow_id, :project_id, 'pending', n.triggered_by, nullif(n.payload, 'null'),
       case when n.timeout_secs > 0 then strait_now() + make_interval(secs => n.timeout_secs) end,
       n.workflow_version, n.workflow_version_id, n.workflow_snapshot_id, n.max_parallel_steps, n.timeout_secs, n.retry_of_run_id,
       n.parent_workflow_run_id, n.parent_step_run_id, coalesce(n.depth, 0), n.continues_run_id, n.first_run_id,
       coalesce(n.generation, 0), n.created_by, coalesce(n.tags, '{}'), n.trace_context, coalesce(n.step_overrides, '[]'),
       n.idempotency_key, n.payload_hash, coalesce(n.compensate_on_failure, false),
       coalesce(n.lineage_depth, 0)
  from jsonb_populate_record(null::workflow_runs, :run::jsonb) n
    on conflict (workflow_id, idempotency_key) where idempotency_key is not null do nothing
returning id;

-- name: insertSteps :count
-- `states` by step; a retry brings the outputs of what it takes over.
insert into workflow_step_runs (workflow_run_id, workflow_step_id, step_ref, state, status, wait_reason, output, finished_at)
select r.id, f.id, f.step_ref, n.state, strait_step_status(n.state), strait_step_wait_reason(n.state),
       o.output, case when n.state = 'C' then strait_now() end
  from jsonb_to_recordset(:steps::jsonb) as n(step_ref text, state text)
  join workflow_runs r on r.id = :workflow_run_id and r.project_id = :project_id
  join workflow_version_steps f on f.workflow_version_id = :workflow_version_id and f.step_ref = n.step_ref
  left join workflow_step_runs o on n.state = 'C' and o.workflow_run_id = :retry_of_run_id?::text and o.step_ref = n.step_ref
 order by n.step_ref collate "C";

-- name: insertLabels :count
insert into workflow_run_labels (workflow_run_id, label_key, label_value)
select r.id, l.key, l.value from workflow_runs r cross join jsonb_each_text(:labels::jsonb) l
 where r.id = :workflow_run_id and r.project_id = :project_id;

-- name: copyLabels :count
insert into workflow_run_labels (workflow_run_id, label_key, label_value)
select r.id, l.label_key, l.label_value
  from workflow_runs r join workflow_run_labels l on l.workflow_run_id = :from_run_id
  join workflow_runs o on o.id = l.workflow_run_id and o.project_id = :project_id
 where r.id = :workflow_run_id and r.project_id = :project_id;

-- name: findVersionNumber :maybe
select v.version from workflow_versions v
 where v.workflow_id = :workflow_id and v.project_id = :project_id and (v.version_id = :version_ref or v.version::text = :version_ref);
