// When it is money that a run waits for: which budget, how much, and what would raise it. Pure.

import type { Blocker, Call } from './rules.ts';

/** As strait_money answers: what a run reserves, then what is left of the budgets of key, job and project today. */
export type Money = readonly (number | null)[];

export interface Budgets {
  readonly job_limit: number | null;
  readonly key_limit: number | null;
  readonly estimate: number | null;
  readonly job_policy: string | null;
  readonly project_limit: number | null;
  readonly per_run: number | null;
  readonly project_policy: string | null;
  readonly day_ends_at: string;
  /** The most that a run of any job of the project reserves. */
  readonly dearest: number | null;
}

/** A run reserves what it may cost before it is dispatched; with nothing to reserve it starts while anything is left. */
export const isAffordable = (money: Money): boolean =>
  money.slice(1, 4).every((left) => left === null || left >= Math.max(money[0] ?? 0, 1));

const names = ['the key', 'the job', 'the project'];

/** The budget with the least left. `before` runs go first and have to be paid for as well. */
export function budgetBlocker(
  { project_id, job_slug }: { readonly project_id: string; readonly job_slug: string },
  money: Money | null,
  budgets: Budgets,
  before: { readonly lane: number; readonly job: number; readonly project: number },
): Blocker {
  const reserve = money?.[0] ?? 0;
  const lefts = [money?.[1], money?.[2], money?.[3]];
  const [least, level] = lefts
    .map((left, index) => [left ?? Number.POSITIVE_INFINITY, index] as const)
    .reduce((least, one) => (one[0] < least[0] ? one : least), [Number.POSITIVE_INFINITY, 2]);
  const dearest = Math.max(budgets.dearest ?? 0, reserve, 1);
  const need = [
    (before.lane + 1) * Math.max(reserve, 1),
    (before.job + 1) * Math.max(reserve, 1),
    (before.project + 1) * dearest,
  ][level] as number;
  const raise = Math.max(need - least, 1);
  const left = Math.max(least, 0);
  const message =
    least < Math.max(reserve, 1)
      ? `the daily budget of ${names[level]} has ${left} micro-USD left, the run reserves ${reserve}`
      : `the daily budget of ${names[level]} has ${left} micro-USD left, and better ranked runs get them`;
  return {
    kind: 'budget',
    message,
    until: budgets.day_ends_at,
    unblock:
      level === 2
        ? projectCall(project_id, budgets, raise)
        : jobCall(job_slug, budgets, level, raise),
  };
}

/** Whoever sets one of them sets all: the others are repeated. */
const jobCall = (job_slug: string, budgets: Budgets, level: number, raise: number): Call => ({
  method: 'PUT',
  path: `/v1/jobs/${job_slug}/budget`,
  body: {
    max_daily_cost_microusd: raised(budgets.job_limit, level === 1 ? raise : 0),
    max_daily_cost_per_key_microusd: raised(budgets.key_limit, level === 0 ? raise : 0),
    cost_estimate_microusd: budgets.estimate,
    breach_policy: budgets.job_policy ?? 'wait',
  },
});

const projectCall = (project_id: string, budgets: Budgets, raise: number): Call => ({
  method: 'PUT',
  path: '/v1/project-budget',
  body: {
    project_id,
    max_daily_cost_microusd: raised(budgets.project_limit, raise),
    max_cost_per_run_microusd: budgets.per_run,
    breach_policy: budgets.project_policy ?? 'reject',
  },
});

const raised = (limit: number | null, raise: number): number | null =>
  limit === null ? null : limit + raise;
