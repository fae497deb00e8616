// Races that a test arranges: go on once the other one stands before the lock that this one holds.

import type { TestApp } from './app.ts';
import { until } from './until.ts';

/** Of the test's own database: others share the server. */
export const somebodyWaits = async ({ sql }: Pick<TestApp, 'sql'>): Promise<boolean> =>
  (
    await sql(
      `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
    )
  ).length > 0;

export const untilSomebodyWaits = (
  app: Pick<TestApp, 'sql'>,
  what = 'somebody to wait for a lock',
) => until(what, () => somebodyWaits(app));
