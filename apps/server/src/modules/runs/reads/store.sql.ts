// Generated from store.sql by `npm run generate`. Do not edit.
import type { JsonColumns } from '../../../platform/db/json-columns.ts';
import { many, maybe, type Queryable } from '../../../platform/db/query.ts';

export interface FindRunParams {
  readonly run_id: string;
  readonly project_id: string;
}

export interface FindRunRow {
  readonly id: string;
  readonly job_id: string;
  readonly project_id: string;
  readonly status: string;
  readonly attempt: number;
  readonly payload: unknown;
  readonly result: unknown;
  readonly error: string | null;
  readonly triggered_by: string;
  readonly scheduled_at: string | null;
  readonly claimed_at: string | null;
  readonly started_at: string | null;
  readonly finished_at: string | null;
  readonly heartbeat_at: string | null;
  readonly next_retry_at: string | null;
  readonly expires_at: string | null;
  readonly created_at: string;
  readonly parent_run_id: string | null;
  readonly priority: number;
  readonly idempotency_key: string | null;
  readonly job_version: number;
  readonly workflow_step_run_id: string | null;
  readonly error_class: string | null;
  readonly metadata: JsonColumns['job_runs.metadata'];
  readonly execution_trace: unknown;
  readonly debug_mode: boolean;
  readonly continuation_of: string | null;
  readonly continuation_created_at: string | null;
  readonly lineage_depth: number;
  readonly max_attempts_override: number | null;
  readonly timeout_secs_override: number | null;
  readonly retry_backoff: string | null;
  readonly retry_initial_delay_secs: number | null;
  readonly retry_max_delay_secs: number | null;
  readonly created_by: string | null;
  readonly job_version_id: string | null;
  readonly tags: JsonColumns['job_runs.tags'];
  readonly batch_id: string | null;
  readonly concurrency_key: string | null;
  readonly execution_mode: string;
  readonly machine_id: string | null;
  readonly held: boolean;
}

const findRunText = `select r.*, exists (select from run_parked p where p.run_id = r.id and p.lane_id = 0) as "held"
  from job_runs r
 where r.id = $1 and r.created_at = strait_id_time($1) and r.project_id = $2`;

/** `held`: parked in the reserved lane 0, until somebody resumes it. */
export function findRun(db: Queryable, params: FindRunParams): Promise<FindRunRow | undefined> {
  return maybe<FindRunRow>(db, {
    text: findRunText,
    values: [
      params.run_id,
      params.project_id,
    ],
  });
}

export interface FindRunRefParams {
  readonly run_id: string;
  readonly project_id: string;
}

export interface FindRunRefRow {
  readonly id: string;
  readonly status: string;
  readonly job_id: string;
}

const findRunRefText = `select r.id, r.status, r.job_id from job_runs r
 where r.id = $1 and r.created_at = strait_id_time($1) and r.project_id = $2`;

export function findRunRef(db: Queryable, params: FindRunRefParams): Promise<FindRunRefRow | undefined> {
  return maybe<FindRunRefRow>(db, {
    text: findRunRefText,
    values: [
      params.run_id,
      params.project_id,
    ],
  });
}

export interface ListRunsByStatusParams {
  readonly statuses: readonly (string | null)[];
  readonly project_id: string;
  readonly before_created_at: string | null;
  readonly before_id: string | null;
  readonly from: string | null;
  readonly to: string | null;
  readonly triggered_by: string | null;
  readonly error_class: string | null;
  readonly execution_mode: string | null;
  readonly tags: unknown;
  readonly tag_key: string | null;
  readonly metadata_key: string | null;
  readonly limit: number;
}

export interface ListRunsByStatusRow {
  readonly id: string;
  readonly job_id: string;
  readonly project_id: string;
  readonly status: string;
  readonly attempt: number;
  readonly payload: unknown;
  readonly result: unknown;
  readonly error: string | null;
  readonly triggered_by: string;
  readonly scheduled_at: string | null;
  readonly claimed_at: string | null;
  readonly started_at: string | null;
  readonly finished_at: string | null;
  readonly heartbeat_at: string | null;
  readonly next_retry_at: string | null;
  readonly expires_at: string | null;
  readonly created_at: string;
  readonly parent_run_id: string | null;
  readonly priority: number;
  readonly idempotency_key: string | null;
  readonly job_version: number;
  readonly workflow_step_run_id: string | null;
  readonly error_class: string | null;
  readonly metadata: JsonColumns['job_runs.metadata'];
  readonly execution_trace: unknown;
  readonly debug_mode: boolean;
  readonly continuation_of: string | null;
  readonly continuation_created_at: string | null;
  readonly lineage_depth: number;
  readonly max_attempts_override: number | null;
  readonly timeout_secs_override: number | null;
  readonly retry_backoff: string | null;
  readonly retry_initial_delay_secs: number | null;
  readonly retry_max_delay_secs: number | null;
  readonly created_by: string | null;
  readonly job_version_id: string | null;
  readonly tags: JsonColumns['job_runs.tags'];
  readonly batch_id: string | null;
  readonly concurrency_key: string | null;
  readonly execution_mode: string;
  readonly machine_id: string | null;
}

const listRunsByStatusText = `select r.* from unnest($1::text[]) as s(status) cross join lateral (
  select x.* from job_runs x
   where x.project_id = $2 and x.status = s.status
     and ($3::timestamptz is null or x.created_at <= $3::timestamptz)
     and ($3::timestamptz is null or (x.created_at, x.id) < ($3::timestamptz, $4::text))
     and ($5::timestamptz is null or x.created_at >= $5::timestamptz)
     and ($6::timestamptz is null or x.created_at < $6::timestamptz)
     and ($7::text is null or x.triggered_by = $7)
     and ($8::text is null or x.error_class = $8)
     and ($9::text is null or x.execution_mode = $9)
     and ($10::jsonb is null or x.tags @> $10::jsonb)
     and ($11::text is null or x.tags ? $11)
     and ($12::text is null or x.metadata ? $12)
   order by x.created_at desc, x.id desc
   limit $13::int) r
 order by r.created_at desc, r.id desc
 limit $13::int`;

/** One index range per state, each in list order, merged. */
export function listRunsByStatus(db: Queryable, params: ListRunsByStatusParams): Promise<ListRunsByStatusRow[]> {
  return many<ListRunsByStatusRow>(db, {
    text: listRunsByStatusText,
    values: [
      params.statuses,
      params.project_id,
      params.before_created_at,
      params.before_id,
      params.from,
      params.to,
      params.triggered_by,
      params.error_class,
      params.execution_mode,
      params.tags == null ? null : JSON.stringify(params.tags),
      params.tag_key,
      params.metadata_key,
      params.limit,
    ],
  });
}

export interface ListRunsOfJobParams {
  readonly job_id: string;
  readonly project_id: string;
  readonly before_created_at: string | null;
  readonly before_id: string | null;
  readonly from: string | null;
  readonly to: string | null;
  readonly statuses: readonly (string | null)[];
  readonly triggered_by: string | null;
  readonly error_class: string | null;
  readonly execution_mode: string | null;
  readonly tags: unknown;
  readonly tag_key: string | null;
  readonly metadata_key: string | null;
  readonly limit: number;
}

export interface ListRunsOfJobRow {
  readonly id: string;
  readonly job_id: string;
  readonly project_id: string;
  readonly status: string;
  readonly attempt: number;
  readonly payload: unknown;
  readonly result: unknown;
  readonly error: string | null;
  readonly triggered_by: string;
  readonly scheduled_at: string | null;
  readonly claimed_at: string | null;
  readonly started_at: string | null;
  readonly finished_at: string | null;
  readonly heartbeat_at: string | null;
  readonly next_retry_at: string | null;
  readonly expires_at: string | null;
  readonly created_at: string;
  readonly parent_run_id: string | null;
  readonly priority: number;
  readonly idempotency_key: string | null;
  readonly job_version: number;
  readonly workflow_step_run_id: string | null;
  readonly error_class: string | null;
  readonly metadata: JsonColumns['job_runs.metadata'];
  readonly execution_trace: unknown;
  readonly debug_mode: boolean;
  readonly continuation_of: string | null;
  readonly continuation_created_at: string | null;
  readonly lineage_depth: number;
  readonly max_attempts_override: number | null;
  readonly timeout_secs_override: number | null;
  readonly retry_backoff: string | null;
  readonly retry_initial_delay_secs: number | null;
  readonly retry_max_delay_secs: number | null;
  readonly created_by: string | null;
  readonly job_version_id: string | null;
  readonly tags: JsonColumns['job_runs.tags'];
  readonly batch_id: string | null;
  readonly concurrency_key: string | null;
  readonly execution_mode: string;
  readonly machine_id: string | null;
}

const listRunsOfJobText = `select r.* from job_runs r
 where r.job_id = $1 and r.project_id = $2
   and ($3::timestamptz is null or r.created_at <= $3::timestamptz)
   and ($3::timestamptz is null or (r.created_at, r.id) < ($3::timestamptz, $4::text))
   and ($5::timestamptz is null or r.created_at >= $5::timestamptz)
   and ($6::timestamptz is null or r.created_at < $6::timestamptz)
   and r.status = any ($7::text[])
   and ($8::text is null or r.triggered_by = $8)
   and ($9::text is null or r.error_class = $9)
   and ($10::text is null or r.execution_mode = $10)
   and ($11::jsonb is null or r.tags @> $11::jsonb)
   and ($12::text is null or r.tags ? $12)
   and ($13::text is null or r.metadata ? $13)
 order by r.created_at desc, r.id desc
 limit $14::int`;

export function listRunsOfJob(db: Queryable, params: ListRunsOfJobParams): Promise<ListRunsOfJobRow[]> {
  return many<ListRunsOfJobRow>(db, {
    text: listRunsOfJobText,
    values: [
      params.job_id,
      params.project_id,
      params.before_created_at,
      params.before_id,
      params.from,
      params.to,
      params.statuses,
      params.triggered_by,
      params.error_class,
      params.execution_mode,
      params.tags == null ? null : JSON.stringify(params.tags),
      params.tag_key,
      params.metadata_key,
      params.limit,
    ],
  });
}

export interface ListRunsFoundParams {
  readonly project_id: string;
  readonly batch_id: string | null;
  readonly parent_run_id: string | null;
  readonly metadata: unknown;
  readonly payload_contains_json: string | null;
  readonly job_id: string | null;
  readonly before_created_at: string | null;
  readonly before_id: string | null;
  readonly from: string | null;
  readonly to: string | null;
  readonly statuses: readonly (string | null)[];
  readonly triggered_by: string | null;
  readonly error_class: string | null;
  readonly execution_mode: string | null;
  readonly tags: unknown;
  readonly tag_key: string | null;
  readonly metadata_key: string | null;
  readonly limit: number;
}

export interface ListRunsFoundRow {
  readonly id: string;
  readonly job_id: string;
  readonly project_id: string;
  readonly status: string;
  readonly attempt: number;
  readonly payload: unknown;
  readonly result: unknown;
  readonly error: string | null;
  readonly triggered_by: string;
  readonly scheduled_at: string | null;
  readonly claimed_at: string | null;
  readonly started_at: string | null;
  readonly finished_at: string | null;
  readonly heartbeat_at: string | null;
  readonly next_retry_at: string | null;
  readonly expires_at: string | null;
  readonly created_at: string;
  readonly parent_run_id: string | null;
  readonly priority: number;
  readonly idempotency_key: string | null;
  readonly job_version: number;
  readonly workflow_step_run_id: string | null;
  readonly error_class: string | null;
  readonly metadata: JsonColumns['job_runs.metadata'];
  readonly execution_trace: unknown;
  readonly debug_mode: boolean;
  readonly continuation_of: string | null;
  readonly continuation_created_at: string | null;
  readonly lineage_depth: number;
  readonly max_attempts_override: number | null;
  readonly timeout_secs_override: number | null;
  readonly retry_backoff: string | null;
  readonly retry_initial_delay_secs: number | null;
  readonly retry_max_delay_secs: number | null;
  readonly created_by: string | null;
  readonly job_version_id: string | null;
  readonly tags: JsonColumns['job_runs.tags'];
  readonly batch_id: string | null;
  readonly concurrency_key: string | null;
  readonly execution_mode: string;
  readonly machine_id: string | null;
}

const listRunsFoundText = `with found as materialized (
  select f.id, f.created_at from job_runs f
   where f.project_id = $1
     and ($2::text is null or f.batch_id = $2)
     and ($3::text is null or f.parent_run_id = $3)
     and ($4::jsonb is null or f.metadata @> $4::jsonb)
     and ($5::jsonb is null or f.payload @> $5::jsonb)
     and ($6::text is null or f.job_id = $6)
     and ($7::timestamptz is null or f.created_at <= $7::timestamptz)
     and ($7::timestamptz is null or (f.created_at, f.id) < ($7::timestamptz, $8::text))
     and ($9::timestamptz is null or f.created_at >= $9::timestamptz)
     and ($10::timestamptz is null or f.created_at < $10::timestamptz)
     and f.status = any ($11::text[])
     and ($12::text is null or f.triggered_by = $12)
     and ($13::text is null or f.error_class = $13)
     and ($14::text is null or f.execution_mode = $14)
     and ($15::jsonb is null or f.tags @> $15::jsonb)
     and ($16::text is null or f.tags ? $16)
     and ($17::text is null or f.metadata ? $17)
), first_ones as (
  select id, created_at from found order by created_at desc, id desc limit $18::int
)
select r.* from first_ones p join job_runs r on r.id = p.id and r.created_at = p.created_at
 where r.project_id = $1
 order by r.created_at desc, r.id desc`;

/**
 * For filters that name few runs by an index of their own: batch, parent, metadata or payload containment.
 * `materialized` keeps the planner from walking the project's history in search of a rare match.
 */
export function listRunsFound(db: Queryable, params: ListRunsFoundParams): Promise<ListRunsFoundRow[]> {
  return many<ListRunsFoundRow>(db, {
    text: listRunsFoundText,
    values: [
      params.project_id,
      params.batch_id,
      params.parent_run_id,
      params.metadata == null ? null : JSON.stringify(params.metadata),
      params.payload_contains_json,
      params.job_id,
      params.before_created_at,
      params.before_id,
      params.from,
      params.to,
      params.statuses,
      params.triggered_by,
      params.error_class,
      params.execution_mode,
      params.tags == null ? null : JSON.stringify(params.tags),
      params.tag_key,
      params.metadata_key,
      params.limit,
    ],
  });
}

export interface ListChildrenParams {
  readonly run_id: string;
  readonly project_id: string;
  readonly after_created_at: string | null;
  readonly after_id: string | null;
  readonly limit: number;
}

export interface ListChildrenRow {
  readonly id: string;
  readonly job_id: string;
  readonly project_id: string;
  readonly status: string;
  readonly attempt: number;
  readonly payload: unknown;
  readonly result: unknown;
  readonly error: string | null;
  readonly triggered_by: string;
  readonly scheduled_at: string | null;
  readonly claimed_at: string | null;
  readonly started_at: string | null;
  readonly finished_at: string | null;
  readonly heartbeat_at: string | null;
  readonly next_retry_at: string | null;
  readonly expires_at: string | null;
  readonly created_at: string;
  readonly parent_run_id: string | null;
  readonly priority: number;
  readonly idempotency_key: string | null;
  readonly job_version: number;
  readonly workflow_step_run_id: string | null;
  readonly error_class: string | null;
  readonly metadata: JsonColumns['job_runs.metadata'];
  readonly execution_trace: unknown;
  readonly debug_mode: boolean;
  readonly continuation_of: string | null;
  readonly continuation_created_at: string | null;
  readonly lineage_depth: number;
  readonly max_attempts_override: number | null;
  readonly timeout_secs_override: number | null;
  readonly retry_backoff: string | null;
  readonly retry_initial_delay_secs: number | null;
  readonly retry_max_delay_secs: number | null;
  readonly created_by: string | null;
  readonly job_version_id: string | null;
  readonly tags: JsonColumns['job_runs.tags'];
  readonly batch_id: string | null;
  readonly concurrency_key: string | null;
  readonly execution_mode: string;
  readonly machine_id: string | null;
}

const listChildrenText = `select r.* from job_runs r
 where r.parent_run_id = $1 and r.project_id = $2
   and ($3::timestamptz is null or (r.created_at, r.id) > ($3::timestamptz, $4::text))
 order by r.created_at, r.id
 limit $5::int`;

export function listChildren(db: Queryable, params: ListChildrenParams): Promise<ListChildrenRow[]> {
  return many<ListChildrenRow>(db, {
    text: listChildrenText,
    values: [
      params.run_id,
      params.project_id,
      params.after_created_at,
      params.after_id,
      params.limit,
    ],
  });
}

export interface ListLineageParams {
  readonly run_id: string;
  readonly project_id: string;
  readonly after_depth: number | null;
  readonly after_created_at: string;
  readonly after_id: string;
  readonly limit: number;
}

export interface ListLineageRow {
  readonly id: string;
  readonly job_id: string;
  readonly project_id: string;
  readonly status: string;
  readonly attempt: number;
  readonly payload: unknown;
  readonly result: unknown;
  readonly error: string | null;
  readonly triggered_by: string;
  readonly scheduled_at: string | null;
  readonly claimed_at: string | null;
  readonly started_at: string | null;
  readonly finished_at: string | null;
  readonly heartbeat_at: string | null;
  readonly next_retry_at: string | null;
  readonly expires_at: string | null;
  readonly created_at: string;
  readonly parent_run_id: string | null;
  readonly priority: number;
  readonly idempotency_key: string | null;
  readonly job_version: number;
  readonly workflow_step_run_id: string | null;
  readonly error_class: string | null;
  readonly metadata: JsonColumns['job_runs.metadata'];
  readonly execution_trace: unknown;
  readonly debug_mode: boolean;
  readonly continuation_of: string | null;
  readonly continuation_created_at: string | null;
  readonly lineage_depth: number;
  readonly max_attempts_override: number | null;
  readonly timeout_secs_override: number | null;
  readonly retry_backoff: string | null;
  readonly retry_initial_delay_secs: number | null;
  readonly retry_max_delay_secs: number | null;
  readonly created_by: string | null;
  readonly job_version_id: string | null;
  readonly tags: JsonColumns['job_runs.tags'];
  readonly batch_id: string | null;
  readonly concurrency_key: string | null;
  readonly execution_mode: string;
  readonly machine_id: string | null;
}

const listLineageText = `with recursive up (id, continuation_of, level) as (
  select r.id, r.continuation_of, 0 from job_runs r
   where r.id = $1 and r.created_at = strait_id_time($1) and r.project_id = $2
  union all
  select r.id, r.continuation_of, up.level + 1
    from up join job_runs r on r.id = up.continuation_of and r.created_at = strait_id_time(up.continuation_of)
   where r.project_id = $2 and up.level < 20
), down (id, level) as (
  (select up.id, 0 from up order by up.level desc limit 1)
  union all
  select r.id, down.level + 1
    from down join job_runs r on r.continuation_of = down.id and r.project_id = $2
   where down.level < 40
), known as materialized (select id from down limit 1000)
select r.* from known k join job_runs r on r.id = k.id and r.created_at = strait_id_time(k.id)
 where r.project_id = $2
   and ($3::int is null or (r.lineage_depth, r.created_at, r.id) > ($3::int, $4::timestamptz, $5::text))
 order by r.lineage_depth, r.created_at, r.id
 limit $6::int`;

/**
 * Up through at most 20 runs that this one continues, then everything that continues the first of them. At
 * most 1,000 runs are looked at.
 */
export function listLineage(db: Queryable, params: ListLineageParams): Promise<ListLineageRow[]> {
  return many<ListLineageRow>(db, {
    text: listLineageText,
    values: [
      params.run_id,
      params.project_id,
      params.after_depth,
      params.after_created_at,
      params.after_id,
      params.limit,
    ],
  });
}

export interface ListEventsParams {
  readonly run_id: string;
  readonly project_id: string;
  readonly level: string | null;
  readonly type: string | null;
  readonly after_created_at: string | null;
  readonly after_id: string | null;
  readonly limit: number;
}

export interface ListEventsRow {
  readonly id: string;
  readonly run_id: string;
  readonly type: string;
  readonly level: string | null;
  readonly message: string;
  readonly data: unknown;
  readonly created_at: string;
}

const listEventsText = `select e.id, e.run_id, e.type, e.level, coalesce(e.message, '') as "message", e.data, e.created_at
  from run_events e
  join job_runs r on r.id = e.run_id and r.created_at = e.run_created_at
 where e.run_id = $1 and r.created_at = strait_id_time($1) and r.project_id = $2
   and ($3::text is null or e.level = $3)
   and ($4::text is null or e.type = $4)
   and ($5::timestamptz is null or (e.created_at, e.id) > ($5::timestamptz, $6::text))
 order by e.created_at, e.id
 limit $7::int`;

export function listEvents(db: Queryable, params: ListEventsParams): Promise<ListEventsRow[]> {
  return many<ListEventsRow>(db, {
    text: listEventsText,
    values: [
      params.run_id,
      params.project_id,
      params.level,
      params.type,
      params.after_created_at,
      params.after_id,
      params.limit,
    ],
  });
}

export interface ListCheckpointsParams {
  readonly run_id: string;
  readonly project_id: string;
  readonly before_created_at: string | null;
  readonly before_id: string | null;
  readonly limit: number;
}

export interface ListCheckpointsRow {
  readonly id: string;
  readonly run_id: string;
  readonly sequence: number;
  readonly source: string;
  readonly state: unknown;
  readonly created_at: string;
}

const listCheckpointsText = `select c.id, c.run_id, c.sequence, c.source, c.state, c.created_at
  from run_checkpoints c
  join job_runs r on r.id = c.run_id and r.created_at = c.run_created_at
 where c.run_id = $1 and r.project_id = $2
   and ($3::timestamptz is null
        or c.sequence < (select b.sequence from run_checkpoints b where b.run_id = $1 and b.id = $4::text)
        or ($4 = '' and c.created_at < $3::timestamptz))
 order by c.sequence desc
 limit $5::int`;

/** Newest first. The position is the checkpoint with :before_id, or else a plain time. */
export function listCheckpoints(db: Queryable, params: ListCheckpointsParams): Promise<ListCheckpointsRow[]> {
  return many<ListCheckpointsRow>(db, {
    text: listCheckpointsText,
    values: [
      params.run_id,
      params.project_id,
      params.before_created_at,
      params.before_id,
      params.limit,
    ],
  });
}

export interface ListUsageParams {
  readonly run_id: string;
  readonly project_id: string;
  readonly before_created_at: string | null;
  readonly before_id: string | null;
  readonly limit: number;
}

export interface ListUsageRow {
  readonly id: string;
  readonly run_id: string;
  readonly provider: string;
  readonly model: string;
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
  readonly cost_microusd: number;
  readonly created_at: string;
}

const listUsageText = `select u.id, u.run_id, u.provider, u.model, u.prompt_tokens, u.completion_tokens, u.total_tokens, u.cost_microusd, u.created_at
  from run_usage u
  join job_runs r on r.id = u.run_id and r.created_at = u.run_created_at
 where u.run_id = $1 and r.project_id = $2
   and ($3::timestamptz is null or (u.created_at, u.id) < ($3::timestamptz, $4::text))
 order by u.created_at desc, u.id desc
 limit $5::int`;

export function listUsage(db: Queryable, params: ListUsageParams): Promise<ListUsageRow[]> {
  return many<ListUsageRow>(db, {
    text: listUsageText,
    values: [
      params.run_id,
      params.project_id,
      params.before_created_at,
      params.before_id,
      params.limit,
    ],
  });
}

export interface ListToolCallsParams {
  readonly run_id: string;
  readonly project_id: string;
  readonly before_created_at: string | null;
  readonly before_id: string | null;
  readonly limit: number;
}

export interface ListToolCallsRow {
  readonly id: string;
  readonly run_id: string;
  readonly tool_name: string;
  readonly input: unknown;
  readonly output: unknown;
  readonly duration_ms: number | null;
  readonly status: string;
  readonly created_at: string;
}

const listToolCallsText = `select t.id, t.run_id, t.tool_name, t.input, t.output, t.duration_ms, t.status, t.created_at
  from run_tool_calls t
  join job_runs r on r.id = t.run_id and r.created_at = t.run_created_at
 where t.run_id = $1 and r.project_id = $2
   and ($3::timestamptz is null or (t.created_at, t.id) < ($3::timestamptz, $4::text))
 order by t.created_at desc, t.id desc
 limit $5::int`;

export function listToolCalls(db: Queryable, params: ListToolCallsParams): Promise<ListToolCallsRow[]> {
  return many<ListToolCallsRow>(db, {
    text: listToolCallsText,
    values: [
      params.run_id,
      params.project_id,
      params.before_created_at,
      params.before_id,
      params.limit,
    ],
  });
}

export interface ListOutputsParams {
  readonly run_id: string;
  readonly project_id: string;
  readonly after_created_at: string | null;
  readonly after_id: string | null;
  readonly limit: number;
}

export interface ListOutputsRow {
  readonly id: string;
  readonly run_id: string;
  readonly output_key: string;
  readonly schema: unknown;
  readonly value: unknown;
  readonly created_at: string;
}

const listOutputsText = `select o.id, o.run_id, o.output_key, o.schema, o.value, o.created_at
  from run_outputs o
  join job_runs r on r.id = o.run_id and r.created_at = o.run_created_at
 where o.run_id = $1 and r.project_id = $2
   and ($3::timestamptz is null
        or o.output_key > (select b.output_key from run_outputs b where b.run_id = $1 and b.id = $4::text)
        or ($4 = 'zzzz' and o.created_at > $3::timestamptz))
 order by o.output_key
 limit $5::int`;

/** By key. The position is the output with :after_id, or else a plain time. */
export function listOutputs(db: Queryable, params: ListOutputsParams): Promise<ListOutputsRow[]> {
  return many<ListOutputsRow>(db, {
    text: listOutputsText,
    values: [
      params.run_id,
      params.project_id,
      params.after_created_at,
      params.after_id,
      params.limit,
    ],
  });
}

export interface ListStateParams {
  readonly run_id: string;
  readonly project_id: string;
}

export interface ListStateRow {
  readonly run_id: string;
  readonly state_key: string;
  readonly value: unknown;
  readonly updated_at: string;
}

const listStateText = `select s.run_id, s.state_key, s.value, s.updated_at
  from run_state s
  join job_runs r on r.id = s.run_id and r.created_at = s.run_created_at
 where s.run_id = $1 and r.project_id = $2
 order by s.state_key`;

export function listState(db: Queryable, params: ListStateParams): Promise<ListStateRow[]> {
  return many<ListStateRow>(db, {
    text: listStateText,
    values: [
      params.run_id,
      params.project_id,
    ],
  });
}

export interface CountRunsByStatusParams {
  readonly statuses: readonly (string | null)[];
  readonly project_id: string;
  readonly cap: number;
}

export interface CountRunsByStatusRow {
  readonly status: string;
  readonly runs: number;
}

const countRunsByStatusText = `select s.status as "status", c.runs as "runs"
  from unnest($1::text[]) as s(status) cross join lateral (
       select count(*) as runs
         from (select from job_runs r where r.project_id = $2 and r.status = s.status limit $3::int) x) c`;

/** Counts to :cap per state, from the index on (project, state). */
export function countRunsByStatus(db: Queryable, params: CountRunsByStatusParams): Promise<CountRunsByStatusRow[]> {
  return many<CountRunsByStatusRow>(db, {
    text: countRunsByStatusText,
    values: [
      params.statuses,
      params.project_id,
      params.cap,
    ],
  });
}
