import { reply } from '../../../platform/http/define-api.ts';
import { bind } from '../../access/index.ts';
import { actorOf } from '../../audit/index.ts';
import * as api from './contract.ts';
import type { RunOperations } from './operations.ts';
import { readRoutes, type ReadServices } from './read-routes.ts';
import type { RunReads } from './reads.ts';
import { stepRoutes, type StepServices } from './step-routes.ts';
import type { WorkflowTriggers } from './trigger.ts';

export interface WorkflowRunServices extends ReadServices, StepServices {
  readonly reads: RunReads;
  readonly triggers: WorkflowTriggers;
  readonly operations: RunOperations;
}

export const workflowRunRoutes = ({
  reads,
  triggers,
  operations,
  ...others
}: WorkflowRunServices) => [
  bind(api.triggerWorkflow, async ({ project, caller }, { params, body, headers }) => {
    const { dry_run, ...asked } = body;
    const input = {
      ...asked,
      created_by: caller.actor_id,
      idempotency_key: headers['x-idempotency-key'] || headers['idempotency-key'] || undefined,
      traceparent: headers.traceparent,
      tracestate: headers.tracestate,
    };
    return dry_run
      ? reply(200, await triggers.plan(project, params.workflowID, input))
      : reply(201, await triggers.trigger(project, params.workflowID, input));
  }),
  bind(api.listWorkflowRuns, ({ project }, { query: { limit, cursor, ...filter } }) =>
    reads.list(project, filter, { limit, cursor }),
  ),
  bind(api.listRunsOfWorkflow, ({ project }, { params, query }) =>
    reads.listOf(project, params.workflowID, query),
  ),
  bind(api.getWorkflowRun, ({ project }, { params }) => reads.get(project, params.workflowRunID)),
  bind(api.listStepRuns, ({ project }, { params, query }) =>
    reads.steps(project, params.workflowRunID, query),
  ),
  bind(api.cancelWorkflowRun, (context, { params }) =>
    operations.cancel(context.project, actorOf(context), params.workflowRunID),
  ),
  bind(api.pauseWorkflowRun, (context, { params, query }) =>
    operations.pause(
      context.project,
      actorOf(context),
      params.workflowRunID,
      query.cascade === 'true',
    ),
  ),
  bind(api.resumeWorkflowRun, (context, { params, query }) =>
    operations.resume(
      context.project,
      actorOf(context),
      params.workflowRunID,
      query.cascade === 'true',
    ),
  ),
  ...readRoutes(others),
  ...stepRoutes(others),
];
