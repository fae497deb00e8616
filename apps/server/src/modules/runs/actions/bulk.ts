// The same for many runs at once.

import { Failure } from '../../../platform/failure.ts';
import type { Tx } from '../../../platform/db/database.ts';
import type { ProjectScope } from '../../access/index.ts';
import { recordAudit, type AuditSource } from '../../audit/index.ts';
import { isRunId, runTimes } from '../../queue/index.ts';
import { refusal } from '../trigger/prepare.ts';
import { runView, type JobRun } from '../views.ts';
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

const CANCEL_CHUNK = 500;
const CANCEL_MAX = 50_000;
const DEAD_LETTERS_DEFAULT = 100;
const UNSTARTED = ['delayed', 'queued'];

export interface BulkTarget {
  readonly project: ProjectScope;
  readonly source: AuditSource;
}

export interface CancelAllFilters {
  readonly job_id?: string | undefined;
  readonly batch_id?: string | undefined;
  readonly triggered_by?: string | undefined;
  readonly status?: string | undefined;
}

export type BulkRunActions = ReturnType<typeof createBulkRunActions>;

export function createBulkRunActions({ db, operator, queue, jobs, clock }: RunActionDependencies) {
  const statusesOf = async (tx: Tx, project: ProjectScope, run_ids: readonly string[]) =>
    new Map(
      (await store.listRuns(tx, { ...project, run_ids, ...runTimes(run_ids) })).map((run) => [
        run.id,
        run.status,
      ]),
    );

  const cancelChunk = async (
    tx: Tx,
    { project, source }: BulkTarget,
    run_ids: readonly string[],
    filters: CancelAllFilters,
  ): Promise<string[]> => {
    const locked = await store.lockUnstarted(tx, { ...project, run_ids });
    if (locked.length === 0) return [];
    const ids = locked.map((run) => run.id);
    const { canceled } = await operator.cancel(tx, {
      ...project,
      run_ids: ids,
      reason: 'canceled by user',
      child_reason: 'parent run canceled',
    });
    const details = { ...filters, canceled: canceled.length };
    await recordAudit(tx, project, source, {
      action: 'run.bulk_cancelled_all',
      resource_type: 'run',
      details,
    });
    return canceled;
  };

  return {
    /** Every id gets one answer, however often it is named; runs that had ended are `failed`. */
    cancel: ({ project, source }: BulkTarget, run_ids: readonly string[]) =>
      db.tenant(project.project_id, async (tx) => {
        const named = [...new Set(run_ids)];
        const valid = named.filter(isRunId);
        const input = {
          ...project,
          run_ids: valid,
          reason: 'canceled by user',
          child_reason: 'parent run canceled',
        };
        const canceled = new Set(
          valid.length === 0 ? [] : (await operator.cancel(tx, input)).canceled,
        );
        const statuses = await statusesOf(tx, project, valid);
        const results = named.map((id) => {
          if (canceled.has(id)) return { id, status: 'canceled' as const };
          const status = statuses.get(id);
          const error =
            status === undefined
              ? 'run not found'
              : `the run is ${status}: it cannot become canceled`;
          return { id, status: 'failed' as const, error };
        });
        if (canceled.size > 0) {
          await recordAudit(tx, project, source, {
            action: 'run.bulk_cancelled',
            resource_type: 'run',
            details: { run_ids: [...canceled] },
          });
        }
        const failed = results.filter((result) => result.status === 'failed').length;
        return { results, total: results.length, canceled: results.length - failed, failed };
      }),

    /**
     * Cancels, in chunks of one transaction each, what existed when the call began. `signal` stops between chunks.
     * @throws filter_required, job_not_found, invalid_request
     */
    cancelAll: async (target: BulkTarget, filters: CancelAllFilters, signal: AbortSignal) => {
      const { project } = target;
      const { project_id } = project;
      if (Object.values(filters).every((value) => value === undefined))
        throw new Failure('filter_required');
      if (filters.status !== undefined && !UNSTARTED.includes(filters.status)) {
        throw refusal('invalid_request', [
          {
            path: 'body.status',
            message: `only ${UNSTARTED.join(' and ')} runs are canceled this way`,
          },
        ]);
      }
      const job =
        filters.job_id === undefined
          ? undefined
          : await jobs.findForTrigger(project_id, filters.job_id);
      if (filters.job_id !== undefined && !job) throw new Failure('job_not_found');

      const run_ids: string[] = [];
      let until: string | null = null;
      let after: { readonly id: string; readonly created_at: string } | undefined;
      let has_more = true;
      while (has_more && run_ids.length < CANCEL_MAX && !signal.aborted) {
        const where = {
          ...project,
          statuses: filters.status === undefined ? UNSTARTED : [filters.status],
          until,
          after_created_at: after?.created_at ?? null,
          after_id: after?.id ?? null,
          job_id: job?.id ?? null,
          batch_id: filters.batch_id ?? null,
          triggered_by: filters.triggered_by ?? null,
          limit: CANCEL_CHUNK,
        };
        const { found, canceled } = await db.tenant(project_id, async (tx) => {
          const chunk = await store.listUnstarted(tx, where);
          const ids = chunk.map((run) => run.id);
          return {
            found: chunk,
            canceled: ids.length === 0 ? [] : await cancelChunk(tx, target, ids, filters),
          };
        });
        run_ids.push(...canceled);
        after = found.at(-1);
        until ??= found[0]?.until ?? null;
        has_more = found.length === CANCEL_CHUNK;
      }
      return { canceled: run_ids.length, run_ids, has_more };
    },

    /** New runs for those that can be replayed; every id gets its answer. */
    replay: ({ project, source }: BulkTarget, run_ids: readonly string[]) =>
      db.tenant(project.project_id, async (tx) => {
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
                { queue, jobs, clock },
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
      }),

    /** The named dead letters, or the oldest of the project. @throws run_not_dead_letter when there is none */
    replayDeadLetters: (
      { project, source }: BulkTarget,
      input: { run_ids?: readonly string[] | undefined; limit?: number | undefined },
    ) =>
      db.tenant(project.project_id, async (tx): Promise<{ replayed: JobRun[]; count: number }> => {
        const limit = input.limit ?? DEAD_LETTERS_DEFAULT;
        const run_ids = input.run_ids
          ? [...new Set(input.run_ids.filter(isRunId))]
          : (await store.listDeadLetterIds(tx, { ...project, limit })).map((run) => run.id);
        const { actor_id } = source;
        const done =
          run_ids.length === 0
            ? []
            : await operator.replayDeadLetters(tx, { ...project, run_ids, actor_id });
        if (done.length === 0)
          throw new Failure('run_not_dead_letter', {
            message: 'none of the runs is in the dead letter queue',
          });
        await recordAudit(tx, project, source, {
          action: 'run.bulk_replayed_deadletter',
          resource_type: 'run',
          details: { run_ids: done },
        });
        const rows = await store.listRuns(tx, { ...project, run_ids: done, ...runTimes(done) });
        return { replayed: rows.map(runView), count: done.length };
      }),
  };
}
