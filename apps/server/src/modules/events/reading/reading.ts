// Lists and counts of waits, and removing what has ended.

import type { Database } from '../../../platform/db/database.ts';
import { page, type Cursor } from '../../../platform/http/pagination.ts';
import type { ProjectScope } from '../../access/index.ts';
import { recordAudit, type AuditSource } from '../../audit/index.ts';
import type { Asker, Rights, SourceType } from '../rights.ts';
import { triggerView } from '../view.ts';
import * as store from './store.sql.ts';

/** One call removes no more. */
const MOST_REMOVED = 10_000;

export interface TriggerFilter {
  readonly status?: string | undefined;
  readonly workflow_run_id?: string | undefined;
  readonly source_type?: SourceType | undefined;
}

export interface Purge {
  readonly older_than_days: number;
  readonly dry_run: boolean;
}

export function createReading({ db, rights }: { readonly db: Database; readonly rights: Rights }) {
  return {
    /** Newest first; without a source, those whose source the caller may look at. */
    async list(
      asker: Asker,
      { status, workflow_run_id, source_type }: TriggerFilter,
      { limit, cursor }: { readonly limit: number; readonly cursor?: Cursor | undefined },
    ) {
      const { project_id } = asker.project;
      const allowed = await rights(asker, 'read');
      if (source_type) allowed.require(source_type);
      const rows = await db.tenant(project_id, (tx) =>
        store.listTriggers(tx, {
          project_id,
          status: status ?? null,
          workflow_run_id: workflow_run_id ?? null,
          source_types: source_type ? [source_type] : allowed.sources,
          before_requested_at: cursor?.created_at ?? null,
          before_id: cursor?.id ?? null,
          limit: limit + 1,
        }),
      );
      const found = page(rows, limit, ({ requested_at, id }) => ({ created_at: requested_at, id }));
      return { ...found, data: found.data.map(triggerView) };
    },

    stats: ({ project_id }: ProjectScope) =>
      db.tenant(project_id, (tx) => store.countTriggers(tx, { project_id })),

    /** Waits that ended longer ago, for good. */
    purge: (
      { project_id }: ProjectScope,
      by: AuditSource,
      { older_than_days: days, dry_run }: Purge,
    ) =>
      db.tenant(project_id, async (tx) => {
        if (dry_run)
          return {
            dry_run: true as const,
            would_delete: (await store.countOld(tx, { project_id, days })).old,
          };
        const deleted = await store.removeOld(tx, { project_id, days, limit: MOST_REMOVED });
        if (deleted > 0)
          await recordAudit(tx, { project_id }, by, {
            action: 'event_trigger.purge',
            resource_type: 'event_trigger',
            details: { older_than_days: days, deleted },
          });
        return { deleted };
      }),
  };
}
