// Approvals of a run, and the inbox of a caller.
import type { z } from 'zod';
import type { Database } from '../../../platform/db/database.ts';
import type { DeepReadonly } from '../../../platform/http/define-api.ts';
import { page, type Cursor } from '../../../platform/http/pagination.ts';
import { identityOf, type Caller, type ProjectScope } from '../../access/index.ts';
import type { RunReads } from '../runs/reads.ts';
import { entriesOf } from './rules.ts';
import type { WorkflowStepApproval } from './schemas.ts';
import * as store from './store.sql.ts';

export type ApprovalView = DeepReadonly<z.input<typeof WorkflowStepApproval>>;

interface Paging {
  readonly limit: number;
  readonly cursor?: Cursor | undefined;
}

export const approvalView = (row: store.ListApprovalsRow): ApprovalView => ({
  ...row,
  // The engine writes no others.
  kind: row.kind as ApprovalView['kind'],
  status: row.status as ApprovalView['status'],
});

const pageOf = (rows: readonly store.ListApprovalsRow[], limit: number) => {
  const found = page(rows, limit, ({ requested_at, id }) => ({ created_at: requested_at, id }));
  return { ...found, data: found.data.map(approvalView) };
};

export interface ApprovalReadsDeps {
  readonly db: Database;
  readonly reads: Pick<RunReads, 'requireRun'>;
}

export type ApprovalReads = ReturnType<typeof createApprovalReads>;

export function createApprovalReads({ db, reads }: ApprovalReadsDeps) {
  return {
    /** @throws workflow_run_not_found */
    listOf: (project: ProjectScope, workflow_run_id: string, { limit, cursor }: Paging) =>
      db.tenant(project.project_id, async (tx) => {
        await reads.requireRun(tx, project, workflow_run_id);
        const rows = await store.listApprovals(tx, {
          ...project,
          workflow_run_id,
          after_requested_at: cursor?.created_at ?? null,
          after_id: cursor?.id ?? null,
          limit: limit + 1,
        });
        return pageOf(rows, limit);
      }),

    inbox: (project: ProjectScope, caller: Caller, status: string, { limit, cursor }: Paging) =>
      db.tenant(project.project_id, async (tx) => {
        const rows = await store.listOwn(tx, {
          ...project,
          status,
          entries: entriesOf(await identityOf(tx, project, caller)),
          before_requested_at: cursor?.created_at ?? null,
          before_id: cursor?.id ?? null,
          limit: limit + 1,
        });
        return pageOf(rows, limit);
      }),
  };
}
