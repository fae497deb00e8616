// Trying runs again, and what is done to many of them at once.
import { z } from 'zod';
import { omitEmpty } from '../../../platform/http/json-reply.ts';
import { operation } from '../../access/index.ts';
import { runParams } from './contract.ts';
import { WorkflowRun } from './schemas.ts';

const shared = { method: 'POST', tags: ['WorkflowRuns'] } as const;

export const retryWorkflowRun = operation({
  ...shared,
  id: 'postV1WorkflowRunsByWorkflowRunIDRetry',
  sdk: 'workflowRuns.retry',
  path: '/v1/workflow-runs/:workflowRunID/retry',
  summary: 'Start a run that has ended again, as a new run',
  description:
    'On the same version, with the same payload, tags and labels. Completed steps are taken over with their outputs; everything else starts fresh.',
  permission: 'workflows:trigger',
  params: runParams,
  replies: { 201: WorkflowRun },
  failures: [
    'workflow_run_not_found',
    'workflow_run_not_retryable',
    'workflow_not_found',
    'workflow_version_not_found',
    'workflow_disabled',
    'workflow_policy_refused',
    'workflow_runs_limit_reached',
  ],
});

const BulkWorkflowRunIDsRequest = z
  .strictObject({ workflow_run_ids: z.array(z.string().max(256)).min(1).max(100) })
  .meta({ id: 'BulkWorkflowRunIDsRequest' });

export const bulkCancelWorkflowRuns = operation({
  ...shared,
  id: 'postV1WorkflowRunsBulkCancel',
  sdk: 'workflowRuns.bulkCancel',
  path: '/v1/workflow-runs/bulk-cancel',
  summary: 'Cancel up to 100 workflow runs and everything under them',
  description:
    'Each by itself: `skipped` are those that have ended or that the project does not have.',
  permission: 'workflows:write',
  query: z.object({ project_id: z.string().optional() }),
  body: BulkWorkflowRunIDsRequest,
  replies: {
    200: z
      .object({
        canceled: z.int(),
        workflow_run_ids: z.array(z.string()),
        skipped: z.array(z.string()),
      })
      .meta({ id: 'BulkCancelWorkflowRunsResponse' }),
  },
  failures: [],
});

export const bulkReplayWorkflowRuns = operation({
  ...shared,
  id: 'postV1WorkflowRunsBulkReplay',
  sdk: 'workflowRuns.bulkReplay',
  path: '/v1/workflow-runs/bulk-replay',
  summary: 'Start up to 100 workflow runs again, each as by `retry`',
  permission: 'workflows:write',
  body: BulkWorkflowRunIDsRequest,
  replies: {
    200: z
      .object({
        results: z.array(
          z
            .object({
              original_run_id: z.string(),
              new_run_id: omitEmpty(z.string()),
              status: z.enum(['replayed', 'failed']),
              error: omitEmpty(z.string()),
            })
            .meta({ id: 'BulkReplayWorkflowRunResult' }),
        ),
        total: z.int(),
        replayed: z.int(),
      })
      .meta({ id: 'BulkReplayWorkflowRunsResponse' }),
  },
  failures: [],
});
