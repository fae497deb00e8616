// What tests of budgets ask the database, in one snapshot each.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from '../src/platform/db/database.ts';

/** Of all budgets of the project together with those of its jobs and keys: the worst, as [held, limit]. */
const SUMS = `
  with held as (
    select project_id, job_id, concurrency_key, greatest(reserved_microusd - used_microusd, 0) as microusd
      from cost_reservations where project_id = $1
  ), budget (job_id, concurrency_key, cap) as (
    select '', '', q.max_daily_cost_microusd from project_quotas q where q.project_id = $1
    union all select b.job_id, '', b.max_daily_cost_microusd from job_budgets b where b.project_id = $1
    union all
    select d.job_id, d.concurrency_key, b.max_daily_cost_per_key_microusd
      from job_budgets b join (select job_id, concurrency_key from held union select job_id, concurrency_key from cost_days where project_id = $1) d
        on d.job_id = b.job_id and d.concurrency_key <> ''
     where b.project_id = $1
  )
  select b.job_id, b.concurrency_key, b.cap::float8 as cap,
         coalesce((select sum(h.microusd) from held h where b.job_id in ('', h.job_id) and b.concurrency_key in ('', h.concurrency_key)), 0)::float8 as reserved,
         coalesce((select sum(d.spent_microusd) from cost_days d
                    where d.project_id = $1 and d.job_id = b.job_id and d.concurrency_key = b.concurrency_key), 0)::float8 as spent
    from budget b where b.cap is not null`;

export interface BudgetSums {
  readonly job_id: string;
  readonly concurrency_key: string;
  readonly cap: number;
  readonly reserved: number;
  readonly spent: number;
}

export async function budgetSums(db: Database, project_id: string): Promise<BudgetSums[]> {
  const { rows } = await db.query({ text: SUMS, values: [project_id] });
  return rows as BudgetSums[];
}

/** Looks all the time until stopped; whatever was ever over its limit. */
export function watchBudgets(db: Database, project_id: string) {
  const over: BudgetSums[] = [];
  let looks = 0;
  let most = 0;
  let stopped = false;
  const watching = (async () => {
    while (!stopped) {
      for (const sums of await budgetSums(db, project_id)) {
        const held = sums.reserved + sums.spent;
        most = Math.max(most, held);
        if (held > sums.cap) over.push(sums);
      }
      looks += 1;
      await sleep(1);
    }
  })();
  return {
    stop: async () => {
      stopped = true;
      await watching;
      return { over, looks, most };
    },
  };
}
