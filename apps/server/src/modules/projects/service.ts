import type { Caller } from '../../domain/caller.ts';
import type { FailureCode } from '../../domain/failures.ts';
import type { Database, Tx } from '../../platform/db/database.ts';
import { Failure } from '../../platform/failure.ts';
import type { Cursor } from '../../platform/http/pagination.ts';
import { page } from '../../platform/http/pagination.ts';
import type { AuditSource } from '../audit/index.ts';
import type { QuotaInput } from './contract.ts';
import { createQuotas, type QuotasReaction } from './quotas.ts';
import * as store from './store.sql.ts';

export interface ProjectsDeps {
  readonly db: Database;
  /** Runs in the transaction that makes a project known, once per project. */
  readonly onCreated: (tx: Tx, project_id: string) => Promise<void>;
  /** Runs in the transaction that changed limits somebody keeps count of. */
  readonly onQuotasChanged: QuotasReaction;
}

export type Projects = ReturnType<typeof createProjects>;

/** Every installation has this one: whoever starts with a single project need not register it. */
const first = { id: 'default', org_id: null, name: 'Default' } as const;

export function createProjects({ db, onCreated, onQuotasChanged }: ProjectsDeps) {
  const quotas = createQuotas({ db, onChanged: onQuotasChanged });
  /** Undefined: the id is taken. */
  const insert = (project: {
    readonly id: string | null;
    readonly org_id: string | null;
    readonly name: string;
  }) =>
    db.transaction(async (tx) => {
      const row = await store.insertProject(tx, project);
      if (row) await onCreated(tx, row.id);
      return row;
    });

  /** @throws project_not_found, also for projects that are not the caller's */
  async function get(caller: Caller, id: string) {
    const only = visibleProject(caller);
    const row = only === null || only === id ? await store.findProject(db, { id }) : undefined;
    if (!row) throw new Failure<FailureCode>('project_not_found');
    return row;
  }

  return {
    /** @throws project_exists */
    async create(project: {
      readonly id?: string;
      readonly org_id?: string;
      readonly name: string;
    }) {
      const { id = null, org_id = null, name } = project;
      const row = await insert({ id, org_id, name });
      if (!row) throw new Failure<FailureCode>('project_exists');
      return row;
    },

    /** Whether there is such a project; the first one comes into being when it is first asked for. */
    async exists(id: string): Promise<boolean> {
      const known = async () => (await store.findProject(db, { id })) !== undefined;
      if (await known()) return true;
      return id === first.id && ((await insert(first)) !== undefined || known());
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

    get,

    /** @throws project_not_found */
    getQuotas: async (caller: Caller, id: string) => quotas.get((await get(caller, id)).id),

    /** @throws project_not_found */
    putQuotas: async (caller: Caller, id: string, by: AuditSource, input: QuotaInput) =>
      quotas.put((await get(caller, id)).id, by, input),
  };
}

/** Null: all of them. */
function visibleProject(caller: Caller): string | null {
  if (caller.kind === 'internal') return caller.project_id ?? null;
  // A user who names no project is a member of none as far as we know: '' is no project's id.
  return caller.project_id ?? '';
}
