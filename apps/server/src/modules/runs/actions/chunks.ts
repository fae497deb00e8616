// One chunk of a bulk operation, on the transaction of whoever works on it: a call or the background.

import type { Tx } from '../../../platform/db/database.ts';
import type { ProjectScope } from '../../access/index.ts';
import { recordAudit, type AuditSource } from '../../audit/index.ts';
import { isRunId, runTimes } from '../../queue/index.ts';
import {
  enqueueReplays,
  isReplayable,
  replayOf,
  replaySources,
  whyNotReplayable,
  type ReplaySource,
} from './replay.ts';
import type { RunActionDependencies } from './single.ts';
import * as store from './store.sql.ts';

/** States of runs that never started, as far as a filter can name them. */
export const UNSTARTED = ['delayed', 'queued'];

const LOOKS = 20;

export interface ChunkTarget {
  readonly project: Pick<ProjectScope, 'project_id'>;
  readonly source: AuditSource;
}

export interface CancelAllFilters {
  readonly job_id?: string | undefined;
  readonly batch_id?: string | undefined;
  readonly triggered_by?: string | undefined;
  readonly status?: string | undefined;
}

export function createChunks({
  operator,
  queue,
  clock,
}: Pick<RunActionDependencies, 'operator' | 'queue' | 'clock'>) {
  return {
    /** Cancels those of the runs that have not started. */
    cancel: async (
      tx: Tx,
      { project, source }: ChunkTarget,
      run_ids: readonly string[],
      filters: CancelAllFilters,
    ): Promise<string[]> => {
      const canceled: string[] = [];
      let open = run_ids;
      // One that promotion, the mover or a claim has in hand is seen in neither place: what was not canceled is looked for
      // again, until it is canceled or started.
      for (let look = 0; open.length > 0 && look < LOOKS; look++) {
        const locked = await store.lockUnstarted(tx, { ...project, run_ids: open });
        if (locked.length > 0) {
          const done = await operator.cancel(tx, {
            ...project,
            run_ids: locked.map((run) => run.id),
            reason: 'canceled by user',
            child_reason: 'parent run canceled',
          });
          canceled.push(...done.canceled);
        }
        const gone = new Set(canceled);
        const rest = open.filter((id) => !gone.has(id));
        open =
          rest.length === 0
            ? []
            : (await store.listUnlocked(tx, { ...project, run_ids: rest, ...runTimes(rest) })).map(
                (run) => run.id,
              );
      }
      if (canceled.length === 0) return [];
      const details = { ...filters, canceled: canceled.length };
      await recordAudit(tx, project, source, {
        action: 'run.bulk_cancelled_all',
        resource_type: 'run',
        details,
      });
      return canceled;
    },

    /** New runs for those that can be replayed; every id gets its answer. */
    replay: async (tx: Tx, { project, source }: ChunkTarget, run_ids: readonly string[]) => {
      const valid = [...new Set(run_ids.filter(isRunId))];
      const sources = new Map(
        (await replaySources(tx, project, valid)).map((run) => [run.id, run]),
      );
      const chosen = valid.flatMap((id): ReplaySource[] => {
        const run = sources.get(id);
        return run && isReplayable(run.status) ? [run] : [];
      });
      const made =
        chosen.length === 0
          ? []
          : await enqueueReplays(
              tx,
              { queue, clock },
              chosen.map((run) => replayOf(project, run, source.actor_id)),
            );
      const replays = new Map(chosen.map((run, index) => [run.id, made[index]]));
      const answered = new Set<string>();
      const results = run_ids.map((original_run_id) => {
        const run = sources.get(original_run_id);
        if (!run) return { original_run_id, status: 'failed' as const, error: 'run not found' };
        if (!isReplayable(run.status))
          return {
            original_run_id,
            status: 'skipped' as const,
            error: whyNotReplayable(run.status),
          };
        if (answered.has(run.id))
          return { original_run_id, status: 'skipped' as const, error: 'named twice' };
        answered.add(run.id);
        const replay = replays.get(run.id);
        if (replay?.outcome !== 'created')
          return { original_run_id, status: 'failed' as const, error: 'the job is disabled' };
        return { original_run_id, new_run_id: replay.id, status: 'replayed' as const };
      });
      const replayed = results.filter((result) => result.status === 'replayed').length;
      if (replayed > 0) {
        await recordAudit(tx, project, source, {
          action: 'run.bulk_replayed',
          resource_type: 'run',
          details: { run_ids: [...answered] },
        });
      }
      return { results, total: results.length, replayed };
    },

    /** The same runs, queued again; how many were dead letters. */
    replayDeadLetters: async (
      tx: Tx,
      { project, source }: ChunkTarget,
      run_ids: readonly string[],
    ): Promise<number> => {
      if (run_ids.length === 0) return 0;
      const done = await operator.replayDeadLetters(tx, {
        ...project,
        run_ids,
        actor_id: source.actor_id,
      });
      if (done.length > 0) {
        await recordAudit(tx, project, source, {
          action: 'run.bulk_replayed_deadletter',
          resource_type: 'run',
          details: { run_ids: done },
        });
      }
      return done.length;
    },
  };
}
