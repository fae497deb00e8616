// Undoing what a failed run has done (workflow-semantics §25): which steps, in which order, one at a time. The store holds
// the lock of the workflow run, as for every progression.
import type { JsonValue, StepDefinition } from './definition.ts';
import { byText, topologicalOrder, type Graph } from './graph.ts';
import type { StepState, WorkflowRunStatus } from './states.ts';
import { isObject } from './templates.ts';

/** Completed steps that can be undone: the deepest first, in a rank the last by name first. */
export function compensationPlan(graph: Graph, states: readonly StepState[]): StepDefinition[] {
  const ranks: number[] = [];
  for (const index of topologicalOrder(graph).order)
    ranks[index] = Math.max(
      0,
      ...(graph.dependencies[index] ?? []).map((dependency) => (ranks[dependency] ?? 0) + 1),
    );
  return graph.steps
    .map((step, index) => ({ step, rank: ranks[index] ?? 0, state: states[index] }))
    .filter(({ step, state }) => state === 'completed' && step.compensation_job_id !== '')
    .toSorted((a, b) => b.rank - a.rank || byText(b.step.step_ref, a.step.step_ref))
    .map(({ step }) => step);
}

/** Members of an output that is an object are at hand by their names; the three names win. */
export function compensationPayload(
  workflow_run_id: string,
  step_ref: string,
  output: JsonValue,
): JsonValue {
  const members = isObject(output) ? output : {};
  return { ...members, original_output: output, step_ref, workflow_run_id };
}

export interface CompensationRow {
  readonly step_ref: string;
  readonly status: 'pending' | 'running' | 'completed' | 'failed';
  readonly job_run_id: string | null;
}

export type CompensationEvent =
  /** The rows have just been written, or the reaper looks after them. */
  | { readonly kind: 'next' }
  | {
      readonly kind: 'job_ended';
      readonly job_run_id: string;
      readonly status: string;
      readonly error: string | null;
    }
  /** Its job cannot be started. */
  | { readonly kind: 'refused'; readonly step_ref: string; readonly error: string };

export interface CompensationChanges {
  readonly ended: {
    readonly step_ref: string;
    readonly from: 'pending' | 'running';
    readonly to: 'completed' | 'failed';
    readonly error: string | null;
  } | null;
  /** The step to undo next: its row goes from pending to running with the new job run. */
  readonly start: string | null;
  readonly run: {
    readonly from: 'compensating';
    readonly to: 'compensated' | 'compensation_failed';
  } | null;
}

const FAILED: ReadonlySet<string> = new Set([
  'failed',
  'dead_letter',
  'timed_out',
  'crashed',
  'system_failed',
  'expired',
  'canceled',
]);

/** `rows` in the order of the plan. Null: nothing is to be done. A failure does not stop the others. */
export function compensate(
  status: WorkflowRunStatus,
  rows: readonly CompensationRow[],
  event: CompensationEvent,
): CompensationChanges | null {
  if (status !== 'compensating') return null;
  const ended = endedBy(rows, event);
  if (event.kind !== 'next' && !ended) return null;
  const after = rows.map((row) =>
    row.step_ref === ended?.step_ref ? { ...row, status: ended.to } : row,
  );
  if (after.some((row) => row.status === 'running')) return null;
  const next = after.find((row) => row.status === 'pending');
  if (next) return { ended, start: next.step_ref, run: null };
  const to = after.some((row) => row.status === 'failed') ? 'compensation_failed' : 'compensated';
  return { ended, start: null, run: { from: 'compensating', to } };
}

function endedBy(
  rows: readonly CompensationRow[],
  event: CompensationEvent,
): CompensationChanges['ended'] {
  if (event.kind === 'next') return null;
  if (event.kind === 'refused') {
    const row = rows.find((one) => one.step_ref === event.step_ref && one.status === 'pending');
    return row
      ? { step_ref: row.step_ref, from: 'pending', to: 'failed', error: event.error }
      : null;
  }
  const row = rows.find((one) => one.status === 'running' && one.job_run_id === event.job_run_id);
  if (!row) return null;
  const { step_ref } = row;
  if (event.status === 'completed')
    return { step_ref, from: 'running', to: 'completed', error: null };
  if (!FAILED.has(event.status)) return null;
  const error = event.error ?? `job run ended with status ${event.status}`;
  return { step_ref, from: 'running', to: 'failed', error };
}
