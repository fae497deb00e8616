// Limits on runs in flight: who may enter the queue, and what happens when a limit changes. One transaction per tree;
// the root lane is its lock.

import type { Database, Tx } from '../../../platform/db/database.ts';
import type { Queryable } from '../../../platform/db/query.ts';
import * as moneyStore from '../money/store.sql.ts';
import type { Breach } from '../money/money.ts';
import * as store from './store.sql.ts';

export type Limits = ReturnType<typeof createLimits>;

/** Runs that one statement promotes from one lane, or into one tree, without a limit of its own. */
const MOST = 500;
/** Lanes it takes them from: one of each would fill it, so nobody behind them has a better claim. */
const PAGE = MOST;
/** Lanes of one tree in which runs wait, as far as they are looked at. */
const MOST_LANES = 100_000;
/** Trees that one round of the sweep or the recount looks at. */
const ROOTS = 200;
const ADOPT_BATCH = 5_000;

interface Promoted {
  readonly busy: boolean;
  readonly more: boolean;
  readonly moved: number;
  readonly breaches: readonly Breach[];
}

export interface Drift {
  readonly lane_id: number;
  readonly was: number;
  readonly counted: number;
}

export interface LimitsDeps {
  readonly db: Database;
  /** After the promotion that found no money for these jobs today. Default: they just wait. */
  readonly onBreach?: (breaches: readonly Breach[]) => Promise<void>;
}

export function createLimits({ db, onBreach = async () => {} }: LimitsDeps) {
  let sweep_after = 0;

  /**
   * Lets waiting runs of one tree into the queue, as many as there is room for. `busy`: somebody else is doing that right now,
   * and may not have seen what made us come; never when it may `wait` for him. `more`: it stopped at the size of a batch.
   */
  const promote = async (
    root_lane_id: number,
    { wait = false }: { readonly wait?: boolean } = {},
  ): Promise<{ busy: boolean; more: boolean; moved: number }> => {
    const { breaches, ...done } = await promoteOnce(root_lane_id, wait);
    // Not in the transaction: who changes a job holds it before he asks for the root.
    if (breaches.length > 0) await onBreach(breaches);
    return done;
  };

  const promoteOnce = (root_lane_id: number, wait: boolean): Promise<Promoted> =>
    db.transaction(async (tx) => {
      if (wait) await store.waitForRoot(tx, { root_lane_id });
      const root = await store.lockRoot(tx, { root_lane_id });
      if (!root.held) return { busy: root.some, more: false, moved: 0, breaches: [] };
      if (root.reserves) await moneyStore.settleReservations(tx, { root_lane_id });
      const lanes = await store.promoteLanes(tx, {
        root_lane_id,
        lanes: MOST_LANES,
        page: PAGE,
        most: MOST,
      });
      const moved = lanes.reduce((sum, lane) => sum + lane.moved, 0);
      const capped =
        lanes.length >= PAGE || lanes.some((lane) => lane.capped === true && lane.moved > 0);
      const budgeted = lanes.some((lane) => lane.budgeted);
      // Slots are given back to whoever waits for the root as well: a big backlog is promoted in several transactions.
      if (moved >= MOST) return { busy: false, more: true, moved, breaches: [] };
      // What did not fit behind something dearer may fit now that this one is known not to.
      if (!budgeted || moved > 0)
        return { busy: false, more: budgeted || (capped && moved > 0), moved, breaches: [] };
      const breaches = await moneyStore.findBreaches(tx, { root_lane_id, page: PAGE });
      return { busy: false, more: false, moved, breaches };
    });

  /** Counts one tree again under all its locks; what was wrong. */
  const recount = async (tx: Tx, root_lane_id: number): Promise<Drift[]> => {
    await store.lockTree(tx, { root_lane_id });
    return store.recountTree(tx, { root_lane_id });
  };

  return {
    promote,

    /** One page of all trees with waiting runs; `again` until the round is through. */
    sweep: async (): Promise<{ again: boolean }> => {
      const roots = await store.listWaitingRoots(db, { after_lane_id: sweep_after, limit: ROOTS });
      for (const { root_lane_id } of roots) if (root_lane_id !== 0) await promote(root_lane_id);
      const again = roots.length === ROOTS;
      sweep_after = again ? (roots.at(-1)?.root_lane_id ?? 0) : 0;
      return { again };
    },

    /** Counts the tree of a lane again, whose slot came back before the statement that freed it could see the lane. */
    recount: async (lane_id: number): Promise<void> => {
      const root = await store.rootOfLane(db, { lane_id });
      if (!root) return;
      await db.transaction((tx) => recount(tx, root.root_lane_id));
      await promote(root.root_lane_id);
    },

    /** Counts suspects again; drift is a bug or a crash of PostgreSQL's promises, so it is reported. */
    mend: async (): Promise<Drift[]> => {
      const found: Drift[] = [];
      for (const { root_lane_id } of await store.listDrift(db, { limit: ROOTS }))
        found.push(...(await db.transaction((tx) => recount(tx, root_lane_id))));
      return found;
    },

    /**
     * To be called in the transaction that changed limits, of a job or (without one) of the project: from its commit on
     * nothing starts beyond them. Attempts that run already finish; everything else goes back to wait.
     */
    changed: async (
      tx: Queryable,
      { project_id, job_id }: { project_id: string; job_id?: string },
    ): Promise<void> => {
      if (job_id === undefined) await store.ensureLaneOfProject(tx, { project_id });
      else await store.ensureLanesOfJob(tx, { project_id, job_id });
      const root = await store.rootOfProject(tx, { project_id });
      if (!root) return;
      const { root_lane_id } = root;
      await store.waitForRoot(tx, { root_lane_id });
      const scope = { project_id, job_id: job_id ?? null };
      await store.adoptQueued(tx, { ...scope, limit: ADOPT_BATCH });
      if (job_id !== undefined)
        while ((await store.adoptParked(tx, { project_id, job_id, limit: ADOPT_BATCH })) > 0);
      await store.adoptLeases(tx, scope);
      await store.lockTree(tx, { root_lane_id });
      await store.recountTree(tx, { root_lane_id });
      await store.returnSurplus(tx, { root_lane_id, project_id });
      await store.tellPromoters(tx, { root_lane_ids: [root_lane_id] });
    },

    removeIdle: async (): Promise<{ again: boolean }> => ({
      again: (await store.removeIdleLanes(db, { limit: ADOPT_BATCH })) === ADOPT_BATCH,
    }),
  };
}
