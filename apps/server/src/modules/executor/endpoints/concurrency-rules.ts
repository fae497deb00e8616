// Pure: how many runs at a time an endpoint takes (additive increase, multiplicative decrease). An endpoint has no limit
// until it is in trouble, and none again when it does well without one.

import type { Finding } from './rules.ts';

/** Results of an endpoint over about a second, of one worker or of all. */
export interface LoadWindow {
  readonly ok: number;
  readonly failures: number;
  /** 429 and 503: it says itself that it wants less. */
  readonly overloads: number;
  /** Sum of the logarithms of the latencies of successes. */
  readonly log_ms: number;
  /** Requests of one worker at a time, at most, beside one that went wrong. */
  readonly peak: number;
}

export const NO_LOAD: LoadWindow = { ok: 0, failures: 0, overloads: 0, log_ms: 0, peak: 0 };

export const resultsIn = ({ ok, failures, overloads }: LoadWindow): number =>
  ok + failures + overloads;

/** Two parts of the same window. */
export const joinLoad = (one: LoadWindow, other: LoadWindow): LoadWindow => ({
  ok: one.ok + other.ok,
  failures: one.failures + other.failures,
  overloads: one.overloads + other.overloads,
  log_ms: one.log_ms + other.log_ms,
  peak: Math.max(one.peak, other.peak),
});

/** Refusals of single requests say nothing about load. */
export function foldLoad(
  fold: LoadWindow,
  {
    latency_ms,
    overloaded = false,
    concurrent = 1,
  }: {
    readonly latency_ms: number;
    readonly overloaded?: boolean;
    readonly concurrent?: number;
  },
  finding: Finding,
): LoadWindow {
  const peak = Math.max(fold.peak, concurrent);
  if (overloaded || finding === 'busy') return { ...fold, peak, overloads: fold.overloads + 1 };
  if (finding === 'failure') return { ...fold, peak, failures: fold.failures + 1 };
  if (finding === 'refused') return fold;
  return { ...fold, ok: fold.ok + 1, log_ms: fold.log_ms + Math.log(Math.max(1, latency_ms)) };
}

/** A single failure is the request's more often than the load's; an endpoint that says "too much" is believed at once. */
const LEAST_FAILURES = 3;
const FAILURE_SHARE = 0.1;
const OVERLOAD_SHARE = 0.01;
/** Slow: so much over the usual, in the geometric mean of so many successes, once the usual is known from so many. */
const SLOW_TIMES = 2.5;
const SLOW_MORE_MS = 50;
const SLOW_LEAST = 10;
export const BASELINE_SAMPLES = 100;

export interface Baseline {
  /** The endpoint's usual latency; null: nothing succeeded yet. */
  readonly ms: number | null;
  readonly samples: number;
}

export interface Trouble {
  /** Of the results, in [0, 1]. 0: none. */
  readonly share: number;
  /** It answers, but takes much longer than usual. */
  readonly slow: boolean;
}

export function troubleOf(window: LoadWindow, baseline: Baseline): Trouble {
  const { ok, failures, overloads } = window;
  const total = resultsIn(window);
  const failing = failures >= LEAST_FAILURES && failures >= FAILURE_SHARE * total;
  const overloaded = overloads > 0 && overloads >= OVERLOAD_SHARE * total;
  const troubled = (overloaded ? overloads : 0) + (failing ? failures : 0);
  const mean_ms = Math.exp(window.log_ms / Math.max(1, ok));
  const slow =
    ok >= SLOW_LEAST &&
    baseline.ms !== null &&
    baseline.samples >= BASELINE_SAMPLES &&
    mean_ms > SLOW_TIMES * baseline.ms &&
    mean_ms > SLOW_MORE_MS + baseline.ms;
  return { share: total === 0 ? 0 : troubled / total, slow };
}

export const isTroubled = ({ share, slow }: Trouble): boolean => share > 0 || slow;

/** Whether this is a reason for a limit, if the endpoint has none. */
export function asksForLimit(window: LoadWindow, baseline: Baseline): boolean {
  const trouble = troubleOf(window, baseline);
  // One at a time is not too many, whatever is wrong; what runs now may not be what ran then.
  return isTroubled(trouble) && (trouble.slow || window.peak > 1);
}

/** A limit and how it came about. */
export interface Concurrency {
  readonly limit: number;
  /** In flight when trouble was first seen. */
  readonly observed: number;
  /** In flight at most, of late. */
  readonly used: number;
  /** Windows in a row without trouble. */
  readonly calm: number;
}

export interface LoadFacts {
  readonly window: LoadWindow;
  readonly baseline: Baseline;
  /** Runs of all its jobs that execute, as long as it has no limit. */
  readonly executing: number;
  /** Once it has one: those that hold a slot (the same and what is ready for a worker). */
  readonly in_flight: number;
  /** Since the limit last moved, and since a window was last judged. */
  readonly since_change_ms: number;
  readonly since_judged_ms: number;
}

export interface Bounds {
  readonly min: number;
  readonly max: number;
}

/** As observed is halved at first, it takes so many steps to come back to it. */
const STEPS = 20;
const USED_DECAY = 0.9;
/** Dropped when it was calm so often and the limit is so many times what is used; in any case when it was calm for long. */
const CALM = 10;
const COMFORTABLE = 2;
const LONG_CALM = 60;
/** Nobody heard of it: what it could take is not known any more. */
const SILENT_MS = 600_000;
/** A change shows in results only after a request's time; of slow ones not more than this is waited. */
const LONGEST_PATIENCE_MS = 30_000;
/** What being slow counts for: a quarter less. */
const SLOW_SHARE = 0.5;

/** The limit after this window; undefined: none. */
export function nextConcurrency(
  before: Concurrency | undefined,
  facts: LoadFacts,
  { min, max }: Bounds,
): Concurrency | undefined {
  const { window, baseline, executing, in_flight } = facts;
  const within = (limit: number): number => Math.min(max, Math.max(1, min, limit));
  if (!before) {
    const observed = Math.max(executing, window.peak);
    const limit = within(Math.floor(observed / 2));
    if (!asksForLimit(window, baseline) || limit >= observed) return undefined;
    return { limit, observed, used: observed, calm: 0 };
  }
  const used = Math.max(in_flight, before.used * USED_DECAY);
  if (resultsIn(window) === 0) {
    const silent = facts.since_judged_ms >= SILENT_MS;
    if (silent && in_flight * COMFORTABLE <= before.limit) return undefined;
    // Of one at a time nobody can say whether it is too little: with one more it shows.
    const more = silent && before.limit < COMFORTABLE ? 1 : 0;
    return { ...before, limit: within(before.limit + more) };
  }
  const early = facts.since_change_ms < Math.min(baseline.ms ?? 0, LONGEST_PATIENCE_MS);
  const trouble = troubleOf(window, baseline);
  if (isTroubled(trouble)) {
    const limit = early ? before.limit : lowered(before, trouble);
    return { ...before, limit: within(limit), used, calm: 0 };
  }
  const calm = before.calm + 1;
  if (calm >= LONG_CALM || (calm >= CALM && before.limit >= COMFORTABLE * used)) return undefined;
  const step = early ? 0 : Math.max(1, Math.round(before.observed / STEPS));
  return { ...before, limit: within(before.limit + step), used, calm };
}

/**
 * The more of the results are trouble, the more: half at most, one at least. Slowness alone may have other reasons (other
 * work, a slow dependency), so it never costs more than half of what once ran, until the usual latency has followed.
 */
function lowered({ limit, observed }: Concurrency, { share, slow }: Trouble): number {
  const less = (by: number): number => Math.min(limit - 1, Math.floor(limit * (1 - by / 2)));
  if (share > 0) return less(share);
  return slow ? Math.max(Math.min(limit, Math.ceil(observed / 2)), less(SLOW_SHARE)) : limit;
}
