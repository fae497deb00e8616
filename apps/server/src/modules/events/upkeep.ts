// What ends waits without anybody asking: children that finished, deadlines, and rows left over. Every function is
// one round, safe in any number of processes at once, because each wait is ended by one guarded transaction.

import type { Database, Tx } from '../../platform/db/database.ts';
import { TERMINAL_STATES, type WaitingVerbs } from '../queue/index.ts';
import { tidyEarly } from './early/early-events.ts';
import * as store from './store.sql.ts';
import { AWAIT_PREFIX } from './waits.ts';

const BATCH = 500;
const REMOVED = 5_000;

export type EventUpkeep = ReturnType<typeof createEventUpkeep>;

interface Round {
  /** There may be more than one round could take. */
  readonly again: boolean;
}

/** `db` is the hot pool: its plans never walk the history of triggers and runs. */
export function createEventUpkeep({
  db,
  waiting,
  settings,
}: {
  readonly db: Database;
  readonly waiting: WaitingVerbs;
  readonly settings: {
    /** Of waits that ended. */
    readonly retention_secs: number;
  };
}) {
  /** Commits when `end` says the wait was still there, undoes everything otherwise. */
  const endWait = async (end: (tx: Tx) => Promise<boolean>): Promise<boolean> => {
    const lost = new Error('the wait ended meanwhile');
    try {
      await db.transaction(async (tx) => {
        if (!(await end(tx))) throw lost;
      });
      return true;
    } catch (error) {
      if (error === lost) return false;
      throw error;
    }
  };

  /** `again` only while rounds get something done: what another process holds comes with the next round. */
  const each = async <Row>(
    rows: readonly Row[],
    end: (tx: Tx, row: Row) => Promise<boolean>,
  ): Promise<Round> => {
    let ended = 0;
    for (const row of rows) if (await endWait((tx) => end(tx, row))) ended += 1;
    return { again: rows.length === BATCH && ended > 0 };
  };

  return {
    /** Parents whose child and everything below it is terminal go on; the child's end is their event. */
    resumeAwaitingParents: async (): Promise<Round> =>
      each(
        await store.listFinishedAwaits(db, { terminal: [...TERMINAL_STATES], limit: BATCH }),
        async (tx, row) => {
          const { id: trigger_id, project_id, job_run_id: run_id } = row;
          if (row.child_id === null) {
            // The child's row is gone: nothing will ever finish, and pretending it did would be a lie.
            const error = `the awaited run ${row.awaited_id} does not exist any more`;
            const ended = await waiting.end(tx, {
              project_id,
              run_id,
              claim_seq: null,
              status: 'system_failed',
              error,
              error_class: 'internal',
              result_json: null,
            });
            return (
              ended &&
              (await store.cancelTrigger(tx, { trigger_id, project_id, error })) !== undefined
            );
          }
          if (!(await waiting.resume(tx, { project_id, run_id, reason: 'child ended' })))
            return false;
          const payload_json = JSON.stringify({
            run_id: row.child_id,
            status: row.child_status,
            result: row.child_result,
            error: row.child_error,
          });
          return (
            (await store.receiveTrigger(tx, {
              trigger_id,
              project_id,
              payload_json,
              sent_by: 'system',
            })) !== undefined
          );
        },
      ),

    /** Waits past their deadline end, and their runs with them as timed_out. */
    timeOutWaits: async (): Promise<Round> =>
      each(
        await store.listDueTriggers(db, { limit: BATCH }),
        async (tx, { id: trigger_id, project_id, job_run_id: run_id, event_key, timeout_secs }) => {
          const awaited = event_key.startsWith(AWAIT_PREFIX)
            ? `run ${event_key.slice(AWAIT_PREFIX.length)}`
            : `event ${event_key}`;
          const error = `${awaited} did not come within ${timeout_secs} seconds`;
          const ended = await waiting.end(tx, {
            project_id,
            run_id,
            claim_seq: null,
            status: 'timed_out',
            error,
            error_class: 'timeout',
            result_json: null,
          });
          return (
            ended &&
            (await store.expireTrigger(tx, { trigger_id, project_id, error })) !== undefined
          );
        },
      ),

    /** Early events that are too old, or waited for by now. */
    tidyEarly: (): Promise<Round> => tidyEarly(db),

    /** Ended waits go once nobody has asked about them for long. */
    removeOldTriggers: async (): Promise<Round> => ({
      again: (await store.removeOldTriggers(db, { ...settings, limit: REMOVED })) === REMOVED,
    }),

    /** Nets under the transactions above: a wait whose event came goes on, a trigger nobody waits for is closed. */
    reconcileWaits: async (): Promise<Round> => {
      const { again } = await each(
        await store.listForgottenReceipts(db, { limit: BATCH }),
        async (tx, { project_id, job_run_id: run_id }) => {
          if (!(await waiting.resume(tx, { project_id, run_id, reason: 'event received' })))
            return false;
          return (await store.countWaitingOf(tx, { project_id, run_id })).waiting === 0;
        },
      );
      const canceled = await store.cancelOrphanedTriggers(db, { limit: BATCH });
      return { again: again || canceled.length === BATCH };
    },
  };
}
