import { bind } from '../../access/index.ts';
import { actorOf } from '../../audit/index.ts';
import * as api from './contract.ts';
import type { Compensations } from './service.ts';

export const compensationRoutes = (compensations: Compensations) => [
  bind(api.getCompensationPlan, ({ project }, { params }) =>
    compensations.plan(project, params.workflowRunID),
  ),
  bind(api.compensateWorkflowRun, (context, { params }) =>
    compensations.compensate(context.project, actorOf(context), params.workflowRunID),
  ),
];
