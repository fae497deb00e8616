// The dispatch request of one attempt (engine-semantics §7.2).

import { signBody } from '../../platform/crypto/signature.ts';
import { signRunToken } from '../../platform/crypto/run-token.ts';
import type { JobConfig } from '../jobs/index.ts';
import type { ClaimedRun } from '../queue/index.ts';

/** What an earlier attempt or a wait left behind for this one. */
export interface ResumeFacts {
  readonly checkpoint?: { readonly state: string; readonly created_at: string } | undefined;
  /** JSON text of the event that ended the wait. */
  readonly event_payload?: string | undefined;
}

/** What starts left in the metadata of a run for its handler: its trace, and of which workflow run and step it is the work. */
const METADATA_HEADERS = [
  ['_trace_parent', 'traceparent'],
  ['_trace_state', 'tracestate'],
  ['_workflow_run_id', 'x-strait-workflow-run-id'],
  ['_workflow_step', 'x-strait-workflow-step'],
  ['_workflow_map_index', 'x-strait-workflow-map-index'],
] as const;

const MAX_HEADER_JSON_BYTES = 65_536;
const MAX_PREVIOUS_ERROR = 1024;
/** How long a run token outlives the attempt's deadline. */
const TOKEN_GRACE_SECS = 60;

export interface DispatchRequest {
  readonly url: string;
  readonly headers: Record<string, string>;
  readonly body: string | undefined;
}

export function buildRequest(
  run: ClaimedRun,
  job: JobConfig,
  facts: ResumeFacts | undefined,
  deadline_ms: number,
  now: number,
  tokenKey: string,
): DispatchRequest {
  const deadline = now + deadline_ms;
  const headers: Record<string, string> = {
    'content-type': 'application/json',
    'x-run-id': run.id,
    'x-job-id': run.job_id,
    'x-attempt': String(run.attempt),
    'x-strait-project-id': headerText(run.project_id),
    'x-strait-job-version': String(job.version),
    'x-strait-deadline': new Date(deadline).toISOString(),
    // New for each dispatch: a resumed or handed-back run keeps its attempt, not its claim.
    'idempotency-key': `${run.id}:${run.attempt}:${run.claim_seq}`,
    'x-run-token': signRunToken(
      {
        run_id: run.id,
        attempt: run.attempt,
        claim_seq: run.claim_seq,
        issued_at_secs: Math.floor(now / 1000),
        expires_at_secs: Math.ceil(deadline / 1000) + TOKEN_GRACE_SECS,
      },
      tokenKey,
    ),
  };
  const metadata = run.metadata as Record<string, unknown>;
  for (const [key, header] of METADATA_HEADERS) {
    const value = metadata[key];
    if (typeof value === 'string') headers[header] = headerText(value);
  }
  if (facts?.checkpoint) {
    const state = asciiJson(facts.checkpoint.state);
    if (state.length <= MAX_HEADER_JSON_BYTES) headers['x-last-checkpoint'] = state;
    headers['x-checkpoint-at'] = facts.checkpoint.created_at;
  }
  if (run.error !== null && (run.attempt > 1 || run.started_before !== null))
    headers['x-previous-error'] = headerText(run.error).slice(0, MAX_PREVIOUS_ERROR);
  if (facts?.event_payload !== undefined) {
    const payload = asciiJson(facts.event_payload);
    if (payload.length <= MAX_HEADER_JSON_BYTES) headers['x-event-payload'] = payload;
  }
  const body = run.payload ?? undefined;
  const signing_secret = job.signing_secret();
  if (signing_secret !== null) {
    const timestamp = Math.floor(now / 1000);
    headers['x-strait-timestamp'] = String(timestamp);
    headers['x-strait-signature'] = signBody(signing_secret, timestamp, body ?? '');
  }
  return { url: job.endpoint_url, headers, body };
}

/** Header values are visible ASCII on one line; everything else becomes a space or `?`. */
const headerText = (text: string): string =>
  text.replaceAll(/[\r\n\t]+/g, ' ').replaceAll(/[^\u0020-\u007e]/g, '?');

/** JSON may spell every character beyond ASCII as an escape, so it fits into a header unchanged in meaning. */
const asciiJson = (json: string): string =>
  json.replaceAll(
    /[\u007f-\uffff]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
