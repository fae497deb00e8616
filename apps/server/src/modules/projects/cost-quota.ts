import type { Queryable } from '../../platform/db/query.ts';
import * as store from './store.sql.ts';

/** What a project may spend, in the caller's transaction; null is no limit, a null time zone leaves the one there is. */
export async function saveCostQuota(
  tx: Queryable,
  quota: {
    readonly project_id: string;
    readonly max_daily_cost_microusd: number | null;
    readonly max_cost_per_run_microusd: number | null;
    readonly breach_policy: string;
    readonly timezone: string | null;
  },
): Promise<void> {
  await store.saveCostQuota(tx, quota);
}
