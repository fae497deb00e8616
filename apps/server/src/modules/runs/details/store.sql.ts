// Generated from store.sql by `npm run generate`. Do not edit.
import type { JsonColumns } from '../../../platform/db/json-columns.ts';
import { count, many, maybe, one, type Queryable } from '../../../platform/db/query.ts';

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
}

const findRunText = `select r.* from job_runs r
 where r.id = $1 and r.created_at = strait_id_time($1) and r.project_id = $2`;

export function findRun(db: Queryable, params: FindRunParams): Promise<FindRunRow | undefined> {
  return maybe<FindRunRow>(db, {
    text: findRunText,
    values: [
      params.run_id,
      params.project_id,
    ],
  });
}

export interface FindPayloadParams {
  readonly run_id: string;
  readonly project_id: string;
}

export interface FindPayloadRow {
  readonly payload: unknown;
}

const findPayloadText = `select r.payload from job_runs r
 where r.id = $1 and r.created_at = strait_id_time($1) and r.project_id = $2`;

export function findPayload(db: Queryable, params: FindPayloadParams): Promise<FindPayloadRow | undefined> {
  return maybe<FindPayloadRow>(db, {
    text: findPayloadText,
    values: [
      params.run_id,
      params.project_id,
    ],
  });
}

export interface AddCheckpointParams {
  readonly run_id: string;
  readonly source: string;
  readonly state_json: string;
}

export interface AddCheckpointRow {
  readonly id: string;
  readonly run_id: string;
  readonly sequence: number;
  readonly source: string;
  readonly state: unknown;
  readonly created_at: string;
}

const addCheckpointText = `insert into run_checkpoints (run_id, sequence, source, state)
select $1, coalesce((select max(c.sequence) from run_checkpoints c where c.run_id = $1), 0) + 1, $2, $3::jsonb
returning id, run_id, sequence, source, state, created_at`;

/** across projects: the caller holds the lease of this run. */
export function addCheckpoint(db: Queryable, params: AddCheckpointParams): Promise<AddCheckpointRow> {
  return one<AddCheckpointRow>(db, {
    text: addCheckpointText,
    values: [
      params.run_id,
      params.source,
      params.state_json,
    ],
  });
}

export interface AddUsageParams {
  readonly provider: string;
  readonly model: string;
  readonly cost_microusd: number | null;
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly project_id: string;
  readonly run_id: string;
  readonly total_tokens: number;
}

export interface AddUsageRow {
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

const addUsageText = `with price as materialized (
  select p.input_cost_microusd, p.output_cost_microusd from pricing_catalog p
   where p.provider = $1 and p.model = $2 and p.active and p.effective_from <= strait_now()
   order by p.effective_from desc limit 1
), cost as materialized (
  select coalesce($3::bigint,
                  (select round(($4::int::numeric * input_cost_microusd + $5::int::numeric * output_cost_microusd) / 1000000) from price),
                  0)::bigint as microusd
), budget as materialized (
  select q.max_cost_per_run_microusd as microusd from project_quotas q
   where q.project_id = $6 and q.max_cost_per_run_microusd > 0
)
insert into run_usage (run_id, provider, model, prompt_tokens, completion_tokens, total_tokens, cost_microusd)
select $7, $1, $2, $4, $5, $8, cost.microusd
  from cost
 where not exists (select from budget)
    or (select coalesce(sum(u.cost_microusd), 0) from run_usage u where u.run_id = $7) + cost.microusd < (select microusd from budget)
returning id, run_id, provider, model, prompt_tokens, completion_tokens, total_tokens, cost_microusd, created_at`;

/**
 * Without a cost, that of the newest active price: micro-USD per million tokens, rounded half-up once. No row:
 * with this record the run would have cost as much as its project allows per run.
 */
export function addUsage(db: Queryable, params: AddUsageParams): Promise<AddUsageRow | undefined> {
  return maybe<AddUsageRow>(db, {
    text: addUsageText,
    values: [
      params.provider,
      params.model,
      params.cost_microusd,
      params.prompt_tokens,
      params.completion_tokens,
      params.project_id,
      params.run_id,
      params.total_tokens,
    ],
  });
}

export interface AddToolCallParams {
  readonly run_id: string;
  readonly tool_name: string;
  readonly input_json: string | null;
  readonly output_json: string | null;
  readonly duration_ms: number | null;
  readonly status: string;
}

export interface AddToolCallRow {
  readonly id: string;
  readonly run_id: string;
  readonly tool_name: string;
  readonly input: unknown;
  readonly output: unknown;
  readonly duration_ms: number | null;
  readonly status: string;
  readonly created_at: string;
}

const addToolCallText = `insert into run_tool_calls (run_id, tool_name, input, output, duration_ms, status)
values ($1, $2, $3::jsonb, $4::jsonb, $5, $6)
returning id, run_id, tool_name, input, output, duration_ms, status, created_at`;

/** across projects: the caller holds the lease of this run. */
export function addToolCall(db: Queryable, params: AddToolCallParams): Promise<AddToolCallRow> {
  return one<AddToolCallRow>(db, {
    text: addToolCallText,
    values: [
      params.run_id,
      params.tool_name,
      params.input_json,
      params.output_json,
      params.duration_ms,
      params.status,
    ],
  });
}

export interface SaveOutputParams {
  readonly run_id: string;
  readonly output_key: string;
  readonly schema_json: string | null;
  readonly value_json: string;
  readonly max_outputs: number;
}

export interface SaveOutputRow {
  readonly id: string;
  readonly run_id: string;
  readonly output_key: string;
  readonly schema: unknown;
  readonly value: unknown;
  readonly created_at: string;
}

const saveOutputText = `insert into run_outputs (run_id, output_key, schema, value)
select $1, $2, $3::jsonb, $4::jsonb
 where exists (select from run_outputs o where o.run_id = $1 and o.output_key = $2)
    or (select count(*) from run_outputs o where o.run_id = $1) < $5::int
on conflict (run_id, output_key) do update set schema = excluded.schema, value = excluded.value
returning id, run_id, output_key, schema, value, created_at`;

/**
 * across projects: the caller holds the lease of this run.
 * No row: the run holds as many outputs as it may, and this would be another.
 */
export function saveOutput(db: Queryable, params: SaveOutputParams): Promise<SaveOutputRow | undefined> {
  return maybe<SaveOutputRow>(db, {
    text: saveOutputText,
    values: [
      params.run_id,
      params.output_key,
      params.schema_json,
      params.value_json,
      params.max_outputs,
    ],
  });
}

export interface SaveStateParams {
  readonly run_id: string;
  readonly state_key: string;
  readonly value_json: string;
  readonly max_keys: number;
}

export interface SaveStateRow {
  readonly run_id: string;
  readonly state_key: string;
  readonly value: unknown;
  readonly updated_at: string;
}

const saveStateText = `insert into run_state (run_id, state_key, value)
select $1, $2, $3::jsonb
 where exists (select from run_state s where s.run_id = $1 and s.state_key = $2)
    or (select count(*) from run_state s where s.run_id = $1) < $4::int
on conflict (run_id, state_key) do update set value = excluded.value, updated_at = strait_now()
returning run_id, state_key, value, updated_at`;

/**
 * across projects: the caller holds the lease of this run.
 * No row: the run holds as many keys as it may, and this would be another.
 */
export function saveState(db: Queryable, params: SaveStateParams): Promise<SaveStateRow | undefined> {
  return maybe<SaveStateRow>(db, {
    text: saveStateText,
    values: [
      params.run_id,
      params.state_key,
      params.value_json,
      params.max_keys,
    ],
  });
}

export interface ListStateParams {
  readonly run_id: string;
}

export interface ListStateRow {
  readonly run_id: string;
  readonly state_key: string;
  readonly value: unknown;
  readonly updated_at: string;
}

const listStateText = `select run_id, state_key, value, updated_at from run_state where run_id = $1 order by state_key`;

/** across projects: the caller holds the lease of this run. */
export function listState(db: Queryable, params: ListStateParams): Promise<ListStateRow[]> {
  return many<ListStateRow>(db, {
    text: listStateText,
    values: [params.run_id],
  });
}

export interface FindStateParams {
  readonly run_id: string;
  readonly state_key: string;
}

export interface FindStateRow {
  readonly run_id: string;
  readonly state_key: string;
  readonly value: unknown;
  readonly updated_at: string;
}

const findStateText = `select run_id, state_key, value, updated_at from run_state where run_id = $1 and state_key = $2`;

/** across projects: the caller holds the lease of this run. */
export function findState(db: Queryable, params: FindStateParams): Promise<FindStateRow | undefined> {
  return maybe<FindStateRow>(db, {
    text: findStateText,
    values: [
      params.run_id,
      params.state_key,
    ],
  });
}

export interface RemoveStateParams {
  readonly run_id: string;
  readonly state_key: string;
}

const removeStateText = `delete from run_state where run_id = $1 and state_key = $2`;

/** across projects: the caller holds the lease of this run. */
export function removeState(db: Queryable, params: RemoveStateParams): Promise<number> {
  return count(db, {
    text: removeStateText,
    values: [
      params.run_id,
      params.state_key,
    ],
  });
}

export interface CountChildrenParams {
  readonly run_id: string;
  readonly cap: number;
}

export interface CountChildrenRow {
  readonly children: number;
}

const countChildrenText = `select count(*)::int as "children" from (select from job_runs where parent_run_id = $1 limit $2::int) c`;

/** across projects: a run may spawn into another project; counted up to :cap. */
export function countChildren(db: Queryable, params: CountChildrenParams): Promise<CountChildrenRow> {
  return one<CountChildrenRow>(db, {
    text: countChildrenText,
    values: [
      params.run_id,
      params.cap,
    ],
  });
}
