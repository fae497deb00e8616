// Two versions of a workflow side by side.
import { z } from 'zod';
import { omitEmpty } from '../../../platform/http/json-reply.ts';
import { operation } from '../../access/index.ts';
import { durationMs } from '../engine/step-input.ts';

const time = z.string().meta({ format: 'date-time' });
const MAX_SECS = 30 * 86_400;

/** Seconds, or as "5m". */
const seconds = (least: number) =>
  z.union([z.number(), z.string().max(64)]).transform((value, context) => {
    const secs = typeof value === 'number' ? value : (durationMs(value) ?? NaN) / 1000;
    if (secs >= least && secs <= MAX_SECS) return secs;
    context.addIssue({
      code: 'custom',
      message: `must be seconds or a duration such as "5m", ${least} s to 30 days`,
    });
    return z.NEVER;
  });
const percent = z.number().min(0, 'must be at least 0').max(100, 'must be at most 100');

const AutoPromoteRequest = z
  .strictObject({
    enabled: z.boolean().default(true),
    steps: z
      .array(percent.gt(0, 'must be more than 0'))
      .min(1)
      .max(100)
      .refine((steps) => steps.every((step, at) => at === 0 || step > (steps[at - 1] ?? 0)), {
        message: 'must ascend',
      })
      .describe('Shares in percent, one after the other; after the last one comes all'),
    interval: seconds(1).default(300).describe('How long each share is looked at, at least'),
    failure_rate_threshold: percent.default(5).describe('Percent; more of it rolls back'),
    latency_p99_threshold: seconds(0).nullish().describe('More of it rolls back'),
  })
  .meta({ id: 'CanaryAutoPromoteRequest' });

const versionRef = z
  .union([z.int().min(1), z.string().min(1).max(64)])
  .describe('number or version_id');

export const CreateCanaryRequest = z
  .strictObject({
    project_id: z.string().optional(),
    workflow_id: z.string().min(1).max(256).describe('id or slug'),
    source_version: versionRef,
    target_version: versionRef,
    traffic_pct: percent.describe('Share of the triggers that gets the target'),
    auto_promote: AutoPromoteRequest.optional(),
  })
  .meta({ id: 'CreateCanaryDeploymentRequest' });

export const UpdateCanaryRequest = z
  .strictObject({
    project_id: z.string().optional(),
    traffic_pct: percent.optional().describe('100 completes the canary'),
    auto_promote: AutoPromoteRequest.nullish().describe('null: no longer'),
  })
  .meta({ id: 'UpdateCanaryDeploymentRequest' });

const CanaryMeasured = z
  .object({
    ended: z.int(),
    failed: z.int(),
    failure_rate: z.number().describe('Percent'),
    latency_p99_secs: omitEmpty(z.number()),
  })
  .meta({ id: 'CanaryMeasured' });

export const CanaryDeployment = z
  .object({
    id: z.string(),
    workflow_id: z.string(),
    source_version: z.int(),
    target_version: z.int(),
    traffic_pct: z.number(),
    status: z.enum(['active', 'completed', 'rolled_back']),
    auto_promote: z
      .object({
        enabled: z.boolean(),
        steps: z.array(z.number()),
        interval: z.number(),
        failure_rate_threshold: z.number(),
        latency_p99_threshold: omitEmpty(z.number()),
      })
      .optional(),
    measured: z
      .object({ since: time, source: CanaryMeasured, target: CanaryMeasured })
      .describe('Runs that ended of those that began since the share is what it is'),
    next_check_at: omitEmpty(time),
    reason: omitEmpty(z.string()).describe('Why it ended'),
    created_by: omitEmpty(z.string()),
    created_at: time,
    updated_at: time,
    finished_at: omitEmpty(time),
  })
  .meta({ id: 'CanaryDeployment' });

const params = z.object({
  workflowID: z.string().min(1).max(256).meta({ description: 'id or slug of the workflow' }),
});
const tags = ['Workflows'] as const;

export const createCanary = operation({
  id: 'postV1CanaryDeployments',
  sdk: 'canaryDeployments.create',
  method: 'POST',
  path: '/v1/canary-deployments',
  summary: 'Give a share of the triggers of a workflow another version',
  description:
    'Triggers that name no version get the target by chance, at the rate of `traffic_pct`, all others the source. Retries of runs ' +
    'and runs that continue others keep their version.',
  tags,
  permission: 'workflows:write',
  body: CreateCanaryRequest,
  replies: { 201: CanaryDeployment },
  failures: ['workflow_not_found', 'workflow_version_not_found', 'canary_active', 'invalid_canary'],
});

export const getCanary = operation({
  id: 'getV1WorkflowsByWorkflowIDCanary',
  sdk: 'workflows.getCanary',
  method: 'GET',
  path: '/v1/workflows/:workflowID/canary',
  summary: 'The canary of a workflow, or its last one, and how both versions do',
  tags,
  permission: 'workflows:read',
  params,
  replies: { 200: CanaryDeployment },
  failures: ['workflow_not_found', 'canary_not_found'],
});

const ofActive = ['workflow_not_found', 'canary_not_found', 'canary_not_active'] as const;

export const updateCanary = operation({
  id: 'patchV1WorkflowsByWorkflowIDCanary',
  sdk: 'workflows.updateCanary',
  method: 'PATCH',
  path: '/v1/workflows/:workflowID/canary',
  summary: 'Change the share of a canary, or how it is promoted',
  description: 'At 100 the target becomes the current version, and the canary is completed.',
  tags,
  permission: 'workflows:write',
  params,
  body: UpdateCanaryRequest,
  replies: { 200: CanaryDeployment },
  failures: ofActive,
});

export const rollBackCanary = operation({
  id: 'postV1WorkflowsByWorkflowIDCanaryRollback',
  sdk: 'workflows.rollbackCanary',
  method: 'POST',
  path: '/v1/workflows/:workflowID/canary/rollback',
  summary: 'Give no trigger the target any more; the source becomes the current version',
  tags,
  permission: 'workflows:write',
  params,
  replies: { 200: CanaryDeployment },
  failures: ofActive,
});
