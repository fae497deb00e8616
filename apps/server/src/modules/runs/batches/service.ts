import type { Database, Tx } from '../../../platform/db/database.ts';
import { Failure } from '../../../platform/failure.ts';
import { page, type Cursor } from '../../../platform/http/pagination.ts';
import type { ProjectScope } from '../../access/index.ts';
import type { BatchOperation } from './contract.ts';
import * as store from './store.sql.ts';

export type Batches = ReturnType<typeof createBatches>;

/** Removed per round. */
const REMOVED = 1_000;

export function createBatches({ db }: { readonly db: Database }) {
  return {
    /** Bulk operations that ended longer ago, on the pool given. */
    removeOld: async (hot: Database, retention_secs: number): Promise<{ again: boolean }> => ({
      again: (await store.removeOldBatches(hot, { retention_secs, limit: REMOVED })) === REMOVED,
    }),

    /** The row must exist before the runs that name it; `close` it on the same transaction. */
    open: async (
      tx: Tx,
      project: ProjectScope,
      input: { job_id: string; item_count: number; created_by: string },
    ): Promise<string> => (await store.insertBatch(tx, { ...project, ...input })).id,

    close: async (
      tx: Tx,
      project: ProjectScope,
      input: { batch_id: string; created_count: number },
    ): Promise<void> => void (await store.closeBatch(tx, { ...project, ...input })),

    list: (
      project: ProjectScope,
      { limit, cursor }: { limit: number; cursor?: Cursor | undefined },
    ) =>
      db.tenant(project.project_id, async (tx) => {
        const rows = await store.listBatches(tx, {
          ...project,
          limit: limit + 1,
          before_created_at: cursor?.created_at ?? null,
          before_id: cursor?.id ?? null,
        });
        return page(rows.map(batchView), limit);
      }),

    get: (project: ProjectScope, batch_id: string): Promise<BatchOperation> =>
      db.tenant(project.project_id, async (tx) => {
        const row = await store.findBatch(tx, { ...project, batch_id });
        if (!row) throw new Failure('batch_operation_not_found');
        return batchView(row);
      }),
  };
}

export const batchView = (row: store.FindBatchRow): BatchOperation => ({
  ...row,
  job_id: row.job_id ?? '',
});
