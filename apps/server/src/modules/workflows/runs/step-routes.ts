// What people do: to steps, to approvals, to ended runs, to many runs.
import { bind } from '../../access/index.ts';
import { actorOf } from '../../audit/index.ts';
import * as approvalApi from '../approvals/contract.ts';
import type { Decisions, StepName } from '../approvals/decisions.ts';
import type { ApprovalReads } from '../approvals/reads.ts';
import type { JsonValue } from '../engine/definition.ts';
import type { BulkOperations } from './bulk.ts';
import * as bulkApi from './contract-bulk.ts';
import * as api from './contract-steps.ts';
import type { RunRetries } from './retry-run.ts';
import type { StepOperations } from './step-operations.ts';

export interface StepServices {
  readonly steps: StepOperations;
  readonly decisions: Decisions;
  readonly approvals: ApprovalReads;
  readonly retries: RunRetries;
  readonly bulk: BulkOperations;
}

const stepOf = (params: {
  readonly workflowRunID: string;
  readonly stepRef: string;
}): StepName => ({ workflow_run_id: params.workflowRunID, step_ref: params.stepRef });

export const stepRoutes = ({ steps, decisions, approvals, retries, bulk }: StepServices) => [
  bind(approvalApi.approveStep, (context, { params, body }) =>
    decisions.approve(context.project, stepOf(params), {
      caller: context.caller,
      by: actorOf(context),
      approver: body?.approver,
    }),
  ),
  bind(approvalApi.rejectStep, (context, { params, body }) =>
    decisions.reject(
      context.project,
      stepOf(params),
      { caller: context.caller, by: actorOf(context), approver: body?.approver },
      body?.reason ?? '',
    ),
  ),
  bind(approvalApi.listApprovals, ({ project }, { params, query }) =>
    approvals.listOf(project, params.workflowRunID, query),
  ),
  bind(approvalApi.listOwnApprovals, ({ project, caller }, { query: { status, ...paging } }) =>
    approvals.inbox(project, caller, status, paging),
  ),
  bind(api.skipStep, (context, { params, body }) =>
    steps.skip(context.project, actorOf(context), stepOf(params), body?.reason ?? ''),
  ),
  bind(api.forceCompleteStep, (context, { params, body }) =>
    steps.forceComplete(
      context.project,
      actorOf(context),
      stepOf(params),
      (body?.result ?? null) as JsonValue,
      body?.reason ?? '',
    ),
  ),
  bind(api.retryStep, (context, { params }) =>
    steps.retry(context.project, actorOf(context), stepOf(params)),
  ),
  bind(api.replaySubtree, (context, { params }) =>
    steps.replaySubtree(context.project, actorOf(context), stepOf(params)),
  ),
  bind(bulkApi.retryWorkflowRun, (context, { params }) =>
    retries.retry(context.project, actorOf(context), params.workflowRunID),
  ),
  bind(bulkApi.bulkCancelWorkflowRuns, (context, { body }) =>
    bulk.cancel(context.project, actorOf(context), body.workflow_run_ids, context.signal),
  ),
  bind(bulkApi.bulkReplayWorkflowRuns, (context, { body }) =>
    bulk.replay(context.project, actorOf(context), body.workflow_run_ids, context.signal),
  ),
];
