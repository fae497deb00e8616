-- Definitions of workflows. Rows travel to the database as JSON by column name; only the columns listed here are taken
-- from it. The editable steps are in workflow_steps, and only written; every version is frozen with its steps when it comes
-- into being, the current one included, so that nobody reads what can change under him.

-- name: insertWorkflow :maybe
-- No row: the slug is taken.
insert into workflows (project_id, version_id, created_by, updated_by, name, slug, description, tags, enabled, timeout_secs,
       max_concurrent_runs, max_parallel_steps, cron, cron_timezone, skip_if_running, version_policy, backwards_compatible,
       compensate_on_failure)
select :project_id, :version_id::text, :actor_id::text, :actor_id::text, r.name, r.slug, r.description, r.tags, r.enabled,
       r.timeout_secs, r.max_concurrent_runs, r.max_parallel_steps, r.cron, r.cron_timezone, r.skip_if_running,
       r.version_policy, r.backwards_compatible, r.compensate_on_failure
  from jsonb_populate_record(null::workflows, :settings::jsonb) r
    on conflict (project_id, slug) do nothing
returning *;

-- name: updateWorkflow :maybe
-- Writes the members of :changes; absent ones stay. No row = the workflow is another version by now.
update workflows w
   set (name, slug, description, tags, enabled, timeout_secs, max_concurrent_runs, max_parallel_steps, cron, cron_timezone,
        skip_if_running, version_policy, backwards_compatible, compensate_on_failure) =
       (select r.name, r.slug, r.description, r.tags, r.enabled, r.timeout_secs, r.max_concurrent_runs, r.max_parallel_steps,
               r.cron, r.cron_timezone, r.skip_if_running, r.version_policy, r.backwards_compatible, r.compensate_on_failure
          from jsonb_populate_record(w, :changes::jsonb) r),
       version = w.version + 1, version_id = :version_id::text, updated_by = :actor_id::text, updated_at = strait_now()
 where w.id = :workflow_id and w.project_id = :project_id and w.version = :version and w.deleting_at is null
returning w.*;

-- name: insertSteps :count
-- In the order given, which is the order of their ids.
insert into workflow_steps (workflow_id, job_id, step_ref, depends_on, condition, on_failure, payload, step_type,
       approval_timeout_secs, approval_approvers, retry_max_attempts, retry_backoff, retry_initial_delay_secs,
       retry_max_delay_secs, timeout_secs_override, output_transform, sub_workflow_id, max_nesting_depth, event_key,
       event_timeout_secs, event_notify_url, event_emit_key, sleep_duration_secs, concurrency_key, resource_class,
       expected_duration_secs, cost_gate_threshold_microusd, cost_gate_timeout_secs, cost_gate_default_action,
       compensation_job_id, compensation_timeout_secs, map_items, map_max_parallel, map_tolerated_failures, map_collect)
select w.id, s.job_id, s.step_ref, s.depends_on, s.condition, s.on_failure, s.payload, s.step_type,
       s.approval_timeout_secs, s.approval_approvers, s.retry_max_attempts, s.retry_backoff, s.retry_initial_delay_secs,
       s.retry_max_delay_secs, s.timeout_secs_override, s.output_transform, s.sub_workflow_id, s.max_nesting_depth,
       s.event_key, s.event_timeout_secs, s.event_notify_url, s.event_emit_key, s.sleep_duration_secs, s.concurrency_key,
       s.resource_class, s.expected_duration_secs, s.cost_gate_threshold_microusd, s.cost_gate_timeout_secs,
       s.cost_gate_default_action, s.compensation_job_id, s.compensation_timeout_secs, s.map_items, s.map_max_parallel,
       s.map_tolerated_failures, s.map_collect
  from workflows w
 cross join jsonb_populate_recordset(null::workflow_steps, :rows::jsonb) with ordinality s
 where w.id = :workflow_id and w.project_id = :project_id
 order by s.ordinality;

-- name: copyVersionSteps :count
-- Of an earlier version, as the editable ones. A job that is gone since leaves its step without one, as in the version.
with jobs_there as materialized (
  select j.id from jobs j
   where j.project_id = :project_id and j.deleting_at is null
     and j.id in (select s.job_id from workflow_version_steps s join workflow_versions v on v.id = s.workflow_version_id
                   where v.workflow_id = :workflow_id and v.project_id = :project_id and v.version = :version)
   order by j.id for key share
)
insert into workflow_steps (workflow_id, job_id, step_ref, depends_on, condition, on_failure, payload, step_type,
       approval_timeout_secs, approval_approvers, retry_max_attempts, retry_backoff, retry_initial_delay_secs,
       retry_max_delay_secs, timeout_secs_override, output_transform, sub_workflow_id, max_nesting_depth, event_key,
       event_timeout_secs, event_notify_url, event_emit_key, sleep_duration_secs, concurrency_key, resource_class,
       expected_duration_secs, cost_gate_threshold_microusd, cost_gate_timeout_secs, cost_gate_default_action,
       compensation_job_id, compensation_timeout_secs, map_items, map_max_parallel, map_tolerated_failures, map_collect)
select w.id, k.id, s.step_ref, s.depends_on, s.condition, s.on_failure, s.payload, s.step_type, s.approval_timeout_secs,
       s.approval_approvers, s.retry_max_attempts, s.retry_backoff, s.retry_initial_delay_secs, s.retry_max_delay_secs,
       s.timeout_secs_override, s.output_transform, s.sub_workflow_id, s.max_nesting_depth, s.event_key,
       s.event_timeout_secs, s.event_notify_url, s.event_emit_key, s.sleep_duration_secs, s.concurrency_key,
       s.resource_class, s.expected_duration_secs, s.cost_gate_threshold_microusd, s.cost_gate_timeout_secs,
       s.cost_gate_default_action, s.compensation_job_id, s.compensation_timeout_secs, s.map_items, s.map_max_parallel,
       s.map_tolerated_failures, s.map_collect
  from workflows w
  join workflow_versions v on v.workflow_id = w.id and v.version = :version
  join workflow_version_steps s on s.workflow_version_id = v.id
  left join jobs_there k on k.id = s.job_id
 where w.id = :workflow_id and w.project_id = :project_id
 order by s.id;

-- name: hasActiveCanary :one
select exists (select from canary_deployments c
                where c.workflow_id = :workflow_id and c.project_id = :project_id and c.status = 'active') as "active!";

-- name: deleteSteps :count
delete from workflow_steps s using workflows w
 where s.workflow_id = w.id and w.id = :workflow_id and w.project_id = :project_id;

-- name: freezeVersion :one
-- The workflow and its steps as they are now: as a version, and as one document.
with version as (
  insert into workflow_versions (workflow_id, version, version_id, project_id, name, slug, description, tags, enabled,
         timeout_secs, max_concurrent_runs, max_parallel_steps, cron, cron_timezone, skip_if_running, version_policy,
         backwards_compatible, compensate_on_failure, created_by, updated_by)
  select id, version, version_id, project_id, name, slug, description, tags, enabled, timeout_secs, max_concurrent_runs,
         max_parallel_steps, cron, cron_timezone, skip_if_running, version_policy, backwards_compatible,
         compensate_on_failure, created_by, updated_by
    from workflows where id = :workflow_id and project_id = :project_id
  returning *
), steps as (
  insert into workflow_version_steps (workflow_version_id, job_id, step_ref, depends_on, condition, on_failure, payload,
         step_type, approval_timeout_secs, approval_approvers, retry_max_attempts, retry_backoff, retry_initial_delay_secs,
         retry_max_delay_secs, timeout_secs_override, output_transform, sub_workflow_id, max_nesting_depth, event_key,
         event_timeout_secs, event_notify_url, event_emit_key, sleep_duration_secs, concurrency_key, resource_class,
         expected_duration_secs, cost_gate_threshold_microusd, cost_gate_timeout_secs, cost_gate_default_action,
         compensation_job_id, compensation_timeout_secs, map_items, map_max_parallel, map_tolerated_failures, map_collect)
  select v.id, s.job_id, s.step_ref, s.depends_on, s.condition, s.on_failure, s.payload, s.step_type,
         s.approval_timeout_secs, s.approval_approvers, s.retry_max_attempts, s.retry_backoff, s.retry_initial_delay_secs,
         s.retry_max_delay_secs, s.timeout_secs_override, s.output_transform, s.sub_workflow_id, s.max_nesting_depth,
         s.event_key, s.event_timeout_secs, s.event_notify_url, s.event_emit_key, s.sleep_duration_secs, s.concurrency_key,
         s.resource_class, s.expected_duration_secs, s.cost_gate_threshold_microusd, s.cost_gate_timeout_secs,
         s.cost_gate_default_action, s.compensation_job_id, s.compensation_timeout_secs, s.map_items, s.map_max_parallel,
         s.map_tolerated_failures, s.map_collect
    from version v join workflow_steps s on s.workflow_id = v.workflow_id
   order by s.id
  returning *
)
insert into workflow_snapshots (workflow_id, version_id, version, definition)
select v.workflow_id, v.version_id, v.version,
       jsonb_build_object('workflow', to_jsonb(v),
                          'steps', coalesce((select jsonb_agg(to_jsonb(s) order by s.id) from steps s), '[]'))
  from version v
returning (select v.id from version v) as "workflow_version_id!";

-- name: findWorkflow :maybe
-- By id or slug; no slug looks like an id.
select w.* from workflows w
 where w.project_id = :project_id and (w.id = :workflow or w.slug = :workflow) and w.deleting_at is null
 order by w.id = :workflow desc limit 1;

-- name: lockWorkflow :maybe
select w.* from workflows w
 where w.project_id = :project_id and (w.id = :workflow or w.slug = :workflow) and w.deleting_at is null
 order by w.id = :workflow desc limit 1 for no key update;

-- name: lockWorkflowForDeletion :maybe
-- Waits for runs that are being made (they hold a key share through their foreign key); those that come later look at the
-- workflow again once this lock is gone, and find it marked.
select w.id, w.slug, w.name, w.version from workflows w
 where w.project_id = :project_id and (w.id = :workflow or w.slug = :workflow) and w.deleting_at is null
 order by w.id = :workflow desc limit 1 for update;

-- name: listWorkflows :many
select w.* from workflows w
 where w.project_id = :project_id and w.deleting_at is null
   and (:enabled?::bool is null or w.enabled = :enabled)
   and (:tag_key?::text is null or w.tags ? :tag_key)
   and (:tag_value?::text is null or w.tags ->> :tag_key = :tag_value)
   and (:before_created_at?::timestamptz is null or (w.created_at, w.id) < (:before_created_at, :before_id?::text))
 order by w.created_at desc, w.id desc limit :limit::int;

-- name: listVersions :many
select v.* from workflow_versions v where v.workflow_id = :workflow_id and v.project_id = :project_id
 order by v.version desc limit :limit::int;

-- name: findVersion :maybe
-- By version id, row id or number.
select v.* from workflow_versions v
 where v.workflow_id = :workflow_id and v.project_id = :project_id
   and (v.version_id = :version_ref or v.id = :version_ref or v.version::text = :version_ref)
 order by v.version desc limit 1;

-- name: listVersionSteps :many
select s.* from workflow_version_steps s join workflow_versions v on v.id = s.workflow_version_id
 where v.id = :workflow_version_id and v.project_id = :project_id
 order by s.id;

-- name: findStepJobs :many
-- Holds them against deletion until the steps that use them are there. By id, so that two who save never wait for each other.
select j.id, j.slug from jobs j
 where j.project_id = :project_id and (j.id = any (:ids::text[]) or j.slug = any (:slugs::text[])) and j.deleting_at is null
 order by j.id for key share;

-- name: findSubWorkflows :many
select w.id, w.slug from workflows w
 where w.project_id = :project_id and (w.id = any (:ids::text[]) or w.slug = any (:slugs::text[])) and w.deleting_at is null;

-- name: isJobUsed :one
select exists (select from workflow_steps s join workflows w on w.id = s.workflow_id
                where w.project_id = :project_id and s.job_id = :job_id)
       or exists (select from workflow_steps s join workflows w on w.id = s.workflow_id
                   where w.project_id = :project_id and s.compensation_job_id = :job_id) as "used!";

-- name: countActiveRuns :one
select count(*) as "runs!" from workflow_runs r
 where r.project_id = :project_id and r.workflow_id = :workflow_id and r.status in ('pending', 'running', 'paused')
   and (:version?::int is null or r.workflow_version = :version);

-- name: markWorkflowDeleted :count
update workflows set deleting_at = strait_now(), enabled = false, slug = id
 where id = :workflow_id and project_id = :project_id and deleting_at is null;

-- name: listDeletedWorkflows :many
-- across projects: a loop removes what is left of deleted workflows once their last run is gone.
select w.id as workflow_id, w.project_id from workflows w
 where w.deleting_at < strait_now() - make_interval(secs => :min_age_secs::float8)
   and not exists (select from workflow_runs r where r.workflow_id = w.id)
 order by w.deleting_at limit :limit::int;

-- name: deleteVersions :count
-- Some of them, with their steps. Those that runs still follow stay.
delete from workflow_versions v
 where v.project_id = :project_id
   and v.id in (select o.id from workflow_versions o join workflows w on w.id = o.workflow_id
                 where o.workflow_id = :workflow_id and o.project_id = :project_id and w.deleting_at is not null
                   and not exists (select from workflow_runs r where r.workflow_id = w.id)
                 limit :limit::int);

-- name: deleteWorkflow :count
delete from workflows w
 where w.id = :workflow_id and w.project_id = :project_id and w.deleting_at is not null
   and not exists (select from workflow_runs r where r.workflow_id = w.id);

-- name: findPolicy :maybe
select p.* from workflow_policies p where p.project_id = :project_id;

-- name: savePolicy :one
insert into workflow_policies (project_id, max_fan_out, max_depth, forbidden_step_types, require_approval_for_deploy)
values (:project_id, :max_fan_out, :max_depth, :forbidden_step_types::text[], :require_approval_for_deploy)
    on conflict (project_id) do update
   set max_fan_out = excluded.max_fan_out, max_depth = excluded.max_depth,
       forbidden_step_types = excluded.forbidden_step_types,
       require_approval_for_deploy = excluded.require_approval_for_deploy, updated_at = strait_now()
returning *;
