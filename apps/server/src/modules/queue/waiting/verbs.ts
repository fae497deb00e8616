// Suspending a run and bringing it back. All on the caller's transaction, because a wait and what it waits for
// must be written together.

import type { Queryable } from '../../../platform/db/query.ts';
import { placing } from '../lane-gone.ts';
import type { QueueSettings } from '../queue.ts';
import * as store from './store.sql.ts';

export type WaitingVerbs = ReturnType<typeof createWaitingVerbs>;

export function createWaitingVerbs(settings: QueueSettings) {
  const { aging_ms, idempotency_retention_secs } = settings;
  return {
    /** executing → waiting by this claim. False: the claim no longer owns the run. */
    wait: async (
      tx: Queryable,
      input: { project_id: string; run_id: string; claim_seq: number; event_key: string },
    ): Promise<boolean> => (await store.waitRun(tx, input)) !== undefined,

    /** waiting → queued, attempt unchanged. False: it does not wait. */
    resume: async (
      tx: Queryable,
      input: { project_id: string; run_id: string; reason: string },
    ): Promise<boolean> =>
      (await placing(store.resumeRun(tx, { ...input, aging_ms }))) !== undefined,

    /** waiting → a terminal state; `claim_seq` null ends it whoever waits. False: it does not wait (for that claim). */
    end: async (
      tx: Queryable,
      input: {
        project_id: string;
        run_id: string;
        claim_seq: number | null;
        status: 'completed' | 'failed' | 'timed_out' | 'system_failed';
        error: string | null;
        error_class: string | null;
        result_json: string | null;
      },
    ): Promise<boolean> =>
      (await store.endWaitingRun(tx, { ...input, idempotency_retention_secs })) !== undefined,
  };
}
