import type { Queryable } from '../../platform/db/query.ts';
import type { LimitState } from '../../platform/http/rate-limit.ts';
import * as store from './store.sql.ts';

export interface RateWindows {
  /**
   * Counts one call in the bucket's fixed window. Fails open: when PostgreSQL does not answer, the
   * call is allowed and nothing is said about a limit.
   */
  hit(bucket: string, requests: number, window_secs: number): Promise<LimitState | undefined>;
  /** Forgets windows over for a day; returns how many. */
  trim(): Promise<number>;
}

export function createRateWindows(db: Queryable): RateWindows {
  return {
    async hit(bucket, requests, window_secs) {
      try {
        const { hits, reset_secs } = await store.hitWindow(db, { bucket, window_secs });
        const allowed = hits <= requests;
        return {
          allowed,
          limit: requests,
          remaining: Math.max(0, requests - hits),
          retry_after_secs: allowed ? 0 : reset_secs,
        };
      } catch {
        return undefined;
      }
    },
    trim: () => store.deleteOldWindows(db),
  };
}
