// Money per local day: how much a project, a job and each concurrency key of a job may spend.

import { z } from 'zod';
import { operation } from '../../access/index.ts';
import { omitEmpty } from '../../../platform/http/json-reply.ts';
import { pageQuery, pageSchema } from '../../../platform/http/pagination.ts';
import { isTimeZone } from '../../../domain/time-zone.ts';

/** A billion dollars: sums of it stay exact in a JSON number. */
const MOST_MICROUSD = 1_000_000_000_000_000;

const limit = z
  .int()
  .min(0)
  .max(MOST_MICROUSD)
  .nullish()
  .meta({ description: 'Millionths of a US dollar. Absent, null or 0: none' });
const microusd = z.int();
const BreachPolicy = z.enum(['reject', 'wait', 'pause']).meta({
  id: 'BudgetBreachPolicy',
  description:
    'What happens to a run that does not fit. `reject`: its trigger is answered with 429; runs that no request ' +
    'triggers, retries and scheduled ones wait. `wait`: it stays queued until money comes back, the budget is ' +
    'raised or the day turns. `pause`: as `wait`, and once the money of the day is really spent its job is paused ' +
    'until somebody resumes it',
});
const timezone = z
  .string()
  .max(64)
  .refine(isTimeZone, 'must be an IANA time zone')
  .meta({ description: 'Whose midnight begins the day. Absent: as it is (UTC at first)' });

const today = {
  day: z.string().meta({ description: 'The local date the figures are of' }),
  resets_at: z.iso.datetime(),
  spent_microusd: microusd.meta({ description: 'Recorded today' }),
  reserved_microusd: microusd.meta({
    description: 'What runs that were let go may still spend. With `spent` never above the limit',
  }),
  remaining_microusd: microusd.nullable().meta({ description: 'null: there is no limit' }),
};

export const ProjectBudget = z
  .object({
    max_daily_cost_microusd: microusd.nullable(),
    max_cost_per_run_microusd: microusd.nullable(),
    breach_policy: BreachPolicy,
    timezone: z.string(),
    ...today,
  })
  .meta({ id: 'ProjectBudget' });

export const JobBudget = z
  .object({
    job_id: z.string(),
    max_daily_cost_microusd: microusd.nullable(),
    max_daily_cost_per_key_microusd: microusd.nullable(),
    cost_estimate_microusd: microusd.nullable(),
    breach_policy: BreachPolicy,
    reserve_microusd: microusd.meta({
      description: 'What one run reserves: the smaller of estimate and limit per run, else 0',
    }),
    ...today,
    keys: z
      .array(
        z.object({
          concurrency_key: z.string(),
          spent_microusd: microusd,
          reserved_microusd: microusd,
        }),
      )
      .meta({ description: 'The keys that spent most today, at most 100' }),
  })
  .meta({ id: 'JobBudget' });

export const BudgetEvent = z
  .object({
    id: z.string(),
    type: z.enum(['budget.threshold_reached', 'spending.limit_reached']),
    day: z.string(),
    job_id: omitEmpty(z.string()),
    concurrency_key: omitEmpty(z.string()),
    limit_microusd: microusd,
    spent_microusd: microusd,
    reserved_microusd: microusd,
    created_at: z.iso.datetime(),
  })
  .meta({ id: 'BudgetEvent' });

const tags = ['Budgets'] as const;
const params = z.object({
  jobID: z.string().min(1).max(256).meta({ description: 'id or slug of the job' }),
});
const project_id = z.string().optional();

export const getProjectBudget = operation({
  id: 'getV1ProjectBudget',
  sdk: 'budgets.getProject',
  method: 'GET',
  path: '/v1/project-budget',
  summary: 'What the project may spend, and what it did today',
  tags,
  permission: 'stats:read',
  query: z.object({ project_id }),
  replies: { 200: ProjectBudget },
  failures: [],
});

export const putProjectBudget = operation({
  id: 'putV1ProjectBudget',
  sdk: 'budgets.setProject',
  method: 'PUT',
  path: '/v1/project-budget',
  summary: 'Set what the project may spend per day and per run',
  description:
    'For whoever runs the installation. Counts at once: what is queued and does not fit waits, attempts ' +
    'under way go on. A limit that is left out is none.',
  tags,
  permission: 'projects:manage',
  body: z
    .strictObject({
      project_id,
      max_daily_cost_microusd: limit,
      max_cost_per_run_microusd: limit,
      breach_policy: BreachPolicy.default('reject'),
      timezone: timezone.optional(),
    })
    .meta({ id: 'ProjectBudgetRequest' }),
  replies: { 200: ProjectBudget },
  failures: [],
});

export const getJobBudget = operation({
  id: 'getV1JobsByJobIDBudget',
  sdk: 'budgets.getJob',
  method: 'GET',
  path: '/v1/jobs/:jobID/budget',
  summary: 'What a job may spend, and what it did today',
  tags,
  permission: 'jobs:read',
  params,
  replies: { 200: JobBudget },
  failures: ['job_not_found'],
});

export const putJobBudget = operation({
  id: 'putV1JobsByJobIDBudget',
  sdk: 'budgets.setJob',
  method: 'PUT',
  path: '/v1/jobs/:jobID/budget',
  summary:
    'Set what a job and each of its concurrency keys may spend per day, and what a run is expected to cost',
  description:
    'No new version: like every limit it is always the live one. A member that is left out is none. A run ' +
    'reserves `cost_estimate_microusd` before it is dispatched; usage beyond that is recorded only while a budget has room.',
  tags,
  permission: 'jobs:write',
  params,
  body: z
    .strictObject({
      max_daily_cost_microusd: limit,
      max_daily_cost_per_key_microusd: limit,
      cost_estimate_microusd: limit,
      breach_policy: BreachPolicy.default('wait'),
    })
    .meta({ id: 'JobBudgetRequest' }),
  replies: { 200: JobBudget },
  failures: ['job_not_found'],
});

export const listBudgetEvents = operation({
  id: 'getV1BudgetEvents',
  sdk: 'budgets.listEvents',
  method: 'GET',
  path: '/v1/budget-events',
  summary: 'Budgets that reached 80 % or their limit, newest first',
  description:
    'Each type once per budget and local day. Without `job_id` it is the budget of the project.',
  tags,
  permission: 'stats:read',
  query: z.object({ ...pageQuery, project_id }),
  replies: { 200: pageSchema('BudgetEventPage', BudgetEvent) },
  failures: [],
});
