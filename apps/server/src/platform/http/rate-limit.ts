// A limit kept in this process: sliding window from two fixed ones, bounded memory.

import type { RateLimitRule } from './define-api.ts';

export interface LimitState {
  readonly allowed: boolean;
  readonly limit: number;
  readonly remaining: number;
  /** Seconds until it is worth trying again; 0 while allowed. */
  readonly retry_after_secs: number;
  /** Unix seconds at which the current window ends, where that is known. */
  readonly reset_at_secs?: number;
}

export interface SlidingWindow {
  /** Counts one and says whether it was within the limit. Refused ones are not counted. */
  hit(bucket: string, now?: number): LimitState;
  /** The same without counting. */
  peek(bucket: string, now?: number): LimitState;
}

/** Buckets kept before the older window is dropped early: about 10 MB. */
const maxBuckets = 100_000;

/**
 * The weight of the previous window shrinks linearly as the current one passes, so a burst at a window's
 * edge cannot pass twice. `requests` 0 = no limit.
 */
export function slidingWindow({ requests, window_secs }: RateLimitRule): SlidingWindow {
  const width = window_secs * 1000;
  let start = 0;
  let current = new Map<string, number>();
  let previous = new Map<string, number>();

  const turn = (now: number) => {
    const begins = now - (now % width);
    if (begins !== start) {
      previous = begins - start === width ? current : new Map();
      current = new Map();
      start = begins;
    } else if (current.size >= maxBuckets) {
      previous = current;
      current = new Map();
    }
  };

  const look = (bucket: string, now: number, count: 0 | 1): LimitState => {
    if (requests <= 0) return { allowed: true, limit: 0, remaining: 0, retry_after_secs: 0 };
    turn(now);
    const used = current.get(bucket) ?? 0;
    const before = previous.get(bucket) ?? 0;
    const weight = 1 - (now - start) / width;
    const total = used + before * weight;
    const reset_at_secs = Math.ceil((start + width) / 1000);
    if (total + 1 > requests) {
      const retry_after_secs = Math.max(1, Math.ceil(secondsUntilFree(used, before, now)));
      return { allowed: false, limit: requests, remaining: 0, retry_after_secs, reset_at_secs };
    }
    if (count) current.set(bucket, used + 1);
    return {
      allowed: true,
      limit: requests,
      remaining: Math.max(0, Math.floor(requests - total - count)),
      retry_after_secs: 0,
      reset_at_secs,
    };
  };

  /** When `used + before * weight + 1 <= requests` holds again, in this window or the next. */
  const secondsUntilFree = (used: number, before: number, now: number): number => {
    const elapsed = now - start;
    if (used + 1 <= requests && before > 0) {
      return ((1 - (requests - 1 - used) / before) * width - elapsed) / 1000;
    }
    const share = used === 0 ? 0 : 1 - (requests - 1) / used;
    return (width - elapsed + Math.max(0, share) * width) / 1000;
  };

  return {
    hit: (bucket, now = Date.now()) => look(bucket, now, 1),
    peek: (bucket, now = Date.now()) => look(bucket, now, 0),
  };
}

/** Headers every answer under a limit carries; `Retry-After` only when refused. */
export function limitHeaders(state: LimitState): Record<string, string> {
  return {
    'x-ratelimit-limit': String(state.limit),
    'x-ratelimit-remaining': String(state.remaining),
    ...(state.reset_at_secs === undefined
      ? {}
      : { 'x-ratelimit-reset': String(state.reset_at_secs) }),
    ...(state.allowed ? {} : { 'retry-after': String(state.retry_after_secs) }),
  };
}
