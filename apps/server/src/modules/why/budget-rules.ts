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

const names = ['the key', 'the job', 'the project'];

interface Of {
  readonly project_id: string;
  readonly job_slug: string;
}

/**
 * Budgets that do not pay for the run; with `behind` those that do, but not for it after the better ranked ones. One blocker
 * for those of the job and one for that of the project, which different calls raise, so far that all `before` get in as well.
 */
export function budgetBlockers(
  { project_id, job_slug }: Of,
  money: Money,
  budgets: Budgets,
  before: { readonly lane: number; readonly job: number; readonly project: number },
  behind: boolean,
): Blocker[] {
  const reserve = money[0] ?? 0;
  // A run reserves what it may cost before it is dispatched; with nothing to reserve it starts while anything is left.
  const need = Math.max(reserve, 1);
  const dearest = Math.max(budgets.dearest ?? 0, need);
  const needs = [(before.lane + 1) * need, (before.job + 1) * need, (before.project + 1) * dearest];
  const levels = [0, 1, 2].flatMap((level) => {
    const left = money[level + 1] ?? null;
    const all = needs[level] ?? need;
    return left !== null && left < (behind ? all : need)
      ? [{ level, left, raise: all - left }]
      : [];
  });
  const blockerOf = (
    ofThese: typeof levels,
    unblock: (raises: readonly number[]) => Call,
  ): Blocker[] => {
    const [least] = ofThese.toSorted((a, b) => a.left - b.left);
    if (!least) return [];
    const has = `the daily budget of ${names[least.level]} has ${Math.max(least.left, 0)} micro-USD left`;
    return [
      {
        kind: 'budget',
        message:
          least.left < need
            ? `${has}, the run reserves ${reserve}`
            : `${has}, and better ranked runs get them`,
        until: budgets.day_ends_at,
        unblock: unblock(
          [0, 1, 2].map((level) => ofThese.find((one) => one.level === level)?.raise ?? 0),
        ),
      },
    ];
  };
  return [
    ...blockerOf(
      levels.filter(({ level }) => level < 2),
      (raises) => jobCall(job_slug, budgets, raises),
    ),
    ...blockerOf(
      levels.filter(({ level }) => level === 2),
      ([, , raise = 0]) => projectCall(project_id, budgets, raise),
    ),
  ];
}

/** Whoever sets one of them sets all: the others are repeated. */
const jobCall = (
  job_slug: string,
  budgets: Budgets,
  [key = 0, job = 0]: readonly number[],
): Call => ({
  method: 'PUT',
  path: `/v1/jobs/${job_slug}/budget`,
  body: {
    max_daily_cost_microusd: raised(budgets.job_limit, job),
    max_daily_cost_per_key_microusd: raised(budgets.key_limit, key),
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
