// From where a step stands to what it waits for, and the one call that would take that out of the way. Pure.
import type { StepDefinition } from '../engine/definition.ts';
import type { Standing } from '../engine/standing.ts';
import type { Blocker as Limit } from '../engine/scheduling.ts';

/** Every kind. docs/workflows.md says what each means. */
export const workflowBlockerKinds = [
  'ended',
  'run_paused',
  'compensation',
  'dependency',
  'parallel_limit',
  'key_limit',
  'class_limit',
  'queue_quota',
  'workflow_limit',
  'event_quota',
  'approval',
  'cost_gate',
  'waiting_event',
  'sleep',
  'retry_backoff',
  'job_run',
  'child_run',
  'map',
  'moving',
] as const;
export type WorkflowBlockerKind = (typeof workflowBlockerKinds)[number];

export interface Call {
  readonly method: 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly body?: unknown;
}

export interface WorkflowBlocker {
  readonly kind: WorkflowBlockerKind;
  readonly message: string;
  readonly step_ref?: string;
  readonly until?: string | undefined;
  readonly holders?: readonly string[];
  readonly approvers?: readonly string[];
  readonly see?: string | undefined;
  readonly unblock?: Call | undefined;
}

/** Names in one answer at most. */
export const HOLDERS = 10;

export const runPath = (id: string): string => `/v1/workflow-runs/${id}`;
export const stepPath = (id: string, step_ref: string): string =>
  `${runPath(id)}/steps/${step_ref}`;

export const moving = (message: string): WorkflowBlocker => ({ kind: 'moving', message });

export const pausedBlocker = (id: string, actor: string | undefined): WorkflowBlocker => ({
  kind: 'run_paused',
  message: `the run was paused${actor === undefined ? '' : ` by ${actor}`}`,
  unblock: { method: 'POST', path: `${runPath(id)}/resume` },
});

export const undoneBlocker = (id: string): WorkflowBlocker => ({
  kind: 'compensation',
  message: 'what its completed steps have done is being undone',
  see: `${runPath(id)}/compensation-plan`,
});

const LIMIT_KINDS = {
  blocked_parallel: 'parallel_limit',
  blocked_key: 'key_limit',
  blocked_class: 'class_limit',
  blocked_quota: 'queue_quota',
} as const satisfies Record<Limit['state'], WorkflowBlockerKind>;

/** Nobody can lift these for a run under way; they end with one of their holders. */
export function limitBlocker(
  { blocker, holders }: NonNullable<ReturnType<Standing['limit']>>,
  refOf: (index: number) => string,
): WorkflowBlocker {
  return {
    kind: LIMIT_KINDS[blocker.state],
    message: blocker.explanation,
    holders: holders.slice(0, HOLDERS).map(refOf),
  };
}

export interface Dependency {
  readonly step_ref: string;
  readonly status: string;
  /** Skipping it is allowed now, and lets those behind it go on. */
  readonly skippable: boolean;
}

export const dependencyBlocker = (
  run_id: string,
  { step_ref, status, skippable }: Dependency,
): WorkflowBlocker => ({
  kind: 'dependency',
  message: `waits for step ${step_ref}, which is ${status}`,
  holders: [step_ref],
  see: `${stepPath(run_id, step_ref)}/why`,
  unblock: skippable ? skip(run_id, step_ref, 'not waited for') : undefined,
});

const skip = (run_id: string, step_ref: string, reason: string): Call => ({
  method: 'POST',
  path: `${stepPath(run_id, step_ref)}/skip`,
  body: { reason },
});

export interface PendingApproval {
  readonly approvers: readonly string[];
  readonly expires_at: string | null;
}

export function approvalBlocker(
  run_id: string,
  { step_ref }: StepDefinition,
  kind: 'approval' | 'cost_gate',
  { approvers, expires_at }: PendingApproval,
): WorkflowBlocker {
  const who = approvers.length > 0 ? approvers.join(', ') : 'anybody with workflows:write';
  return {
    kind,
    message:
      kind === 'approval'
        ? `waits for an approval by ${who}`
        : `its job costs more than the threshold of the step: waits for an approval by ${who}`,
    approvers,
    until: expires_at ?? undefined,
    unblock: { method: 'POST', path: `${stepPath(run_id, step_ref)}/approve`, body: {} },
  };
}

export interface PendingTrigger {
  readonly event_key: string;
  readonly expires_at: string | null;
}

export const eventBlocker = ({ event_key, expires_at }: PendingTrigger): WorkflowBlocker => ({
  kind: 'waiting_event',
  message: `waits for the event ${event_key}`,
  until: expires_at ?? undefined,
  unblock: { method: 'POST', path: `/v1/events/${encodeURIComponent(event_key)}/send`, body: {} },
});

export const sleepBlocker = (
  run_id: string,
  step_ref: string,
  { expires_at }: PendingTrigger,
): WorkflowBlocker => ({
  kind: 'sleep',
  message: `sleeps until ${expires_at}`,
  until: expires_at ?? undefined,
  unblock: skip(run_id, step_ref, 'slept enough'),
});

export const retryBlocker = (
  attempt: number,
  next_retry_at: string,
  error: string | null,
): WorkflowBlocker => ({
  kind: 'retry_backoff',
  message: `attempt ${attempt} is due at ${next_retry_at}${error === null ? '' : `: ${error}`}`,
  until: next_retry_at,
});

export const jobRunBlocker = (id: string, status: string): WorkflowBlocker => ({
  kind: 'job_run',
  message: `its job run is ${status}`,
  holders: [id],
  see: `/v1/runs/${id}/why`,
});

export const childRunBlocker = (id: string, status: string): WorkflowBlocker => ({
  kind: 'child_run',
  message: `its child run is ${status}`,
  holders: [id],
  see: `${runPath(id)}/why`,
});

export function mapBlocker(
  run_id: string,
  step_ref: string,
  map: { readonly total: number; readonly completed: number; readonly failed: number },
  holders: readonly string[],
): WorkflowBlocker {
  const ended = map.completed + map.failed;
  return {
    kind: 'map',
    message: `${ended} of ${map.total} children have ended`,
    holders,
    see: `${stepPath(run_id, step_ref)}/children`,
  };
}

/** The last work of a step that failed, where that can be looked into. */
export function failedWork(
  run_id: string,
  row: { readonly step_ref: string; readonly job_run_id: string | null; readonly map: unknown },
  child_run_id: string | undefined,
): string | undefined {
  if (row.map !== null) return `${stepPath(run_id, row.step_ref)}/children?status=failed`;
  if (child_run_id !== undefined) return `${runPath(child_run_id)}/why`;
  return row.job_run_id === null ? undefined : `/v1/runs/${row.job_run_id}`;
}

export interface Ended {
  readonly what: 'run' | 'step';
  readonly status: string;
  readonly error: string | null;
  readonly see?: string | undefined;
  readonly unblock: Call | undefined;
}

export const endedBlocker = ({ what, status, error, see, unblock }: Ended): WorkflowBlocker => ({
  kind: 'ended',
  message: `the ${what} is ${status}${error ? `: ${error}` : ''}`,
  see,
  unblock,
});
