// Bulk operations by filter, worked on in the background. A chunk and the step of the cursor behind it are one transaction
// that holds the operation's row: whoever crashes leaves both undone, and nobody else works on the same chunk.

import type { Database, Tx } from '../../../platform/db/database.ts';
import type { BatchOperation } from '../batches/contract.ts';
import { batchView } from '../batches/service.ts';
import * as batches from '../batches/store.sql.ts';
import type { AuditSource } from '../../audit/index.ts';
import { createChunks, UNSTARTED, type CancelAllFilters, type ChunkTarget } from './chunks.ts';
import type { RunActionDependencies } from './single.ts';
import * as store from './store.sql.ts';

export interface BackgroundFilters extends CancelAllFilters {
  readonly error_class?: string | undefined;
}

interface Cursor {
  readonly id: string;
  readonly created_at: string;
}

export interface NewOperation {
  readonly kind: 'cancel' | 'replay';
  readonly filters: BackgroundFilters;
  /** What was done already, by the call that could not do all. */
  readonly looked_at: number;
  readonly done: number;
  /** Null: as of now. */
  readonly until: string | null;
  readonly after?: Cursor | undefined;
}

/** What a replay by filter looks at, unless it names one: everything that went wrong. */
export const REPLAYED = ['failed', 'timed_out', 'crashed', 'system_failed', 'dead_letter'];

export type Background = ReturnType<typeof createBackground>;

const CHUNK = { cancel: 500, replay: 100 };
/** Chunks that fail one after the other before an operation is given up: about 20 minutes. */
const TRIES = 12;

export function createBackground({
  db,
  hot,
  operator,
  queue,
  clock,
  onError,
  max_chunk = CHUNK.cancel,
}: Pick<RunActionDependencies, 'operator' | 'queue' | 'clock'> & {
  readonly db: Database;
  /** The queue's pool. */
  readonly hot: Database;
  readonly onError: (error: unknown) => void;
  /** Runs per transaction, at most. */
  readonly max_chunk?: number;
}) {
  const chunks = createChunks({ operator, queue, clock });

  const nextRuns = (tx: Tx, operation: batches.LockBackgroundRow, limit: number) => {
    const filters = operation.filter as BackgroundFilters;
    const { status } = filters;
    const where = {
      project_id: operation.project_id,
      after_created_at: operation.after_created_at,
      after_id: operation.after_id,
      until: operation.until_at ?? operation.created_at,
      job_id: filters.job_id ?? null,
      batch_id: filters.batch_id ?? null,
      triggered_by: filters.triggered_by ?? null,
      limit,
    };
    return operation.kind === 'cancel'
      ? store.listUnstarted(tx, { ...where, statuses: status === undefined ? UNSTARTED : [status] })
      : store.listEnded(tx, {
          ...where,
          statuses: status === undefined ? REPLAYED : [status],
          error_class: filters.error_class ?? null,
        });
  };

  const workOn = async (tx: Tx, operation: batches.LockBackgroundRow): Promise<void> => {
    const limit = Math.min(CHUNK[operation.kind === 'cancel' ? 'cancel' : 'replay'], max_chunk);
    const found = await nextRuns(tx, operation, limit);
    const ids = found.map(({ id }) => id);
    const target: ChunkTarget = {
      project: { project_id: operation.project_id },
      source: operation.source as AuditSource,
    };
    let done = 0;
    if (ids.length > 0 && operation.kind === 'cancel') {
      const filters = operation.filter as CancelAllFilters;
      done = (await chunks.cancel(tx, target, ids, filters)).length;
    } else if (ids.length > 0) {
      const dead = new Set(
        found.flatMap((run) => ('status' in run && run.status === 'dead_letter' ? [run.id] : [])),
      );
      const others = ids.filter((id) => !dead.has(id));
      done = await chunks.replayDeadLetters(tx, target, [...dead]);
      if (others.length > 0) done += (await chunks.replay(tx, target, others)).replayed;
    }
    const last = found.at(-1);
    await batches.advanceBackground(tx, {
      batch_id: operation.id,
      project_id: operation.project_id,
      looked_at: found.length,
      done,
      after_created_at: last?.created_at ?? null,
      after_id: last?.id ?? null,
      ended: found.length < limit,
    });
  };

  return {
    /** Under way from the commit on; `GET /v1/batch-operations/{id}` tells how far it is. */
    open: ({ project, source }: ChunkTarget, operation: NewOperation): Promise<BatchOperation> =>
      db.tenant(project.project_id, async (tx) =>
        batchView(
          await batches.openBackground(tx, {
            project_id: project.project_id,
            job_id: operation.filters.job_id ?? null,
            kind: operation.kind,
            looked_at: operation.looked_at,
            done: operation.done,
            created_by: source.actor_id,
            filter_json: JSON.stringify(operation.filters),
            source_json: JSON.stringify(source),
            until: operation.until,
            after_created_at: operation.after?.created_at ?? null,
            after_id: operation.after?.id ?? null,
          }),
        ),
      ),

    /** One chunk of one operation; `again`: there may be more. */
    work: async (): Promise<{ again: boolean }> => {
      let operation: batches.LockBackgroundRow | undefined;
      try {
        await hot.transaction(async (tx) => {
          operation = await batches.lockBackground(tx);
          if (operation) await workOn(tx, operation);
        });
      } catch (error) {
        if (!operation) throw error;
        onError(error);
        const { id: batch_id, project_id } = operation;
        await batches.postponeBackground(hot, { batch_id, project_id, most: TRIES });
      }
      return { again: operation !== undefined };
    },
  };
}
