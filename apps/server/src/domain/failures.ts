// Every refusal the product can answer with: code → HTTP status, text for people, whether trying again can help.

import type { Failure } from '../platform/failure.ts';

export interface FailureSpec {
  readonly status: number;
  readonly message: string;
  /** The same request may succeed later, unchanged. */
  readonly retryable: boolean;
}

const refuse = (status: number, message: string): FailureSpec => ({
  status,
  message,
  retryable: false,
});
const later = (status: number, message: string): FailureSpec => ({
  status,
  message,
  retryable: true,
});

export const failures = {
  // the request itself: every route can answer these
  invalid_request: refuse(400, 'the request is not valid'),
  invalid_json: refuse(400, 'the body is not valid JSON'),
  body_required: refuse(400, 'a JSON body is required'),
  invalid_cursor: refuse(400, 'the cursor is not valid'),
  project_required: refuse(400, 'name the project in the X-Project-Id header'),
  unauthorized: refuse(401, 'missing or invalid credentials'),
  forbidden: refuse(403, 'the credentials do not allow this'),
  project_mismatch: refuse(403, 'the credentials do not belong to this project'),
  project_not_found: refuse(404, 'project not found'),
  route_not_found: refuse(404, 'there is no such route'),
  method_not_allowed: refuse(405, 'the route does not support this method'),
  body_too_large: refuse(413, 'the body is too large'),
  headers_too_large: refuse(431, 'the URL and the headers are too large'),
  rate_limited: later(429, 'too many requests'),
  internal: later(500, 'internal error'),
  database_unavailable: later(503, 'the database is not available'),
  overloaded: later(503, 'the server is busy'),
  shutting_down: later(503, 'the server is stopping'),
  request_timeout: later(504, 'the request took too long'),

  // access
  unknown_scope: refuse(400, 'unknown scope'),
  scope_not_held: refuse(403, 'only scopes the caller holds can be granted'),
  run_token_mismatch: refuse(403, 'the run token belongs to another run'),
  api_key_not_found: refuse(404, 'API key not found'),
  api_key_revoked: refuse(409, 'the API key is already revoked'),
  api_key_not_rotatable: refuse(409, 'the API key is revoked or already rotated'),
  project_exists: refuse(409, 'a project with this id exists already'),
  environment_not_found: refuse(404, 'environment not found'),

  // jobs
  invalid_job: refuse(400, 'the job definition is not valid'),
  invalid_schema: refuse(400, 'the JSON Schema is not valid'),
  invalid_url: refuse(400, 'the URL is not allowed'),
  job_not_found: refuse(404, 'job not found'),
  key_limit_not_found: refuse(404, 'the concurrency key has no limits of its own'),
  job_version_not_found: refuse(404, 'job version not found'),
  schedule_not_found: refuse(404, 'the job has no cron expression'),
  workflow_schedule_not_found: refuse(404, 'the workflow has no cron expression'),
  job_group_not_found: refuse(404, 'job group not found'),
  job_group_slug_taken: refuse(409, 'another group of the project has this slug'),
  job_group_not_empty: refuse(409, 'the group has jobs'),
  job_slug_taken: refuse(409, 'another job of the project has this slug'),
  job_has_active_runs: refuse(409, 'the job has active runs'),
  job_in_use: refuse(409, 'steps of workflows use the job'),
  job_version_conflict: refuse(409, 'the job was changed by somebody else'),
  job_limit_reached: refuse(409, 'the project has as many jobs as it may'),
  dependency_not_found: refuse(404, 'job dependency not found'),
  dependency_cycle: refuse(400, 'the dependency would close a cycle'),
  dependency_exists: refuse(409, 'the dependency exists'),

  // workflows
  invalid_workflow: refuse(400, 'the workflow definition is not valid'),
  workflow_policy_violated: refuse(400, 'the project does not allow workflows of this shape'),
  workflow_not_found: refuse(404, 'workflow not found'),
  workflow_version_not_found: refuse(404, 'workflow version not found'),
  workflow_slug_taken: refuse(409, 'another workflow of the project has this slug'),
  workflow_has_active_runs: refuse(409, 'the workflow has active runs'),
  canary_not_found: refuse(404, 'the workflow has had no canary'),
  canary_active: refuse(409, 'the workflow has a canary that has not ended'),
  canary_not_active: refuse(409, 'the canary has ended'),
  invalid_canary: refuse(400, 'the canary is not valid'),
  simulation_too_long: refuse(400, 'the simulation would take too long: fewer retries or items'),
  workflow_version_conflict: refuse(409, 'the workflow was changed by somebody else'),

  // workflow runs
  workflow_disabled: refuse(409, 'the workflow is disabled'),
  workflow_policy_refused: refuse(
    409,
    'the project does not allow workflows of this shape any more',
  ),
  workflow_runs_limit_reached: refuse(409, 'workflow max concurrent runs reached'),
  workflow_key_mismatch: refuse(409, 'the idempotency key belongs to a run with another payload'),
  workflow_run_not_found: refuse(404, 'workflow run not found'),
  workflow_run_not_cancelable: refuse(409, 'the workflow run has already ended'),
  workflow_run_not_pausable: refuse(409, 'the workflow run cannot be paused in its state'),
  workflow_run_not_resumable: refuse(409, 'the workflow run is not paused'),
  workflow_run_not_compensable: refuse(
    409,
    'only a workflow run that has failed or timed out can be undone',
  ),
  workflow_run_not_active: refuse(409, 'the workflow run is not active'),
  workflow_run_not_resettable: refuse(
    409,
    'steps of the workflow run cannot run again in its state',
  ),
  workflow_run_not_retryable: refuse(409, 'the workflow run has not ended'),
  workflow_step_not_found: refuse(404, 'the workflow run has no such step'),
  workflow_step_not_waiting: refuse(409, 'the step is neither pending nor waiting'),
  workflow_step_not_terminal: refuse(409, 'the step has not ended'),
  workflow_step_not_resettable: refuse(
    409,
    'the step cannot run again: a step it depends on has failed',
  ),
  workflow_step_not_asking: refuse(409, 'the step does not wait for an approval'),
  not_an_approver: refuse(403, 'the approval is not for this caller to decide'),
  approver_mismatch: refuse(403, 'an approval is decided by who calls, not by who is named'),
  approval_already_decided: refuse(409, 'the approval has been decided'),

  // triggering
  job_disabled: refuse(400, 'the job is disabled'),
  invalid_payload: refuse(400, 'the payload does not match the schema of the job'),
  invalid_schedule: refuse(400, 'the requested time is not allowed'),
  payload_too_large: refuse(413, 'the payload is too large'),
  queue_quota_exceeded: later(429, 'project queued quota exceeded'),
  executing_quota_exceeded: later(429, 'project executing quota exceeded'),
  daily_cost_exceeded: later(429, 'project daily cost limit exceeded'),
  job_rate_limited: later(429, 'job rate limit exceeded'),
  batch_operation_not_found: refuse(404, 'batch operation not found'),

  // runs
  run_not_found: refuse(404, 'run not found'),
  run_not_cancelable: refuse(409, 'the run has already ended'),
  run_not_replayable: refuse(400, 'the run cannot be replayed in its state'),
  run_not_dead_letter: refuse(409, 'the run is not in the dead letter queue'),
  run_not_reschedulable: refuse(400, 'the run cannot be rescheduled in its state'),
  run_not_pausable: refuse(409, 'the run cannot be paused in its state'),
  run_not_resumable: refuse(409, 'the run is not paused'),
  run_not_restartable: refuse(409, 'the run cannot be restarted in its state'),
  run_stream_ended: refuse(410, 'the run has ended; send Last-Event-ID to replay its events'),
  checkpoint_not_found: refuse(404, 'checkpoint not found'),
  idempotency_key_in_use: refuse(409, 'the run holding the idempotency key is active'),
  filter_required: refuse(400, 'at least one filter is required'),

  // the in-run API
  run_attempt_superseded: refuse(409, 'the attempt was superseded by a newer one'),
  run_not_active: refuse(409, 'the run is not executing or waiting'),
  run_not_executing: refuse(409, 'the run is not executing'),
  result_too_large: refuse(413, 'the result is too large'),
  result_invalid: refuse(422, 'the result does not match the schema of the job'),
  output_invalid: refuse(400, 'the output does not match its schema'),
  annotations_limit: refuse(400, 'too many annotations'),
  lineage_too_deep: refuse(400, 'the run has too many ancestors'),
  run_cost_exceeded: later(429, 'run cost limit exceeded'),
  state_key_not_found: refuse(404, 'state key not found'),
  state_limit_reached: refuse(400, 'the run holds as many state keys as it may'),

  // events
  event_not_found: refuse(404, 'event trigger not found'),
  event_not_waiting: refuse(409, 'the event trigger is no longer waiting'),
  event_already_received: refuse(409, 'the event has been received with another payload'),
  event_is_sleep: refuse(409, 'a sleep ends by itself: no event does that'),
  event_is_child: refuse(409, 'the run waits for its child: no event from outside ends that'),
  event_buffer_full: later(429, 'the project keeps as many early events as it may'),
  event_key_waiting: refuse(409, 'another trigger of the project waits for this event key'),
  event_trigger_quota_exceeded: later(429, 'project event trigger quota exceeded'),

  // streams
  too_many_streams: later(429, 'too many open streams'),
  streaming_unavailable: later(503, 'streaming is not available'),
} as const satisfies Record<string, FailureSpec>;

export type FailureCode = keyof typeof failures;

/** What people read: what was said about this refusal, else what the catalogue says. */
export const textOf = ({ code, context }: Failure): string =>
  context.message ?? (Object.hasOwn(failures, code) ? failures[code as FailureCode].message : code);

/** Codes any route can answer with; operations list only what comes on top. */
export const commonFailures = [
  'invalid_request',
  'invalid_json',
  'body_required',
  'invalid_cursor',
  'project_required',
  'unauthorized',
  'forbidden',
  'project_mismatch',
  'project_not_found',
  'route_not_found',
  'method_not_allowed',
  'body_too_large',
  'headers_too_large',
  'rate_limited',
  'internal',
  'database_unavailable',
  'overloaded',
  'shutting_down',
  'request_timeout',
] as const satisfies readonly FailureCode[];
