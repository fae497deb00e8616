// Operations with which a run decides what becomes of it: its end, waits, children, continuations, signs of life.

import { z } from 'zod';
import { operation } from '../access/index.ts';
import { omitEmpty } from '../../platform/http/json-reply.ts';
import { AWAIT_PREFIX } from '../events/index.ts';
import { JobRun, Metadata, RunStatus, Tags } from '../runs/index.ts';
import { limits, shared, StatusOK, tokenFailures } from './contract.ts';

const waitSecs = z.int().min(1).max(limits.wait_secs).default(limits.default_wait_secs);

export const heartbeat = operation({
  ...shared,
  id: 'postSdkV1RunsByRunIDHeartbeat',
  sdk: 'sdk.heartbeatRun',
  method: 'POST',
  path: '/sdk/v1/runs/:runID/heartbeat',
  summary: 'Say that the run is alive',
  description:
    'Owed by endpoints that took their run over (202 with X-Strait-Async). A canceled run is told by 409.',
  replies: {
    200: StatusOK.extend({ cancel_requested: z.boolean() }).meta({ id: 'HeartbeatResponse' }),
  },
  failures: tokenFailures,
});

export const streamChunk = operation({
  ...shared,
  id: 'postSdkV1RunsByRunIDStream',
  sdk: 'sdk.streamRun',
  method: 'POST',
  path: '/sdk/v1/runs/:runID/stream',
  summary: 'Pass a chunk of output to whoever watches the run; it is not stored',
  body: z
    .strictObject({
      chunk: z.string().max(limits.chunk_chars).optional(),
      stream_id: z.string().min(1).max(128).default('default'),
      done: z.boolean().default(false),
    })
    .refine(
      ({ chunk, done }) => chunk !== undefined || done,
      'needs a chunk, or done to end the stream',
    )
    .meta({ id: 'SDKStreamChunkRequest' }),
  replies: { 200: StatusOK },
  failures: tokenFailures,
});

export const completeRun = operation({
  ...shared,
  id: 'postSdkV1RunsByRunIDComplete',
  sdk: 'sdk.completeRun',
  method: 'POST',
  path: '/sdk/v1/runs/:runID/complete',
  summary: 'End the run as completed',
  body: z.strictObject({ result: z.unknown().optional() }).meta({ id: 'SDKCompleteRequest' }),
  replies: { 200: JobRun },
  failures: [...tokenFailures, 'result_too_large', 'result_invalid'],
});

export const failRun = operation({
  ...shared,
  id: 'postSdkV1RunsByRunIDFail',
  sdk: 'sdk.failRun',
  method: 'POST',
  path: '/sdk/v1/runs/:runID/fail',
  summary: 'End the run as failed, or this attempt when `retryable`',
  body: z
    .strictObject({
      error: z.string().min(1).meta({ description: 'Stored up to 8 KiB' }),
      error_class: z.string().min(1).max(64).optional(),
      retryable: z.boolean().default(false).meta({
        description:
          'Try again under the rules of the job while attempts are left; executing runs only',
      }),
    })
    .meta({ id: 'SDKFailRequest' }),
  replies: { 200: JobRun },
  failures: [...tokenFailures, 'run_not_executing'],
});

export const spawnRun = operation({
  ...shared,
  id: 'postSdkV1RunsByRunIDSpawn',
  sdk: 'sdk.spawnRun',
  method: 'POST',
  path: '/sdk/v1/runs/:runID/spawn',
  summary: 'Start a run of another job as a child of this one',
  description:
    'With `await_completion` this run waits, without a slot, until the child and everything below it has ended.',
  body: z
    .strictObject({
      job_slug: z.string().min(1).max(128).optional(),
      job_id: z.string().min(1).max(128).optional().meta({ description: 'Instead of job_slug' }),
      project_id: z
        .string()
        .min(1)
        .max(255)
        .optional()
        .meta({ description: 'Default: the project of this run' }),
      payload: z.unknown().optional(),
      priority: z
        .int()
        .min(0)
        .max(10)
        .optional()
        .meta({ description: 'Default: that of this run' }),
      tags: Tags.optional(),
      metadata: Metadata.optional(),
      ttl_secs: z.int().min(0).max(limits.wait_secs).optional(),
      await_completion: z.boolean().default(false),
      await_timeout_secs: waitSecs,
      target_api_key: z
        .string()
        .max(200)
        .optional()
        .meta({ description: 'Key of the other project with jobs:trigger' }),
    })
    .refine((body) => body.job_slug !== undefined || body.job_id !== undefined, {
      path: ['job_slug'],
      message: 'is required',
    })
    .meta({ id: 'SDKSpawnRequest' }),
  replies: {
    201: z
      .object({
        id: z.string(),
        job_id: z.string(),
        project_id: z.string(),
        status: RunStatus,
        parent_run_id: z.string(),
        triggered_by: z.literal('spawn'),
        await_completion: omitEmpty(z.literal(true)),
        await_event_key: omitEmpty(z.string()),
      })
      .meta({ id: 'SpawnResponse' }),
  },
  failures: [
    ...tokenFailures,
    'run_not_executing',
    'lineage_too_deep',
    'job_not_found',
    'job_disabled',
    'invalid_payload',
    'payload_too_large',
    'project_mismatch',
  ],
});

export const continueRun = operation({
  ...shared,
  id: 'postSdkV1RunsByRunIDContinue',
  sdk: 'sdk.continueRun',
  method: 'POST',
  path: '/sdk/v1/runs/:runID/continue',
  summary: 'Start a run of the same job that continues this one; this one goes on',
  body: z.strictObject({ payload: z.unknown().optional() }).meta({ id: 'SDKContinueRequest' }),
  body_required: false,
  replies: { 201: JobRun },
  failures: [
    ...tokenFailures,
    'lineage_too_deep',
    'job_not_found',
    'job_disabled',
    'invalid_payload',
    'payload_too_large',
  ],
});

export const waitForEvent = operation({
  ...shared,
  id: 'postSdkV1RunsByRunIDWaitForEvent',
  sdk: 'sdk.waitForEventRun',
  method: 'POST',
  path: '/sdk/v1/runs/:runID/wait-for-event',
  summary: 'Suspend the run, without a slot, until an event comes',
  description:
    'This request is over for the run: its endpoint should answer. When the event comes the run is dispatched again, same attempt.',
  body: z
    .strictObject({
      event_key: z
        .string()
        .min(1)
        .max(512)
        .refine((key) => !/\p{Cc}/u.test(key), { message: 'must not contain control characters' })
        .refine((key) => !key.startsWith(AWAIT_PREFIX), {
          message: `must not start with ${AWAIT_PREFIX}`,
        }),
      timeout_secs: waitSecs,
      notify_url: z
        .string()
        .max(2048)
        .optional()
        .meta({ description: 'Told at once that the run waits, and where to send the event' }),
    })
    .meta({ id: 'SDKWaitForEventRequest' }),
  replies: {
    200: z
      .object({
        status: z.literal('waiting'),
        event_key: z.string(),
        expires_at: z.string(),
        trigger_id: z.string(),
      })
      .meta({ id: 'WaitForEventResponse' }),
  },
  failures: [
    ...tokenFailures,
    'run_not_executing',
    'invalid_url',
    'event_key_waiting',
    'event_trigger_quota_exceeded',
  ],
});
