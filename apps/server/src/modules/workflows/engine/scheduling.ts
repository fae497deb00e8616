// The core, 3 of 3: which steps may start now, what holds the others back, and what a start is. A step whose
// facts are not loaded takes its slot for the time being, so that one pass asks for all that is missing.
import { askFor, fullFor, requestFor, targetOf, type Full, type Grant } from './admission.ts';
import type { Decision, Start, StepPatch } from './changes.ts';
import { ConditionError, evaluate } from './conditions.ts';
import {
  DEFAULT_EVENT_TIMEOUT_SECS,
  DEFAULT_SLEEP_SECS,
  type JsonValue,
  type StepDefinition,
} from './definition.ts';
import {
  decide,
  outputOf,
  reserve,
  rowOf,
  runStatus,
  setPatch,
  stateAt,
  stepAt,
  type Draft,
} from './draft.ts';
import type { AdmissionRequest, StepRow } from './facts.ts';
import { conditionScope, handedOn, itemsFor, partsFor, scopeParts } from './reading.ts';
import { completeStep, failStep, isReady, move } from './settling.ts';
import { isBlocked, type StepState } from './states.ts';
import { RenderedTooLarge, mergePayload, render, renderKey, scopeOf } from './templates.ts';

/** Steps waiting for a quota that one pass asks about again: the first of them by name. */
const QUOTA_TRIES = 50;

export function schedule(draft: Draft): void {
  if (draft.slotFreed) wakeBlocked(draft);
  for (;;) {
    if (runStatus(draft) !== 'running') return;
    const index = draft.candidates.pop();
    if (index === undefined) return;
    consider(draft, index);
  }
}

export function wakeBlocked(draft: Draft): void {
  let tries = QUOTA_TRIES;
  draft.states.forEach((state, index) => {
    if (state === 'blocked_quota' && tries-- <= 0) return;
    if (isBlocked(state)) draft.candidates.push(index);
  });
}

export const canStart = (state: StepState): boolean =>
  state === 'pending' || state === 'needs_dependencies' || state === 'on_retry' || isBlocked(state);

function consider(draft: Draft, index: number): void {
  const state = stateAt(draft, index);
  if (!canStart(state) || !isReady(draft, index)) return;
  if (state === 'on_retry') {
    const row = rowOf(draft, index);
    if (row && (row.next_retry_at ?? 0) > draft.known.now) return;
  }
  const blocker = blockerOf(draft, index);
  if (blocker) return block(draft, index, blocker);

  const step = stepAt(draft, index);
  const holds = conditionHolds(draft, index, step);
  // When it is not known yet, the step may be skipped: it takes no slot meanwhile.
  if (holds !== true) return;
  const full = fullFor(draft, step);
  if (full) return waitForQuota(draft, index, full);
  const row = rowOf(draft, index);
  if (!row) foresee(draft, index, step);
  else if (starts(draft, index, step, row)) return;
  if (stateAt(draft, index) === state && WORKS.has(step.step_type)) reserve(draft, index);
}

const starts: Starter = (draft, index, step, row) => {
  try {
    return starters[step.step_type](draft, index, step, row);
  } catch (error) {
    // Starters render before they change anything.
    if (error instanceof RenderedTooLarge) return refuse(draft, index, 'the payload is too large');
    throw error;
  }
};

/** Asks with the row for what work will need, which saves the store a round trip. */
function foresee(draft: Draft, index: number, step: StepDefinition): void {
  if (step.step_type !== 'job' && step.step_type !== 'sub_workflow') return;
  scopeParts(draft, index, { payload: true, parents: true });
  const target = targetOf(draft, step);
  if (!('error' in target)) askFor(draft, index, requestFor(target, 1));
}

/** Types that run and so take a slot; the others are parked, or end at once. */
const WORKS: ReadonlySet<string> = new Set(['job', 'sub_workflow', 'map']);

export interface Blocker {
  readonly state: 'blocked_parallel' | 'blocked_key' | 'blocked_class' | 'blocked_quota';
  readonly decision_type: Decision['decision_type'];
  readonly explanation: string;
  readonly details: JsonValue;
}

/** Blockers 1 to 3 of §12; a parked step holds no slot. */
export function blockerOf(draft: Draft, index: number): Blocker | null {
  const { limits, run } = draft.known;
  const { concurrency_key, resource_class } = stepAt(draft, index);
  const limit = smallerLimit(run.max_parallel_steps, limits.step_concurrency);
  const { running } = draft;
  if (limit > 0 && running >= limit) {
    const explanation = `${running} of ${limit} steps are running`;
    const details = { running, limit };
    return { state: 'blocked_parallel', decision_type: 'scheduler', explanation, details };
  }
  const holding = concurrency_key === '' ? undefined : draft.keyHolders.get(concurrency_key);
  if (holding !== undefined) {
    const holder = stepAt(draft, holding).step_ref;
    const explanation = `step ${holder} is running with the concurrency key ${concurrency_key}`;
    const details = { concurrency_key, holder };
    return { state: 'blocked_key', decision_type: 'concurrency', explanation, details };
  }
  const ofClass = draft.runningByClass.get(resource_class) ?? 0;
  if (ofClass >= limits[resource_class]) {
    const explanation = `${ofClass} of ${limits[resource_class]} ${resource_class} steps are running`;
    const details = { resource_class, running: ofClass, limit: limits[resource_class] };
    return { state: 'blocked_class', decision_type: 'resource', explanation, details };
  }
  return null;
}

const smallerLimit = (a: number, b: number): number => (a > 0 && b > 0 ? Math.min(a, b) : a || b);

/** One decision per change of reason: a step that stays blocked for the same reason says nothing. */
function block(draft: Draft, index: number, blocker: Blocker): void {
  if (stateAt(draft, index) === blocker.state) return;
  move(draft, index, blocker.state, { next_retry_at: null });
  const { decision_type, explanation, details } = blocker;
  decide(draft, index, decision_type, 'wait', explanation, details);
}

/** Undefined when something it reads is not loaded. When it does not hold, the step has been skipped or failed. */
function conditionHolds(draft: Draft, index: number, step: StepDefinition): boolean | undefined {
  const { condition } = step;
  if (condition === null) return true;
  const state = stateAt(draft, index);
  if (state !== 'pending' && state !== 'needs_dependencies') {
    const row = rowOf(draft, index);
    if (!row) return undefined;
    // A later attempt, or one past its gate, was let in already.
    if (row.started_at !== null || row.gate_passed) return true;
  }
  const scope = conditionScope(draft, index, condition);
  if (!scope) return undefined;
  try {
    const verdict = evaluate(condition, scope);
    if (verdict.holds) return true;
    const details = { condition, operands: verdict.operands };
    decide(draft, index, 'condition', 'skip', 'the condition is false', details);
    move(draft, index, 'skipped', { finished_at: draft.known.now, next_retry_at: null });
  } catch (error) {
    if (!(error instanceof ConditionError)) throw error;
    decide(draft, index, 'condition', 'error', error.message, { condition });
    // Asking again gives the same answer.
    failStep(draft, index, `condition error: ${error.message}`, { retry: false });
  }
  return false;
}

/** Starts the step, fails it or parks it; false when something is not loaded, and nothing happened. */
type Starter = (draft: Draft, index: number, step: StepDefinition, row: StepRow) => boolean;

const starters: Readonly<Record<StepDefinition['step_type'], Starter>> = {
  job: startWork,
  sub_workflow: startWork,
  map: startMap,
  approval: (draft, index, step, row) => {
    const secs = step.approval_timeout_secs;
    const expires_at = secs > 0 ? draft.known.now + secs * 1000 : null;
    const { step_ref, approval_approvers: approvers } = step;
    const start = {
      kind: 'approval',
      step_ref,
      attempt: row.attempt,
      approvers,
      expires_at,
    } as const;
    return begin(draft, index, row, 'on_approval', start);
  },
  sleep: (draft, index, step, row) => {
    const timeout_secs = step.sleep_duration_secs || DEFAULT_SLEEP_SECS;
    return begin(draft, index, row, 'on_sleep', {
      kind: 'sleep',
      step_ref: step.step_ref,
      attempt: row.attempt,
      event_key: `sleep:${draft.known.run.id}:${step.step_ref}:${row.attempt}`,
      timeout_secs,
      expires_at: draft.known.now + timeout_secs * 1000,
    });
  },
  wait_for_event: startWait,
  continue_as_new: (draft, index, step, row) => {
    const payload = handedOn(draft, index, step);
    if (payload === undefined) return false;
    const continues = draft.states.some(
      (state, at) => state === 'completed' && stepAt(draft, at).step_type === 'continue_as_new',
    );
    if (continues) return refuse(draft, index, 'the run continues as new already');
    if (draft.known.run.generation >= draft.known.limits.max_generations)
      return refuse(draft, index, 'max continuations exceeded');
    completeStep(draft, index, payload, { transform: false, patch: started(draft, index, row) });
    return true;
  },
};

function started(draft: Draft, index: number, row: StepRow): StepPatch {
  if (row.started_at === null) draft.firstStarts.add(index);
  return { started_at: row.started_at ?? draft.known.now, next_retry_at: null, error: null };
}

function begin(draft: Draft, index: number, row: StepRow, to: StepState, start: Start): true {
  move(draft, index, to, started(draft, index, row));
  draft.starts.push(start);
  return true;
}

/** A step that cannot start has failed; the rest of the run goes on (§12.1). */
function refuse(draft: Draft, index: number, error: string): true {
  failStep(draft, index, error, { retry: true });
  return true;
}

/** The grant, or null when the step waits or has failed for want of it, or undefined when nobody asked yet. */
function admit(draft: Draft, index: number, request: AdmissionRequest): Grant | null | undefined {
  const admission = askFor(draft, index, request);
  if (admission?.kind === 'refused') {
    refuse(draft, index, admission.error);
    return null;
  }
  if (admission?.kind === 'full') {
    waitForQuota(draft, index, admission);
    return null;
  }
  return admission;
}

function waitForQuota(draft: Draft, index: number, { explanation, details = null }: Full): void {
  const state = 'blocked_quota';
  block(draft, index, { state, decision_type: 'scheduler', explanation, details });
}

function startWork(draft: Draft, index: number, step: StepDefinition, row: StepRow): boolean {
  const target = targetOf(draft, step);
  if ('error' in target) return refuse(draft, index, target.error);
  const parts = scopeParts(draft, index, { payload: true, parents: true });
  const grant = admit(draft, index, requestFor(target, 1));
  if (grant === null) return true;
  if (!parts || !grant) return false;
  const { step_ref, timeout_secs_override: timeout_secs } = step;
  const { attempt } = row;
  const threshold = step.cost_gate_threshold_microusd;
  const estimate = grant.average_cost_microusd ?? 0;
  if (step.step_type === 'job' && threshold > 0 && !row.gate_passed && estimate > threshold) {
    decide(draft, index, 'cost_gate', 'wait', 'the job costs more than its threshold on average', {
      estimate,
      threshold,
    });
    const expires_at = draft.known.now + (step.cost_gate_timeout_secs || 3600) * 1000;
    move(draft, index, 'on_cost_gate', { next_retry_at: null });
    draft.starts.push({ kind: 'cost_gate', step_ref, attempt, approvers: [], expires_at });
    return true;
  }
  const { max_payload_bytes } = draft.known.limits;
  const rendered = render(step.payload, scopeOf(parts), max_payload_bytes);
  const payload = mergePayload(parts.payload, rendered, parts.parent_outputs);
  if (Buffer.byteLength(JSON.stringify(payload)) > max_payload_bytes)
    return refuse(draft, index, 'the payload is too large');
  const start = { kind: 'work', step_ref, attempt, target, payload, timeout_secs } as const;
  return begin(draft, index, row, 'running', start);
}

function startWait(draft: Draft, index: number, step: StepDefinition, row: StepRow): boolean {
  const parts = partsFor(draft, index, step.event_key, step.payload);
  if (!parts) return false;
  const scope = scopeOf(parts);
  const rendered = renderKey(step.event_key, scope);
  if ('error' in rendered) return refuse(draft, index, rendered.error);
  const event_key = rendered.key;
  // The database only knows the keys of other transactions, and one early event serves one waiter.
  const twins = draft.starts.filter(
    (start) => start.kind === 'event' && start.event_key === event_key,
  );
  if (twins.some((start) => start.kind === 'event' && !start.received))
    return refuse(draft, index, 'event key is already waited for');
  const isServed = twins.length > 0;
  const freed_by = draft.waits.map(({ step_ref }) => step_ref);
  const grant = admit(draft, index, { kind: 'event', event_key, freed_by });
  if (grant === null) return true;
  if (!grant) return false;
  const timeout_secs = step.event_timeout_secs || DEFAULT_EVENT_TIMEOUT_SECS;
  const early = isServed ? undefined : grant.early_event;
  draft.starts.push({
    kind: 'event',
    step_ref: step.step_ref,
    attempt: row.attempt,
    event_key,
    request_payload: render(step.payload, scope, draft.known.limits.max_payload_bytes),
    timeout_secs,
    expires_at: draft.known.now + timeout_secs * 1000,
    notify_url: step.event_notify_url,
    ...(early ? { received: early } : {}),
  });
  const patch = started(draft, index, row);
  if (early) completeStep(draft, index, early.payload, { transform: true, patch });
  else move(draft, index, 'on_event', patch);
  return true;
}

function startMap(draft: Draft, index: number, step: StepDefinition, row: StepRow): boolean {
  const target = targetOf(draft, step);
  if ('error' in target) return refuse(draft, index, target.error);
  const items = itemsFor(draft, index, step.map_items);
  if (!items) return false;
  if ('error' in items) return refuse(draft, index, items.error);
  const { max_map_items } = draft.known.limits;
  if (items.length > max_map_items)
    return refuse(draft, index, `map_items has more than ${max_map_items} elements`);
  if (items.length === 0) {
    const output = step.map_collect ? [] : { total: 0, completed: 0, failed: 0 };
    completeStep(draft, index, output, { transform: true, patch: started(draft, index, row) });
    return true;
  }
  const wanted = Math.min(items.length, step.map_max_parallel);
  const grant = admit(draft, index, requestFor(target, wanted));
  if (grant === null) return true;
  if (!grant) return false;
  const { step_ref, timeout_secs_override: timeout_secs } = step;
  const { attempt } = row;
  const count = Math.min(wanted, grant.room ?? wanted);
  const map = { total: items.length, started: count, completed: 0, failed: 0 };
  move(draft, index, 'running', { ...started(draft, index, row), map });
  draft.starts.push(
    { kind: 'map', step_ref, attempt, items },
    { kind: 'map_children', step_ref, attempt, target, from: 0, count, timeout_secs },
  );
  return true;
}

/** Starts the next children of a running map, as many as its `map_max_parallel` leaves room for. */
export function continueMap(draft: Draft, index: number): void {
  if (runStatus(draft) !== 'running' || stateAt(draft, index) !== 'running') return;
  const row = rowOf(draft, index);
  if (!row?.map) return;
  const step = stepAt(draft, index);
  const { total, started: begun, completed, failed } = row.map;
  const inFlight = begun - completed - failed;
  const wanted = Math.min(total - begun, step.map_max_parallel - inFlight);
  const target = targetOf(draft, step);
  if (wanted <= 0 || 'error' in target) return;
  const { step_ref, timeout_secs_override: timeout_secs } = step;
  const admission = askFor(draft, index, requestFor(target, wanted));
  if (admission?.kind === 'refused') {
    draft.cancelWork.add(index);
    refuse(draft, index, admission.error);
  }
  // Without room the next child that ends, or the reaper, asks again.
  if (admission?.kind !== 'granted') return;
  const count = Math.min(wanted, admission.room ?? wanted);
  const { attempt } = row;
  const start = {
    kind: 'map_children',
    step_ref,
    attempt,
    target,
    from: begun,
    count,
    timeout_secs,
  } as const;
  draft.starts.push(start);
  setPatch(draft, index, { map: { ...row.map, started: begun + count } });
}

/** Renders the emit keys of what completed. A key that cannot be rendered is only worth a warning. */
export function renderEmits(draft: Draft): void {
  for (const index of draft.toEmit) {
    const { step_ref, event_emit_key } = stepAt(draft, index);
    const parts = partsFor(draft, index, event_emit_key);
    if (!parts) continue;
    const rendered = renderKey(event_emit_key, scopeOf(parts));
    if ('error' in rendered)
      draft.warnings.push(`step ${step_ref}: not emitted: ${rendered.error}`);
    else
      draft.emits.push({
        step_ref,
        event_key: rendered.key,
        payload: outputOf(draft, index) ?? null,
      });
  }
}
