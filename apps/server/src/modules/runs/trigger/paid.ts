// Triggers of jobs with a daily budget that refuses: what the runs that already wait will reserve counts as well, so that
// of many triggers at the same moment exactly those are accepted that can be paid for. They come one at a time per project.

import type { Database, Tx } from '../../../platform/db/database.ts';
import { money, OverBudget, type Enqueued, type NewRun, type Queue } from '../../queue/index.ts';

export interface PaidTriggerDependencies {
  readonly db: Database;
  readonly hot?: Database | undefined;
  readonly queue: Pick<Queue, 'enqueueMany'>;
  readonly onBudgetEvents?: ((events: number) => void) | undefined;
}

export type PaidTriggers = ReturnType<typeof createPaidTriggers>;

const keyOf = ({ project_id, job_id, extra }: NewRun) => ({
  project_id,
  job_id,
  concurrency_key: extra?.concurrency_key,
});

export function createPaidTriggers({ db, hot, queue, onBudgetEvents }: PaidTriggerDependencies) {
  /** Tells that a limit is reached once the refused request has left nothing behind. */
  const told = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (error) {
      if (error instanceof OverBudget) onBudgetEvents?.(await money.noteRefusal(db, error));
      throw error;
    }
  };

  /** Those that were created and may start now; scheduled ones meet the budget of their day when they are due. */
  const requireFit = async (
    tx: Tx,
    root_lane_id: number,
    runs: readonly NewRun[],
    answers: readonly (Enqueued | undefined)[],
  ): Promise<void> => {
    const fresh = runs.filter((_run, index) => {
      const answer = answers[index];
      return answer?.outcome === 'created' && answer.status === 'queued';
    });
    const byKey = new Map(fresh.map((run) => [run.extra?.concurrency_key, run]));
    for (const run of byKey.values()) await money.requireFit(tx, root_lane_id, keyOf(run));
  };

  return {
    told,
    requireFit,

    /** @throws daily_cost_exceeded */
    enqueue: (run: NewRun): Promise<Enqueued> =>
      told(
        (hot ?? db).transaction(async (tx) => {
          // Before the insert, which takes the idempotency key: who holds a key must not wait for this lock.
          const root_lane_id = await money.lock(tx, run.project_id);
          const answers = await queue.enqueueMany([run], tx);
          await requireFit(tx, root_lane_id, [run], answers);
          return answers[0] ?? { outcome: 'refused' };
        }),
      ),

    /** Whether one more would be accepted just now. @throws daily_cost_exceeded */
    look: (run: NewRun): Promise<void> =>
      (hot ?? db).transaction(async (tx) => {
        const root_lane_id = await money.lock(tx, run.project_id);
        await money.requireFit(tx, root_lane_id, keyOf(run), 1);
      }),
  };
}
