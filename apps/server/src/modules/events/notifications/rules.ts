// What is said to a notify URL, and what its answer means.

import type { OutboundReply } from '../../../platform/outbound/client.ts';

export const MOST_ATTEMPTS = 5;
const LONGEST_PAUSE_SECS = 1_800;
/** Answers of the 4xx kind that may be others later. */
const PASSING: ReadonlySet<number> = new Set([408, 425, 429]);

export interface Notification {
  readonly id: string;
  /** This one included. */
  readonly attempts: number;
  readonly trigger_id: string;
  readonly project_id: string;
  readonly event_key: string;
  readonly expires_at: string;
  readonly job_run_id: string | null;
  readonly job_id: string | null;
}

export function requestOf(of: Notification): {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
} {
  return {
    headers: {
      'content-type': 'application/json',
      'x-strait-delivery-id': of.id,
      'x-strait-attempt': `${of.attempts}/${MOST_ATTEMPTS}`,
      'x-strait-idempotency-key': `${of.id}:${of.attempts}`,
      'x-strait-trigger-id': of.trigger_id,
      ...(of.job_run_id === null ? {} : { 'x-run-id': of.job_run_id }),
      ...(of.job_id === null ? {} : { 'x-job-id': of.job_id }),
    },
    body: JSON.stringify({
      event_key: of.event_key,
      trigger_id: of.trigger_id,
      project_id: of.project_id,
      expires_at: of.expires_at,
      callback_url: `/v1/events/${encodeURIComponent(of.event_key)}/send`,
    }),
  };
}

export type Verdict =
  | { readonly kind: 'sent' }
  | { readonly kind: 'failed'; readonly why: string }
  /** `uncounted`: we gave up, not the other side. */
  | { readonly kind: 'later'; readonly secs: number; readonly uncounted: boolean };

export function judge(reply: OutboundReply, attempts: number): Verdict {
  if (!reply.ok && reply.kind === 'aborted') return { kind: 'later', secs: 0, uncounted: true };
  if (reply.ok && reply.status < 400) return { kind: 'sent' };
  const why = reply.ok ? `it answered ${reply.status}` : `${reply.kind}: ${reply.message}`;
  const isFinal = reply.ok
    ? reply.status < 500 && !PASSING.has(reply.status)
    : reply.kind === 'forbidden';
  if (isFinal || attempts >= MOST_ATTEMPTS) return { kind: 'failed', why };
  return { kind: 'later', secs: Math.min(5 ** attempts, LONGEST_PAUSE_SECS), uncounted: false };
}
