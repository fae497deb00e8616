// Pure decisions about failing endpoints (engine-semantics §§8.2, 9): what an attempt says about its endpoint, how
// results are gathered, and what breaker and health together let through.

import type { Admission } from '../../queue/index.ts';
import type { ErrorClass } from '../rules.ts';

/**
 * What a result says about the endpoint. `refused`: it answered, and the fault is with the request (401, 403, other 4xx,
 * a result that is too large or not as promised). `busy`: 429, it lives but wants less.
 */
export type Finding = 'success' | 'failure' | 'busy' | 'refused';

/** Undefined: nothing was learned, since nothing was sent or the fault is ours. */
export function findingOf(error_class: ErrorClass, answered: boolean): Finding | undefined {
  switch (error_class) {
    case 'transient':
    case 'server':
    case 'connection':
    case 'timeout':
    case 'unknown':
      return 'failure';
    case 'rate_limited':
      return 'busy';
    case 'auth':
    case 'client':
      return answered ? 'refused' : undefined;
    default:
      return undefined;
  }
}

const FALLBACK: ReadonlySet<string> = new Set([
  'transient',
  'timeout',
  'connection',
  'rate_limited',
  'server',
]);
/** Below this the fallback endpoint is not worth a try. */
const LEAST_FALLBACK_MS = 1_000;

export const mayFallBack = (error_class: ErrorClass, left_ms: number): boolean =>
  FALLBACK.has(error_class) && left_ms >= LEAST_FALLBACK_MS;

const ALPHA = 0.1;

/** Moving averages as they would stand after `samples` results at an endpoint that was new before them. */
export interface HealthFold {
  readonly samples: number;
  readonly success_rate: number;
  readonly timeout_rate: number;
  readonly latency_score: number;
  readonly last_latency_ms: number;
}

export const NO_HEALTH: HealthFold = {
  samples: 0,
  success_rate: 1,
  timeout_rate: 0,
  latency_score: 1,
  last_latency_ms: 0,
};

const average = (before: number, sample: number): number => ALPHA * sample + (1 - ALPHA) * before;

/** `refused` says nothing about health: a tenant's bad payload must not slow or block a sound endpoint. */
export function foldHealth(
  fold: HealthFold,
  finding: Finding,
  latency_ms: number,
  timeout_ms: number,
): HealthFold {
  if (finding === 'refused') return fold;
  const ok = finding === 'success';
  return {
    samples: fold.samples + 1,
    success_rate: average(fold.success_rate, ok ? 1 : 0),
    timeout_rate: average(fold.timeout_rate, ok ? 0 : 1),
    latency_score: average(
      fold.latency_score,
      ok ? 1 - Math.min(1, Math.max(0, latency_ms) / Math.max(1, timeout_ms)) : 0,
    ),
    last_latency_ms: latency_ms,
  };
}

export const scoreOf = (
  health: Pick<HealthFold, 'success_rate' | 'timeout_rate' | 'latency_score'>,
): number =>
  Math.min(
    100,
    Math.max(
      0,
      100 *
        (0.5 * health.success_rate + 0.3 * (1 - health.timeout_rate) + 0.2 * health.latency_score),
    ),
  );

/** A sequence of results as the breaker needs it: failures before the first success, after the last one, and in a row. */
export interface BreakerFold {
  readonly leading: number;
  readonly trailing: number;
  readonly longest: number;
  readonly succeeded: boolean;
}

export const NO_FAILURES: BreakerFold = { leading: 0, trailing: 0, longest: 0, succeeded: false };

/** Only what §8.2 marks trips the breaker; only a success ends a row of failures. */
export function foldBreaker(fold: BreakerFold, finding: Finding): BreakerFold {
  if (finding === 'success') return { ...fold, trailing: 0, succeeded: true };
  if (finding !== 'failure') return fold;
  const trailing = fold.trailing + 1;
  return {
    leading: fold.succeeded ? fold.leading : fold.leading + 1,
    trailing,
    longest: Math.max(fold.longest, trailing),
    succeeded: fold.succeeded,
  };
}

export type HealthLevel = 'healthy' | 'degraded' | 'blocked';

export const levelOf = (score: number): HealthLevel =>
  score < 30 ? 'blocked' : score > 60 ? 'healthy' : 'degraded';

/** Of a job's max_concurrency (§9.2). */
export const shareOf = (score: number): number =>
  levelOf(score) === 'degraded' ? 0.25 + (0.75 * (score - 30)) / 30 : 1;

/** Pause between probes of an endpoint that its health blocks. */
export const HEALTH_PROBE_MS = 30_000;
/** How long a closed breaker's probe is put off when it learned nothing. */
const RETRY_PROBE_MS = 2_000;

export interface EndpointFacts {
  /** The database's time. */
  readonly now: string;
  readonly breaker: 'closed' | 'open' | 'half_open';
  readonly reopens_at: string | null;
  readonly score: number;
  /** What holds now, if anything. */
  readonly before: Admission | undefined;
  /** The probe that was out has come back: with a finding, or with nothing. */
  readonly probed: Finding | 'nothing' | undefined;
}

/** The one admission limit of an endpoint: the least that breaker and health let through; an open breaker comes first. */
export function admissionOf(facts: EndpointFacts): Admission {
  const { now, breaker, reopens_at, score, before, probed } = facts;
  const at = (ms: number): string => new Date(Date.parse(now) + ms).toISOString();
  if (probed === 'nothing' && before?.closed) return { ...before, probe_at: at(RETRY_PROBE_MS) };
  if (breaker !== 'closed') return { closed: true, share: 1, probe_at: reopens_at ?? now };
  if (levelOf(score) !== 'blocked') return { closed: false, share: shareOf(score), probe_at: now };
  // Results of attempts that were under way do not put the probe off.
  const waiting = before?.closed && probed === undefined;
  return { closed: true, share: 1, probe_at: waiting ? before.probe_at : at(HEALTH_PROBE_MS) };
}
