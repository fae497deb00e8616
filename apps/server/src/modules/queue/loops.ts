// When the queue's upkeep happens. The rounds themselves are in upkeep/; all are safe in parallel, `leader` only
// saves work that one process can do for all.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from '../../platform/db/database.ts';
import type { Listener } from '../../platform/db/listen.ts';
import { loop, type Loop, type LoopDeps } from '../../platform/services/loop.ts';
import { checkQueueTwice, type Violation } from './upkeep/checker.ts';
import type { Drift, Limits } from './limits/limits.ts';
import type { Retention } from './retention/retention.ts';
import type { Upkeep } from './upkeep/upkeep.ts';

export interface QueueLoopDeps extends LoopDeps {
  readonly upkeep: Upkeep;
  readonly retention: Retention;
  readonly limits: Limits;
  /** For the checker: default planner settings. */
  readonly db: Database;
  readonly listener: Pick<Listener, 'on'>;
  readonly heartbeat_interval_ms: number;
  readonly check_interval_ms: number;
  readonly onReaped: (runs: number) => void;
  /** Lanes whose number was not the count of their slots; mended. */
  readonly onDrift: (drift: readonly Drift[]) => void;
  readonly onViolations: (violations: readonly Violation[]) => void;
}

const HOUR_MS = 3_600_000;

/**
 * Months of runs, in every process: without the current one nothing can be triggered. The first round is over when it
 * has started; one that failed is repeated like any other.
 */
export function partitionsService(
  deps: Pick<LoopDeps, 'on_error' | 'metrics'> & { readonly retention: Retention },
): Loop {
  const { retention, ...shared } = deps;
  const made = loop({
    ...shared,
    name: 'make run partitions',
    every_ms: 24 * HOUR_MS,
    run: async () => void (await retention.ensurePartitions()),
  });
  return {
    ...made,
    start: async () => {
      await made.runOnce().catch(() => undefined);
      await made.start();
    },
  };
}

/** The checker takes at most one part in so many of the time, however large the backlog. */
const CHECK_SHARE = 100;
const SECOND_LOOK_MS = 3_000;

export function queueLoops(deps: QueueLoopDeps): Loop[] {
  const { upkeep, retention, limits, leader, on_error, metrics } = deps;
  const shared = { on_error, metrics };
  let slept_ms = 0;
  return [
    loop({
      ...shared,
      name: 'reap lost leases',
      every_ms: deps.heartbeat_interval_ms,
      run: async () => {
        const { again, reaped } = await upkeep.reap();
        if (reaped > 0) deps.onReaped(reaped);
        return { again };
      },
    }),
    loop({ ...shared, name: 'expire runs', every_ms: 1_000, run: upkeep.expire }),
    loop({
      ...shared,
      name: 'promote parked runs',
      every_ms: 1_000,
      wake: (wake) =>
        deps.listener.on('run_wake', (payload) => {
          if (payload === 'resume' || payload === '') wake();
        }),
      run: limits.sweep,
    }),
    loop({
      ...shared,
      leader,
      name: 'count slots again',
      every_ms: 60_000,
      run: async () => {
        const drift = await limits.mend();
        if (drift.length > 0) deps.onDrift(drift);
      },
    }),
    loop({
      ...shared,
      leader,
      name: 'remove idle lanes',
      every_ms: HOUR_MS,
      run: limits.removeIdle,
    }),
    loop({
      ...shared,
      leader,
      name: 'retire run partitions',
      every_ms: HOUR_MS,
      run: retention.retirePartitions,
    }),
    loop({
      ...shared,
      leader,
      name: 'remove old runs',
      every_ms: 6 * HOUR_MS,
      run: retention.removeOldRuns,
    }),
    loop({
      ...shared,
      leader,
      name: 'limit dead letters',
      every_ms: 60_000,
      run: retention.limitDeadLetters,
    }),
    loop({
      ...shared,
      leader,
      name: 'purge idempotency keys',
      every_ms: 600_000,
      run: retention.purgeKeys,
    }),
    loop({
      ...shared,
      leader,
      name: 'check the queue',
      every_ms: deps.check_interval_ms,
      rest_ms: (took_ms) => CHECK_SHARE * (took_ms - slept_ms),
      run: async (signal) => {
        slept_ms = 0;
        const found = await checkQueueTwice(deps.db, async () => {
          await sleep(SECOND_LOOK_MS, undefined, { signal });
          slept_ms = SECOND_LOOK_MS;
        });
        if (!signal.aborted) deps.onViolations(found);
      },
    }),
  ];
}
