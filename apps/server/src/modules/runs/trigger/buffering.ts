// Triggers of debounced and batched jobs: into their buffer, and out of it as a run when a batch is full.

import type { Clock } from '../../../platform/clock.ts';
import type { Tx } from '../../../platform/db/database.ts';
import type { TriggerJob } from '../../jobs/index.ts';
import { buffers, type BatchKey, type Queue, type RunStatus } from '../../queue/index.ts';
import { TakenBack, type Admitted, type Asked } from './admitted.ts';
import { deferred } from './starts.ts';

export interface BufferingDeps {
  readonly queue: Pick<Queue, 'enqueueMany'>;
  readonly clock: Clock;
  readonly max_payload_bytes: number;
}

export type Buffering = ReturnType<typeof createBuffering>;

/** By key, in one order everywhere, so that two sets do not wait for each other. */
const byKey = (set: readonly Asked[], keyOf: (one: Asked) => string) =>
  [...Map.groupBy(set.keys(), (index) => keyOf(set[index] as Asked))].sort(([a], [b]) =>
    a < b ? -1 : 1,
  );

export function createBuffering({ queue, clock, max_payload_bytes }: BufferingDeps) {
  /** One run of the oldest items; undefined when there is none to make. The caller holds the batch. */
  const flush = async (tx: Tx, job: TriggerJob, batch: BatchKey) => {
    const size = { max_items: job.batch_max_size, max_bytes: max_payload_bytes };
    const taken = await buffers.take(tx, batch, size);
    if (!taken) return undefined;
    const { run, items } = taken;
    const [made] = await queue.enqueueMany([await deferred(tx, job, run, clock.now())], tx);
    // The items stay where they are.
    if (made?.outcome !== 'created') throw new TakenBack({ outcome: 'refused' });
    return { ...made, items };
  };

  /** Of each key only the last one is written: it would replace those before it. */
  const debounce = async (
    tx: Tx,
    job: TriggerJob,
    set: readonly Asked[],
    answers: Admitted[],
  ): Promise<void> => {
    for (const [debounce_key, indexes] of byKey(set, ({ keys }) => keys.debounce_key)) {
      const last = set[indexes.at(-1) ?? 0] as Asked;
      const window_secs = job.debounce_window_secs;
      const fire_at = await buffers.debounce(tx, last.run, { debounce_key, window_secs });
      for (const index of indexes) answers[index] = { outcome: 'debounced', fire_at };
    }
  };

  /** The trigger that fills a batch makes its run. */
  const collect = async (
    tx: Tx,
    job: TriggerJob,
    set: readonly Asked[],
    answers: Admitted[],
  ): Promise<void> => {
    const { batch_max_size } = job;
    for (const [batch_key, indexes] of byKey(set, ({ keys }) => keys.batch_key)) {
      const batch = { job_id: job.id, batch_key };
      // Without a size nobody counts, so nobody has to wait for anybody.
      if (batch_max_size > 0) await buffers.holdBatch(tx, batch);
      const runs = indexes.map((index) => (set[index] as Asked).run);
      let standing = await buffers.add(tx, { ...batch, project_id: job.project_id }, runs);
      for (const index of indexes) {
        standing += 1;
        const full = batch_max_size > 0 && standing >= batch_max_size;
        // The oldest ones: those that stand there since before, or came before this one.
        const made = full ? await flush(tx, job, batch) : undefined;
        standing -= made?.items ?? 0;
        answers[index] = made
          ? { outcome: 'batch', id: made.id, status: made.status as RunStatus }
          : { outcome: 'buffered' };
      }
    }
  };

  return {
    flush,
    async put(tx: Tx, job: TriggerJob, set: readonly Asked[]): Promise<Admitted[]> {
      const answers: Admitted[] = [];
      if (job.debounce_window_secs > 0) await debounce(tx, job, set, answers);
      else await collect(tx, job, set, answers);
      return answers;
    },
  };
}
