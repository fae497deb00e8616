// Log lines, progress and resource samples, up to a limit per run.
//
// Counting 10,000 rows for every line would cost more than the line. So each process counts a run's events once,
// then adds up what it writes itself and counts again every 500 lines: a run that logs through several processes
// can overshoot by 500 for each. Only reaching the limit is exact in one thing: exactly one event says so.

import type { FailureCode } from '../../domain/failures.ts';
import type { Database } from '../../platform/db/database.ts';
import { Failure } from '../../platform/failure.ts';
import { leases, type RunClaim } from '../queue/index.ts';
import { jsonBytes, limits } from './contract.ts';
import type { Fence } from './fence.ts';
import { forgesTransition, resourceLevel } from './rules.ts';

const RECOUNT_EVERY = 500;
const MAX_TRACKED_RUNS = 10_000;

interface Tally {
  events: number;
  /** Lines until the next count. */
  credit: number;
}

export interface NewEvent {
  readonly type: string;
  readonly level: string;
  readonly message: string;
  readonly data?: unknown;
}

export function createEventLog({
  db,
  fence,
  max_events = limits.events,
}: {
  readonly db: Database;
  readonly fence: Fence;
  readonly max_events?: number;
}) {
  const tallies = new Map<string, Promise<Tally>>();

  const count = async (run_id: string): Promise<Tally> => ({
    events: await leases.countEvents(db, run_id, max_events),
    credit: RECOUNT_EVERY,
  });

  /** Calls of the same moment share one count, so that all of them count against it. */
  const tallyOf = async (run_id: string): Promise<Tally> => {
    const known = tallies.get(run_id);
    const tally = await known;
    if (tally && tally.credit > 0) return tally;
    // Somebody else may have begun to count again while we waited.
    const current = tallies.get(run_id);
    if (current !== undefined && current !== known) return current;
    const counted = count(run_id);
    tallies.delete(run_id);
    tallies.set(run_id, counted);
    counted.catch(() => tallies.get(run_id) === counted && tallies.delete(run_id));
    const [oldest] = tallies.keys();
    if (tallies.size > MAX_TRACKED_RUNS && oldest !== undefined) tallies.delete(oldest);
    return counted;
  };

  /** The stored event, or the one that says that this and all later ones are dropped. */
  const add = async (claim: RunClaim, { type, level, message, data }: NewEvent) => {
    const tally = await tallyOf(claim.run_id);
    if (tally.events >= max_events) {
      return fence.write(
        claim,
        (tx) =>
          leases.dropMarker(
            tx,
            claim.run_id,
            `more than ${max_events} events: further ones are dropped`,
          ),
        'alone',
      );
    }
    // Before the write: calls at the same moment must not all see the last free place.
    tally.events += 1;
    tally.credit -= 1;
    return fence.attempt(claim, () =>
      leases.addEvent(db, claim, { type, level, message, data_json: JSON.stringify(data ?? {}) }),
    );
  };

  return {
    log: async (claim: RunClaim, event: NewEvent) => {
      const problem =
        jsonBytes(event.data) > limits.data_bytes
          ? `is larger than ${limits.data_bytes} bytes`
          : forgesTransition(event.type, event.data)
            ? 'changes of the state of the run are recorded by the server'
            : undefined;
      if (problem !== undefined) {
        throw new Failure<FailureCode>('invalid_request', {
          message: `body.data: ${problem}`,
          details: [{ path: 'body.data', message: problem }],
        });
      }
      return add(claim, event);
    },

    progress: (
      claim: RunClaim,
      report: {
        percent: number;
        message: string;
        step?: string | undefined;
        eta_seconds?: number | undefined;
      },
    ) => {
      const { message, ...data } = report;
      return add(claim, { type: 'progress', level: 'info', message, data });
    },

    resources: (
      claim: RunClaim,
      sample: {
        memory_mb?: number | undefined;
        memory_percent?: number | undefined;
        cpu_percent?: number | undefined;
      },
    ) =>
      add(claim, {
        type: 'resource_sample',
        level: resourceLevel(sample.memory_percent),
        message: 'resource sample',
        data: sample,
      }),
  };
}
