// What a run and the things that hang off it look like in the API, once for every module that answers with them.

import { z } from 'zod';
import { omitEmpty } from '../../platform/http/json-reply.ts';
import { pageSchema } from '../../platform/http/pagination.ts';
import { runStates } from '../queue/index.ts';

export const RunStatus = z.enum(runStates.states).meta({ id: 'RunStatus' });

export const EventLevel = z.enum(['debug', 'info', 'warn', 'error']);

/** What filters may ask for: types that runs and the product write, and those of other execution modes. */
export const EventType = z.enum([
  'log',
  'state_change',
  'error',
  'progress',
  'resource_sample',
  'budget_warning',
  'container_crash_log',
  'container_oom',
]);

export const TriggeredBy = z.enum([
  'manual',
  'cron',
  'spawn',
  'continuation',
  'workflow',
  'retry',
  'debounce',
  'batch',
  'event',
  'job_completion',
  'job_failure',
]);

const time = z.string().meta({ format: 'date-time' });
const stringMap = z.record(z.string(), z.string());
const json = z.unknown();
/** Any JSON; `0`, `false` and `{}` are values, so only null is absent (see `runView`). */
const absentNull = z.unknown().optional();

export const ExecutionTrace = z
  .looseObject({
    queue_wait_ms: z.int(),
    dequeue_ms: z.int(),
    connect_ms: z.int(),
    ttfb_ms: z.int(),
    transfer_ms: z.int(),
    total_ms: z.int(),
    dispatch_ms: z.int(),
  })
  .meta({ id: 'ExecutionTrace' });

export const JobRun = z
  .object({
    id: z.string(),
    job_id: z.string(),
    project_id: z.string(),
    tags: omitEmpty(stringMap),
    status: RunStatus,
    attempt: z.int(),
    payload: absentNull,
    result: absentNull,
    metadata: omitEmpty(stringMap),
    error: omitEmpty(z.string()),
    error_class: omitEmpty(z.string()),
    triggered_by: z.string(),
    scheduled_at: omitEmpty(time),
    claimed_at: omitEmpty(time),
    started_at: omitEmpty(time),
    finished_at: omitEmpty(time),
    heartbeat_at: omitEmpty(time),
    next_retry_at: omitEmpty(time),
    expires_at: omitEmpty(time),
    parent_run_id: omitEmpty(z.string()),
    priority: z.int(),
    idempotency_key: omitEmpty(z.string()),
    job_version: z.int(),
    job_version_id: omitEmpty(z.string()),
    workflow_step_run_id: omitEmpty(z.string()),
    max_attempts_override: omitEmpty(z.int()),
    timeout_secs_override: omitEmpty(z.int()),
    retry_backoff: omitEmpty(z.string()),
    retry_initial_delay_secs: omitEmpty(z.int()),
    retry_max_delay_secs: omitEmpty(z.int()),
    execution_trace: omitEmpty(ExecutionTrace),
    debug_mode: z.boolean(),
    held: omitEmpty(
      z.boolean().meta({ description: 'Paused, until it is resumed. Lists do not say it' }),
    ),
    continuation_of: omitEmpty(z.string()),
    lineage_depth: z.int(),
    created_by: omitEmpty(z.string()),
    batch_id: omitEmpty(z.string()),
    concurrency_key: omitEmpty(z.string()),
    execution_mode: omitEmpty(z.literal('http')),
    machine_id: omitEmpty(z.string()),
    created_at: time,
  })
  .meta({ id: 'JobRun' });

export type JobRun = z.input<typeof JobRun>;

/** A row of job_runs, as `select r.*` returns it. */
export interface RunRow {
  readonly id: string;
  readonly created_at: string;
  readonly status: string;
  readonly payload: unknown;
  readonly result: unknown;
}

/** Row → API. What the schema does not name, the reply leaves out. */
export function runView(row: RunRow): JobRun {
  const { payload, result, ...rest } = row;
  const view = { ...rest, payload: payload ?? undefined, result: result ?? undefined };
  // Statuses and maps are what the queue's checks and writers promise.
  return view as unknown as JobRun;
}

export const JobRunPage = pageSchema('JobRunPage', JobRun);

export const RunEvent = z
  .object({
    id: z.string(),
    run_id: z.string(),
    type: z.string(),
    level: omitEmpty(z.string()),
    message: z.string(),
    data: omitEmpty(json),
    created_at: time,
  })
  .meta({ id: 'RunEvent' });
export const RunEventPage = pageSchema('RunEventPage', RunEvent);

export const RunCheckpoint = z
  .object({
    id: z.string(),
    run_id: z.string(),
    sequence: z.int(),
    source: z.string(),
    state: json,
    created_at: time,
  })
  .meta({ id: 'RunCheckpoint' });
export const RunCheckpointPage = pageSchema('RunCheckpointPage', RunCheckpoint);

export const RunUsage = z
  .object({
    id: z.string(),
    run_id: z.string(),
    provider: z.string(),
    model: z.string(),
    prompt_tokens: z.int(),
    completion_tokens: z.int(),
    total_tokens: z.int(),
    cost_microusd: z.int(),
    created_at: time,
  })
  .meta({ id: 'RunUsage' });
export const RunUsagePage = pageSchema('RunUsagePage', RunUsage);

export const RunToolCall = z
  .object({
    id: z.string(),
    run_id: z.string(),
    tool_name: z.string(),
    input: absentNull,
    output: absentNull,
    duration_ms: omitEmpty(z.int()),
    status: z.string(),
    created_at: time,
  })
  .meta({ id: 'RunToolCall' });
export const RunToolCallPage = pageSchema('RunToolCallPage', RunToolCall);

export const RunOutput = z
  .object({
    id: z.string(),
    run_id: z.string(),
    output_key: z.string(),
    schema: absentNull,
    value: json,
    created_at: time,
  })
  .meta({ id: 'RunOutput' });
export const RunOutputPage = pageSchema('RunOutputPage', RunOutput);

export const RunState = z
  .object({ run_id: z.string(), state_key: z.string(), value: json, updated_at: time })
  .meta({ id: 'RunState' });
