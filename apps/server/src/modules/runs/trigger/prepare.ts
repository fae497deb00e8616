// One trigger request → one run to enqueue, or everything that is wrong with it.

import { Failure } from '../../../platform/failure.ts';
import type { FailureDetail } from '../../../platform/failure.ts';
import type { FailureCode } from '../../../domain/failures.ts';
import type { TriggerJob } from '../../jobs/index.ts';
import type { NewRun } from '../../queue/index.ts';
import { canonicalJson, payloadHash } from './canonical-json.ts';
import type { TriggerItem } from './contract.ts';
import { startOf } from './starts.ts';
import { reservedKeys, runMetadata, scheduleProblem } from './rules.ts';

export interface PayloadCheck {
  /** Problems of a payload with the job's schema, paths relative to the payload; none when it fits. */
  checkPayload(job: TriggerJob, payload: unknown): readonly FailureDetail[];
}

export interface PrepareContext {
  readonly job: TriggerJob;
  readonly jobs: PayloadCheck;
  readonly now_ms: number;
  readonly max_payload_bytes: number;
  readonly created_by: string;
  readonly traceparent?: string | undefined;
  readonly tracestate?: string | undefined;
  readonly batch_id?: string | undefined;
  /** Single triggers may become part of a debounced or batched run. */
  readonly may_wait_in_buffer?: boolean;
}

export const isBuffered = (job: TriggerJob): boolean =>
  job.debounce_window_secs > 0 || job.batch_window_secs > 0;

export interface PreparedRun {
  readonly run: NewRun & { readonly payload_hash: string };
  readonly scheduled_at: string | undefined;
}

/** `path` is where the item stands in the request: `body`, `body.items[3]`. Throws a Failure. */
export function prepareRun(item: TriggerItem, path: string, context: PrepareContext): PreparedRun {
  const { job, now_ms } = context;
  const reserved = reservedKeys(item.metadata, `${path}.metadata`);
  if (reserved.length > 0) throw refusal('invalid_request', reserved);
  const problem = scheduleProblem(item.scheduled_at, now_ms);
  if (problem !== undefined) {
    throw refusal('invalid_schedule', [{ path: `${path}.scheduled_at`, message: problem }]);
  }
  if (item.scheduled_at !== undefined && context.may_wait_in_buffer && isBuffered(job)) {
    const message = 'cannot be combined with the debounce or batch window of the job';
    throw refusal('invalid_schedule', [{ path: `${path}.scheduled_at`, message }]);
  }
  const { payload, hash, parsed } = preparePayload(item.payload, path, context);
  const { scheduled_at, delayed_by } = startOf(job, item.scheduled_at, now_ms);
  return {
    scheduled_at,
    run: {
      job_id: job.id,
      project_id: job.project_id,
      payload,
      payload_hash: hash,
      priority: item.priority ?? 0,
      // An empty key is no key: it must take no lock and match nobody.
      idempotency_key: item.idempotency_key || undefined,
      extra: {
        created_by: context.created_by,
        batch_id: context.batch_id,
        scheduled_at,
        delayed_by,
        ttl_secs: item.ttl_secs,
        tags: item.tags,
        concurrency_key: item.concurrency_key || undefined,
        metadata: runMetadata({
          metadata: item.metadata,
          payload: parsed,
          traceparent: context.traceparent,
          tracestate: context.tracestate,
        }),
      },
    },
  };
}

/** Size, schema and canonical form. An absent payload is checked as null and stored as `{}`. */
export function preparePayload(
  payload: unknown,
  path: string,
  { job, jobs, max_payload_bytes }: Pick<PrepareContext, 'job' | 'jobs' | 'max_payload_bytes'>,
): { payload: string; hash: string; parsed: unknown } {
  const canonical = canonicalJson(payload === undefined ? {} : payload);
  if (Buffer.byteLength(canonical) > max_payload_bytes) {
    const message = `is larger than ${max_payload_bytes} bytes`;
    throw refusal('payload_too_large', [{ path: `${path}.payload`, message }]);
  }
  const problems = jobs.checkPayload(job, payload === undefined ? null : payload);
  if (problems.length > 0) {
    const details = problems.map((found) => ({
      path: joinPath(`${path}.payload`, found.path),
      message: found.message,
    }));
    throw refusal('invalid_payload', details);
  }
  return { payload: canonical, hash: payloadHash(canonical), parsed: payload };
}

const joinPath = (path: string, rest: string) =>
  rest === '' || rest.startsWith('[') || rest.startsWith('.')
    ? `${path}${rest}`
    : `${path}.${rest}`;

export function refusal(code: FailureCode, details: readonly FailureDetail[]): Failure {
  const [first] = details;
  const more = details.length > 1 ? ` (and ${details.length - 1} more)` : '';
  return new Failure(
    code,
    first ? { message: `${first.path}: ${first.message}${more}`, details } : {},
  );
}
