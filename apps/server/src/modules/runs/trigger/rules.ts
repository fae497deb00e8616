// Pure decisions about a trigger: what is refused, what goes into metadata, when the answer's token ends.

import type { FailureDetail } from '../../../platform/failure.ts';

const MAX_PAST_SECS = 60;
const MAX_AHEAD_SECS = 30 * 86_400;
const MAX_METADATA_VALUE = 1024;
/** How long the token of a run without a deadline outlives its job's timeout. */
const TOKEN_GRACE_SECS = 60;

const TRACE_PARENT = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;
const TRACE_STATE = /^[\x20-\x7e]{1,512}$/;

/** Why this instant may not be asked for; undefined when it may. */
export function scheduleProblem(
  scheduled_at: string | undefined,
  now_ms: number,
): string | undefined {
  if (scheduled_at === undefined) return undefined;
  const ahead_secs = (Date.parse(scheduled_at) - now_ms) / 1000;
  if (ahead_secs < -MAX_PAST_SECS) return `is more than ${MAX_PAST_SECS} seconds in the past`;
  if (ahead_secs > MAX_AHEAD_SECS) return `is more than ${MAX_AHEAD_SECS / 86_400} days ahead`;
  return undefined;
}

/** Keys starting with `_` belong to the product. */
export function reservedKeys(
  metadata: Readonly<Record<string, string>> | undefined,
  path: string,
): FailureDetail[] {
  return Object.keys(metadata ?? {})
    .filter((key) => key.startsWith('_'))
    .map((key) => ({ path: `${path}.${key}`, message: 'keys starting with _ are reserved' }));
}

/** Broken trace headers are ignored, as W3C asks: a caller's proxy must not break its triggers. */
export function runMetadata(input: {
  readonly metadata: Readonly<Record<string, string>> | undefined;
  readonly payload: unknown;
  readonly traceparent: string | undefined;
  readonly tracestate: string | undefined;
}): Record<string, string> | undefined {
  const { metadata, payload, traceparent, tracestate } = input;
  const dependency_key = dependencyKeyOf(payload);
  const traced = traceparent !== undefined && TRACE_PARENT.test(traceparent);
  if (metadata === undefined && dependency_key === undefined && !traced) return undefined;
  return {
    ...(dependency_key === undefined ? {} : { dependency_key }),
    ...metadata,
    ...(traced ? { _trace_parent: traceparent } : {}),
    ...(traced && tracestate !== undefined && TRACE_STATE.test(tracestate)
      ? { _trace_state: tracestate }
      : {}),
  };
}

function dependencyKeyOf(payload: unknown): string | undefined {
  if (typeof payload !== 'object' || payload === null || Array.isArray(payload)) return undefined;
  if (!Object.hasOwn(payload, 'dependency_key')) return undefined;
  const { dependency_key } = payload as { dependency_key?: unknown };
  const fits = typeof dependency_key === 'string' && dependency_key.length <= MAX_METADATA_VALUE;
  return fits ? dependency_key : undefined;
}

/** When the token a trigger answers with ends, in Unix seconds. It is good for attempt 1 only. */
export function tokenExpiry(input: {
  readonly expires_at: string | null;
  readonly scheduled_at: string | undefined;
  readonly timeout_secs: number;
  readonly now_ms: number;
}): number {
  const { expires_at, scheduled_at, timeout_secs, now_ms } = input;
  if (expires_at !== null) return Math.ceil(Date.parse(expires_at) / 1000);
  const start_ms = Math.max(now_ms, scheduled_at === undefined ? 0 : Date.parse(scheduled_at));
  return Math.ceil(start_ms / 1000) + timeout_secs + TOKEN_GRACE_SECS;
}

/** Seconds a run may wait for its first start; undefined = for ever. The first that is set and not 0. */
export const timeToLive = (
  ...choices: readonly (number | null | undefined)[]
): number | undefined =>
  choices.find((secs) => secs !== null && secs !== undefined && secs > 0) ?? undefined;
