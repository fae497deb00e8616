// Operations that record what a run does: log, progress, checkpoints, usage, outputs, state.

import { z } from 'zod';
import { operation } from '../access/index.ts';
import {
  EventLevel,
  JobRun,
  runDetailLimits,
  RunCheckpoint,
  RunEvent,
  RunOutput,
  RunState,
  RunToolCall,
  RunUsage,
} from '../runs/index.ts';
import {
  isRecord,
  jsonUpTo,
  limits,
  message,
  shared,
  StatusOK,
  tokenFailures,
} from './contract.ts';

const name = z.string().min(1).max(256);
const tokens = z.int().min(0).max(2_147_483_647);
const stateParams = z.object({ runID: z.string(), key: z.string() });

export const getPayload = operation({
  ...shared,
  id: 'getSdkV1RunsByRunIDPayload',
  sdk: 'sdk.getPayload',
  method: 'GET',
  path: '/sdk/v1/runs/:runID/payload',
  summary: 'The payload of the run, null if it has none',
  replies: { 200: z.unknown() },
  failures: tokenFailures,
});

export const logRun = operation({
  ...shared,
  id: 'postSdkV1RunsByRunIDLog',
  sdk: 'sdk.logRun',
  method: 'POST',
  path: '/sdk/v1/runs/:runID/log',
  summary: 'Add a line to the log of the run',
  description: `After ${limits.events} events further ones are dropped; the answer is then the event that says so.`,
  body: z
    .strictObject({
      type: z.enum(['log', 'state_change', 'error', 'progress', 'resource_sample']).default('log'),
      level: EventLevel.default('info'),
      message,
      data: z.unknown().optional(),
    })
    .meta({ id: 'SDKLogRequest' }),
  replies: { 201: RunEvent },
  failures: tokenFailures,
});

export const reportProgress = operation({
  ...shared,
  id: 'postSdkV1RunsByRunIDProgress',
  sdk: 'sdk.progressRun',
  method: 'POST',
  path: '/sdk/v1/runs/:runID/progress',
  summary: 'Report how far the run is',
  body: z
    .strictObject({
      percent: z.number().min(0).max(100).default(0),
      message,
      step: z.string().max(256).optional(),
      eta_seconds: z.int().min(0).optional(),
      eta_secs: z.int().min(0).optional().meta({ description: 'Another spelling of eta_seconds' }),
    })
    .meta({ id: 'SDKProgressRequest' }),
  replies: { 201: RunEvent },
  failures: tokenFailures,
});

const percent = z.number().min(0).max(100).optional();

export const reportResources = operation({
  ...shared,
  id: 'postSdkV1RunsByRunIDResources',
  sdk: 'sdk.resourcesRun',
  method: 'POST',
  path: '/sdk/v1/runs/:runID/resources',
  summary: 'Report memory and processor use',
  body: z
    .strictObject({
      memory_mb: z.number().min(0).optional(),
      memory_percent: percent,
      cpu_percent: percent,
    })
    .refine(
      (sample) => Object.values(sample).some((figure) => figure !== undefined),
      'needs at least one of memory_mb, memory_percent and cpu_percent',
    )
    .meta({ id: 'SDKResourcesRequest' }),
  replies: { 201: StatusOK },
  failures: tokenFailures,
});

const Annotations = z
  .record(
    z
      .string()
      .min(1, 'a key has 1 to 128 characters')
      .max(128, 'a key has 1 to 128 characters')
      .refine((key) => !key.startsWith('_'), { message: 'keys starting with _ are reserved' }),
    z.string().max(1024),
  )
  .refine((map) => Object.keys(map).length > 0, { message: 'must not be empty' })
  .refine((map) => Object.keys(map).length <= limits.annotations_per_call, {
    message: `has more than ${limits.annotations_per_call} keys`,
  })
  .meta({ minProperties: 1, maxProperties: limits.annotations_per_call });

export const annotateRun = operation({
  ...shared,
  id: 'postSdkV1RunsByRunIDAnnotate',
  sdk: 'sdk.annotateRun',
  method: 'POST',
  path: '/sdk/v1/runs/:runID/annotate',
  summary: 'Merge annotations into the metadata of the run',
  description: 'The map may also be sent bare, without `annotations` around it.',
  body: z
    .preprocess(
      (body) => (isRecord(body) && !isRecord(body['annotations']) ? { annotations: body } : body),
      z.strictObject({ annotations: Annotations }),
    )
    .meta({ id: 'SDKAnnotateRequest' }),
  replies: { 200: JobRun },
  failures: [...tokenFailures, 'annotations_limit'],
});

export const addCheckpoint = operation({
  ...shared,
  id: 'postSdkV1RunsByRunIDCheckpoint',
  sdk: 'sdk.checkpointRun',
  method: 'POST',
  path: '/sdk/v1/runs/:runID/checkpoint',
  summary: 'Save a state from which a later attempt can go on',
  body: z
    .strictObject({
      source: z.string().min(1).max(64).default('sdk'),
      state: jsonUpTo(limits.checkpoint_bytes),
    })
    .meta({ id: 'SDKCheckpointRequest' }),
  replies: { 201: RunCheckpoint },
  failures: tokenFailures,
});

export const addUsage = operation({
  ...shared,
  id: 'postSdkV1RunsByRunIDUsage',
  sdk: 'sdk.usageRun',
  method: 'POST',
  path: '/sdk/v1/runs/:runID/usage',
  summary: 'Record a model call; without a cost it is priced from the catalogue',
  body: z
    .strictObject({
      provider: name,
      model: name,
      prompt_tokens: tokens.default(0),
      completion_tokens: tokens.default(0),
      total_tokens: tokens.optional(),
      cost_microusd: z.int().min(0).optional(),
    })
    .refine(
      (usage) =>
        usage.total_tokens !== undefined ||
        usage.prompt_tokens + usage.completion_tokens <= 2_147_483_647,
      {
        message: 'prompt_tokens and completion_tokens are too many together',
      },
    )
    .meta({ id: 'SDKUsageRequest' }),
  replies: { 201: RunUsage },
  failures: [...tokenFailures, 'run_cost_exceeded', 'daily_cost_exceeded'],
});

export const addToolCall = operation({
  ...shared,
  id: 'postSdkV1RunsByRunIDToolCall',
  sdk: 'sdk.toolCallRun',
  method: 'POST',
  path: '/sdk/v1/runs/:runID/tool-call',
  summary: 'Record a tool call',
  body: z
    .strictObject({
      tool_name: name,
      input: z.unknown().optional(),
      output: z.unknown().optional(),
      duration_ms: z.int().min(0).max(2_147_483_647).optional(),
      status: z.string().min(1).max(64).default('completed'),
    })
    .meta({ id: 'SDKToolCallRequest' }),
  replies: { 201: RunToolCall },
  failures: tokenFailures,
});

export const saveOutput = operation({
  ...shared,
  id: 'postSdkV1RunsByRunIDOutput',
  sdk: 'sdk.outputRun',
  method: 'POST',
  path: '/sdk/v1/runs/:runID/output',
  summary: 'Save a named output, replacing the one before',
  body: z
    .preprocess(
      (body) => {
        if (!isRecord(body) || !('key' in body) || 'output_key' in body) return body;
        const { key: output_key, ...rest } = body;
        return { output_key, ...rest };
      },
      z.strictObject({
        output_key: name,
        schema: z.union([z.record(z.string(), z.unknown()), z.null()]).optional(),
        value: jsonUpTo(limits.checkpoint_bytes),
      }),
    )
    .meta({ id: 'SDKOutputRequest' }),
  replies: { 201: RunOutput },
  failures: [...tokenFailures, 'output_invalid', 'state_limit_reached'],
});

export const saveState = operation({
  ...shared,
  id: 'postSdkV1RunsByRunIDState',
  sdk: 'sdk.stateRun',
  method: 'POST',
  path: '/sdk/v1/runs/:runID/state',
  summary: 'Set a key of the state of the run',
  description: `At most ${runDetailLimits.state_keys} keys.`,
  body: z
    .strictObject({ key: name, value: jsonUpTo(limits.state_value_bytes) })
    .meta({ id: 'SDKSetStateRequest' }),
  replies: { 201: RunState },
  failures: [...tokenFailures, 'state_limit_reached'],
});

export const listState = operation({
  ...shared,
  id: 'getSdkV1RunsByRunIDState',
  sdk: 'sdk.getStateByRunId',
  method: 'GET',
  path: '/sdk/v1/runs/:runID/state',
  summary: 'The state of the run, by key',
  replies: { 200: z.array(RunState) },
  failures: tokenFailures,
});

export const getState = operation({
  ...shared,
  params: stateParams,
  id: 'getSdkV1RunsByRunIDStateByKey',
  sdk: 'sdk.getStateByRunIdAndKey',
  method: 'GET',
  path: '/sdk/v1/runs/:runID/state/:key',
  summary: 'One key of the state of the run',
  replies: { 200: RunState },
  failures: [...tokenFailures, 'state_key_not_found'],
});

export const deleteState = operation({
  ...shared,
  params: stateParams,
  id: 'deleteSdkV1RunsByRunIDStateByKey',
  sdk: 'sdk.deleteState',
  method: 'DELETE',
  path: '/sdk/v1/runs/:runID/state/:key',
  summary: 'Remove a key from the state of the run, if it is there',
  replies: { 204: null },
  failures: tokenFailures,
});
