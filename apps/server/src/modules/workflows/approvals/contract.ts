// Deciding approvals, and finding those that wait.
import { z } from 'zod';
import { ascendingPageQuery, pageQuery } from '../../../platform/http/pagination.ts';
import { operation } from '../../access/index.ts';
import { runParams } from '../runs/contract.ts';
import { stepParams } from '../runs/contract-steps.ts';
import {
  ApprovalStatus,
  ApproveWorkflowStepRequest,
  RejectWorkflowStepRequest,
  StepApprovalResponse,
  WorkflowStepApprovalPage,
} from './schemas.ts';

const decision = {
  method: 'POST',
  tags: ['WorkflowRuns'],
  permission: 'workflows:write',
  params: stepParams,
  body_required: false,
  replies: { 200: StepApprovalResponse },
  failures: [
    'workflow_run_not_found',
    'workflow_step_not_found',
    'workflow_step_not_asking',
    'not_an_approver',
    'approver_mismatch',
    'approval_already_decided',
  ],
} as const;

export const approveStep = operation({
  ...decision,
  id: 'postV1WorkflowRunsByWorkflowRunIDStepsByStepRefApprove',
  sdk: 'workflowRuns.approveStep',
  path: '/v1/workflow-runs/:workflowRunID/steps/:stepRef/approve',
  summary: 'Approve a step as the caller',
  description:
    'The caller has to be one of the approvers. An approval step is completed, a step behind a cost gate starts. The same again by the same caller changes nothing.',
  body: ApproveWorkflowStepRequest,
});

export const rejectStep = operation({
  ...decision,
  id: 'postV1WorkflowRunsByWorkflowRunIDStepsByStepRefReject',
  sdk: 'workflowRuns.rejectStep',
  path: '/v1/workflow-runs/:workflowRunID/steps/:stepRef/reject',
  summary: 'Reject a step as the caller',
  description: 'The step fails, and its `on_failure` says what becomes of the run.',
  body: RejectWorkflowStepRequest,
});

export const listApprovals = operation({
  id: 'getV1WorkflowRunsByWorkflowRunIDApprovals',
  sdk: 'workflowRuns.listApprovals',
  method: 'GET',
  path: '/v1/workflow-runs/:workflowRunID/approvals',
  summary: 'Approvals of a workflow run, oldest first',
  tags: ['WorkflowRuns'],
  permission: 'workflows:read',
  params: runParams,
  query: z.object(ascendingPageQuery),
  replies: { 200: WorkflowStepApprovalPage },
  failures: ['workflow_run_not_found'],
});

export const listOwnApprovals = operation({
  id: 'getV1Approvals',
  sdk: 'approvals.list',
  method: 'GET',
  path: '/v1/approvals',
  summary: 'Approvals that are for the caller to decide, newest first',
  description: 'Needs `workflows:write`, as deciding does: for others nothing waits.',
  tags: ['WorkflowRuns'],
  permission: 'workflows:write',
  query: z.object({
    ...pageQuery,
    project_id: z.string().optional(),
    status: ApprovalStatus.default('pending'),
  }),
  replies: { 200: WorkflowStepApprovalPage },
  failures: [],
});
