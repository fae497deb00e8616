// What people do to runs. Each verb is one guarded statement on the caller's transaction; the callers say
// why a run was refused.

import type { DelayStep } from '../../../domain/delay.ts';
import type { Queryable } from '../../../platform/db/query.ts';
import { intake } from '../intake/intake.ts';
import type { QueueSettings } from '../queue.ts';
import { runTimes } from '../run-id.ts';
import * as store from './store.sql.ts';

const CASCADE_LEVELS = 20;
const CASCADE_CHUNK = 500;
const LOOKS = 20;

export type OperatorVerbs = ReturnType<typeof createOperatorVerbs>;

/** Called in the same transaction with runs that an operator took out of their attempt or wait. */
export type LeftReaction = (
  tx: Queryable,
  input: {
    readonly project_id: string;
    readonly run_ids: readonly string[];
    readonly reason: string;
  },
) => Promise<void>;

export function createOperatorVerbs(
  settings: QueueSettings,
  reactions: readonly LeftReaction[] = [],
) {
  const { aging_ms, default_ttl_secs, idempotency_retention_secs } = settings;

  /**
   * Cancels these runs, wherever they are. Between two statements a run may move from one place to another, so
   * "no place found" proves nothing: look again until every run is canceled, terminal or not of this project.
   */
  const cancelOnly = async (
    tx: Queryable,
    project_id: string,
    run_ids: readonly string[],
    reason: string,
  ): Promise<string[]> => {
    const canceled: string[] = [];
    let open = run_ids;
    for (let look = 0; open.length > 0 && look < LOOKS; look++) {
      const rows = await store.cancelRuns(tx, {
        run_ids: open,
        project_id,
        reason,
        idempotency_retention_secs,
        ...runTimes(open),
      });
      canceled.push(...rows.map((row) => row.id));
      open = (await store.listOpenIds(tx, { run_ids: open, project_id, ...runTimes(open) })).map(
        (row) => row.id,
      );
    }
    return canceled;
  };

  const left = async (
    tx: Queryable,
    project_id: string,
    run_ids: readonly string[],
    reason: string,
  ): Promise<void> => {
    if (run_ids.length === 0) return;
    for (const react of reactions) await react(tx, { project_id, run_ids, reason });
  };

  return {
    /**
     * Cancels runs and everything they spawned, at most 20 levels down. Parents go first: spawning holds the
     * parent's lease, so once that is gone no further child can appear. Returns the ids really canceled.
     */
    cancel: async (
      tx: Queryable,
      input: {
        project_id: string;
        run_ids: readonly string[];
        reason: string;
        child_reason: string;
      },
    ): Promise<{ canceled: string[]; descendants: string[] }> => {
      const canceled = await cancelOnly(tx, input.project_id, input.run_ids, input.reason);
      const descendants: string[] = [];
      let parents: readonly string[] = canceled;
      for (let level = 0; level < CASCADE_LEVELS && parents.length > 0; level++) {
        const children = await store.listChildIds(tx, {
          parent_ids: parents,
          project_id: input.project_id,
        });
        const live = children.filter((child) => child.live).map(({ id }) => id);
        for (let start = 0; start < live.length; start += CASCADE_CHUNK) {
          descendants.push(
            ...(await cancelOnly(
              tx,
              input.project_id,
              live.slice(start, start + CASCADE_CHUNK),
              input.child_reason,
            )),
          );
        }
        parents = children.map(({ id }) => id);
      }
      await left(tx, input.project_id, [...canceled, ...descendants], input.reason);
      return { canceled, descendants };
    },

    /** dead_letter → queued from attempt 1, the same runs; ids of those that were dead letters. */
    replayDeadLetters: async (
      tx: Queryable,
      input: { project_id: string; run_ids: readonly string[]; actor_id: string },
    ): Promise<string[]> => {
      const replayed = await store.replayDeadLetters(tx, {
        ...input,
        ...runTimes(input.run_ids),
        aging_ms,
        default_ttl_secs,
      });
      await intake.forgetRoom(tx, input.project_id);
      return replayed.map((row) => row.id);
    },

    /** executing or waiting → queued with the next attempt; the running request is aborted. False: refused. */
    restart: async (
      tx: Queryable,
      input: {
        project_id: string;
        run_id: string;
        reason: string;
        actor_id: string;
        max_attempts: number;
      },
    ): Promise<boolean> => {
      if ((await store.restartRun(tx, { ...input, aging_ms })) === undefined) return false;
      await left(tx, input.project_id, [input.run_id], input.reason);
      return true;
    },

    /** Another instant (and payload) for a run that never started. False: refused. */
    reschedule: async (
      tx: Queryable,
      input: {
        project_id: string;
        run_id: string;
        scheduled_at: string;
        payload_json: string | null;
        delayed_by?: readonly DelayStep[] | undefined;
        actor_id: string;
      },
    ): Promise<boolean> => {
      const { delayed_by, ...key } = input;
      const delayed_by_json = delayed_by ? JSON.stringify(delayed_by) : null;
      return (await store.rescheduleRun(tx, { ...key, delayed_by_json, aging_ms })) !== undefined;
    },

    /** Holds a pending run until released. False: not pending, or held already. */
    hold: async (
      tx: Queryable,
      input: { project_id: string; run_id: string; actor_id: string },
    ): Promise<boolean> => (await store.holdRun(tx, input)) !== undefined,

    /** Lets a held run go on. False: it is not held. */
    release: async (
      tx: Queryable,
      input: { project_id: string; run_id: string; actor_id: string },
    ): Promise<boolean> => (await store.releaseRun(tx, input)) !== undefined,

    /** Turns the keeping of full traces on or off, in any state. False: no such run in the project. */
    setDebugMode: async (
      tx: Queryable,
      input: { project_id: string; run_id: string; debug_mode: boolean },
    ): Promise<boolean> => (await store.setDebugMode(tx, input)) === 1,

    /** Frees the run's idempotency key. False: the run executes or waits. */
    clearIdempotencyKey: async (
      tx: Queryable,
      input: { project_id: string; run_id: string },
    ): Promise<boolean> => (await store.clearIdempotencyKey(tx, input)) !== undefined,
  };
}
