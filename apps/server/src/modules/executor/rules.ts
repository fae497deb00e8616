// Pure decisions about attempts: what a reply means, whether to try again and when (engine-semantics §§7.4, 8).

import { createHash } from 'node:crypto';
import { GIVEN_PRIORITY } from '../queue/index.ts';
import { storableJson } from './storable-json.ts';

export type ErrorClass =
  | 'rate_limited'
  | 'auth'
  | 'client'
  | 'transient'
  | 'server'
  | 'connection'
  | 'timeout'
  | 'crash'
  | 'internal'
  | 'unknown';

const RETRYABLE: ReadonlySet<string> = new Set([
  'rate_limited',
  'transient',
  'server',
  'connection',
  'timeout',
  'crash',
  'unknown',
]);

export const isRetryable = (error_class: string): boolean => RETRYABLE.has(error_class);

/** How an attempt ended, before anybody decided what that means for the run. */
export type AttemptOutcome =
  | { readonly ok: true; readonly result: string | undefined; readonly status_code: number }
  | { readonly ok: 'handed_over'; readonly status_code: number }
  | {
      readonly ok: false;
      readonly error: string;
      readonly error_class: ErrorClass;
      readonly status_code?: number | undefined;
      /** What the poison-pill fingerprint is taken from: the error, for HTTP failures only the status. */
      readonly fingerprint: string;
      readonly retry_after_ms?: number | undefined;
    };

export interface HttpReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
  readonly truncated: boolean;
}

const ERROR_BODY_BYTES = 1024;

/** Meaning of an HTTP reply. `now` in ms is for Retry-After dates. */
export function interpretReply(reply: HttpReply, now: number): AttemptOutcome {
  const { status } = reply;
  if (status >= 200 && status < 300) {
    if (status === 202 && reply.headers['x-strait-async'] === '1')
      return { ok: 'handed_over', status_code: status };
    if (reply.truncated) {
      return {
        ok: false,
        error: 'result too large',
        error_class: 'client',
        status_code: status,
        fingerprint: 'result too large',
      };
    }
    return { ok: true, result: storableJson(reply.body.toString('utf8')), status_code: status };
  }
  const text = storableText(reply.body.subarray(0, ERROR_BODY_BYTES).toString('utf8')).trim();
  const error_class = classifyStatus(status);
  return {
    ok: false,
    error: `endpoint returned ${status}${text === '' ? '' : `: ${text}`}`,
    error_class,
    status_code: status,
    fingerprint: `endpoint returned ${status}`,
    retry_after_ms:
      status === 429 || status === 503
        ? parseRetryAfter(reply.headers['retry-after'], now)
        : undefined,
  };
}

export function classifyStatus(status: number): ErrorClass {
  if (status === 429) return 'rate_limited';
  if (status === 401 || status === 403) return 'auth';
  if (status === 408 || status === 425) return 'transient';
  if (status >= 300 && status < 500) return 'client';
  if (status >= 500 && status < 600) return 'server';
  return 'unknown';
}

const MAX_DELAY_MS = 3_600_000;

/** Seconds or an HTTP date; undefined when absent or unreadable. Capped at one hour. */
export function parseRetryAfter(
  value: string | string[] | undefined,
  now: number,
): number | undefined {
  const text = (Array.isArray(value) ? value[0] : value)?.trim();
  if (text === undefined || text === '') return undefined;
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - now;
  return Number.isFinite(ms) ? Math.min(Math.max(ms, 0), MAX_DELAY_MS) : undefined;
}

/** What decides about retries of one run: run overrides over job settings. */
export interface RetryPolicy {
  readonly max_attempts: number;
  readonly retry_strategy: string;
  readonly retry_delays_secs: readonly number[];
  readonly retry_priority_boost: number;
  readonly poison_pill_threshold: number | null;
  /** Set by a run override (or a workflow step): replaces the job's strategy. */
  readonly retry_backoff?: string | null | undefined;
  readonly retry_initial_delay_secs?: number | null | undefined;
  readonly retry_max_delay_secs?: number | null | undefined;
}

/** Delay in seconds after the failure of `attempt` (1-based), before jitter (engine-semantics §8.1). */
export function baseDelaySecs(policy: RetryPolicy, attempt: number): number {
  const overridden =
    policy.retry_backoff != null ||
    policy.retry_initial_delay_secs != null ||
    policy.retry_max_delay_secs != null;
  if (overridden) {
    const initial = policy.retry_initial_delay_secs ?? 1;
    const cap = policy.retry_max_delay_secs ?? 3600;
    return clampSecs(
      policy.retry_backoff === 'fixed'
        ? Math.min(initial, cap)
        : Math.min(initial * 2 ** (attempt - 1), cap),
    );
  }
  const delays = policy.retry_delays_secs;
  switch (policy.retry_strategy) {
    case 'linear':
      return clampSecs(attempt);
    case 'fixed':
      return 1;
    case 'custom':
      return clampSecs(delays[Math.min(attempt, delays.length) - 1] ?? 2 ** (attempt - 1));
    default:
      return clampSecs(2 ** (attempt - 1));
  }
}

const clampSecs = (secs: number): number => Math.min(Math.max(secs, 1), 3600);

/** Delay in ms with jitter: ±20 %, or up to +10 % on top of a Retry-After that asks for more. `random` in [0, 1). */
export function retryDelayMs(
  policy: RetryPolicy,
  attempt: number,
  retry_after_ms: number | undefined,
  random: number,
): number {
  const strategy = baseDelaySecs(policy, attempt) * 1000 * (0.8 + 0.4 * random);
  if (retry_after_ms === undefined) return Math.round(strategy);
  return Math.round(Math.max(strategy, retry_after_ms * (1 + 0.1 * random)));
}

export interface FailedAttempt {
  readonly attempt: number;
  readonly priority: number;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly error_class: ErrorClass;
  readonly fingerprint: string;
  readonly retry_after_ms?: number | undefined;
}

export type RetryDecision =
  | {
      readonly to: 'queued';
      readonly attempt: number;
      readonly priority: number;
      readonly delay_ms: number;
      readonly metadata: Record<string, string>;
    }
  | {
      readonly to: 'dead_letter' | 'timed_out' | 'crashed' | 'system_failed';
      readonly metadata: Record<string, string>;
      readonly poison: boolean;
    };

/** Retry iff attempts are left, the class may be retried and the error is no poison pill (engine-semantics §8.3, §8.4). */
export function decideRetry(
  failure: FailedAttempt,
  policy: RetryPolicy,
  random: number,
): RetryDecision {
  const metadata = poisonCount(failure, policy);
  const poison =
    policy.poison_pill_threshold !== null &&
    Number(metadata['_error_hash_count'] ?? 0) >= policy.poison_pill_threshold;
  const priority = Math.max(
    failure.priority,
    Math.min(failure.priority + policy.retry_priority_boost, 10),
  );
  if (!poison && failure.attempt < policy.max_attempts && isRetryable(failure.error_class)) {
    return {
      to: 'queued',
      attempt: failure.attempt + 1,
      priority,
      delay_ms: retryDelayMs(policy, failure.attempt, failure.retry_after_ms, random),
      metadata:
        priority > failure.priority && !Object.hasOwn(failure.metadata, GIVEN_PRIORITY)
          ? { ...metadata, [GIVEN_PRIORITY]: String(failure.priority) }
          : metadata,
    };
  }
  return { to: poison ? 'dead_letter' : exhausted(failure.error_class), metadata, poison };
}

function exhausted(
  error_class: ErrorClass,
): 'dead_letter' | 'timed_out' | 'crashed' | 'system_failed' {
  if (error_class === 'timeout') return 'timed_out';
  if (error_class === 'crash') return 'crashed';
  return error_class === 'internal' ? 'system_failed' : 'dead_letter';
}

/** Consecutive equal fingerprints, kept in the run's metadata; nothing is kept while the job has no threshold. */
function poisonCount(failure: FailedAttempt, policy: RetryPolicy): Record<string, string> {
  if (policy.poison_pill_threshold === null) return {};
  const hash = createHash('sha256')
    .update(failure.fingerprint.slice(0, 200))
    .digest('hex')
    .slice(0, 16);
  const count =
    failure.metadata['_error_hash'] === hash
      ? Number(failure.metadata['_error_hash_count'] ?? 0) + 1
      : 1;
  return { _error_hash: hash, _error_hash_count: String(count) };
}

/** Text as PostgreSQL can store it: no NUL, no lone surrogates. */
export const storableText = (text: string): string =>
  text.replaceAll('\u0000', '\uFFFD').toWellFormed();

/** The retry settings of one run: what it overrides, else its job version's. */
export function policyOf(
  run: {
    readonly max_attempts_override: number | null;
    readonly retry_backoff: string | null;
    readonly retry_initial_delay_secs: number | null;
    readonly retry_max_delay_secs: number | null;
  },
  job: Pick<
    RetryPolicy,
    | 'max_attempts'
    | 'retry_strategy'
    | 'retry_delays_secs'
    | 'retry_priority_boost'
    | 'poison_pill_threshold'
  >,
): RetryPolicy {
  return {
    max_attempts: run.max_attempts_override ?? job.max_attempts,
    retry_strategy: job.retry_strategy,
    retry_delays_secs: job.retry_delays_secs,
    retry_priority_boost: job.retry_priority_boost,
    poison_pill_threshold: job.poison_pill_threshold,
    retry_backoff: run.retry_backoff,
    retry_initial_delay_secs: run.retry_initial_delay_secs,
    retry_max_delay_secs: run.retry_max_delay_secs,
  };
}
