import type { z } from 'zod';
import { bind } from '../../access/index.ts';
import { actorOf } from '../../audit/index.ts';
import * as api from './contract.ts';
import type { Budgets } from './service.ts';

type EventType = z.input<typeof api.BudgetEvent>['type'];

export const budgetRoutes = (budgets: Budgets) => [
  bind(api.getProjectBudget, ({ project }) => budgets.ofProject(project)),
  bind(api.putProjectBudget, (context, { body }) =>
    budgets.setProject(context.project, actorOf(context), body),
  ),
  bind(api.getJobBudget, ({ project }, { params }) => budgets.ofJob(project, params.jobID)),
  bind(api.putJobBudget, (context, { params, body }) =>
    budgets.setJob(context.project, actorOf(context), params.jobID, body),
  ),
  bind(api.listBudgetEvents, async ({ project }, { query }) => {
    const found = await budgets.events(project, query);
    return { ...found, data: found.data.map((row) => ({ ...row, type: row.type as EventType })) };
  }),
];
