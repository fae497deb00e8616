// Budgets where the queue meets them. Promotion reserves (limits/store.sql), this settles, spends, refuses and tells.
// One lock makes all of it exact: the root lane of the project, held by whoever reserves or spends beyond a reservation.

import type { FailureCode } from '../../../domain/failures.ts';
import type { Tx } from '../../../platform/db/database.ts';
import type { Queryable } from '../../../platform/db/query.ts';
import { Failure } from '../../../platform/failure.ts';
import * as limitStore from '../limits/store.sql.ts';
import { refusingBudget } from './rules.ts';
import * as store from './store.sql.ts';

interface JobKey {
  readonly project_id: string;
  readonly job_id: string;
  readonly concurrency_key?: string | undefined;
}

/** A run found no money in a budget today. `policy`: what that budget says about it. */
export type Breach = store.FindBreachesRow;

/** What was spent today was counted wrongly. */
export type MoneyDrift = store.MendDaysRow;

const scopeOf = ({ project_id, job_id, concurrency_key }: JobKey) => ({
  project_id,
  job_id,
  concurrency_key: concurrency_key ?? null,
});

/** No money of this project is reserved, nor spent beyond a reservation, by anybody else until `tx` ends. */
async function lock(tx: Tx, project_id: string): Promise<number> {
  const { root_lane_id } = await store.lockMoney(tx, { project_id });
  await limitStore.waitForRoot(tx, { root_lane_id });
  return root_lane_id;
}

async function refusing(tx: Tx, root_lane_id: number, job: JobKey, more: number) {
  await store.settleReservations(tx, { root_lane_id });
  const demand = await store.findDemand(tx, scopeOf(job));
  const scope = refusingBudget(demand, more);
  return scope && new OverBudget(scope, job, demand.resets_in_secs);
}

export const money = {
  lock,

  /**
   * For triggers of jobs with a budget that refuses, under `lock`: whether all runs that wait, and `more` besides, can be
   * paid for today. @throws daily_cost_exceeded
   */
  requireFit: async (tx: Tx, root_lane_id: number, job: JobKey, more = 0): Promise<void> => {
    const refusal = await refusing(tx, root_lane_id, job, more);
    if (refusal) throw refusal;
  },

  /** After `requireFit` refused and its transaction is gone. 1 when that is news of the day. */
  noteRefusal: (db: Queryable, { scope, job }: OverBudget): Promise<number> =>
    store.noteRefusal(db, { ...scopeOf(job), scope }),

  /**
   * The cost of one usage record, in the transaction that records it. How many budgets reached a threshold by it.
   * @throws daily_cost_exceeded when it is more than the run has reserved and no budget has the rest
   */
  charge: async (
    tx: Tx,
    usage: {
      readonly project_id: string;
      readonly run_id: string;
      readonly cost_microusd: number;
    },
  ): Promise<number> => {
    let { outcome } = await store.chargeUsage(tx, { ...usage, locked: false });
    if (outcome === 'unlimited') return 0;
    await lock(tx, usage.project_id);
    ({ outcome } = await store.chargeUsage(tx, { ...usage, locked: true }));
    if (outcome === 'refused') throw new Failure<FailureCode>('daily_cost_exceeded');
    return (await store.noteThresholds(tx, { of_project: usage.project_id })).length;
  },
};

/** A trigger that no money is left for. */
export class OverBudget extends Failure<FailureCode> {
  readonly scope: string;
  readonly job: JobKey;

  constructor(scope: 'project' | 'job' | 'key', job: JobKey, retry_after_secs: number) {
    const whose = { project: 'project', job: 'job', key: 'concurrency key' }[scope];
    super('daily_cost_exceeded', {
      message: `the daily budget of the ${whose} has no room for another run`,
      retry_after_secs,
    });
    this.scope = scope;
    this.job = job;
  }
}
