import type { Queryable } from '../../platform/db/query.ts';
import * as store from './store.sql.ts';

/** The flag that holds everything of a project that has not started. */
export const queuePause = {
  /** In the caller's transaction. False: it was so already. */
  set: async (
    tx: Queryable,
    change: { readonly project_id: string; readonly paused: boolean },
  ): Promise<boolean> => (await store.saveQueuePaused(tx, change)) !== undefined,

  get: async (tx: Queryable, project: { readonly project_id: string }): Promise<boolean> =>
    (await store.findQueuePaused(tx, project))?.queue_paused ?? false,
};
