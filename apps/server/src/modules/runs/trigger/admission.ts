// Triggers of jobs and projects with flow control: every check and the run, or what becomes of the trigger instead, in one
// transaction (engine-semantics §4.1, from 8 on). Jobs without any of it do not come here. Triggers of one job that come
// while others of it are being decided are decided together, in the order they came: they would wait for each other anyway.

import type { Clock } from '../../../platform/clock.ts';
import type { Database, Tx } from '../../../platform/db/database.ts';
import { Failure } from '../../../platform/failure.ts';
import type { TriggerJob } from '../../jobs/index.ts';
import { bucketsOf, jobRates } from '../../limits/index.ts';
import { intake, type Queue } from '../../queue/index.ts';
import { createBuffering } from './buffering.ts';
import { decideSet, duplicates } from './decide-set.ts';
import { createPaidTriggers } from './paid.ts';
import {
  rateLimited,
  TakenBack,
  type Admitted,
  type Asked,
  type AskedRun,
  type BufferKeys,
} from './admitted.ts';

export { queueFull, type Admitted, type AskedRun, type BufferKeys } from './admitted.ts';

const MOST_TOGETHER = 200;
const MOST_CHARACTERS = 8 * 1024 * 1024;

export interface AdmissionDeps {
  /** The queue's pool. */
  readonly hot: Database;
  readonly queue: Pick<Queue, 'enqueueMany' | 'keyHolders'>;
  readonly clock: Clock;
  /** Of the payload of a batch; beyond it the rest makes another run. */
  readonly max_payload_bytes: number;
}

interface Waiting extends Asked {
  readonly job: TriggerJob;
  readonly answer: PromiseWithResolvers<Admitted>;
}

/** Whether anything but the plain insert has a say in triggers of this job. */
export const isControlled = (job: TriggerJob): boolean =>
  job.queue_limited ||
  job.debounce_window_secs > 0 ||
  job.batch_window_secs > 0 ||
  (job.dedup_window_secs ?? 0) > 0 ||
  bucketsOf(job).length > 0;

export type Admission = ReturnType<typeof createAdmission>;

export function createAdmission(deps: AdmissionDeps) {
  const { hot, queue } = deps;
  const buffering = createBuffering(deps);
  const paid = createPaidTriggers({ db: hot, queue });
  /** By job; a job without an entry has nobody who works on it. */
  const waiting = new Map<string, Waiting[]>();

  const decide = async (set: readonly Waiting[]): Promise<void> => {
    const job = set.at(-1)?.job;
    if (!job) return;
    try {
      const answers = await hot.tenant(job.project_id, (tx) =>
        decideSet(tx, { queue, buffering, paid }, job, set),
      );
      for (const [index, { answer }] of set.entries()) {
        const found = answers[index] ?? { outcome: 'refused' };
        if (found instanceof Failure) answer.reject(found);
        else answer.resolve(found);
      }
    } catch (error) {
      if (set.length === 1) {
        if (error instanceof TakenBack) set[0]?.answer.resolve(error.answer);
        else set[0]?.answer.reject(error);
        return;
      }
      // Nothing was written. What is wrong with one must not fail the others.
      for (const one of set) await decide([one]);
    }
  };

  const work = async (job_id: string): Promise<void> => {
    for (;;) {
      const all = waiting.get(job_id) ?? [];
      let characters = 0;
      const size = all.findIndex(({ run }, index) => {
        characters += run.payload.length;
        return index > 0 && (index >= MOST_TOGETHER || characters > MOST_CHARACTERS);
      });
      const set = all.splice(0, size < 0 ? all.length : size);
      if (set.length === 0) {
        waiting.delete(job_id);
        return;
      }
      await decide(set);
    }
  };

  return {
    flush: buffering.flush,

    /** `refused`: disabled or gone, or the key changes hands. @throws queue_quota_exceeded, job_rate_limited, daily_cost_exceeded */
    admit(job: TriggerJob, run: AskedRun, keys: BufferKeys): Promise<Admitted> {
      const answer = Promise.withResolvers<Admitted>();
      const asking = { job, run, keys, answer };
      const others = waiting.get(job.id);
      if (others) others.push(asking);
      else {
        waiting.set(job.id, [asking]);
        // Look-ups of the same turn are answered together, so their triggers arrive together.
        setImmediate(() => void work(job.id));
      }
      return answer.promise;
    },

    /**
     * Asks for a whole set, whose keys nobody holds: all of them may come in or none. Undefined: the project's queue has no
     * room (commit, so that this is remembered); else the runs that came before, by payload. @throws job_rate_limited
     */
    async admitSet(tx: Tx, job: TriggerJob, runs: readonly AskedRun[]) {
      const hashes = new Set(runs.map(({ payload_hash }) => payload_hash));
      const amount = (job.dedup_window_secs ?? 0) > 0 ? hashes.size : runs.length;
      if (job.queue_limited && (await intake.roomFor(tx, job.project_id, amount)) < amount)
        return undefined;
      const wait_secs = await jobRates.take(tx, job, amount);
      if (wait_secs > 0) throw rateLimited(wait_secs);
      const same = await duplicates(tx, job, runs);
      // Those create nothing.
      await jobRates.take(tx, job, -same.size);
      return same;
    },
  };
}
