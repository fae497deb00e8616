// What keeps the books of budgets true without anybody asking. Every function is one round, safe in any number of processes.

import type { Database } from '../../../platform/db/database.ts';
import * as limitStore from '../limits/store.sql.ts';
import type { MoneyDrift } from './money.ts';
import * as store from './store.sql.ts';

export type MoneyUpkeep = ReturnType<typeof createMoneyUpkeep>;

const ROOTS = 200;
const REMOVE_BATCH = 5_000;

export function createMoneyUpkeep({ db }: { db: Database }) {
  return {
    /** Reservations that no promotion came by to settle; how many. */
    settle: async (): Promise<number> => {
      let settled = 0;
      for (const { root_lane_id } of await store.listUnsettled(db, { limit: ROOTS }))
        settled += await db.transaction(async (tx) => {
          await limitStore.waitForRoot(tx, { root_lane_id });
          return store.settleReservations(tx, { root_lane_id });
        });
      return settled;
    },

    /** What was spent today, counted again. */
    mend: (): Promise<MoneyDrift[]> => store.mendDays(db),

    /** Budgets that reached a threshold without a charge, because a limit fell; how many. */
    tell: async (): Promise<number> =>
      (await store.noteThresholds(db, { of_project: null })).length,

    removeOld: async (): Promise<{ again: boolean }> => {
      const days = await store.removeOldDays(db, { limit: REMOVE_BATCH });
      const events = await store.removeOldEvents(db, { limit: REMOVE_BATCH });
      return { again: Math.max(days, events) === REMOVE_BATCH };
    },
  };
}
