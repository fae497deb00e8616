// What the queue knows when a trigger asks to come in: how full the project is, and which payloads came just now. Always
// on the transaction that creates the run, so that a refusal leaves nothing behind.

import type { Database, Tx } from '../../../platform/db/database.ts';
import type { Queryable } from '../../../platform/db/query.ts';
import { runTimes } from '../run-id.ts';
import { creditOf, restOf } from './rules.ts';
import * as store from './store.sql.ts';

const BATCH = 5_000;

export interface SamePayload {
  readonly id: string;
  readonly status: string;
}

interface PayloadQuery {
  readonly project_id: string;
  readonly job_id: string;
  readonly window_secs: number;
  readonly payload_hashes: readonly string[];
  /** Those with these hashes, as JSON texts. */
  readonly payloads: readonly string[];
}

/** The runs behind ids, by payload; a run that is gone is none. */
async function runsBehind(
  db: Queryable,
  project_id: string,
  rows: readonly { payload_hash: string; run_id: string | null }[],
): Promise<Map<string, SamePayload>> {
  const run_ids = rows.flatMap(({ run_id }) => (run_id === null ? [] : [run_id]));
  if (run_ids.length === 0) return new Map();
  const runs = await store.findRuns(db, { project_id, run_ids, ...runTimes(run_ids) });
  const byId = new Map(runs.map((run) => [run.id, run]));
  return new Map(
    rows.flatMap(({ payload_hash, run_id }) => {
      const run = run_id === null ? undefined : byId.get(run_id);
      return run ? [[payload_hash, run] as const] : [];
    }),
  );
}

export const intake = {
  /**
   * How many of so many more runs of the project may wait (max_queued_runs). Until the transaction ends nobody else is let
   * in; what it enqueues is charged by the insert itself. Commit also after a 0: it says how long others may believe it.
   */
  async roomFor(tx: Tx, project_id: string, wanted: number): Promise<number> {
    let standing = await store.lockRoom(tx, { project_id });
    if (!standing) {
      await store.openRoom(tx, { project_id });
      standing = await store.lockRoom(tx, { project_id });
    }
    if (!standing || standing.room >= wanted) return wanted;
    if (standing.full) return 0;
    const counted = await store.countRoom(tx, { project_id });
    if (!counted) return wanted;
    const { most, queued, returning } = counted;
    await store.setRoom(tx, {
      project_id,
      room: creditOf(most, queued, returning),
      rest_ms: queued >= most ? restOf(queued) : null,
    });
    return Math.min(wanted, Math.max(0, most - queued));
  },

  /** For whoever locks something else before its runs charge the room: triggers lock the room first. */
  async hold(tx: Tx, project_id: string): Promise<void> {
    if (!(await store.lockRoom(tx, { project_id }))) await store.openRoom(tx, { project_id });
  },

  /** In the transaction that changes the limit, or queues runs without asking. */
  forgetRoom: async (tx: Queryable, project_id: string): Promise<void> =>
    void (await store.forgetRoom(tx, { project_id })),

  /** Runs with these payloads inside the window; the caller creates those that are missing, and nobody else does. */
  holdPayloads: async (tx: Tx, query: PayloadQuery) =>
    runsBehind(tx, query.project_id, await store.holdPayloads(tx, query)),

  /** The same, for those who create nothing. */
  lookAtPayloads: async (db: Queryable, query: PayloadQuery) =>
    runsBehind(db, query.project_id, await store.lookAtPayloads(db, query)),

  /** Whether so many more would find room now; locks and changes nothing. */
  async wouldFit(db: Queryable, project_id: string, amount: number): Promise<boolean> {
    const counted = await store.countRoom(db, { project_id });
    return !counted || counted.queued + amount <= counted.most;
  },

  /** The limit and what counts against it now, as far as it matters: counting stops there. Nothing: there is no limit. */
  lookAtRoom: async (
    db: Queryable,
    project_id: string,
  ): Promise<{ readonly most: number; readonly queued: number } | undefined> =>
    store.countRoom(db, { project_id }),

  /** What windows and limits left behind. */
  async tidy(db: Database): Promise<{ again: boolean }> {
    await store.closeRooms(db);
    return { again: (await store.forgetPayloads(db, { limit: BATCH })) === BATCH };
  },
};
