// What was debounced or batched becomes runs when its time has come. Each run and the rows it is made of change in one
// transaction, so a crash leaves either; processes that do this at the same time skip or wait for each other's rows.

import type { Clock } from '../../../platform/clock.ts';
import type { Database } from '../../../platform/db/database.ts';
import { buffers, type BatchKey, type Queue } from '../../queue/index.ts';
import type { Admission } from './admission.ts';
import { deferred } from './starts.ts';
import type { TriggerJobs } from './trigger.ts';

const PER_ROUND = 100;
/** How long what is due waits when its job may not run. */
const LATER_SECS = 30;

/** Ends a transaction whose run could not be made: the rows stay. */
class NotMade extends Error {}

export interface FiringDeps {
  readonly hot: Database;
  readonly queue: Pick<Queue, 'enqueueMany'>;
  readonly jobs: Pick<TriggerJobs, 'findForTrigger'>;
  readonly admission: Pick<Admission, 'flush'>;
  readonly clock: Clock;
}

export type Firing = ReturnType<typeof createFiring>;

export function createFiring({ hot, queue, jobs, admission, clock }: FiringDeps) {
  /** True when there may be more. */
  const fireOne = (): Promise<boolean> =>
    hot
      .transaction(async (tx) => {
        const run = await buffers.takeDue(tx);
        if (!run) return false;
        const job = await jobs.findForTrigger(run.project_id, run.job_id);
        if (!job) throw new NotMade();
        const [made] = await queue.enqueueMany([await deferred(tx, job, run, clock.now())], tx);
        if (made?.outcome !== 'created') throw new NotMade();
        return true;
      })
      .catch((error: unknown) => {
        if (error instanceof NotMade) return false;
        throw error;
      });

  const flushOne = (project_id: string, batch: BatchKey): Promise<boolean> =>
    hot.transaction(async (tx) => {
      await buffers.holdBatch(tx, batch);
      if (!(await buffers.isDue(tx, batch))) return false;
      const job = await jobs.findForTrigger(project_id, batch.job_id);
      return job !== undefined && (await admission.flush(tx, job, batch)) !== undefined;
    });

  return {
    /** Debounced triggers whose instant has come, earliest first. */
    fire: async (): Promise<{ readonly again: boolean }> => {
      await buffers.putOff(hot, { later_secs: LATER_SECS });
      for (let fired = 0; fired < PER_ROUND; fired++)
        if (!(await fireOne())) return { again: false };
      return { again: true };
    },

    /** Batches that are over or full, oldest first; a big one makes several runs. */
    flush: async (): Promise<{ readonly again: boolean }> => {
      const due = await buffers.due(hot, { limit: PER_ROUND });
      for (const { project_id, job_id, batch_key } of due) {
        const batch = { job_id, batch_key };
        for (let runs = 0; runs < PER_ROUND && (await flushOne(project_id, batch)); runs++);
      }
      return { again: due.length === PER_ROUND };
    },
  };
}
