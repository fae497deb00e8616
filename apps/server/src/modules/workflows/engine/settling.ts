// The core, 2 of 3: how steps and runs end, and how an operator makes them begin again. `move` is the only place
// where the state of a step changes, so tallies and follow-ups cannot be forgotten.
import type { Refusal, RunChange, StepPatch } from './changes.ts';
import type { JsonValue, StepDefinition } from './definition.ts';
import {
  decide,
  outputOf,
  rowOf,
  runStatus,
  setPatch,
  stateAt,
  stepAt,
  tally,
  type Draft,
} from './draft.ts';
import { descendantsOf, topologicalOrder } from './graph.ts';
import {
  isActive,
  isParked,
  isTerminalStep,
  statusOf,
  stepStatuses,
  workflowRunStates,
  type StepState,
  type WorkflowRunStatus,
} from './states.ts';
import { applyTransform } from './transforms.ts';

/** Brings a step into a state; columns of `patch` win over those of earlier moves. */
export function move(draft: Draft, index: number, to: StepState, patch: StepPatch = {}): void {
  const from = stateAt(draft, index);
  stepStatuses.assert(statusOf(from), statusOf(to));
  tally(draft, index, from, -1);
  draft.states[index] = to;
  tally(draft, index, to, 1);
  setPatch(draft, index, patch);
  if (isResolved(draft, index))
    for (const dependent of draft.graph.dependents[index] ?? []) draft.candidates.push(dependent);
}

/** Whether dependents may go on (§12): derived from the state, never counted. */
export function isResolved(draft: Draft, index: number): boolean {
  const state = draft.states[index];
  if (state === 'completed' || state === 'skipped') return true;
  const failed = state === 'failed' || state === 'canceled_work';
  return failed && stepAt(draft, index).on_failure === 'continue';
}

export const isReady = (draft: Draft, index: number): boolean =>
  (draft.graph.dependencies[index] ?? []).every((dependency) => isResolved(draft, dependency));

/** A dependency ended in a way that dependents cannot go on from. */
const isHopeless = (draft: Draft, index: number): boolean =>
  (draft.graph.dependencies[index] ?? []).some((dependency) => endedBadly(draft, dependency));

const endedBadly = (draft: Draft, index: number): boolean =>
  isTerminalStep(stateAt(draft, index)) && !isResolved(draft, index);

/** Ends what a step is parked on or has in flight; what this very progression would start is just not started. */
export function letGo(
  draft: Draft,
  index: number,
  to: 'rejected' | 'approved' | 'canceled',
  actor: string | null,
  error: string | null,
): void {
  const { step_ref } = stepAt(draft, index);
  const state = stateAt(draft, index);
  if (withdraw(draft, index)) return;
  if (state === 'running') draft.cancelWork.add(index);
  if (!isParked(state)) return;
  const isTrigger = state === 'on_event' || state === 'on_sleep';
  draft.waits.push({ step_ref, to: isTrigger ? 'canceled' : to, actor, error });
}

/** Takes back what this progression would have started for a step. */
function withdraw(draft: Draft, index: number): boolean {
  const { step_ref } = stepAt(draft, index);
  const unborn = draft.starts.filter((start) => start.step_ref === step_ref);
  for (const start of unborn) draft.starts.splice(draft.starts.indexOf(start), 1);
  if (unborn.length > 0 && draft.firstStarts.delete(index))
    setPatch(draft, index, { started_at: null, map: null });
  return unborn.length > 0;
}

export function completeStep(
  draft: Draft,
  index: number,
  output: JsonValue,
  how: { readonly transform: boolean; readonly patch?: StepPatch },
): void {
  const { step_ref, output_transform, event_emit_key } = stepAt(draft, index);
  let stored = output;
  if (how.transform && output_transform !== '' && output !== null) {
    const found = applyTransform(output_transform, output);
    if (found !== undefined) stored = found;
    else {
      draft.warnings.push(`step ${step_ref}: output_transform found nothing`);
      decide(draft, index, 'output', 'transform_miss', `${output_transform} found nothing`, {
        output_transform,
      });
    }
  }
  move(draft, index, 'completed', {
    ...how.patch,
    output: stored,
    error: null,
    finished_at: draft.known.now,
  });
  if (event_emit_key !== '') draft.toEmit.push(index);
}

/** The failure path (§11): another attempt, or the policy of the step. */
export function failStep(
  draft: Draft,
  index: number,
  error: string,
  how: { readonly retry: boolean; readonly as?: 'failed' | 'canceled_work' },
): void {
  const step = stepAt(draft, index);
  const attempt =
    how.retry && step.retry_max_attempts > 1 ? (rowOf(draft, index)?.attempt ?? 1) : 0;
  // A dependency may have ended badly since the step started (it was retried by an operator): a next attempt would wait for ever.
  if (attempt > 0 && step.retry_max_attempts > attempt && !isHopeless(draft, index)) {
    const delay_ms = retryDelaySecs(step, attempt) * jitter(draft, step, attempt) * 1000;
    move(draft, index, 'on_retry', {
      attempt: attempt + 1,
      error,
      next_retry_at: draft.known.now + Math.round(delay_ms),
      work_id: null,
      wait_id: null,
      map: null,
    });
    return;
  }
  failForGood(draft, index, error, how.as ?? 'failed');
}

function failForGood(
  draft: Draft,
  index: number,
  error: string,
  state: 'failed' | 'canceled_work',
): void {
  const { step_ref, on_failure } = stepAt(draft, index);
  move(draft, index, state, { error, finished_at: draft.known.now, next_retry_at: null });
  if (on_failure === 'fail_workflow')
    endRun(draft, 'failed', failureText(step_ref, state, error), 'workflow failed');
  else if (on_failure === 'skip_dependents') skipDependents(draft, index);
}

const failureText = (step_ref: string, state: StepState, error: string): string =>
  state === 'canceled_work' ? `step ${step_ref} canceled` : `step ${step_ref} failed: ${error}`;

/** Before jitter, after failed attempt `attempt` (1-based). */
export function retryDelaySecs(
  step: Pick<StepDefinition, 'retry_backoff' | 'retry_initial_delay_secs' | 'retry_max_delay_secs'>,
  attempt: number,
): number {
  const initial = step.retry_initial_delay_secs || 1;
  const longest = step.retry_max_delay_secs || 3600;
  const grown = step.retry_backoff === 'fixed' ? initial : initial * 2 ** (attempt - 1);
  return Math.min(grown, longest);
}

/** 0.8 to 1.2, and the same each time it is asked: a progression repeated after a crash decides the same. */
function jitter(draft: Draft, step: StepDefinition, attempt: number): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(`${draft.known.run.id}:${step.step_ref}:${attempt}`))
    hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return 0.8 + ((hash & 0xffff) / 0xffff) * 0.4;
}

function skipDependents(draft: Draft, index: number): void {
  const { step_ref } = stepAt(draft, index);
  const error = `dependency ${step_ref} failed`;
  for (const dependent of descendantsOf(draft.graph, index)) {
    const state = stateAt(draft, dependent);
    // One that runs started before an operator reset the failed step: it may finish.
    if (isTerminalStep(state) || state === 'running') continue;
    // One of those whose attempt failed just now: there will be no next one.
    if (state === 'on_retry' && draft.before[dependent] === 'running') {
      const { attempt = 1, error: own } = draft.patches.get(dependent) ?? {};
      setPatch(draft, dependent, { attempt: attempt - 1 });
      failForGood(draft, dependent, own ?? error, 'failed');
      continue;
    }
    letGo(draft, dependent, 'canceled', null, error);
    move(draft, dependent, 'skipped_dependency', {
      error,
      finished_at: draft.known.now,
      next_retry_at: null,
    });
  }
}

/** Ends the run and everything under it. */
export function endRun(
  draft: Draft,
  to: 'failed' | 'timed_out' | 'canceled',
  error: string,
  stepError: string,
): void {
  draft.states.forEach((state, index) => {
    if (isTerminalStep(state)) return;
    // Whatever was in flight before this progression falls under `cancelEverything`; this drops what it would have started.
    withdraw(draft, index);
    move(draft, index, 'canceled_run', {
      error: stepError,
      finished_at: draft.known.now,
      next_retry_at: null,
    });
  });
  draft.cancelEverything = stepError;
  changeRun(draft, to, { error, finished_at: draft.known.now });
}

export function changeRun(
  draft: Draft,
  to: WorkflowRunStatus,
  set: Partial<Omit<RunChange, 'from' | 'to'>> = {},
): void {
  const from = draft.known.run.status;
  workflowRunStates.assert(runStatus(draft), to);
  draft.run = { ...draft.run, error: null, ...set, from, to };
}

/** Ends the run when its last step has ended (§11.3). */
export function finishRun(draft: Draft): void {
  if (!isActive(runStatus(draft)) || draft.open > 0) return;
  const finished_at = draft.known.now;
  const index = draft.states.findIndex(
    (state, at) =>
      (state === 'failed' || state === 'canceled_work') &&
      stepAt(draft, at).on_failure !== 'continue',
  );
  if (index < 0) {
    continueAsNew(draft);
    changeRun(draft, 'completed', { finished_at });
    return;
  }
  const error = rowOf(draft, index)?.error ?? '';
  const { step_ref } = stepAt(draft, index);
  changeRun(draft, 'failed', {
    error: failureText(step_ref, stateAt(draft, index), error),
    finished_at,
  });
}

function continueAsNew(draft: Draft): void {
  const index = draft.states.findIndex(
    (state, at) => state === 'completed' && stepAt(draft, at).step_type === 'continue_as_new',
  );
  if (index < 0) return;
  const payload = outputOf(draft, index) ?? null;
  draft.continuation = { payload, generation: draft.known.run.generation + 1 };
}

const RESETTABLE: ReadonlySet<WorkflowRunStatus> = new Set<WorkflowRunStatus>([
  'running',
  'paused',
  'failed',
  'timed_out',
  'completed',
]);

/** Retry step and replay subtree (§14.2). Gives the reason when it may not be. */
export function resetStep(
  draft: Draft,
  target: number,
  kind: 'retry_step' | 'replay_subtree',
  actor: string,
): { readonly refusal: Refusal; readonly message: string } | null {
  const { now, run } = draft.known;
  const status = statusOf(stateAt(draft, target));
  const no = (refusal: Refusal, message: string) => ({ refusal, message });
  if (!RESETTABLE.has(run.status)) return no('run_not_resettable', `the run is ${run.status}`);
  if (run.parent_step_over)
    return no('run_not_resettable', 'the step that started the run has ended');
  if (run.continued) return no('run_not_resettable', 'the run goes on as a new one');
  if (!isTerminalStep(stateAt(draft, target)))
    return no('step_not_terminal', `the step is ${status}`);
  const chosen = resetSet(draft, target, kind === 'replay_subtree');
  if (!chosen.has(target))
    return no('step_not_resettable', 'a step it depends on has failed: retry that one');

  // All rows are asked for at once.
  const rows = [...chosen].map((index) => ({ index, row: rowOf(draft, index) }));
  for (const { index, row } of rows) {
    if (!row) continue;
    const state = stateAt(draft, index);
    letGo(draft, index, 'canceled', actor, 'the step was reset');
    draft.resets.add(index);
    if (state === 'running') move(draft, index, 'canceled_work');
    const hasEnded = isTerminalStep(stateAt(draft, index));
    // One that never started and is only swept along needs no new attempt.
    const attempt = row.attempt + (index === target || row.started_at !== null ? 1 : 0);
    // Members come in the order of the graph: those before this one are reset already.
    const to = hasEnded && isReady(draft, index) ? 'pending' : 'needs_dependencies';
    if (state !== 'pending') move(draft, index, to, { ...CLEARED, attempt });
    decide(draft, index, 'operator', 'reset', kind, { actor });
    draft.candidates.push(index);
  }
  if (isActive(run.status)) return null;
  const expires_at = run.timeout_secs > 0 ? now + run.timeout_secs * 1000 : null;
  changeRun(draft, 'running', { finished_at: null, expires_at });
  return null;
}

const CLEARED: StepPatch = {
  started_at: null,
  finished_at: null,
  error: null,
  output: null,
  work_id: null,
  wait_id: null,
  next_retry_at: null,
  gate_passed: false,
  map: null,
};

/** What a reset takes with it. A step behind a failure that is not reset stays as it is: it could never start. */
function resetSet(draft: Draft, target: number, subtree: boolean): Set<number> {
  const below = descendantsOf(draft.graph, target);
  const isWanted = (index: number): boolean => {
    const state = stateAt(draft, index);
    if (index === target || state === 'canceled_run') return true;
    if (!below.has(index)) return false;
    return subtree || state === 'canceled_work' || state === 'skipped_dependency';
  };
  const chosen = new Set<number>();
  for (const index of topologicalOrder(draft.graph).order) {
    const isDeadEnd = (draft.graph.dependencies[index] ?? []).some(
      (dependency) => !chosen.has(dependency) && endedBadly(draft, dependency),
    );
    if (isWanted(index) && !isDeadEnd) chosen.add(index);
  }
  return chosen;
}
