// What a project may use. The limits are enforced by those who own what is limited; a change of one tells them.

import type { Database, Tx } from '../../platform/db/database.ts';
import { recordAudit, type AuditSource } from '../audit/index.ts';
import type { QuotaInput } from './contract.ts';
import * as store from './store.sql.ts';

type Row = store.FindQuotasRow;

/** Limits that somebody keeps count of. */
const COUNTED = ['max_executing_runs', 'max_queued_runs', 'max_daily_cost_microusd'] as const;
export type CountedLimit = (typeof COUNTED)[number];

/** In the transaction that changed what somebody keeps count of. */
export type QuotasReaction = (
  tx: Tx,
  change: { readonly project_id: string; readonly limits: ReadonlySet<CountedLimit> },
) => Promise<void>;

const NAMES = [
  'max_queued_runs',
  'max_executing_runs',
  'max_jobs',
  'max_active_event_triggers',
  'event_buffer_secs',
  'max_cost_per_run_microusd',
  'max_daily_cost_microusd',
  'rate_limit_requests',
  'rate_limit_window_secs',
  'timezone',
] as const;

export function createQuotas(deps: { readonly db: Database; readonly onChanged: QuotasReaction }) {
  const { db } = deps;
  return {
    get: async (project_id: string) => view(project_id, await store.findQuotas(db, { project_id })),

    /** All of them anew: what is absent is no limit. */
    put: (project_id: string, by: AuditSource, input: QuotaInput) =>
      db.transaction(async (tx) => {
        const before = await store.lockQuotas(tx, { project_id });
        const row = await store.saveQuotas(tx, {
          project_id,
          max_queued_runs: input.max_queued_runs || null,
          max_executing_runs: input.max_executing_runs || null,
          max_jobs: input.max_jobs || null,
          max_active_event_triggers: input.max_active_event_triggers || null,
          event_buffer_secs: input.event_buffer_secs || null,
          max_cost_per_run_microusd: input.max_cost_per_run_microusd || null,
          max_daily_cost_microusd: input.max_daily_cost_microusd || null,
          rate_limit_requests: input.rate_limit_requests || null,
          rate_limit_window_secs: input.rate_limit_window_secs || null,
          timezone: input.timezone || null,
        });
        const changed = NAMES.filter((name) => (before?.[name] ?? null) !== row[name]);
        const limits = new Set(COUNTED.filter((name) => changed.includes(name)));
        if (limits.size > 0) await deps.onChanged(tx, { project_id, limits });
        await recordAudit(tx, { project_id }, by, {
          action: 'project.quotas_updated',
          resource_type: 'project',
          resource_id: project_id,
          changes: Object.fromEntries(
            changed.map((name) => [name, { before: before?.[name] ?? null, after: row[name] }]),
          ),
        });
        return view(project_id, row);
      }),
  };
}

const view = (project_id: string, row: Row | undefined) => ({
  project_id,
  max_queued_runs: row?.max_queued_runs ?? null,
  max_executing_runs: row?.max_executing_runs ?? null,
  max_jobs: row?.max_jobs ?? null,
  max_active_event_triggers: row?.max_active_event_triggers ?? null,
  event_buffer_secs: row?.event_buffer_secs ?? null,
  max_cost_per_run_microusd: row?.max_cost_per_run_microusd ?? null,
  max_daily_cost_microusd: row?.max_daily_cost_microusd ?? null,
  rate_limit_requests: row?.rate_limit_requests ?? null,
  rate_limit_window_secs: row?.rate_limit_window_secs ?? null,
  timezone: row?.timezone ?? null,
  updated_at: row?.updated_at ?? '',
});
