// Triggering a job: one run, or up to 500 at once.

import { z } from 'zod';
import { operation } from '../../access/index.ts';
import type { DeepReadonly } from '../../../platform/http/define-api.ts';
import { omitEmpty } from '../../../platform/http/json-reply.ts';
import { Job } from '../../jobs/index.ts';
import { RunStatus } from '../views.ts';

/** Values that the job or a later check limits further are in rules.ts. */
export const limits = { ttl_secs: 2_592_000, key: 256, bulk_items: 500 } as const;

const atMost = (count: number, what: string) => (map: Readonly<Record<string, string>>) =>
  Object.keys(map).length <= count ? undefined : `has more than ${count} ${what}`;

const keyUpTo = (length: number) => {
  const rule = `a key has 1 to ${length} characters`;
  return z.string().min(1, rule).max(length, rule);
};

const stringMap = (limit: { count: number; key: number; value: number; what: string }) =>
  z
    .record(keyUpTo(limit.key), z.string().max(limit.value))
    .superRefine((map, context) => {
      const problem = atMost(limit.count, limit.what)(map);
      if (problem !== undefined) context.addIssue({ code: 'custom', message: problem });
    })
    .meta({ maxProperties: limit.count });

export const Tags = stringMap({ count: 20, key: 64, value: 256, what: 'tags' });
export const Metadata = stringMap({ count: 50, key: 128, value: 1024, what: 'keys' });
export const scheduledAt = z.iso.datetime({ offset: true });
const key = z.string().max(limits.key);

const shared = {
  payload: z.unknown().optional(),
  tags: Tags.optional(),
  metadata: Metadata.optional(),
  scheduled_at: scheduledAt.optional(),
  priority: z.int().min(0).max(10).optional(),
  ttl_secs: z.int().min(0).max(limits.ttl_secs).optional(),
  concurrency_key: key.optional(),
  idempotency_key: key.optional(),
};

export const TriggerItem = z.strictObject(shared);
export type TriggerItem = z.output<typeof TriggerItem>;

export const TriggerRequest = z
  .strictObject({
    ...shared,
    idempotency_key: key.optional().meta({ description: 'Used when neither header is sent' }),
    dry_run: z.boolean().optional(),
    debounce_key: key.optional(),
    batch_key: key.optional(),
  })
  .meta({ id: 'TriggerRequest' });

const runToken = z.string().meta({ description: "Bearer token of the run's first attempt" });

export const TriggerResponse = z
  .object({
    id: z.string(),
    status: RunStatus,
    payload_hash: omitEmpty(z.string()),
    run_token: omitEmpty(runToken),
    idempotency_hit: z.boolean(),
    payload_mismatch: omitEmpty(z.boolean()).describe(
      'The idempotency key belongs to a run with another payload',
    ),
    job_paused: omitEmpty(z.boolean()).describe('The run is held until the job is resumed'),
    dedup_hit: omitEmpty(z.boolean()).describe('The run had the same payload a moment ago'),
    batch: omitEmpty(z.boolean()).describe('The trigger filled a batch; this is its run'),
  })
  .meta({ id: 'TriggerResponse' });
export type TriggerResponse = z.input<typeof TriggerResponse>;

export const TriggerAccepted = z
  .union([
    z.object({ debounced: z.literal(true), fire_at: z.iso.datetime() }),
    z.object({ buffered: z.literal(true) }),
  ])
  .meta({ id: 'TriggerAccepted' });
export type TriggerAccepted = z.input<typeof TriggerAccepted>;

export const DryRunValidationResult = z
  .object({
    job: Job,
    payload_hash: z.string(),
    payload: z.unknown().optional(),
    scheduled_at: omitEmpty(z.string()),
    expires_at: z.string(),
    validation_warnings: omitEmpty(z.array(z.string())),
  })
  .meta({ id: 'DryRunValidationResult' });
export type DryRunValidationResult = DeepReadonly<z.input<typeof DryRunValidationResult>>;

export const triggerJob = operation({
  id: 'postV1JobsByJobIDTrigger',
  sdk: 'jobs.trigger',
  method: 'POST',
  path: '/v1/jobs/:jobID/trigger',
  summary: 'Start a run of a job',
  tags: ['Jobs'],
  permission: 'jobs:trigger',
  params: z.object({ jobID: z.string() }),
  headers: z.object({
    'x-idempotency-key': key.optional(),
    'idempotency-key': key.optional(),
    traceparent: z.string().optional(),
    tracestate: z.string().optional(),
  }),
  body: TriggerRequest,
  replies: { 200: DryRunValidationResult, 201: TriggerResponse, 202: TriggerAccepted },
  failures: [
    'job_not_found',
    'job_disabled',
    'invalid_payload',
    'invalid_schedule',
    'payload_too_large',
    'daily_cost_exceeded',
    'queue_quota_exceeded',
    'job_rate_limited',
  ],
});

export const BulkTriggerResult = z
  .object({
    id: z.string(),
    status: RunStatus,
    run_token: z.string().meta({ description: 'Empty on an idempotency hit' }),
    idempotency_hit: z.boolean(),
    payload_mismatch: omitEmpty(z.boolean()),
    dedup_hit: omitEmpty(z.boolean()),
  })
  .meta({ id: 'BulkTriggerResult' });
export type BulkTriggerResult = z.input<typeof BulkTriggerResult>;

export const BulkTriggerResponse = z
  .object({
    batch_id: z.string(),
    results: z.array(BulkTriggerResult),
    total: z.int(),
    created: z.int(),
    job_paused: omitEmpty(z.boolean()),
  })
  .meta({ id: 'BulkTriggerResponse' });

export const bulkTriggerJob = operation({
  id: 'postV1JobsByJobIDTriggerBulk',
  sdk: 'jobs.bulkTrigger',
  method: 'POST',
  path: '/v1/jobs/:jobID/trigger/bulk',
  summary: 'Start up to 500 runs of a job, all or none',
  tags: ['Jobs'],
  permission: 'jobs:trigger',
  params: z.object({ jobID: z.string() }),
  body: z
    .strictObject({
      items: z
        .array(TriggerItem.meta({ id: 'BulkTriggerItem' }))
        .min(1)
        .max(limits.bulk_items),
    })
    .meta({ id: 'BulkTriggerRequest' }),
  replies: { 201: BulkTriggerResponse },
  failures: [
    'job_not_found',
    'job_disabled',
    'invalid_payload',
    'invalid_schedule',
    'payload_too_large',
    'daily_cost_exceeded',
    'queue_quota_exceeded',
    'job_rate_limited',
  ],
});
