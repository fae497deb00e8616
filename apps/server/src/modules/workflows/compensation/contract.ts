// Undoing what a failed run has done.
import { z } from 'zod';
import { omitEmpty } from '../../../platform/http/json-reply.ts';
import { operation } from '../../access/index.ts';
import { runParams } from '../runs/contract.ts';
import { WorkflowRun, WorkflowRunStatus } from '../runs/schemas.ts';

const time = omitEmpty(z.string().meta({ format: 'date-time' }));

export const CompensationStep = z
  .object({
    step_ref: z.string(),
    compensation_job_id: z.string(),
    compensation_timeout_secs: omitEmpty(z.int()),
    status: z.enum(['planned', 'pending', 'running', 'completed', 'failed']),
    job_run_id: omitEmpty(z.string()),
    error: omitEmpty(z.string()),
    started_at: time,
    finished_at: time,
  })
  .meta({ id: 'CompensationStep' });

export const CompensationPlan = z
  .object({
    workflow_run_id: z.string(),
    status: WorkflowRunStatus,
    can_compensate: z.boolean().describe('The run has failed or timed out and was not undone yet'),
    steps: z.array(CompensationStep).describe('In the order in which they are undone'),
  })
  .meta({ id: 'CompensationPlan' });

const tags = ['WorkflowRuns'] as const;

export const getCompensationPlan = operation({
  id: 'getV1WorkflowRunsByWorkflowRunIDCompensationPlan',
  sdk: 'workflowRuns.getCompensationPlan',
  method: 'GET',
  path: '/v1/workflow-runs/:workflowRunID/compensation-plan',
  summary: 'What undoing a workflow run does, or how far it is',
  description:
    'Completed steps with a compensation_job_id, the last ones first. Before a run has ended: what would be undone if it failed now.',
  tags,
  permission: 'workflows:read',
  params: runParams,
  replies: { 200: CompensationPlan },
  failures: ['workflow_run_not_found'],
});

export const compensateWorkflowRun = operation({
  id: 'postV1WorkflowRunsByWorkflowRunIDCompensate',
  sdk: 'workflowRuns.compensate',
  method: 'POST',
  path: '/v1/workflow-runs/:workflowRunID/compensate',
  summary: 'Undo a workflow run that has failed or timed out',
  description:
    'Runs the compensation job of each completed step that has one, one at a time in reverse order. A run can be undone once.',
  tags,
  permission: 'workflows:write',
  params: runParams,
  replies: { 200: WorkflowRun },
  failures: ['workflow_run_not_found', 'workflow_run_not_compensable'],
});
