// Money as people see it.

import type { Database } from '../../../platform/db/database.ts';
import type { Cursor } from '../../../platform/http/pagination.ts';
import * as store from './store.sql.ts';

export type MoneyReads = ReturnType<typeof createMoneyReads>;

/** Keys shown per job. */
const KEYS = 100;

export function createMoneyReads({ db }: { db: Database }) {
  return {
    /** Of a project, or of one of its jobs, today. */
    today: (project_id: string, timezone: string | null, job_id = '') =>
      db.tenant(project_id, (tx) => store.moneyOfProject(tx, { project_id, timezone, job_id })),

    keysOf: (project_id: string, timezone: string | null, job_id: string) =>
      db.tenant(project_id, (tx) =>
        store.moneyOfKeys(tx, { project_id, timezone, job_id, limit: KEYS }),
      ),

    events: (project_id: string, limit: number, before?: Cursor) =>
      db.tenant(project_id, (tx) =>
        store.listBudgetEvents(tx, {
          project_id,
          before_created_at: before?.created_at ?? null,
          before_id: before?.id ?? null,
          limit,
        }),
      ),
  };
}
