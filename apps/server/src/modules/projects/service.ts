import type { Caller } from '../../domain/caller.ts';
import type { FailureCode } from '../../domain/failures.ts';
import type { Database, Tx } from '../../platform/db/database.ts';
import { Failure } from '../../platform/failure.ts';
import type { Cursor } from '../../platform/http/pagination.ts';
import { page } from '../../platform/http/pagination.ts';
import * as store from './store.sql.ts';

export interface ProjectsDeps {
  readonly db: Database;
  /** Runs in the transaction that makes a project known, once per project. */
  readonly onCreated: (tx: Tx, project_id: string) => Promise<void>;
}

export type Projects = ReturnType<typeof createProjects>;

export function createProjects({ db, onCreated }: ProjectsDeps) {
  return {
    create: (project: { readonly id?: string; readonly org_id?: string; readonly name: string }) =>
      db.transaction(async (tx) => {
        const { id = null, org_id = null, name } = project;
        const row = await store.upsertProject(tx, { id, org_id, name });
        if (!row) throw new Failure<FailureCode>('project_exists');
        if (row.created) await onCreated(tx, row.id);
        return row;
      }),

    /** Makes sure the directory knows a project that is used for the first time. */
    async ensure(tx: Tx, project_id: string): Promise<void> {
      if ((await store.ensureProject(tx, { project_id })) > 0) await onCreated(tx, project_id);
    },

    async list(
      caller: Caller,
      { limit, cursor }: { readonly limit: number; readonly cursor?: Cursor },
    ) {
      const id = visibleProject(caller);
      const rows = await store.listProjects(db, {
        id,
        cursor_created_at: cursor?.created_at ?? null,
        cursor_id: cursor?.id ?? null,
        limit: limit + 1,
      });
      return page(rows, limit);
    },

    async get(caller: Caller, id: string) {
      const only = visibleProject(caller);
      const row = only === null || only === id ? await store.findProject(db, { id }) : undefined;
      if (!row) throw new Failure<FailureCode>('project_not_found');
      return row;
    },
  };
}

/** Null: all of them. */
function visibleProject(caller: Caller): string | null {
  if (caller.kind === 'internal') return caller.project_id ?? null;
  // A user who names no project is a member of none as far as we know: '' is no project's id.
  return caller.project_id ?? '';
}
