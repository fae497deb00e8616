// The database's idea of time, without asking it each time: the process's clock and how far it is off. What is compared
// with a column, or checked by another process (tokens, deadlines), must not depend on whose machine runs late.

import type { Clock } from '../clock.ts';
import type { Queryable } from '../db/query.ts';
import { loop, type Loop, type LoopDeps } from './loop.ts';
import { readClock } from './store.sql.ts';

export interface DatabaseClock extends Clock {
  /** Measures at start and every minute after it. */
  readonly loop: Loop;
}

const EVERY_MS = 60_000;

export function createDatabaseClock(db: Queryable, deps: Omit<LoopDeps, 'leader'>): DatabaseClock {
  let offset_ms = 0;

  /** The answer was true somewhere between question and reply; half-way is off by half the round trip at most. */
  const measure = async (): Promise<void> => {
    const asked = Date.now();
    const { now_ms } = await readClock(db);
    offset_ms = now_ms - (asked + Date.now()) / 2;
  };

  const measuring = loop({
    name: 'database clock',
    every_ms: EVERY_MS,
    run: measure,
    ...deps,
  });
  return {
    now: () => Date.now() + offset_ms,
    monotonic: () => performance.now(),
    loop: {
      ...measuring,
      async start() {
        await measuring.runOnce();
        await measuring.start();
      },
    },
  };
}
