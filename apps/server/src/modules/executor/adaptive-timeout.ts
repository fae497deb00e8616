// Attempts of a job that takes long lately get more time (ADAPTIVE_TIMEOUT): one and a half times what 95 of 100 successes
// took. Only ever more than the job says, and never for runs that bring a time-out of their own.

import type { Queryable } from '../../platform/db/query.ts';
import * as store from './store.sql.ts';

export interface AdaptiveTimeoutDeps {
  readonly db: Queryable;
  readonly monotonic: () => number;
  readonly onError: (error: unknown, what: string) => void;
}

const LEAST_SAMPLES = 20;
const MOST_SAMPLES = 1_000;
const FACTOR = 1.5;
const KEPT_MS = 30_000;
const MOST_JOBS = 10_000;
const LONGEST_MS = 86_400_000;

export function createAdaptiveTimeout({ db, monotonic, onError }: AdaptiveTimeoutDeps) {
  const known = new Map<string, { readonly until: number; readonly wanted_ms: Promise<number> }>();

  const look = async (job_id: string): Promise<number> => {
    try {
      const { samples, p95_secs } = await store.successTimes(db, { job_id, sample: MOST_SAMPLES });
      return samples < LEAST_SAMPLES || p95_secs === null ? 0 : p95_secs * 1000 * FACTOR;
    } catch (error) {
      onError(error, 'durations of a job');
      return 0;
    }
  };

  return async (job_id: string, timeout_ms: number): Promise<number> => {
    let found = known.get(job_id);
    if (!found || found.until < monotonic()) {
      if (known.size >= MOST_JOBS) known.clear();
      found = { until: monotonic() + KEPT_MS, wanted_ms: look(job_id) };
      known.set(job_id, found);
    }
    return Math.max(timeout_ms, Math.min(Math.round(await found.wanted_ms), LONGEST_MS));
  };
}
