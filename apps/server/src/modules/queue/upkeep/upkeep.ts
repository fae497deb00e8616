// What keeps the queue moving without anybody asking. Every function is one round, safe in any number of
// processes at once; loops.ts says when they run.

import type { Database } from '../../../platform/db/database.ts';
import type { Queryable } from '../../../platform/db/query.ts';
import type { Queue, QueueSettings, Settlement } from '../queue.ts';
import * as store from './store.sql.ts';

/** A lease nobody looks after; `overdue`: an endpoint-owned run past its deadline. */
export type LostLease = store.LockLostLeasesRow;

export interface UpkeepSettings extends QueueSettings {
  /** A worker that has not beaten for this long is dead. */
  readonly lease_ms: number;
  /** An endpoint that owns its run and has not beaten for this long is dead. */
  readonly stale_ms: number;
}

export interface UpkeepDeps {
  /** The hot pool. */
  readonly db: Database;
  readonly queue: Pick<Queue, 'settle'>;
  readonly settings: UpkeepSettings;
  /** Decides what a lost attempt means for its run; supplied by the executor's rules. */
  readonly settlementOf: (lease: LostLease) => Promise<Settlement>;
}

export type Upkeep = ReturnType<typeof createUpkeep>;

const MOVE_BATCH = 500;
const REAP_BATCH = 500;

export function createUpkeep({ db, queue, settings, settlementOf }: UpkeepDeps) {
  const { aging_ms: _aging, idempotency_retention_secs } = settings;
  return {
    /** Due runs enter the queue. `again`: there may be more. */
    moveDue: async (): Promise<{ again: boolean }> => ({
      again: (await store.moveDue(db, { limit: MOVE_BATCH })).length === MOVE_BATCH,
    }),

    /** Milliseconds until the next delayed run is due; undefined when none waits. */
    nextDue: async (target: Queryable = db): Promise<number | undefined> =>
      (await store.nextDue(target)).due_in_ms ?? undefined,

    /** Runs past their time to live, never started, end as expired. */
    expire: async (): Promise<{ again: boolean }> => ({
      again:
        (await store.expireRuns(db, { limit: MOVE_BATCH, idempotency_retention_secs })).length >=
        MOVE_BATCH,
    }),

    /** Attempts of silent workers and endpoints: next attempt with back-off, or the end. */
    reap: async (): Promise<{ again: boolean; reaped: number }> => {
      const reaped = await db.transaction(async (tx) => {
        const lost = await store.lockLostLeases(tx, {
          limit: REAP_BATCH,
          lease_secs: settings.lease_ms / 1000,
          stale_secs: settings.stale_ms / 1000,
        });
        if (lost.length === 0) return 0;
        return (await queue.settle(await Promise.all(lost.map(settlementOf)), tx)).size;
      });
      if (reaped === 0)
        await store.removeLostWorkers(db, {
          silent_secs: Math.max(settings.lease_ms * 10, 600_000) / 1000,
        });
      return { again: reaped === REAP_BATCH, reaped };
    },
  };
}
