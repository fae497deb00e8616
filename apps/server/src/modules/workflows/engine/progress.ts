// The core of the workflow engine, 1 of 3 (then settling.ts, scheduling.ts): `(run, steps, event) → changes`.
//
// Pure: no clock, no chance, no I/O. The same facts and event give the same changes; an event that came before
// gives none. An answer is `changes`, `need` (load more and ask again; nothing was decided), `nothing` or `refused`.
//
// A store that uses it
// - holds `select … for update` on the workflow run from reading the first fact until all changes are written, in one
//   transaction; nothing else ever writes these steps, their approvals and triggers, or the children of their maps;
// - reads the run and its board (one character per step), then only what `need` names: a callback in a run of a
//   thousand steps reads the rows of the step and of what starts after it, and the outputs those starts use;
// - applies `Changes` field by field in order, steps guarded by `from`, and makes the ids of what it starts;
// - answers `need.admissions` in that transaction too, in the order asked, counting what it granted before in the same
//   progression: the rows behind a grant stay locked until the commit, and a lost race for an event key repeats it all;
// - delivers the end of every job run, child run, wait and timer at least once, with the id it had. A child that
//   continued as new ends under the id of its first run, and only when its last run has ended;
// - for `cancel_everything` cancels child runs by a progression of each (locks go from parent to child only);
// - publishes hooks, news for the parent and `emits` from the outbox.
import type { Progress, Refusal, WaitEnd } from './changes.ts';
import { DEFAULT_SLEEP_SECS } from './definition.ts';
import {
  changesOf,
  decide,
  isUnchanged,
  needOf,
  openDraft,
  rowOf,
  setPatch,
  stateAt,
  stepAt,
  type Draft,
} from './draft.ts';
import type { Event, Known, MapChildEnd, StepRow } from './facts.ts';
import { continueMap, renderEmits, schedule, wakeBlocked } from './scheduling.ts';
import {
  changeRun,
  completeStep,
  endRun,
  failStep,
  finishRun,
  letGo,
  move,
  resetStep,
} from './settling.ts';
import { isActive, isOver, isTerminalStep, statusOf, type StepState } from './states.ts';

/** What an event came to, when that is not a change. */
type Outcome = Extract<Progress, { kind: 'nothing' | 'refused' }> | null;

export function progress(known: Known, event: Event): Progress {
  const draft = openDraft(known);
  const outcome = apply(draft, event);
  if (outcome) return outcome;
  if (!needOf(draft)) {
    schedule(draft);
    renderEmits(draft);
    if (!needOf(draft)) finishRun(draft);
  }
  const need = needOf(draft);
  if (need) return { kind: 'need', need };
  const changes = changesOf(draft);
  return isUnchanged(changes)
    ? { kind: 'nothing', why: 'nothing is to be done' }
    : { kind: 'changes', changes };
}

const nothing = (why: string): Outcome => ({ kind: 'nothing', why });
const refused = (refusal: Refusal, message: string): Outcome => ({
  kind: 'refused',
  refusal,
  message,
});

function apply(draft: Draft, event: Event): Outcome {
  return 'step_ref' in event ? applyToStep(draft, event) : applyToRun(draft, event);
}

type RunEvent = Exclude<Event, { step_ref: string }>;
type StepEvent = Extract<Event, { step_ref: string }>;

function applyToRun(draft: Draft, event: RunEvent): Outcome {
  const { now, run } = draft.known;
  const { status } = run;
  switch (event.kind) {
    case 'started':
      if (status !== 'pending') return nothing('the run has started');
      changeRun(draft, 'running', { started_at: now });
      if (event.paused) changeRun(draft, 'paused');
      else lookAtEverything(draft);
      return null;
    case 'pause':
      if (status === 'paused') return nothing('the run is paused');
      if (status !== 'running') return refused('run_not_pausable', `the run is ${status}`);
      changeRun(draft, 'paused');
      return null;
    case 'resume':
      if (status === 'running') return nothing('the run is running');
      if (status !== 'paused') return refused('run_not_resumable', `the run is ${status}`);
      changeRun(draft, 'running');
      lookAtEverything(draft);
      return null;
    case 'reconsider':
      if (status !== 'running') return nothing(`the run is ${status}`);
      lookAtEverything(draft);
      return null;
    case 'run_timed_out':
      if (!isActive(status) || run.expires_at === null || run.expires_at > now)
        return nothing('the run has not timed out');
      endRun(draft, 'timed_out', 'workflow timed out', 'workflow timed out');
      return null;
    case 'fail':
      if (!isActive(status) && status !== 'pending') return nothing(`the run is ${status}`);
      endRun(draft, 'failed', event.error, event.error);
      return null;
    case 'cancel':
      if (isOver(status)) return refused('run_not_cancelable', `the run is ${status}`);
      endRun(draft, 'canceled', event.run_error, event.step_error);
      return null;
  }
}

function lookAtEverything(draft: Draft): void {
  draft.states.forEach((state, index) => {
    if (state === 'running' && stepAt(draft, index).step_type === 'map') continueMap(draft, index);
    else if (!isTerminalStep(state) && state !== 'blocked_quota') draft.candidates.push(index);
  });
  wakeBlocked(draft);
}

function applyToStep(draft: Draft, event: StepEvent): Outcome {
  const index = draft.graph.indexOf.get(event.step_ref);
  if (index === undefined) return refused('step_not_found', `there is no step ${event.step_ref}`);
  if (isOperator(event)) return operate(draft, index, event);
  // The board alone tells that an event comes too late; when a run is over, all its steps have ended.
  if (isTerminalStep(stateAt(draft, index))) return nothing('the step has ended');
  const row = rowOf(draft, index);
  return row ? settle(draft, index, row, event) : null;
}

type OperatorEvent = Extract<
  StepEvent,
  { kind: 'skip' | 'force_complete' | 'retry_step' | 'replay_subtree' }
>;
const OPERATOR: ReadonlySet<string> = new Set([
  'skip',
  'force_complete',
  'retry_step',
  'replay_subtree',
]);
const isOperator = (event: StepEvent): event is OperatorEvent => OPERATOR.has(event.kind);

/** What a step ran or waited for has ended. Anything but the current attempt is history. */
function settle(
  draft: Draft,
  index: number,
  row: StepRow,
  event: Exclude<StepEvent, OperatorEvent>,
): Outcome {
  const state = stateAt(draft, index);
  const late = nothing('the step does not wait for this');
  const endWait = (to: WaitEnd['to'], actor: string | null, error: string | null = null) =>
    draft.waits.push({ step_ref: event.step_ref, to, actor, error });

  switch (event.kind) {
    case 'job_ended': {
      if (state !== 'running' || row.work_id !== event.job_run_id) return late;
      const error = event.error ?? `job run ended with status ${event.status}`;
      if (event.status === 'completed')
        completeStep(draft, index, event.result, { transform: true });
      else if (event.status === 'canceled')
        failStep(draft, index, error, { retry: false, as: 'canceled_work' });
      else if (JOB_FAILURES.has(event.status)) failStep(draft, index, error, { retry: true });
      else return nothing(`its job run is ${event.status}`);
      return null;
    }
    case 'child_ended': {
      if (state !== 'running' || row.work_id !== event.child_run_id) return late;
      if (event.status === 'completed') {
        completeStep(draft, index, event.output, { transform: true });
        return null;
      }
      const child = `sub-workflow ${stepAt(draft, index).sub_workflow_id}`;
      const hasFailed = event.status !== 'canceled' && event.status !== 'timed_out';
      const error = hasFailed
        ? (event.error ?? `${child} failed`)
        : `${child} ended with status ${event.status}`;
      // What a person ended on purpose is not tried again.
      failStep(draft, index, error, { retry: event.status !== 'canceled' });
      return null;
    }
    case 'map_children_ended':
      if (state !== 'running' || row.attempt !== event.attempt || !row.map) return late;
      return settleMap(draft, index, row, event.children);
    case 'event_received':
      if (state !== 'on_event' || row.wait_id !== event.trigger_id) return late;
      draft.waits.push({
        step_ref: event.step_ref,
        to: 'received',
        actor: event.sent_by,
        error: null,
        payload: event.payload,
      });
      completeStep(draft, index, event.payload, { transform: true });
      return null;
    case 'event_timed_out':
    case 'event_canceled': {
      if (state !== 'on_event' || row.wait_id !== event.trigger_id) return late;
      const to = event.kind === 'event_timed_out' ? 'timed_out' : 'canceled';
      const error =
        to === 'timed_out' ? 'event trigger timed out' : 'event trigger canceled by user';
      endWait(to, null, error);
      failStep(draft, index, error, { retry: to === 'timed_out' });
      return null;
    }
    case 'sleep_over': {
      if (state !== 'on_sleep' || row.wait_id !== event.trigger_id) return late;
      endWait('received', null);
      const slept_for_secs = stepAt(draft, index).sleep_duration_secs || DEFAULT_SLEEP_SECS;
      const completed_at = new Date(draft.known.now).toISOString();
      completeStep(draft, index, { slept_for_secs, completed_at }, { transform: false });
      return null;
    }
    case 'approved':
      if (!isOn(state, row, event.approval_id)) return late;
      endWait('approved', event.actor);
      approve(draft, index, event.actor);
      return null;
    case 'rejected': {
      if (!isOn(state, row, event.approval_id)) return late;
      const error =
        event.reason === '' ? 'approval rejected' : `approval rejected: ${event.reason}`;
      endWait('rejected', event.actor, error);
      failStep(draft, index, error, { retry: false });
      return null;
    }
    case 'approval_timed_out': {
      if (!isOn(state, row, event.approval_id)) return late;
      const passes =
        state === 'on_cost_gate' && stepAt(draft, index).cost_gate_default_action === 'approve';
      endWait(
        passes ? 'approved' : 'timed_out',
        passes ? 'system:cost-gate-timeout' : null,
        passes ? null : 'approval timed out',
      );
      if (passes) approve(draft, index, 'system:cost-gate-timeout');
      else failStep(draft, index, 'approval timed out', { retry: true });
      return null;
    }
    case 'retry_due':
      if (state !== 'on_retry') return late;
      draft.candidates.push(index);
      return null;
  }
}

const isOn = (state: StepState, row: StepRow, approval_id: string): boolean =>
  (state === 'on_approval' || state === 'on_cost_gate') && row.wait_id === approval_id;

/** An approval is the end of its step; a cost gate is where the step begins (§17). */
function approve(draft: Draft, index: number, actor: string): void {
  if (stateAt(draft, index) === 'on_cost_gate') {
    move(draft, index, 'past_gate', { gate_passed: true, wait_id: null });
    draft.candidates.push(index);
    return;
  }
  const output = {
    approved: true,
    approved_by: actor,
    approved_at: new Date(draft.known.now).toISOString(),
  };
  completeStep(draft, index, output, { transform: false });
}

const JOB_FAILURES: ReadonlySet<string> = new Set([
  'failed',
  'dead_letter',
  'timed_out',
  'crashed',
  'system_failed',
  'expired',
]);

function settleMap(
  draft: Draft,
  index: number,
  row: StepRow,
  children: readonly MapChildEnd[],
): Outcome {
  const ended = children.filter((child) => child.open);
  if (ended.length === 0 || !row.map) return nothing('these children have ended before');
  const { step_ref, map_tolerated_failures, map_collect } = stepAt(draft, index);
  const { attempt } = row;
  for (const { index: child, ok } of ended)
    draft.childrenEnded.push({ step_ref, attempt, index: child, ok });
  const completed = row.map.completed + ended.filter((child) => child.ok).length;
  const failed = row.map.failed + ended.filter((child) => !child.ok).length;
  const map = { ...row.map, completed, failed };
  setPatch(draft, index, { map });

  if (failed > map_tolerated_failures) {
    // Also when none is in flight: those that never began are not open any more.
    if (map.total > completed + failed) draft.cancelWork.add(index);
    const tolerated = map_tolerated_failures === 0 ? 'none' : `${map_tolerated_failures}`;
    failStep(draft, index, `${failed} of ${map.total} children failed, ${tolerated} may fail`, {
      retry: true,
    });
  } else if (completed + failed < map.total) continueMap(draft, index);
  else if (!map_collect)
    completeStep(draft, index, { total: map.total, completed, failed }, { transform: true });
  else {
    const outputs = draft.known.map_outputs.get(step_ref);
    if (!outputs) draft.needs.map_outputs.add(step_ref);
    else if (outputs === 'too_large')
      failStep(draft, index, 'the outputs of the map are too large', { retry: false });
    else completeStep(draft, index, outputs, { transform: true });
  }
  return null;
}

function operate(draft: Draft, index: number, event: OperatorEvent): Outcome {
  const { actor } = event;
  switch (event.kind) {
    case 'retry_step':
    case 'replay_subtree': {
      const no = resetStep(draft, index, event.kind, actor);
      return no && refused(no.refusal, no.message);
    }
    case 'skip': {
      const { reason } = event;
      const no = notWaiting(draft, index);
      if (no) return no;
      letGo(draft, index, 'rejected', actor, reason);
      decide(draft, index, 'operator', 'skip', reason, { actor });
      move(draft, index, 'skipped', {
        error: reason === '' ? null : reason,
        finished_at: draft.known.now,
        next_retry_at: null,
      });
      return null;
    }
    case 'force_complete': {
      const no = notWaiting(draft, index);
      if (no) return no;
      letGo(draft, index, 'approved', actor, null);
      decide(draft, index, 'operator', 'force_complete', event.reason, { actor });
      const patch = { next_retry_at: null };
      completeStep(draft, index, event.result, { transform: false, patch });
      return null;
    }
  }
}

function notWaiting(draft: Draft, index: number): Outcome {
  const { status } = draft.known.run;
  const step = statusOf(stateAt(draft, index));
  if (!isActive(status)) return refused('run_not_active', `the run is ${status}`);
  if (step !== 'pending' && step !== 'waiting')
    return refused('step_not_waiting', `the step is ${step}`);
  return null;
}
