// What people do to runs.

import { z } from 'zod';
import { operation } from '../../access/index.ts';
import { omitEmpty } from '../../../platform/http/json-reply.ts';
import { JobRun, RunStatus, TriggeredBy } from '../views.ts';
import { BatchOperation } from '../batches/contract.ts';
import { scheduledAt } from '../trigger/contract.ts';

const params = z.object({ runID: z.string() });
const shared = { method: 'POST', tags: ['Runs'], permission: 'runs:write' } as const;
const ofRun = { ...shared, params } as const;
const returnsRun = { 200: JobRun } as const;

export const cancelRun = operation({
  ...ofRun,
  id: 'deleteV1RunsByRunID',
  sdk: 'runs.delete',
  method: 'DELETE',
  path: '/v1/runs/:runID',
  summary: 'Cancel a run and everything it spawned',
  replies: returnsRun,
  failures: ['run_not_found', 'run_not_cancelable'],
});

export const replayRun = operation({
  ...ofRun,
  id: 'postV1RunsByRunIDReplay',
  sdk: 'runs.replay',
  path: '/v1/runs/:runID/replay',
  summary: 'Run again as a new run, from the start or from a checkpoint',
  query: z.object({
    from_checkpoint: z.coerce
      .number('must be a whole number')
      .int('must be a whole number')
      .min(1, 'must be at least 1')
      .max(2_147_483_647)
      .optional(),
  }),
  replies: { 201: JobRun },
  failures: ['run_not_found', 'run_not_replayable', 'checkpoint_not_found', 'job_disabled'],
});

export const replayDeadLetter = operation({
  ...ofRun,
  id: 'postV1RunsByRunIDDlqReplay',
  sdk: 'runs.dlqReplay',
  path: '/v1/runs/:runID/dlq-replay',
  summary: 'Queue a dead-lettered run again, from attempt 1',
  replies: returnsRun,
  failures: ['run_not_found', 'run_not_dead_letter'],
});

export const rescheduleRun = operation({
  ...ofRun,
  id: 'postV1RunsByRunIDReschedule',
  sdk: 'runs.reschedule',
  path: '/v1/runs/:runID/reschedule',
  summary: 'Give a run that never started another time, and payload',
  body: z
    .strictObject({
      scheduled_at: scheduledAt,
      payload: z.unknown().optional(),
      ignore_execution_window: z
        .boolean()
        .optional()
        .meta({ description: 'Also outside the execution window of the job' }),
    })
    .meta({ id: 'RescheduleRunRequest' }),
  replies: returnsRun,
  failures: [
    'run_not_found',
    'run_not_reschedulable',
    'invalid_schedule',
    'invalid_payload',
    'payload_too_large',
    'job_not_found',
  ],
});

export const restartRun = operation({
  ...ofRun,
  id: 'postV1RunsByRunIDRestart',
  sdk: 'runs.restart',
  path: '/v1/runs/:runID/restart',
  summary: 'Abort the attempt of an executing or waiting run and queue the next one',
  body: z
    .strictObject({ machine_preset: z.string().optional().meta({ description: 'Ignored' }) })
    .meta({ id: 'RestartRunRequest' }),
  body_required: false,
  replies: returnsRun,
  failures: ['run_not_found', 'run_not_restartable'],
});

export const pauseRun = operation({
  ...ofRun,
  id: 'postV1RunsByRunIDPause',
  sdk: 'runs.pause',
  path: '/v1/runs/:runID/pause',
  summary: 'Hold a pending run until it is resumed',
  replies: returnsRun,
  failures: ['run_not_found', 'run_not_pausable'],
});

export const resumeRun = operation({
  ...ofRun,
  id: 'postV1RunsByRunIDResume',
  sdk: 'runs.resume',
  path: '/v1/runs/:runID/resume',
  summary: 'Let a paused run go on',
  replies: returnsRun,
  failures: ['run_not_found', 'run_not_resumable'],
});

export const setDebugMode = operation({
  ...ofRun,
  id: 'postV1RunsByRunIDDebug',
  sdk: 'runs.debug',
  path: '/v1/runs/:runID/debug',
  summary: 'Keep the full trace of a run, or stop keeping it',
  body: z
    .strictObject({ debug_mode: z.boolean().default(false) })
    .meta({ id: 'SetDebugModeRequest' }),
  replies: { 200: z.object({ status: z.literal('ok') }).meta({ id: 'StatusOK' }) },
  failures: ['run_not_found'],
});

export const resetIdempotencyKey = operation({
  ...ofRun,
  id: 'deleteV1RunsByRunIDIdempotencyKey',
  sdk: 'runs.deleteIdempotencyKey',
  method: 'DELETE',
  path: '/v1/runs/:runID/idempotency-key',
  summary: 'Free the idempotency key of a run that does not execute',
  replies: {
    200: z.object({
      status: z.literal('reset'),
      run_id: z.string(),
      had_key: z.boolean().meta({ description: 'False: there was nothing to free' }),
    }),
  },
  failures: ['run_not_found', 'idempotency_key_in_use'],
});

const runIds = (most: number) => z.array(z.string().max(64)).min(1).max(most);

export const bulkCancel = operation({
  ...shared,
  id: 'postV1RunsBulkCancel',
  sdk: 'runs.bulkCancel',
  path: '/v1/runs/bulk-cancel',
  summary: 'Cancel up to 100 runs and everything they spawned',
  body: z.strictObject({ run_ids: runIds(100) }).meta({ id: 'BulkCancelRequest' }),
  replies: {
    200: z
      .object({
        results: z.array(
          z
            .object({
              id: z.string(),
              status: z.enum(['canceled', 'failed']),
              error: omitEmpty(z.string()),
            })
            .meta({ id: 'BulkCancelResult' }),
        ),
        total: z.int(),
        canceled: z.int(),
        failed: z.int(),
      })
      .meta({ id: 'BulkCancelResponse' }),
  },
  failures: [],
});

const CanceledAll = z.object({
  canceled: z.int(),
  run_ids: z.array(z.string()),
  has_more: omitEmpty(z.boolean()),
  batch_id: omitEmpty(z.string()).meta({ description: 'The operation that cancels the rest' }),
});

export const bulkCancelAll = operation({
  ...shared,
  id: 'postV1RunsBulkCancelAll',
  sdk: 'runs.bulkCancelAll',
  path: '/v1/runs/bulk-cancel-all',
  summary: 'Cancel every pending run that matches and never started',
  description:
    'After 5,000 runs the answer is 202: the rest is canceled in the background, as the bulk operation `batch_id`.',
  query: z.object({ project_id: z.string().optional() }),
  body: z
    .strictObject({
      job_id: z.string().max(1024).optional(),
      batch_id: z.string().max(1024).optional(),
      triggered_by: TriggeredBy.optional(),
      status: RunStatus.optional(),
    })
    .meta({ id: 'BulkCancelAllRequest' }),
  replies: {
    200: CanceledAll,
    202: CanceledAll,
  },
  failures: ['filter_required', 'job_not_found'],
});

export const bulkReplayAll = operation({
  ...shared,
  id: 'postV1RunsBulkReplayAll',
  sdk: 'runs.bulkReplayAll',
  path: '/v1/runs/bulk-replay-all',
  summary: 'Run again, in the background, every run that matches and ended badly',
  description:
    'Runs that exist now and are failed, timed_out, crashed, system_failed or dead_letter, or in the one `status` given. Dead ' +
    'letters are queued again, others become new runs. Of the bulk operation, `item_count` says how many were looked at so ' +
    'far and `created_count` how many run again.',
  query: z.object({ project_id: z.string().optional() }),
  body: z
    .strictObject({
      job_id: z.string().max(1024).optional(),
      batch_id: z.string().max(1024).optional(),
      triggered_by: TriggeredBy.optional(),
      error_class: z.string().min(1).max(64).optional(),
      status: z
        .enum([
          'failed',
          'timed_out',
          'crashed',
          'system_failed',
          'dead_letter',
          'canceled',
          'expired',
        ])
        .optional(),
    })
    .meta({ id: 'BulkReplayAllRequest' }),
  replies: { 202: BatchOperation },
  failures: ['filter_required', 'job_not_found'],
});

export const bulkReplay = operation({
  ...shared,
  id: 'postV1RunsBulkReplay',
  sdk: 'runs.bulkReplay',
  path: '/v1/runs/bulk-replay',
  summary: 'Run up to 100 runs again as new runs',
  body: z.strictObject({ run_ids: runIds(100) }).meta({ id: 'BulkReplayRunsRequest' }),
  replies: {
    200: z
      .object({
        results: z.array(
          z.object({
            original_run_id: z.string(),
            new_run_id: omitEmpty(z.string()),
            status: z.enum(['replayed', 'failed', 'skipped']),
            error: omitEmpty(z.string()),
          }),
        ),
        total: z.int(),
        replayed: z.int(),
      })
      .meta({ id: 'BulkReplayRunsResponse' }),
  },
  failures: [],
});

export const bulkReplayDeadLetters = operation({
  ...shared,
  id: 'postV1RunsBulkDlqReplay',
  sdk: 'runs.bulkDlqReplay',
  path: '/v1/runs/bulk-dlq-replay',
  summary: 'Queue dead-lettered runs again: those named, or the oldest of the project',
  description: 'Either `run_ids`, or `project_id` or `limit` (default 100) for the oldest.',
  body: z
    .strictObject({
      run_ids: runIds(500).optional(),
      project_id: z.string().optional(),
      limit: z.int().min(1).max(500).optional(),
    })
    .refine(
      (body) => body.run_ids === undefined || body.project_id === undefined,
      'give run_ids or project_id, not both',
    )
    // Nothing at all is more likely a mistake than a wish to replay what is there.
    .refine(
      (body) => Object.values(body).some((given) => given !== undefined),
      'give run_ids, or project_id or limit for the oldest of the project',
    )
    .meta({ id: 'BulkDLQReplayRequest' }),
  replies: {
    200: z
      .object({ replayed: z.array(JobRun), count: z.int() })
      .meta({ id: 'BulkDLQReplayResponse' }),
  },
  failures: ['run_not_dead_letter'],
});
