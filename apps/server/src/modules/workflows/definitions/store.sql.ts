// Generated from store.sql by `npm run generate`. Do not edit.
import type { JsonColumns } from '../../../platform/db/json-columns.ts';
import { count, many, maybe, one, type Queryable } from '../../../platform/db/query.ts';

export interface InsertWorkflowParams {
  readonly project_id: string;
  readonly version_id: string;
  readonly actor_id: string;
  readonly settings: unknown;
}

export interface InsertWorkflowRow {
  readonly id: string;
  readonly project_id: string;
  readonly name: string;
  readonly slug: string;
  readonly description: string | null;
  readonly enabled: boolean;
  readonly version: number;
  readonly created_at: string;
  readonly updated_at: string;
  readonly timeout_secs: number;
  readonly max_concurrent_runs: number;
  readonly max_parallel_steps: number;
  readonly cron: string | null;
  readonly cron_timezone: string | null;
  readonly skip_if_running: boolean;
  readonly created_by: string | null;
  readonly updated_by: string | null;
  readonly version_id: string | null;
  readonly version_policy: string;
  readonly tags: JsonColumns['workflows.tags'];
  readonly backwards_compatible: boolean;
  readonly deleting_at: string | null;
  readonly compensate_on_failure: boolean;
}

const insertWorkflowText = `insert into workflows (project_id, version_id, created_by, updated_by, name, slug, description, tags, enabled, timeout_secs,
       max_concurrent_runs, max_parallel_steps, cron, cron_timezone, skip_if_running, version_policy, backwards_compatible,
       compensate_on_failure)
select $1, $2::text, $3::text, $3::text, r.name, r.slug, r.description, r.tags, r.enabled,
       r.timeout_secs, r.max_concurrent_runs, r.max_parallel_steps, r.cron, r.cron_timezone, r.skip_if_running,
       r.version_policy, r.backwards_compatible, r.compensate_on_failure
  from jsonb_populate_record(null::workflows, $4::jsonb) r
    on conflict (project_id, slug) do nothing
returning *`;

/** No row: the slug is taken. */
export function insertWorkflow(db: Queryable, params: InsertWorkflowParams): Promise<InsertWorkflowRow | undefined> {
  return maybe<InsertWorkflowRow>(db, {
    text: insertWorkflowText,
    values: [
      params.project_id,
      params.version_id,
      params.actor_id,
      JSON.stringify(params.settings),
    ],
  });
}

export interface UpdateWorkflowParams {
  readonly changes: unknown;
  readonly version_id: string;
  readonly actor_id: string;
  readonly workflow_id: string;
  readonly project_id: string;
  readonly version: number;
}

export interface UpdateWorkflowRow {
  readonly id: string;
  readonly project_id: string;
  readonly name: string;
  readonly slug: string;
  readonly description: string | null;
  readonly enabled: boolean;
  readonly version: number;
  readonly created_at: string;
  readonly updated_at: string;
  readonly timeout_secs: number;
  readonly max_concurrent_runs: number;
  readonly max_parallel_steps: number;
  readonly cron: string | null;
  readonly cron_timezone: string | null;
  readonly skip_if_running: boolean;
  readonly created_by: string | null;
  readonly updated_by: string | null;
  readonly version_id: string | null;
  readonly version_policy: string;
  readonly tags: JsonColumns['workflows.tags'];
  readonly backwards_compatible: boolean;
  readonly deleting_at: string | null;
  readonly compensate_on_failure: boolean;
}

const updateWorkflowText = `update workflows w
   set (name, slug, description, tags, enabled, timeout_secs, max_concurrent_runs, max_parallel_steps, cron, cron_timezone,
        skip_if_running, version_policy, backwards_compatible, compensate_on_failure) =
       (select r.name, r.slug, r.description, r.tags, r.enabled, r.timeout_secs, r.max_concurrent_runs, r.max_parallel_steps,
               r.cron, r.cron_timezone, r.skip_if_running, r.version_policy, r.backwards_compatible, r.compensate_on_failure
          from jsonb_populate_record(w, $1::jsonb) r),
       version = w.version + 1, version_id = $2::text, updated_by = $3::text, updated_at = strait_now()
 where w.id = $4 and w.project_id = $5 and w.version = $6 and w.deleting_at is null
returning w.*`;

/** Writes the members of :changes; absent ones stay. No row = the workflow is another version by now. */
export function updateWorkflow(db: Queryable, params: UpdateWorkflowParams): Promise<UpdateWorkflowRow | undefined> {
  return maybe<UpdateWorkflowRow>(db, {
    text: updateWorkflowText,
    values: [
      JSON.stringify(params.changes),
      params.version_id,
      params.actor_id,
      params.workflow_id,
      params.project_id,
      params.version,
    ],
  });
}

export interface InsertStepsParams {
  readonly rows: unknown;
  readonly workflow_id: string;
  readonly project_id: string;
}

const insertStepsText = `insert into workflow_steps (workflow_id, job_id, step_ref, depends_on, condition, on_failure, payload, step_type,
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
 cross join jsonb_populate_recordset(null::workflow_steps, $1::jsonb) with ordinality s
 where w.id = $2 and w.project_id = $3
 order by s.ordinality`;

/** In the order given, which is the order of their ids. */
export function insertSteps(db: Queryable, params: InsertStepsParams): Promise<number> {
  return count(db, {
    text: insertStepsText,
    values: [
      JSON.stringify(params.rows),
      params.workflow_id,
      params.project_id,
    ],
  });
}

export interface CopyVersionStepsParams {
  readonly project_id: string;
  readonly workflow_id: string;
  readonly version: number;
}

const copyVersionStepsText = `with jobs_there as materialized (
  select j.id from jobs j
   where j.project_id = $1 and j.deleting_at is null
     and j.id in (select s.job_id from workflow_version_steps s join workflow_versions v on v.id = s.workflow_version_id
                   where v.workflow_id = $2 and v.project_id = $1 and v.version = $3)
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
  join workflow_versions v on v.workflow_id = w.id and v.version = $3
  join workflow_version_steps s on s.workflow_version_id = v.id
  left join jobs_there k on k.id = s.job_id
 where w.id = $2 and w.project_id = $1
 order by s.id`;

/** Of an earlier version, as the editable ones. A job that is gone since leaves its step without one, as in the version. */
export function copyVersionSteps(db: Queryable, params: CopyVersionStepsParams): Promise<number> {
  return count(db, {
    text: copyVersionStepsText,
    values: [
      params.project_id,
      params.workflow_id,
      params.version,
    ],
  });
}

export interface HasActiveCanaryParams {
  readonly workflow_id: string;
  readonly project_id: string;
}

export interface HasActiveCanaryRow {
  readonly active: boolean;
}

const hasActiveCanaryText = `select exists (select from canary_deployments c
                where c.workflow_id = $1 and c.project_id = $2 and c.status = 'active') as "active"`;

export function hasActiveCanary(db: Queryable, params: HasActiveCanaryParams): Promise<HasActiveCanaryRow> {
  return one<HasActiveCanaryRow>(db, {
    text: hasActiveCanaryText,
    values: [
      params.workflow_id,
      params.project_id,
    ],
  });
}

export interface DeleteStepsParams {
  readonly workflow_id: string;
  readonly project_id: string;
}

const deleteStepsText = `delete from workflow_steps s using workflows w
 where s.workflow_id = w.id and w.id = $1 and w.project_id = $2`;

export function deleteSteps(db: Queryable, params: DeleteStepsParams): Promise<number> {
  return count(db, {
    text: deleteStepsText,
    values: [
      params.workflow_id,
      params.project_id,
    ],
  });
}

export interface FreezeVersionParams {
  readonly workflow_id: string;
  readonly project_id: string;
}

export interface FreezeVersionRow {
  readonly workflow_version_id: string;
}

const freezeVersionText = `with version as (
  insert into workflow_versions (workflow_id, version, version_id, project_id, name, slug, description, tags, enabled,
         timeout_secs, max_concurrent_runs, max_parallel_steps, cron, cron_timezone, skip_if_running, version_policy,
         backwards_compatible, compensate_on_failure, created_by, updated_by)
  select id, version, version_id, project_id, name, slug, description, tags, enabled, timeout_secs, max_concurrent_runs,
         max_parallel_steps, cron, cron_timezone, skip_if_running, version_policy, backwards_compatible,
         compensate_on_failure, created_by, updated_by
    from workflows where id = $1 and project_id = $2
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
returning (select v.id from version v) as "workflow_version_id"`;

/** The workflow and its steps as they are now: as a version, and as one document. */
export function freezeVersion(db: Queryable, params: FreezeVersionParams): Promise<FreezeVersionRow> {
  return one<FreezeVersionRow>(db, {
    text: freezeVersionText,
    values: [
      params.workflow_id,
      params.project_id,
    ],
  });
}

export interface FindWorkflowParams {
  readonly project_id: string;
  readonly workflow: string;
}

export interface FindWorkflowRow {
  readonly id: string;
  readonly project_id: string;
  readonly name: string;
  readonly slug: string;
  readonly description: string | null;
  readonly enabled: boolean;
  readonly version: number;
  readonly created_at: string;
  readonly updated_at: string;
  readonly timeout_secs: number;
  readonly max_concurrent_runs: number;
  readonly max_parallel_steps: number;
  readonly cron: string | null;
  readonly cron_timezone: string | null;
  readonly skip_if_running: boolean;
  readonly created_by: string | null;
  readonly updated_by: string | null;
  readonly version_id: string | null;
  readonly version_policy: string;
  readonly tags: JsonColumns['workflows.tags'];
  readonly backwards_compatible: boolean;
  readonly deleting_at: string | null;
  readonly compensate_on_failure: boolean;
}

const findWorkflowText = `select w.* from workflows w
 where w.project_id = $1 and (w.id = $2 or w.slug = $2) and w.deleting_at is null
 order by w.id = $2 desc limit 1`;

/** By id or slug; no slug looks like an id. */
export function findWorkflow(db: Queryable, params: FindWorkflowParams): Promise<FindWorkflowRow | undefined> {
  return maybe<FindWorkflowRow>(db, {
    text: findWorkflowText,
    values: [
      params.project_id,
      params.workflow,
    ],
  });
}

export interface LockWorkflowParams {
  readonly project_id: string;
  readonly workflow: string;
}

export interface LockWorkflowRow {
  readonly id: string;
  readonly project_id: string;
  readonly name: string;
  readonly slug: string;
  readonly description: string | null;
  readonly enabled: boolean;
  readonly version: number;
  readonly created_at: string;
  readonly updated_at: string;
  readonly timeout_secs: number;
  readonly max_concurrent_runs: number;
  readonly max_parallel_steps: number;
  readonly cron: string | null;
  readonly cron_timezone: string | null;
  readonly skip_if_running: boolean;
  readonly created_by: string | null;
  readonly updated_by: string | null;
  readonly version_id: string | null;
  readonly version_policy: string;
  readonly tags: JsonColumns['workflows.tags'];
  readonly backwards_compatible: boolean;
  readonly deleting_at: string | null;
  readonly compensate_on_failure: boolean;
}

const lockWorkflowText = `select w.* from workflows w
 where w.project_id = $1 and (w.id = $2 or w.slug = $2) and w.deleting_at is null
 order by w.id = $2 desc limit 1 for no key update`;

export function lockWorkflow(db: Queryable, params: LockWorkflowParams): Promise<LockWorkflowRow | undefined> {
  return maybe<LockWorkflowRow>(db, {
    text: lockWorkflowText,
    values: [
      params.project_id,
      params.workflow,
    ],
  });
}

export interface LockWorkflowForDeletionParams {
  readonly project_id: string;
  readonly workflow: string;
}

export interface LockWorkflowForDeletionRow {
  readonly id: string;
  readonly slug: string;
  readonly name: string;
  readonly version: number;
}

const lockWorkflowForDeletionText = `select w.id, w.slug, w.name, w.version from workflows w
 where w.project_id = $1 and (w.id = $2 or w.slug = $2) and w.deleting_at is null
 order by w.id = $2 desc limit 1 for update`;

/**
 * Waits for runs that are being made (they hold a key share through their foreign key); those that come later look at the
 * workflow again once this lock is gone, and find it marked.
 */
export function lockWorkflowForDeletion(db: Queryable, params: LockWorkflowForDeletionParams): Promise<LockWorkflowForDeletionRow | undefined> {
  return maybe<LockWorkflowForDeletionRow>(db, {
    text: lockWorkflowForDeletionText,
    values: [
      params.project_id,
      params.workflow,
    ],
  });
}

export interface ListWorkflowsParams {
  readonly project_id: string;
  readonly enabled: boolean | null;
  readonly tag_key: string | null;
  readonly tag_value: string | null;
  readonly before_created_at: string | null;
  readonly before_id: string | null;
  readonly limit: number;
}

export interface ListWorkflowsRow {
  readonly id: string;
  readonly project_id: string;
  readonly name: string;
  readonly slug: string;
  readonly description: string | null;
  readonly enabled: boolean;
  readonly version: number;
  readonly created_at: string;
  readonly updated_at: string;
  readonly timeout_secs: number;
  readonly max_concurrent_runs: number;
  readonly max_parallel_steps: number;
  readonly cron: string | null;
  readonly cron_timezone: string | null;
  readonly skip_if_running: boolean;
  readonly created_by: string | null;
  readonly updated_by: string | null;
  readonly version_id: string | null;
  readonly version_policy: string;
  readonly tags: JsonColumns['workflows.tags'];
  readonly backwards_compatible: boolean;
  readonly deleting_at: string | null;
  readonly compensate_on_failure: boolean;
}

const listWorkflowsText = `select w.* from workflows w
 where w.project_id = $1 and w.deleting_at is null
   and ($2::bool is null or w.enabled = $2)
   and ($3::text is null or w.tags ? $3)
   and ($4::text is null or w.tags ->> $3 = $4)
   and ($5::timestamptz is null or (w.created_at, w.id) < ($5, $6::text))
 order by w.created_at desc, w.id desc limit $7::int`;

export function listWorkflows(db: Queryable, params: ListWorkflowsParams): Promise<ListWorkflowsRow[]> {
  return many<ListWorkflowsRow>(db, {
    text: listWorkflowsText,
    values: [
      params.project_id,
      params.enabled,
      params.tag_key,
      params.tag_value,
      params.before_created_at,
      params.before_id,
      params.limit,
    ],
  });
}

export interface ListVersionsParams {
  readonly workflow_id: string;
  readonly project_id: string;
  readonly limit: number;
}

export interface ListVersionsRow {
  readonly id: string;
  readonly workflow_id: string;
  readonly version: number;
  readonly project_id: string;
  readonly name: string;
  readonly slug: string;
  readonly description: string | null;
  readonly enabled: boolean;
  readonly timeout_secs: number;
  readonly max_concurrent_runs: number;
  readonly created_at: string;
  readonly max_parallel_steps: number;
  readonly cron: string | null;
  readonly cron_timezone: string | null;
  readonly skip_if_running: boolean;
  readonly version_id: string | null;
  readonly backwards_compatible: boolean;
  readonly created_by: string | null;
  readonly updated_by: string | null;
  readonly tags: JsonColumns['workflow_versions.tags'];
  readonly version_policy: string;
  readonly compensate_on_failure: boolean;
}

const listVersionsText = `select v.* from workflow_versions v where v.workflow_id = $1 and v.project_id = $2
 order by v.version desc limit $3::int`;

export function listVersions(db: Queryable, params: ListVersionsParams): Promise<ListVersionsRow[]> {
  return many<ListVersionsRow>(db, {
    text: listVersionsText,
    values: [
      params.workflow_id,
      params.project_id,
      params.limit,
    ],
  });
}

export interface FindVersionParams {
  readonly workflow_id: string;
  readonly project_id: string;
  readonly version_ref: string;
}

export interface FindVersionRow {
  readonly id: string;
  readonly workflow_id: string;
  readonly version: number;
  readonly project_id: string;
  readonly name: string;
  readonly slug: string;
  readonly description: string | null;
  readonly enabled: boolean;
  readonly timeout_secs: number;
  readonly max_concurrent_runs: number;
  readonly created_at: string;
  readonly max_parallel_steps: number;
  readonly cron: string | null;
  readonly cron_timezone: string | null;
  readonly skip_if_running: boolean;
  readonly version_id: string | null;
  readonly backwards_compatible: boolean;
  readonly created_by: string | null;
  readonly updated_by: string | null;
  readonly tags: JsonColumns['workflow_versions.tags'];
  readonly version_policy: string;
  readonly compensate_on_failure: boolean;
}

const findVersionText = `select v.* from workflow_versions v
 where v.workflow_id = $1 and v.project_id = $2
   and (v.version_id = $3 or v.id = $3 or v.version::text = $3)
 order by v.version desc limit 1`;

/** By version id, row id or number. */
export function findVersion(db: Queryable, params: FindVersionParams): Promise<FindVersionRow | undefined> {
  return maybe<FindVersionRow>(db, {
    text: findVersionText,
    values: [
      params.workflow_id,
      params.project_id,
      params.version_ref,
    ],
  });
}

export interface ListVersionStepsParams {
  readonly workflow_version_id: string;
  readonly project_id: string;
}

export interface ListVersionStepsRow {
  readonly id: string;
  readonly workflow_version_id: string;
  readonly job_id: string | null;
  readonly step_ref: string;
  readonly depends_on: readonly string[];
  readonly condition: JsonColumns['workflow_version_steps.condition'] | null;
  readonly on_failure: string;
  readonly payload: JsonColumns['workflow_version_steps.payload'] | null;
  readonly step_type: string;
  readonly approval_timeout_secs: number;
  readonly approval_approvers: readonly string[];
  readonly retry_max_attempts: number;
  readonly retry_backoff: string;
  readonly retry_initial_delay_secs: number;
  readonly retry_max_delay_secs: number;
  readonly created_at: string;
  readonly timeout_secs_override: number;
  readonly output_transform: string;
  readonly sub_workflow_id: string | null;
  readonly max_nesting_depth: number;
  readonly event_key: string | null;
  readonly event_timeout_secs: number;
  readonly event_notify_url: string | null;
  readonly event_emit_key: string | null;
  readonly sleep_duration_secs: number;
  readonly concurrency_key: string;
  readonly resource_class: string;
  readonly expected_duration_secs: number;
  readonly cost_gate_threshold_microusd: number;
  readonly cost_gate_timeout_secs: number;
  readonly cost_gate_default_action: string;
  readonly compensation_job_id: string | null;
  readonly compensation_timeout_secs: number;
  readonly map_items: JsonColumns['workflow_version_steps.map_items'] | null;
  readonly map_max_parallel: number;
  readonly map_tolerated_failures: number;
  readonly map_collect: boolean;
}

const listVersionStepsText = `select s.* from workflow_version_steps s join workflow_versions v on v.id = s.workflow_version_id
 where v.id = $1 and v.project_id = $2
 order by s.id`;

export function listVersionSteps(db: Queryable, params: ListVersionStepsParams): Promise<ListVersionStepsRow[]> {
  return many<ListVersionStepsRow>(db, {
    text: listVersionStepsText,
    values: [
      params.workflow_version_id,
      params.project_id,
    ],
  });
}

export interface FindStepJobsParams {
  readonly project_id: string;
  readonly ids: readonly (string | null)[];
  readonly slugs: readonly (string | null)[];
}

export interface FindStepJobsRow {
  readonly id: string;
  readonly slug: string;
}

const findStepJobsText = `select j.id, j.slug from jobs j
 where j.project_id = $1 and (j.id = any ($2::text[]) or j.slug = any ($3::text[])) and j.deleting_at is null
 order by j.id for key share`;

/** Holds them against deletion until the steps that use them are there. By id, so that two who save never wait for each other. */
export function findStepJobs(db: Queryable, params: FindStepJobsParams): Promise<FindStepJobsRow[]> {
  return many<FindStepJobsRow>(db, {
    text: findStepJobsText,
    values: [
      params.project_id,
      params.ids,
      params.slugs,
    ],
  });
}

export interface FindSubWorkflowsParams {
  readonly project_id: string;
  readonly ids: readonly (string | null)[];
  readonly slugs: readonly (string | null)[];
}

export interface FindSubWorkflowsRow {
  readonly id: string;
  readonly slug: string;
}

const findSubWorkflowsText = `select w.id, w.slug from workflows w
 where w.project_id = $1 and (w.id = any ($2::text[]) or w.slug = any ($3::text[])) and w.deleting_at is null`;

export function findSubWorkflows(db: Queryable, params: FindSubWorkflowsParams): Promise<FindSubWorkflowsRow[]> {
  return many<FindSubWorkflowsRow>(db, {
    text: findSubWorkflowsText,
    values: [
      params.project_id,
      params.ids,
      params.slugs,
    ],
  });
}

export interface IsJobUsedParams {
  readonly project_id: string;
  readonly job_id: string;
}

export interface IsJobUsedRow {
  readonly used: boolean;
}

const isJobUsedText = `select exists (select from workflow_steps s join workflows w on w.id = s.workflow_id
                where w.project_id = $1 and s.job_id = $2)
       or exists (select from workflow_steps s join workflows w on w.id = s.workflow_id
                   where w.project_id = $1 and s.compensation_job_id = $2) as "used"`;

export function isJobUsed(db: Queryable, params: IsJobUsedParams): Promise<IsJobUsedRow> {
  return one<IsJobUsedRow>(db, {
    text: isJobUsedText,
    values: [
      params.project_id,
      params.job_id,
    ],
  });
}

export interface CountActiveRunsParams {
  readonly project_id: string;
  readonly workflow_id: string;
  readonly version: number | null;
}

export interface CountActiveRunsRow {
  readonly runs: number;
}

const countActiveRunsText = `select count(*) as "runs" from workflow_runs r
 where r.project_id = $1 and r.workflow_id = $2 and r.status in ('pending', 'running', 'paused')
   and ($3::int is null or r.workflow_version = $3)`;

export function countActiveRuns(db: Queryable, params: CountActiveRunsParams): Promise<CountActiveRunsRow> {
  return one<CountActiveRunsRow>(db, {
    text: countActiveRunsText,
    values: [
      params.project_id,
      params.workflow_id,
      params.version,
    ],
  });
}

export interface MarkWorkflowDeletedParams {
  readonly workflow_id: string;
  readonly project_id: string;
}

const markWorkflowDeletedText = `update workflows set deleting_at = strait_now(), enabled = false, slug = id
 where id = $1 and project_id = $2 and deleting_at is null`;

export function markWorkflowDeleted(db: Queryable, params: MarkWorkflowDeletedParams): Promise<number> {
  return count(db, {
    text: markWorkflowDeletedText,
    values: [
      params.workflow_id,
      params.project_id,
    ],
  });
}

export interface ListDeletedWorkflowsParams {
  readonly min_age_secs: number;
  readonly limit: number;
}

export interface ListDeletedWorkflowsRow {
  readonly workflow_id: string;
  readonly project_id: string;
}

const listDeletedWorkflowsText = `select w.id as workflow_id, w.project_id from workflows w
 where w.deleting_at < strait_now() - make_interval(secs => $1::float8)
   and not exists (select from workflow_runs r where r.workflow_id = w.id)
 order by w.deleting_at limit $2::int`;

/** across projects: a loop removes what is left of deleted workflows once their last run is gone. */
export function listDeletedWorkflows(db: Queryable, params: ListDeletedWorkflowsParams): Promise<ListDeletedWorkflowsRow[]> {
  return many<ListDeletedWorkflowsRow>(db, {
    text: listDeletedWorkflowsText,
    values: [
      params.min_age_secs,
      params.limit,
    ],
  });
}

export interface DeleteVersionsParams {
  readonly project_id: string;
  readonly workflow_id: string;
  readonly limit: number;
}

const deleteVersionsText = `delete from workflow_versions v
 where v.project_id = $1
   and v.id in (select o.id from workflow_versions o join workflows w on w.id = o.workflow_id
                 where o.workflow_id = $2 and o.project_id = $1 and w.deleting_at is not null
                   and not exists (select from workflow_runs r where r.workflow_id = w.id)
                 limit $3::int)`;

/** Some of them, with their steps. Those that runs still follow stay. */
export function deleteVersions(db: Queryable, params: DeleteVersionsParams): Promise<number> {
  return count(db, {
    text: deleteVersionsText,
    values: [
      params.project_id,
      params.workflow_id,
      params.limit,
    ],
  });
}

export interface DeleteWorkflowParams {
  readonly workflow_id: string;
  readonly project_id: string;
}

const deleteWorkflowText = `delete from workflows w
 where w.id = $1 and w.project_id = $2 and w.deleting_at is not null
   and not exists (select from workflow_runs r where r.workflow_id = w.id)`;

export function deleteWorkflow(db: Queryable, params: DeleteWorkflowParams): Promise<number> {
  return count(db, {
    text: deleteWorkflowText,
    values: [
      params.workflow_id,
      params.project_id,
    ],
  });
}

export interface FindPolicyParams {
  readonly project_id: string;
}

export interface FindPolicyRow {
  readonly id: string;
  readonly project_id: string;
  readonly max_fan_out: number;
  readonly max_depth: number;
  readonly forbidden_step_types: readonly string[];
  readonly require_approval_for_deploy: boolean;
  readonly created_at: string;
  readonly updated_at: string;
}

const findPolicyText = `select p.* from workflow_policies p where p.project_id = $1`;

export function findPolicy(db: Queryable, params: FindPolicyParams): Promise<FindPolicyRow | undefined> {
  return maybe<FindPolicyRow>(db, {
    text: findPolicyText,
    values: [params.project_id],
  });
}

export interface SavePolicyParams {
  readonly project_id: string;
  readonly max_fan_out: number;
  readonly max_depth: number;
  readonly forbidden_step_types: readonly (string | null)[];
  readonly require_approval_for_deploy: boolean;
}

export interface SavePolicyRow {
  readonly id: string;
  readonly project_id: string;
  readonly max_fan_out: number;
  readonly max_depth: number;
  readonly forbidden_step_types: readonly string[];
  readonly require_approval_for_deploy: boolean;
  readonly created_at: string;
  readonly updated_at: string;
}

const savePolicyText = `insert into workflow_policies (project_id, max_fan_out, max_depth, forbidden_step_types, require_approval_for_deploy)
values ($1, $2, $3, $4::text[], $5)
    on conflict (project_id) do update
   set max_fan_out = excluded.max_fan_out, max_depth = excluded.max_depth,
       forbidden_step_types = excluded.forbidden_step_types,
       require_approval_for_deploy = excluded.require_approval_for_deploy, updated_at = strait_now()
returning *`;

export function savePolicy(db: Queryable, params: SavePolicyParams): Promise<SavePolicyRow> {
  return one<SavePolicyRow>(db, {
    text: savePolicyText,
    values: [
      params.project_id,
      params.max_fan_out,
      params.max_depth,
      params.forbidden_step_types,
      params.require_approval_for_deploy,
    ],
  });
}
