// Generated from store.sql by `npm run generate`. Do not edit.
import type { JsonColumns } from '../../platform/db/json-columns.ts';
import { count, many, maybe, one, type Queryable } from '../../platform/db/query.ts';

export interface NewJobIdsParams {
  readonly amount: number;
}

export interface NewJobIdsRow {
  readonly id: string;
}

const newJobIdsText = `select uuidv7(strait_now() - now())::text as "id" from generate_series(1, $1::int)`;

/** Ids before the rows, because a secret is sealed for the id of its job. */
export function newJobIds(db: Queryable, params: NewJobIdsParams): Promise<NewJobIdsRow[]> {
  return many<NewJobIdsRow>(db, {
    text: newJobIdsText,
    values: [params.amount],
  });
}

export interface InsertJobsParams {
  readonly project_id: string;
  readonly actor_id: string;
  readonly rows: unknown;
}

export interface InsertJobsRow {
  readonly id: string;
  readonly project_id: string;
  readonly name: string;
  readonly slug: string;
  readonly description: string | null;
  readonly enabled: boolean;
  readonly paused: boolean;
  readonly group_id: string | null;
  readonly environment_id: string | null;
  readonly tags: JsonColumns['jobs.tags'];
  readonly execution_mode: string;
  readonly endpoint_url: string;
  readonly fallback_endpoint_url: string | null;
  readonly endpoint_signing_secret_enc: Buffer | null;
  readonly payload_schema: unknown;
  readonly result_schema: unknown;
  readonly default_run_metadata: JsonColumns['jobs.default_run_metadata'];
  readonly timeout_secs: number;
  readonly run_ttl_secs: number | null;
  readonly max_attempts: number;
  readonly retry_strategy: string;
  readonly retry_delays_secs: readonly number[] | null;
  readonly retry_priority_boost: number;
  readonly poison_pill_threshold: number | null;
  readonly max_concurrency: number | null;
  readonly max_concurrency_per_key: number | null;
  readonly rate_limit_max: number | null;
  readonly rate_limit_window_secs: number | null;
  readonly rate_limit_keys: unknown;
  readonly dedup_window_secs: number | null;
  readonly debounce_window_secs: number;
  readonly batch_window_secs: number;
  readonly batch_max_size: number;
  readonly cron: string | null;
  readonly timezone: string | null;
  readonly execution_window_cron: string | null;
  readonly cron_overlap_policy: string;
  readonly cron_catchup: string;
  readonly skip_if_running: boolean;
  readonly on_complete_trigger_workflow: string | null;
  readonly on_complete_trigger_job: string | null;
  readonly on_complete_payload_mapping: unknown;
  readonly on_failure_trigger_workflow: string | null;
  readonly on_failure_trigger_job: string | null;
  readonly on_failure_payload_mapping: unknown;
  readonly webhook_url: string | null;
  readonly webhook_secret: string | null;
  readonly dlq_alert_threshold: number | null;
  readonly queue_depth_alert_threshold: number | null;
  readonly version: number;
  readonly version_id: string | null;
  readonly version_policy: string;
  readonly backwards_compatible: boolean;
  readonly created_by: string | null;
  readonly updated_by: string | null;
  readonly created_at: string;
  readonly updated_at: string;
  readonly deleting_at: string | null;
  readonly endpoint: string | null;
  readonly followed: boolean;
  readonly has_dependencies: boolean;
  readonly has_key_limits: boolean;
}

const insertJobsText = `insert into jobs (id, project_id, version_id, created_by, updated_by,
       name, slug, description, enabled, group_id, environment_id, tags, execution_mode, endpoint_url,
       fallback_endpoint_url, payload_schema, result_schema, default_run_metadata, timeout_secs,
       run_ttl_secs, max_attempts, retry_strategy, retry_delays_secs, retry_priority_boost,
       poison_pill_threshold, max_concurrency, max_concurrency_per_key, rate_limit_max,
       rate_limit_window_secs, rate_limit_keys, dedup_window_secs, debounce_window_secs,
       batch_window_secs, batch_max_size, cron, timezone, execution_window_cron, cron_overlap_policy,
       cron_catchup, skip_if_running, on_complete_trigger_workflow, on_complete_trigger_job,
       on_complete_payload_mapping, on_failure_trigger_workflow, on_failure_trigger_job,
       on_failure_payload_mapping, webhook_url, dlq_alert_threshold, queue_depth_alert_threshold,
       version_policy, backwards_compatible, endpoint_signing_secret_enc, webhook_secret, followed)
select r.id, $1, r.version_id, $2::text, $2::text,
       r.name, r.slug, r.description, r.enabled, r.group_id, r.environment_id, r.tags, r.execution_mode,
       r.endpoint_url, r.fallback_endpoint_url, r.payload_schema, r.result_schema,
       r.default_run_metadata, r.timeout_secs, r.run_ttl_secs, r.max_attempts, r.retry_strategy,
       r.retry_delays_secs, r.retry_priority_boost, r.poison_pill_threshold, r.max_concurrency,
       r.max_concurrency_per_key, r.rate_limit_max, r.rate_limit_window_secs, r.rate_limit_keys,
       r.dedup_window_secs, r.debounce_window_secs, r.batch_window_secs, r.batch_max_size, r.cron,
       r.timezone, r.execution_window_cron, r.cron_overlap_policy, r.cron_catchup, r.skip_if_running,
       r.on_complete_trigger_workflow, r.on_complete_trigger_job, r.on_complete_payload_mapping,
       r.on_failure_trigger_workflow, r.on_failure_trigger_job, r.on_failure_payload_mapping,
       r.webhook_url, r.dlq_alert_threshold, r.queue_depth_alert_threshold, r.version_policy,
       r.backwards_compatible, r.endpoint_signing_secret_enc, r.webhook_secret,
       r.on_complete_trigger_job is not null or r.on_failure_trigger_job is not null
       or r.on_complete_trigger_workflow is not null or r.on_failure_trigger_workflow is not null
  from jsonb_populate_recordset(null::jobs, $3::jsonb) r
    on conflict (project_id, slug) do nothing
returning *`;

/** A row without an answer has a slug that is taken. */
export function insertJobs(db: Queryable, params: InsertJobsParams): Promise<InsertJobsRow[]> {
  return many<InsertJobsRow>(db, {
    text: insertJobsText,
    values: [
      params.project_id,
      params.actor_id,
      JSON.stringify(params.rows),
    ],
  });
}

export interface LockJobLimitParams {
  readonly project_id: string;
}

export interface LockJobLimitRow {
  readonly max_jobs: number;
}

const lockJobLimitText = `select max_jobs as "max_jobs" from project_quotas where project_id = $1 and max_jobs > 0 for update`;

/** Makes creators of a project with a limit wait for each other; no row = no limit. */
export function lockJobLimit(db: Queryable, params: LockJobLimitParams): Promise<LockJobLimitRow | undefined> {
  return maybe<LockJobLimitRow>(db, {
    text: lockJobLimitText,
    values: [params.project_id],
  });
}

export interface CountJobsParams {
  readonly project_id: string;
}

export interface CountJobsRow {
  readonly jobs: number;
}

const countJobsText = `select count(*) as "jobs" from jobs where project_id = $1 and deleting_at is null`;

export function countJobs(db: Queryable, params: CountJobsParams): Promise<CountJobsRow> {
  return one<CountJobsRow>(db, {
    text: countJobsText,
    values: [params.project_id],
  });
}

export interface FindJobParams {
  readonly project_id: string;
  readonly job: string;
}

export interface FindJobRow {
  readonly id: string;
  readonly project_id: string;
  readonly name: string;
  readonly slug: string;
  readonly description: string | null;
  readonly enabled: boolean;
  readonly paused: boolean;
  readonly group_id: string | null;
  readonly environment_id: string | null;
  readonly tags: JsonColumns['jobs.tags'];
  readonly execution_mode: string;
  readonly endpoint_url: string;
  readonly fallback_endpoint_url: string | null;
  readonly endpoint_signing_secret_enc: Buffer | null;
  readonly payload_schema: unknown;
  readonly result_schema: unknown;
  readonly default_run_metadata: JsonColumns['jobs.default_run_metadata'];
  readonly timeout_secs: number;
  readonly run_ttl_secs: number | null;
  readonly max_attempts: number;
  readonly retry_strategy: string;
  readonly retry_delays_secs: readonly number[] | null;
  readonly retry_priority_boost: number;
  readonly poison_pill_threshold: number | null;
  readonly max_concurrency: number | null;
  readonly max_concurrency_per_key: number | null;
  readonly rate_limit_max: number | null;
  readonly rate_limit_window_secs: number | null;
  readonly rate_limit_keys: unknown;
  readonly dedup_window_secs: number | null;
  readonly debounce_window_secs: number;
  readonly batch_window_secs: number;
  readonly batch_max_size: number;
  readonly cron: string | null;
  readonly timezone: string | null;
  readonly execution_window_cron: string | null;
  readonly cron_overlap_policy: string;
  readonly cron_catchup: string;
  readonly skip_if_running: boolean;
  readonly on_complete_trigger_workflow: string | null;
  readonly on_complete_trigger_job: string | null;
  readonly on_complete_payload_mapping: unknown;
  readonly on_failure_trigger_workflow: string | null;
  readonly on_failure_trigger_job: string | null;
  readonly on_failure_payload_mapping: unknown;
  readonly webhook_url: string | null;
  readonly webhook_secret: string | null;
  readonly dlq_alert_threshold: number | null;
  readonly queue_depth_alert_threshold: number | null;
  readonly version: number;
  readonly version_id: string | null;
  readonly version_policy: string;
  readonly backwards_compatible: boolean;
  readonly created_by: string | null;
  readonly updated_by: string | null;
  readonly created_at: string;
  readonly updated_at: string;
  readonly deleting_at: string | null;
  readonly endpoint: string | null;
  readonly followed: boolean;
  readonly has_dependencies: boolean;
  readonly has_key_limits: boolean;
}

const findJobText = `select j.* from jobs j where j.project_id = $1 and (j.id = $2 or j.slug = $2) and j.deleting_at is null
 order by j.id = $2 desc limit 1`;

/** By id or slug; no slug looks like an id. */
export function findJob(db: Queryable, params: FindJobParams): Promise<FindJobRow | undefined> {
  return maybe<FindJobRow>(db, {
    text: findJobText,
    values: [
      params.project_id,
      params.job,
    ],
  });
}

export interface LockJobParams {
  readonly project_id: string;
  readonly job: string;
}

export interface LockJobRow {
  readonly id: string;
  readonly project_id: string;
  readonly name: string;
  readonly slug: string;
  readonly description: string | null;
  readonly enabled: boolean;
  readonly paused: boolean;
  readonly group_id: string | null;
  readonly environment_id: string | null;
  readonly tags: JsonColumns['jobs.tags'];
  readonly execution_mode: string;
  readonly endpoint_url: string;
  readonly fallback_endpoint_url: string | null;
  readonly endpoint_signing_secret_enc: Buffer | null;
  readonly payload_schema: unknown;
  readonly result_schema: unknown;
  readonly default_run_metadata: JsonColumns['jobs.default_run_metadata'];
  readonly timeout_secs: number;
  readonly run_ttl_secs: number | null;
  readonly max_attempts: number;
  readonly retry_strategy: string;
  readonly retry_delays_secs: readonly number[] | null;
  readonly retry_priority_boost: number;
  readonly poison_pill_threshold: number | null;
  readonly max_concurrency: number | null;
  readonly max_concurrency_per_key: number | null;
  readonly rate_limit_max: number | null;
  readonly rate_limit_window_secs: number | null;
  readonly rate_limit_keys: unknown;
  readonly dedup_window_secs: number | null;
  readonly debounce_window_secs: number;
  readonly batch_window_secs: number;
  readonly batch_max_size: number;
  readonly cron: string | null;
  readonly timezone: string | null;
  readonly execution_window_cron: string | null;
  readonly cron_overlap_policy: string;
  readonly cron_catchup: string;
  readonly skip_if_running: boolean;
  readonly on_complete_trigger_workflow: string | null;
  readonly on_complete_trigger_job: string | null;
  readonly on_complete_payload_mapping: unknown;
  readonly on_failure_trigger_workflow: string | null;
  readonly on_failure_trigger_job: string | null;
  readonly on_failure_payload_mapping: unknown;
  readonly webhook_url: string | null;
  readonly webhook_secret: string | null;
  readonly dlq_alert_threshold: number | null;
  readonly queue_depth_alert_threshold: number | null;
  readonly version: number;
  readonly version_id: string | null;
  readonly version_policy: string;
  readonly backwards_compatible: boolean;
  readonly created_by: string | null;
  readonly updated_by: string | null;
  readonly created_at: string;
  readonly updated_at: string;
  readonly deleting_at: string | null;
  readonly endpoint: string | null;
  readonly followed: boolean;
  readonly has_dependencies: boolean;
  readonly has_key_limits: boolean;
}

const lockJobText = `select j.* from jobs j where j.project_id = $1 and (j.id = $2 or j.slug = $2) and j.deleting_at is null
 order by j.id = $2 desc limit 1 for no key update`;

export function lockJob(db: Queryable, params: LockJobParams): Promise<LockJobRow | undefined> {
  return maybe<LockJobRow>(db, {
    text: lockJobText,
    values: [
      params.project_id,
      params.job,
    ],
  });
}

export interface LockJobForDeletionParams {
  readonly project_id: string;
  readonly job: string;
}

export interface LockJobForDeletionRow {
  readonly id: string;
  readonly slug: string;
  readonly name: string;
  readonly version: number;
}

const lockJobForDeletionText = `select j.id, j.slug, j.name, j.version from jobs j
 where j.project_id = $1 and (j.id = $2 or j.slug = $2) and j.deleting_at is null
 order by j.id = $2 desc limit 1 for update`;

/**
 * Waits for triggers and replays under way (they hold a key share); those that come later look at the job again once
 * this lock is gone, and find it marked.
 */
export function lockJobForDeletion(db: Queryable, params: LockJobForDeletionParams): Promise<LockJobForDeletionRow | undefined> {
  return maybe<LockJobForDeletionRow>(db, {
    text: lockJobForDeletionText,
    values: [
      params.project_id,
      params.job,
    ],
  });
}

export interface ListJobsParams {
  readonly project_id: string;
  readonly enabled: boolean | null;
  readonly group_id: string | null;
  readonly tag_key: string | null;
  readonly tag_value: string | null;
  readonly before_created_at: string | null;
  readonly before_id: string | null;
  readonly limit: number;
}

export interface ListJobsRow {
  readonly id: string;
  readonly project_id: string;
  readonly name: string;
  readonly slug: string;
  readonly description: string | null;
  readonly enabled: boolean;
  readonly paused: boolean;
  readonly group_id: string | null;
  readonly environment_id: string | null;
  readonly tags: JsonColumns['jobs.tags'];
  readonly execution_mode: string;
  readonly endpoint_url: string;
  readonly fallback_endpoint_url: string | null;
  readonly endpoint_signing_secret_enc: Buffer | null;
  readonly payload_schema: unknown;
  readonly result_schema: unknown;
  readonly default_run_metadata: JsonColumns['jobs.default_run_metadata'];
  readonly timeout_secs: number;
  readonly run_ttl_secs: number | null;
  readonly max_attempts: number;
  readonly retry_strategy: string;
  readonly retry_delays_secs: readonly number[] | null;
  readonly retry_priority_boost: number;
  readonly poison_pill_threshold: number | null;
  readonly max_concurrency: number | null;
  readonly max_concurrency_per_key: number | null;
  readonly rate_limit_max: number | null;
  readonly rate_limit_window_secs: number | null;
  readonly rate_limit_keys: unknown;
  readonly dedup_window_secs: number | null;
  readonly debounce_window_secs: number;
  readonly batch_window_secs: number;
  readonly batch_max_size: number;
  readonly cron: string | null;
  readonly timezone: string | null;
  readonly execution_window_cron: string | null;
  readonly cron_overlap_policy: string;
  readonly cron_catchup: string;
  readonly skip_if_running: boolean;
  readonly on_complete_trigger_workflow: string | null;
  readonly on_complete_trigger_job: string | null;
  readonly on_complete_payload_mapping: unknown;
  readonly on_failure_trigger_workflow: string | null;
  readonly on_failure_trigger_job: string | null;
  readonly on_failure_payload_mapping: unknown;
  readonly webhook_url: string | null;
  readonly webhook_secret: string | null;
  readonly dlq_alert_threshold: number | null;
  readonly queue_depth_alert_threshold: number | null;
  readonly version: number;
  readonly version_id: string | null;
  readonly version_policy: string;
  readonly backwards_compatible: boolean;
  readonly created_by: string | null;
  readonly updated_by: string | null;
  readonly created_at: string;
  readonly updated_at: string;
  readonly deleting_at: string | null;
  readonly endpoint: string | null;
  readonly followed: boolean;
  readonly has_dependencies: boolean;
  readonly has_key_limits: boolean;
}

const listJobsText = `select j.* from jobs j
 where j.project_id = $1 and j.deleting_at is null
   and ($2::bool is null or j.enabled = $2)
   and ($3::text is null or j.group_id = $3)
   and ($4::text is null or j.tags ? $4)
   and ($5::text is null or j.tags ->> $4 = $5)
   and ($6::timestamptz is null or (j.created_at, j.id) < ($6, $7::text))
 order by j.created_at desc, j.id desc limit $8::int`;

export function listJobs(db: Queryable, params: ListJobsParams): Promise<ListJobsRow[]> {
  return many<ListJobsRow>(db, {
    text: listJobsText,
    values: [
      params.project_id,
      params.enabled,
      params.group_id,
      params.tag_key,
      params.tag_value,
      params.before_created_at,
      params.before_id,
      params.limit,
    ],
  });
}

export interface UpdateJobParams {
  readonly job_id: string;
  readonly project_id: string;
  readonly version: number;
  readonly changes: unknown;
  readonly version_id: string;
  readonly actor_id: string;
}

export interface UpdateJobRow {
  readonly id: string;
  readonly project_id: string;
  readonly name: string;
  readonly slug: string;
  readonly description: string | null;
  readonly enabled: boolean;
  readonly paused: boolean;
  readonly group_id: string | null;
  readonly environment_id: string | null;
  readonly tags: JsonColumns['jobs.tags'];
  readonly execution_mode: string;
  readonly endpoint_url: string;
  readonly fallback_endpoint_url: string | null;
  readonly endpoint_signing_secret_enc: Buffer | null;
  readonly payload_schema: unknown;
  readonly result_schema: unknown;
  readonly default_run_metadata: JsonColumns['jobs.default_run_metadata'];
  readonly timeout_secs: number;
  readonly run_ttl_secs: number | null;
  readonly max_attempts: number;
  readonly retry_strategy: string;
  readonly retry_delays_secs: readonly number[] | null;
  readonly retry_priority_boost: number;
  readonly poison_pill_threshold: number | null;
  readonly max_concurrency: number | null;
  readonly max_concurrency_per_key: number | null;
  readonly rate_limit_max: number | null;
  readonly rate_limit_window_secs: number | null;
  readonly rate_limit_keys: unknown;
  readonly dedup_window_secs: number | null;
  readonly debounce_window_secs: number;
  readonly batch_window_secs: number;
  readonly batch_max_size: number;
  readonly cron: string | null;
  readonly timezone: string | null;
  readonly execution_window_cron: string | null;
  readonly cron_overlap_policy: string;
  readonly cron_catchup: string;
  readonly skip_if_running: boolean;
  readonly on_complete_trigger_workflow: string | null;
  readonly on_complete_trigger_job: string | null;
  readonly on_complete_payload_mapping: unknown;
  readonly on_failure_trigger_workflow: string | null;
  readonly on_failure_trigger_job: string | null;
  readonly on_failure_payload_mapping: unknown;
  readonly webhook_url: string | null;
  readonly webhook_secret: string | null;
  readonly dlq_alert_threshold: number | null;
  readonly queue_depth_alert_threshold: number | null;
  readonly version: number;
  readonly version_id: string | null;
  readonly version_policy: string;
  readonly backwards_compatible: boolean;
  readonly created_by: string | null;
  readonly updated_by: string | null;
  readonly created_at: string;
  readonly updated_at: string;
  readonly deleting_at: string | null;
  readonly endpoint: string | null;
  readonly followed: boolean;
  readonly has_dependencies: boolean;
  readonly has_key_limits: boolean;
}

const updateJobText = `with old as materialized (
  select * from jobs where id = $1 and project_id = $2 and version = $3
), kept as (
  insert into job_versions (job_id,
       version, version_id, project_id, name, slug, description, enabled, group_id, environment_id, tags,
       execution_mode, endpoint_url, fallback_endpoint_url, payload_schema, result_schema,
       default_run_metadata, timeout_secs, run_ttl_secs, max_attempts, retry_strategy, retry_delays_secs,
       retry_priority_boost, poison_pill_threshold, max_concurrency, max_concurrency_per_key,
       rate_limit_max, rate_limit_window_secs, rate_limit_keys, dedup_window_secs, debounce_window_secs,
       batch_window_secs, batch_max_size, cron, timezone, execution_window_cron, cron_overlap_policy,
       skip_if_running, on_complete_trigger_workflow, on_complete_trigger_job,
       on_complete_payload_mapping, on_failure_trigger_workflow, on_failure_trigger_job,
       on_failure_payload_mapping, webhook_url, dlq_alert_threshold, queue_depth_alert_threshold,
       version_policy, backwards_compatible, cron_catchup, created_by, updated_by)
  select id,
       version, version_id, project_id, name, slug, description, enabled, group_id, environment_id, tags,
       execution_mode, endpoint_url, fallback_endpoint_url, payload_schema, result_schema,
       default_run_metadata, timeout_secs, run_ttl_secs, max_attempts, retry_strategy, retry_delays_secs,
       retry_priority_boost, poison_pill_threshold, max_concurrency, max_concurrency_per_key,
       rate_limit_max, rate_limit_window_secs, rate_limit_keys, dedup_window_secs, debounce_window_secs,
       batch_window_secs, batch_max_size, cron, timezone, execution_window_cron, cron_overlap_policy,
       skip_if_running, on_complete_trigger_workflow, on_complete_trigger_job,
       on_complete_payload_mapping, on_failure_trigger_workflow, on_failure_trigger_job,
       on_failure_payload_mapping, webhook_url, dlq_alert_threshold, queue_depth_alert_threshold,
       version_policy, backwards_compatible, cron_catchup, created_by, updated_by
    from old
)
update jobs j
   set (name, slug, description, enabled, group_id, environment_id, tags, execution_mode, endpoint_url,
       fallback_endpoint_url, payload_schema, result_schema, default_run_metadata, timeout_secs,
       run_ttl_secs, max_attempts, retry_strategy, retry_delays_secs, retry_priority_boost,
       poison_pill_threshold, max_concurrency, max_concurrency_per_key, rate_limit_max,
       rate_limit_window_secs, rate_limit_keys, dedup_window_secs, debounce_window_secs,
       batch_window_secs, batch_max_size, cron, timezone, execution_window_cron, cron_overlap_policy,
       cron_catchup, skip_if_running, on_complete_trigger_workflow, on_complete_trigger_job,
       on_complete_payload_mapping, on_failure_trigger_workflow, on_failure_trigger_job,
       on_failure_payload_mapping, webhook_url, dlq_alert_threshold, queue_depth_alert_threshold,
       version_policy, backwards_compatible, endpoint_signing_secret_enc, webhook_secret) =
       (select r.name, r.slug, r.description, r.enabled, r.group_id, r.environment_id, r.tags, r.execution_mode,
       r.endpoint_url, r.fallback_endpoint_url, r.payload_schema, r.result_schema,
       r.default_run_metadata, r.timeout_secs, r.run_ttl_secs, r.max_attempts, r.retry_strategy,
       r.retry_delays_secs, r.retry_priority_boost, r.poison_pill_threshold, r.max_concurrency,
       r.max_concurrency_per_key, r.rate_limit_max, r.rate_limit_window_secs, r.rate_limit_keys,
       r.dedup_window_secs, r.debounce_window_secs, r.batch_window_secs, r.batch_max_size, r.cron,
       r.timezone, r.execution_window_cron, r.cron_overlap_policy, r.cron_catchup, r.skip_if_running,
       r.on_complete_trigger_workflow, r.on_complete_trigger_job, r.on_complete_payload_mapping,
       r.on_failure_trigger_workflow, r.on_failure_trigger_job, r.on_failure_payload_mapping,
       r.webhook_url, r.dlq_alert_threshold, r.queue_depth_alert_threshold, r.version_policy,
       r.backwards_compatible, r.endpoint_signing_secret_enc, r.webhook_secret
          from jsonb_populate_record(j, $4::jsonb) r),
       followed = j.followed or coalesce($4::jsonb ->> 'on_complete_trigger_job', '') <> ''
                  or coalesce($4::jsonb ->> 'on_failure_trigger_job', '') <> ''
                  or coalesce($4::jsonb ->> 'on_complete_trigger_workflow', '') <> ''
                  or coalesce($4::jsonb ->> 'on_failure_trigger_workflow', '') <> '',
       version = j.version + 1, version_id = $5::text, updated_by = $6::text, updated_at = strait_now()
  from old
 where j.id = old.id and j.project_id = $2 and j.version = $3
returning j.*`;

/**
 * Keeps the job as it was, then writes the members of :changes; absent ones stay. No row = the job is
 * another version by now. `followed` stays once it is set: runs of earlier versions may still end.
 */
export function updateJob(db: Queryable, params: UpdateJobParams): Promise<UpdateJobRow | undefined> {
  return maybe<UpdateJobRow>(db, {
    text: updateJobText,
    values: [
      params.job_id,
      params.project_id,
      params.version,
      JSON.stringify(params.changes),
      params.version_id,
      params.actor_id,
    ],
  });
}

export interface SetJobPausedParams {
  readonly paused: boolean;
  readonly actor_id: string;
  readonly job_id: string;
  readonly project_id: string;
}

export interface SetJobPausedRow {
  readonly id: string;
  readonly project_id: string;
  readonly name: string;
  readonly slug: string;
  readonly description: string | null;
  readonly enabled: boolean;
  readonly paused: boolean;
  readonly group_id: string | null;
  readonly environment_id: string | null;
  readonly tags: JsonColumns['jobs.tags'];
  readonly execution_mode: string;
  readonly endpoint_url: string;
  readonly fallback_endpoint_url: string | null;
  readonly endpoint_signing_secret_enc: Buffer | null;
  readonly payload_schema: unknown;
  readonly result_schema: unknown;
  readonly default_run_metadata: JsonColumns['jobs.default_run_metadata'];
  readonly timeout_secs: number;
  readonly run_ttl_secs: number | null;
  readonly max_attempts: number;
  readonly retry_strategy: string;
  readonly retry_delays_secs: readonly number[] | null;
  readonly retry_priority_boost: number;
  readonly poison_pill_threshold: number | null;
  readonly max_concurrency: number | null;
  readonly max_concurrency_per_key: number | null;
  readonly rate_limit_max: number | null;
  readonly rate_limit_window_secs: number | null;
  readonly rate_limit_keys: unknown;
  readonly dedup_window_secs: number | null;
  readonly debounce_window_secs: number;
  readonly batch_window_secs: number;
  readonly batch_max_size: number;
  readonly cron: string | null;
  readonly timezone: string | null;
  readonly execution_window_cron: string | null;
  readonly cron_overlap_policy: string;
  readonly cron_catchup: string;
  readonly skip_if_running: boolean;
  readonly on_complete_trigger_workflow: string | null;
  readonly on_complete_trigger_job: string | null;
  readonly on_complete_payload_mapping: unknown;
  readonly on_failure_trigger_workflow: string | null;
  readonly on_failure_trigger_job: string | null;
  readonly on_failure_payload_mapping: unknown;
  readonly webhook_url: string | null;
  readonly webhook_secret: string | null;
  readonly dlq_alert_threshold: number | null;
  readonly queue_depth_alert_threshold: number | null;
  readonly version: number;
  readonly version_id: string | null;
  readonly version_policy: string;
  readonly backwards_compatible: boolean;
  readonly created_by: string | null;
  readonly updated_by: string | null;
  readonly created_at: string;
  readonly updated_at: string;
  readonly deleting_at: string | null;
  readonly endpoint: string | null;
  readonly followed: boolean;
  readonly has_dependencies: boolean;
  readonly has_key_limits: boolean;
}

const setJobPausedText = `update jobs j set paused = $1, updated_by = $2::text, updated_at = strait_now()
 where j.id = $3 and j.project_id = $4 and j.paused <> $1
returning j.*`;

/** `paused` is no setting: it makes no version. */
export function setJobPaused(db: Queryable, params: SetJobPausedParams): Promise<SetJobPausedRow | undefined> {
  return maybe<SetJobPausedRow>(db, {
    text: setJobPausedText,
    values: [
      params.paused,
      params.actor_id,
      params.job_id,
      params.project_id,
    ],
  });
}

export interface SetJobsEnabledParams {
  readonly project_id: string;
  readonly refs: readonly (string | null)[];
  readonly enabled: boolean;
  readonly actor_id: string;
}

export interface SetJobsEnabledRow {
  readonly id: string;
  readonly was_enabled: boolean;
  readonly enabled: boolean;
  readonly cron: string | null;
  readonly timezone: string | null;
  readonly cron_overlap_policy: string;
  readonly cron_catchup: string;
}

const setJobsEnabledText = `with mine as materialized (
  select id from jobs
   where project_id = $1 and (id = any ($2::text[]) or slug = any ($2::text[])) and deleting_at is null
   order by id for no key update
)
update jobs j
   set enabled = $3,
       updated_by = case when j.enabled = $3 then j.updated_by else $4::text end,
       updated_at = case when j.enabled = $3 then j.updated_at else strait_now() end
  from mine where j.id = mine.id and j.project_id = $1
returning j.id, old.enabled as "was_enabled", j.enabled, j.cron, j.timezone, j.cron_overlap_policy, j.cron_catchup`;

/** In one order everywhere, so that two calls do not deadlock. */
export function setJobsEnabled(db: Queryable, params: SetJobsEnabledParams): Promise<SetJobsEnabledRow[]> {
  return many<SetJobsEnabledRow>(db, {
    text: setJobsEnabledText,
    values: [
      params.project_id,
      params.refs,
      params.enabled,
      params.actor_id,
    ],
  });
}

export interface WakePromoterRow {
  readonly woken: boolean;
}

const wakePromoterText = `select true as "woken" from pg_notify('run_wake', 'resume')`;

/** Parked runs of a job that may run again are looked at when this commits. */
export function wakePromoter(db: Queryable): Promise<WakePromoterRow> {
  return one<WakePromoterRow>(db, {
    text: wakePromoterText,
    values: [],
  });
}

export interface MarkJobDeletedParams {
  readonly job_id: string;
  readonly project_id: string;
}

const markJobDeletedText = `update jobs set deleting_at = strait_now(), enabled = false, slug = id
 where id = $1 and project_id = $2 and deleting_at is null`;

/** From here on nobody finds the job, and its slug is free. */
export function markJobDeleted(db: Queryable, params: MarkJobDeletedParams): Promise<number> {
  return count(db, {
    text: markJobDeletedText,
    values: [
      params.job_id,
      params.project_id,
    ],
  });
}

export interface ListDeletedJobsParams {
  readonly min_age_secs: number;
  readonly limit: number;
}

export interface ListDeletedJobsRow {
  readonly job_id: string;
  readonly project_id: string;
}

const listDeletedJobsText = `select id as job_id, project_id from jobs
 where deleting_at < strait_now() - make_interval(secs => $1::float8)
 order by deleting_at limit $2::int`;

/** across projects: a loop finishes deletions that were interrupted. */
export function listDeletedJobs(db: Queryable, params: ListDeletedJobsParams): Promise<ListDeletedJobsRow[]> {
  return many<ListDeletedJobsRow>(db, {
    text: listDeletedJobsText,
    values: [
      params.min_age_secs,
      params.limit,
    ],
  });
}

export interface DeleteJobParams {
  readonly job_id: string;
  readonly project_id: string;
}

const deleteJobText = `delete from jobs where id = $1 and project_id = $2 and deleting_at is not null`;

/** Versions, dependencies, secrets, buffers and objectives go with it. */
export function deleteJob(db: Queryable, params: DeleteJobParams): Promise<number> {
  return count(db, {
    text: deleteJobText,
    values: [
      params.job_id,
      params.project_id,
    ],
  });
}

export interface FindJobGroupsParams {
  readonly project_id: string;
  readonly ids: readonly (string | null)[];
}

export interface FindJobGroupsRow {
  readonly id: string;
}

const findJobGroupsText = `select id from job_groups where project_id = $1 and id = any ($2::text[])`;

export function findJobGroups(db: Queryable, params: FindJobGroupsParams): Promise<FindJobGroupsRow[]> {
  return many<FindJobGroupsRow>(db, {
    text: findJobGroupsText,
    values: [
      params.project_id,
      params.ids,
    ],
  });
}

export interface FindEnvironmentsParams {
  readonly project_id: string;
  readonly ids: readonly (string | null)[];
}

export interface FindEnvironmentsRow {
  readonly id: string;
}

const findEnvironmentsText = `select id from environments where project_id = $1 and id = any ($2::text[])`;

export function findEnvironments(db: Queryable, params: FindEnvironmentsParams): Promise<FindEnvironmentsRow[]> {
  return many<FindEnvironmentsRow>(db, {
    text: findEnvironmentsText,
    values: [
      params.project_id,
      params.ids,
    ],
  });
}

export interface ListJobVersionsParams {
  readonly job_id: string;
  readonly project_id: string;
  readonly before_version: number | null;
  readonly before_created_at: string | null;
  readonly limit: number;
}

export interface ListJobVersionsRow {
  readonly id: string;
  readonly job_id: string;
  readonly version: number;
  readonly version_id: string | null;
  readonly project_id: string | null;
  readonly name: string;
  readonly slug: string;
  readonly description: string | null;
  readonly enabled: boolean;
  readonly group_id: string | null;
  readonly environment_id: string | null;
  readonly tags: JsonColumns['job_versions.tags'];
  readonly execution_mode: string;
  readonly endpoint_url: string;
  readonly fallback_endpoint_url: string | null;
  readonly payload_schema: unknown;
  readonly result_schema: unknown;
  readonly default_run_metadata: JsonColumns['job_versions.default_run_metadata'];
  readonly timeout_secs: number;
  readonly run_ttl_secs: number | null;
  readonly max_attempts: number;
  readonly retry_strategy: string;
  readonly retry_delays_secs: readonly number[] | null;
  readonly retry_priority_boost: number;
  readonly poison_pill_threshold: number | null;
  readonly max_concurrency: number | null;
  readonly max_concurrency_per_key: number | null;
  readonly rate_limit_max: number | null;
  readonly rate_limit_window_secs: number | null;
  readonly rate_limit_keys: unknown;
  readonly dedup_window_secs: number | null;
  readonly debounce_window_secs: number;
  readonly batch_window_secs: number;
  readonly batch_max_size: number;
  readonly cron: string | null;
  readonly timezone: string | null;
  readonly execution_window_cron: string | null;
  readonly cron_overlap_policy: string;
  readonly cron_catchup: string;
  readonly skip_if_running: boolean;
  readonly on_complete_trigger_workflow: string | null;
  readonly on_complete_trigger_job: string | null;
  readonly on_complete_payload_mapping: unknown;
  readonly on_failure_trigger_workflow: string | null;
  readonly on_failure_trigger_job: string | null;
  readonly on_failure_payload_mapping: unknown;
  readonly webhook_url: string | null;
  readonly dlq_alert_threshold: number | null;
  readonly queue_depth_alert_threshold: number | null;
  readonly version_policy: string;
  readonly backwards_compatible: boolean;
  readonly created_by: string | null;
  readonly updated_by: string | null;
  readonly created_at: string;
}

const listJobVersionsText = `select v.* from job_versions v join jobs j on j.id = v.job_id
 where v.job_id = $1 and j.project_id = $2
   and ($3::int is null or v.version < $3)
   and ($4::timestamptz is null or v.created_at < $4)
 order by v.version desc limit $5::int`;

export function listJobVersions(db: Queryable, params: ListJobVersionsParams): Promise<ListJobVersionsRow[]> {
  return many<ListJobVersionsRow>(db, {
    text: listJobVersionsText,
    values: [
      params.job_id,
      params.project_id,
      params.before_version,
      params.before_created_at,
      params.limit,
    ],
  });
}

export interface FindJobVersionParams {
  readonly job_id: string;
  readonly project_id: string;
  readonly version_ref: string;
}

export interface FindJobVersionRow {
  readonly id: string;
  readonly job_id: string;
  readonly version: number;
  readonly version_id: string | null;
  readonly project_id: string | null;
  readonly name: string;
  readonly slug: string;
  readonly description: string | null;
  readonly enabled: boolean;
  readonly group_id: string | null;
  readonly environment_id: string | null;
  readonly tags: JsonColumns['job_versions.tags'];
  readonly execution_mode: string;
  readonly endpoint_url: string;
  readonly fallback_endpoint_url: string | null;
  readonly payload_schema: unknown;
  readonly result_schema: unknown;
  readonly default_run_metadata: JsonColumns['job_versions.default_run_metadata'];
  readonly timeout_secs: number;
  readonly run_ttl_secs: number | null;
  readonly max_attempts: number;
  readonly retry_strategy: string;
  readonly retry_delays_secs: readonly number[] | null;
  readonly retry_priority_boost: number;
  readonly poison_pill_threshold: number | null;
  readonly max_concurrency: number | null;
  readonly max_concurrency_per_key: number | null;
  readonly rate_limit_max: number | null;
  readonly rate_limit_window_secs: number | null;
  readonly rate_limit_keys: unknown;
  readonly dedup_window_secs: number | null;
  readonly debounce_window_secs: number;
  readonly batch_window_secs: number;
  readonly batch_max_size: number;
  readonly cron: string | null;
  readonly timezone: string | null;
  readonly execution_window_cron: string | null;
  readonly cron_overlap_policy: string;
  readonly cron_catchup: string;
  readonly skip_if_running: boolean;
  readonly on_complete_trigger_workflow: string | null;
  readonly on_complete_trigger_job: string | null;
  readonly on_complete_payload_mapping: unknown;
  readonly on_failure_trigger_workflow: string | null;
  readonly on_failure_trigger_job: string | null;
  readonly on_failure_payload_mapping: unknown;
  readonly webhook_url: string | null;
  readonly dlq_alert_threshold: number | null;
  readonly queue_depth_alert_threshold: number | null;
  readonly version_policy: string;
  readonly backwards_compatible: boolean;
  readonly created_by: string | null;
  readonly updated_by: string | null;
  readonly created_at: string;
}

const findJobVersionText = `select v.* from job_versions v join jobs j on j.id = v.job_id
 where v.job_id = $1 and j.project_id = $2
   and (v.version_id = $3 or v.id = $3 or v.version::text = $3)
 order by v.version desc limit 1`;

/** By version id, row id or number. */
export function findJobVersion(db: Queryable, params: FindJobVersionParams): Promise<FindJobVersionRow | undefined> {
  return maybe<FindJobVersionRow>(db, {
    text: findJobVersionText,
    values: [
      params.job_id,
      params.project_id,
      params.version_ref,
    ],
  });
}

export interface FindTriggerJobsParams {
  readonly project_ids: readonly (string | null)[];
  readonly refs: readonly (string | null)[];
}

export interface FindTriggerJobsRow {
  readonly ord: number;
  readonly id: string;
  readonly project_id: string;
  readonly slug: string;
  readonly name: string;
  readonly enabled: boolean;
  readonly paused: boolean;
  readonly version: number;
  readonly version_id: string | null;
  readonly payload_schema: unknown;
  readonly timeout_secs: number;
  readonly run_ttl_secs: number | null;
  readonly max_attempts: number;
  readonly tags: JsonColumns['jobs.tags'];
  readonly default_run_metadata: JsonColumns['jobs.default_run_metadata'];
  readonly environment_id: string | null;
  readonly max_concurrency: number | null;
  readonly max_concurrency_per_key: number | null;
  readonly rate_limit_max: number | null;
  readonly rate_limit_window_secs: number | null;
  readonly dedup_window_secs: number | null;
  readonly debounce_window_secs: number;
  readonly batch_window_secs: number;
  readonly batch_max_size: number;
  readonly execution_window_cron: string | null;
  readonly timezone: string | null;
  readonly rate_limit_keys: unknown;
  readonly project_timezone: string | null;
  readonly queue_limited: boolean;
  readonly refuses_over_budget: boolean;
}

const findTriggerJobsText = `select n.ord::int as "ord", j.id, j.project_id, j.slug, j.name, j.enabled, j.paused or coalesce(g.paused, false) or coalesce(q.queue_paused, false) as "paused",
       j.version, j.version_id, j.payload_schema, j.timeout_secs, j.run_ttl_secs, j.max_attempts, j.tags,
       j.default_run_metadata, j.environment_id, j.max_concurrency, j.max_concurrency_per_key, j.rate_limit_max,
       j.rate_limit_window_secs, j.dedup_window_secs, j.debounce_window_secs, j.batch_window_secs, j.batch_max_size,
       j.execution_window_cron, j.timezone, j.rate_limit_keys, q.timezone as "project_timezone",
       coalesce(q.max_queued_runs > 0, false) as "queue_limited",
       coalesce(q.max_daily_cost_microusd > 0 and q.cost_breach_policy = 'reject', false)
         or coalesce(b.breach_policy = 'reject', false) as "refuses_over_budget"
  from unnest($1::text[], $2::text[]) with ordinality as n (project_id, ref, ord)
 cross join lateral (select id from jobs where id = n.ref and project_id = n.project_id and deleting_at is null
                     union all
                     select id from jobs where project_id = n.project_id and slug = n.ref and deleting_at is null
                     limit 1) found
  join jobs j on j.id = found.id
  left join job_groups g on g.id = j.group_id
  left join project_quotas q on q.project_id = j.project_id
  left join job_budgets b on b.job_id = j.id`;

/** across projects: look-ups of many callers share it; each names its own project. */
export function findTriggerJobs(db: Queryable, params: FindTriggerJobsParams): Promise<FindTriggerJobsRow[]> {
  return many<FindTriggerJobsRow>(db, {
    text: findTriggerJobsText,
    values: [
      params.project_ids,
      params.refs,
    ],
    name: 'jobs_findTriggerJobs_7362f8ce',
  });
}

export interface FindExecutionConfigParams {
  readonly version: number;
  readonly job_id: string;
}

export interface FindExecutionConfigRow {
  readonly job_id: string;
  readonly project_id: string;
  readonly slug: string;
  readonly endpoint_signing_secret_enc: Buffer | null;
  readonly version: number;
  readonly version_id: string | null;
  readonly endpoint_url: string;
  readonly fallback_endpoint_url: string | null;
  readonly endpoint: string;
  readonly fallback_endpoint: string | null;
  readonly environment_id: string | null;
  readonly max_attempts: number;
  readonly timeout_secs: number;
  readonly retry_strategy: string;
  readonly retry_delays_secs: readonly number[] | null;
  readonly retry_priority_boost: number;
  readonly poison_pill_threshold: number | null;
  readonly result_schema: unknown;
  readonly execution_window_cron: string | null;
  readonly timezone: string | null;
  readonly project_timezone: string | null;
}

const findExecutionConfigText = `select j.id as job_id, j.project_id, j.slug, j.endpoint_signing_secret_enc,
       coalesce(v.version, j.version) as "version",
       case when v.id is null then j.version_id else v.version_id end as "version_id",
       case when v.id is null then j.endpoint_url else v.endpoint_url end as "endpoint_url",
       case when v.id is null then j.fallback_endpoint_url else v.fallback_endpoint_url end as "fallback_endpoint_url",
       case when v.id is null then j.endpoint else strait_endpoint(v.endpoint_url) end as "endpoint",
       case when v.id is null then strait_endpoint(j.fallback_endpoint_url) else strait_endpoint(v.fallback_endpoint_url) end
         as "fallback_endpoint",
       case when v.id is null then j.environment_id else v.environment_id end as "environment_id",
       case when v.id is null then j.max_attempts else v.max_attempts end as "max_attempts",
       case when v.id is null then j.timeout_secs else v.timeout_secs end as "timeout_secs",
       case when v.id is null then j.retry_strategy else v.retry_strategy end as "retry_strategy",
       case when v.id is null then j.retry_delays_secs else v.retry_delays_secs end as "retry_delays_secs",
       case when v.id is null then j.retry_priority_boost else v.retry_priority_boost end as "retry_priority_boost",
       case when v.id is null then j.poison_pill_threshold else v.poison_pill_threshold end as "poison_pill_threshold",
       case when v.id is null then j.result_schema else v.result_schema end as "result_schema",
       case when v.id is null then j.execution_window_cron else v.execution_window_cron end as "execution_window_cron",
       case when v.id is null then j.timezone else v.timezone end as "timezone",
       (select q.timezone from project_quotas q where q.project_id = j.project_id) as "project_timezone"
  from jobs j
  left join job_versions v on v.job_id = j.id and v.version = $1 and j.version <> $1
 where j.id = $2`;

/** across projects: workers serve every project; the job comes from a run they hold. */
export function findExecutionConfig(db: Queryable, params: FindExecutionConfigParams): Promise<FindExecutionConfigRow | undefined> {
  return maybe<FindExecutionConfigRow>(db, {
    text: findExecutionConfigText,
    values: [
      params.version,
      params.job_id,
    ],
    name: 'jobs_findExecutionConfig_7f7ce123',
  });
}
