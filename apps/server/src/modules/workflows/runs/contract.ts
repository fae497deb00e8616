// Starting workflow runs, looking at them, and what people do to whole runs. Steps are in contract-steps.ts.
import { z } from 'zod';
import { ascendingPageQuery, pageQuery } from '../../../platform/http/pagination.ts';
import { operation } from '../../access/index.ts';
import { WorkflowPlanResponse } from '../definitions/schemas.ts';
import {
  TriggerWorkflowRequest,
  WorkflowRun,
  WorkflowRunPage,
  WorkflowRunStatus,
  WorkflowStepRunPage,
} from './schemas.ts';

const runs = ['WorkflowRuns'] as const;
const ofWorkflow = z.object({
  workflowID: z.string().min(1).max(256).meta({ description: 'id or slug of the workflow' }),
});
export const runParams = z.object({ workflowRunID: z.string().min(1).max(256) });
const key = z.string().max(256);

export const triggerWorkflow = operation({
  id: 'postV1WorkflowsByWorkflowIDTrigger',
  sdk: 'workflows.trigger',
  method: 'POST',
  path: '/v1/workflows/:workflowID/trigger',
  summary: 'Start a run of a workflow',
  description:
    'The same Idempotency-Key gives the same run. Steps that `step_overrides` disables are left out, and their dependents do not wait for them.',
  tags: ['Workflows'],
  permission: 'workflows:trigger',
  params: ofWorkflow,
  headers: z.object({
    'x-idempotency-key': key.optional(),
    'idempotency-key': key.optional(),
    traceparent: z.string().optional(),
    tracestate: z.string().optional(),
  }),
  body: TriggerWorkflowRequest,
  replies: { 200: WorkflowPlanResponse, 201: WorkflowRun },
  failures: [
    'workflow_not_found',
    'workflow_version_not_found',
    'workflow_disabled',
    'invalid_workflow',
    'workflow_policy_refused',
    'workflow_runs_limit_reached',
    'workflow_key_mismatch',
    'payload_too_large',
  ],
  rate_limit: { requests: 600, window_secs: 60 },
});

export const listWorkflowRuns = operation({
  id: 'getV1WorkflowRuns',
  sdk: 'workflowRuns.list',
  method: 'GET',
  path: '/v1/workflow-runs',
  summary: 'Workflow runs of the project, newest first',
  tags: runs,
  permission: 'workflows:read',
  query: z
    .object({
      ...pageQuery,
      project_id: z.string().optional(),
      workflow_id: z.string().max(256).optional(),
      status: WorkflowRunStatus.optional(),
      triggered_by: z.string().max(64).optional(),
      tag_key: z.string().max(64).optional(),
      tag_value: z.string().max(256).optional(),
      label_key: z.string().max(128).optional(),
      label_value: z.string().max(256).optional(),
    })
    .refine(({ tag_key, tag_value }) => tag_value === undefined || tag_key !== undefined, {
      path: ['tag_value'],
      message: 'needs tag_key',
    })
    .refine(({ label_key, label_value }) => label_value === undefined || label_key !== undefined, {
      path: ['label_value'],
      message: 'needs label_key',
    }),
  replies: { 200: WorkflowRunPage },
  failures: [],
});

export const listRunsOfWorkflow = operation({
  id: 'getV1WorkflowsByWorkflowIDRuns',
  sdk: 'workflows.listRunsByWorkflowId',
  method: 'GET',
  path: '/v1/workflows/:workflowID/runs',
  summary: 'Runs of one workflow, newest first',
  tags: ['Workflows'],
  permission: 'workflows:read',
  params: ofWorkflow,
  query: z.object(pageQuery),
  replies: { 200: WorkflowRunPage },
  failures: ['workflow_not_found'],
});

export const getWorkflowRun = operation({
  id: 'getV1WorkflowRunsByWorkflowRunID',
  sdk: 'workflowRuns.get',
  method: 'GET',
  path: '/v1/workflow-runs/:workflowRunID',
  summary: 'One workflow run',
  tags: runs,
  permission: 'workflows:read',
  params: runParams,
  replies: { 200: WorkflowRun },
  failures: ['workflow_run_not_found'],
});

export const listStepRuns = operation({
  id: 'getV1WorkflowRunsByWorkflowRunIDSteps',
  sdk: 'workflowRuns.listSteps',
  method: 'GET',
  path: '/v1/workflow-runs/:workflowRunID/steps',
  summary: 'Steps of a workflow run, oldest first',
  tags: runs,
  permission: 'workflows:read',
  params: runParams,
  query: z.object(ascendingPageQuery),
  replies: { 200: WorkflowStepRunPage },
  failures: ['workflow_run_not_found'],
});

export const cancelWorkflowRun = operation({
  id: 'deleteV1WorkflowRunsByWorkflowRunID',
  sdk: 'workflowRuns.delete',
  method: 'DELETE',
  path: '/v1/workflow-runs/:workflowRunID',
  summary: 'Cancel a workflow run and everything under it',
  tags: runs,
  permission: 'workflows:write',
  params: runParams,
  replies: { 200: WorkflowRun },
  failures: ['workflow_run_not_found', 'workflow_run_not_cancelable'],
});

export const pauseWorkflowRun = operation({
  id: 'postV1WorkflowRunsByWorkflowRunIDPause',
  sdk: 'workflowRuns.pause',
  method: 'POST',
  path: '/v1/workflow-runs/:workflowRunID/pause',
  summary: 'Start no further steps',
  description:
    'What runs goes on and its results are kept. `cascade=true` pauses child runs too. A run that continues a paused one is paused.',
  tags: runs,
  permission: 'workflows:write',
  params: runParams,
  query: z.object({ cascade: z.enum(['true', 'false']).optional() }),
  replies: { 200: WorkflowRun },
  failures: ['workflow_run_not_found', 'workflow_run_not_pausable'],
});

export const resumeWorkflowRun = operation({
  id: 'postV1WorkflowRunsByWorkflowRunIDResume',
  sdk: 'workflowRuns.resume',
  method: 'POST',
  path: '/v1/workflow-runs/:workflowRunID/resume',
  summary: 'Let a paused run go on',
  tags: runs,
  permission: 'workflows:write',
  params: runParams,
  query: z.object({ cascade: z.enum(['true', 'false']).optional() }),
  replies: { 200: WorkflowRun },
  failures: ['workflow_run_not_found', 'workflow_run_not_resumable'],
});
