// Debounce and batches: triggers that wait in a table before they are a run. Every verb is on the caller's transaction,
// which creates the run of what it took out: a crash in between leaves the rows where they were.

import type { Tx } from '../../../platform/db/database.ts';
import type { NewRun } from '../queue.ts';
import * as store from './store.sql.ts';

/** A trigger that is pushed again and again fires after so many windows all the same. */
const MOST_WINDOWS = 10;
/** A batch without a size of its own, and bytes that a run's payload is filled up to. */
const MOST_ITEMS = 1_000;
/** More than this many in one batch are not told apart. */
const COUNTED_ITEMS = 10_000;

export interface BatchKey {
  readonly job_id: string;
  readonly batch_key: string;
}

interface Taken {
  readonly tags: unknown;
  readonly metadata: unknown;
  readonly concurrency_key: string | null;
  readonly ttl_secs: number | null;
  readonly created_by: string | null;
}

const extraOf = (row: Taken, triggered_by: string): NonNullable<NewRun['extra']> => ({
  triggered_by,
  created_by: row.created_by ?? undefined,
  tags: (row.tags as Record<string, string> | null) ?? undefined,
  metadata: (row.metadata as Record<string, string> | null) ?? undefined,
  concurrency_key: row.concurrency_key ?? undefined,
  ttl_secs: row.ttl_secs ?? undefined,
});

const columnsOf = (run: NewRun) => ({
  job_id: run.job_id,
  project_id: run.project_id,
  payload_json: run.payload,
  tags: run.extra?.tags ?? null,
  metadata: run.extra?.metadata ?? null,
  priority: run.priority,
  concurrency_key: run.extra?.concurrency_key ?? null,
  ttl_secs: run.extra?.ttl_secs ?? null,
  created_by: run.extra?.created_by ?? null,
});

export const buffers = {
  /** When the run will be made, unless another trigger of the key comes before. */
  debounce: async (
    tx: Tx,
    run: NewRun,
    { debounce_key, window_secs }: { readonly debounce_key: string; readonly window_secs: number },
  ): Promise<string> =>
    (
      await store.debounceTrigger(tx, {
        ...columnsOf(run),
        debounce_key,
        window_secs,
        most_windows: MOST_WINDOWS,
      })
    ).fire_at,

  /** One due trigger as a run that the caller creates in this transaction. */
  async takeDue(tx: Tx): Promise<NewRun | undefined> {
    const row = await store.takeDueTrigger(tx);
    return (
      row && {
        job_id: row.job_id,
        project_id: row.project_id,
        payload: row.payload,
        priority: row.priority,
        extra: extraOf(row, 'debounce'),
      }
    );
  },

  putOff: store.putOffTriggers,

  /** From here to the end of the transaction nobody else fills or empties the batch. */
  holdBatch: async (tx: Tx, batch: BatchKey): Promise<void> =>
    void (await store.lockBatch(tx, batch)),

  /** Adds items in this order; how many there were before. */
  add: async (tx: Tx, batch: BatchKey & { project_id: string }, runs: readonly NewRun[]) =>
    (
      await store.addToBatch(tx, {
        ...batch,
        payloads: runs.map((run) => run.payload),
        priorities: runs.map((run) => run.priority),
        extras: runs.map((run) => run.extra ?? {}),
        enough: COUNTED_ITEMS,
      })
    ).before,

  /** The oldest items as one run that the caller creates in this transaction; the caller holds the batch. */
  async take(
    tx: Tx,
    batch: BatchKey,
    { max_items, max_bytes }: { readonly max_items: number; readonly max_bytes: number },
  ): Promise<{ readonly run: NewRun; readonly items: number } | undefined> {
    const limit = max_items > 0 ? max_items : MOST_ITEMS;
    const row = await store.takeBatch(tx, { ...batch, limit, max_bytes });
    return (
      row && {
        items: row.items,
        run: {
          job_id: batch.job_id,
          project_id: row.project_id,
          payload: row.payload,
          priority: row.priority,
          extra: extraOf(row, 'batch'),
        },
      }
    );
  },

  due: store.listDueBatches,
  isDue: async (tx: Tx, batch: BatchKey): Promise<boolean> =>
    (await store.isBatchDue(tx, batch)).due,
};
