// The state of a run while one progression works on it: what it was, what it is by now, and what is missing.
import type { Full } from './admission.ts';
import type {
  Changes,
  Decision,
  RunChange,
  Start,
  StepChange,
  StepPatch,
  WaitEnd,
} from './changes.ts';
import type { JsonValue, ResourceClass, StepDefinition } from './definition.ts';
import type { AdmissionRequest, Known, Need, StepRow } from './facts.ts';
import { IndexHeap, type Graph } from './graph.ts';
import { isTerminalStep, readBoard, type StepState, type WorkflowRunStatus } from './states.ts';

export interface Draft {
  readonly known: Known;
  readonly graph: Graph;
  readonly before: readonly StepState[];
  readonly states: StepState[];
  readonly patches: Map<number, StepPatch>;
  run: RunChange | null;
  /** Steps not yet terminal, and steps running: in all, by class, by key. */
  open: number;
  running: number;
  readonly runningByClass: Map<ResourceClass, number>;
  readonly keyHolders: Map<string, number>;
  /** Steps to look at, the first by name first. */
  readonly candidates: IndexHeap;
  slotFreed: boolean;
  readonly fullQuotas: Map<string, Full>;
  cancelEverything: string | null;
  readonly cancelWork: Set<number>;
  readonly waits: WaitEnd[];
  readonly childrenEnded: Changes['children_ended'][number][];
  readonly starts: Start[];
  /** Steps that this progression gave their `started_at`. */
  readonly firstStarts: Set<number>;
  readonly resets: Set<number>;
  readonly decisions: Decision[];
  readonly warnings: string[];
  continuation: Changes['continuation'];
  /** Completed steps whose emit key is still to be rendered, which takes a scope. */
  readonly toEmit: number[];
  readonly emits: Changes['emits'][number][];
  readonly needs: {
    readonly rows: Set<string>;
    readonly outputs: Set<string>;
    payload: boolean;
    readonly admissions: Map<string, AdmissionRequest>;
    readonly map_outputs: Set<string>;
  };
}

export function openDraft(known: Known): Draft {
  const { graph } = known;
  const before = readBoard(known.board);
  if (before.length !== graph.steps.length)
    throw new Error(
      `run ${known.run.id}: ${before.length} steps, its graph has ${graph.steps.length}`,
    );
  const draft: Draft = {
    known,
    graph,
    before,
    states: [...before],
    patches: new Map(),
    run: null,
    open: 0,
    running: 0,
    runningByClass: new Map(),
    keyHolders: new Map(),
    candidates: new IndexHeap(),
    slotFreed: false,
    fullQuotas: new Map(),
    cancelEverything: null,
    cancelWork: new Set(),
    waits: [],
    childrenEnded: [],
    starts: [],
    firstStarts: new Set(),
    resets: new Set(),
    decisions: [],
    warnings: [],
    continuation: null,
    toEmit: [],
    emits: [],
    needs: {
      rows: new Set(),
      outputs: new Set(),
      payload: false,
      admissions: new Map(),
      map_outputs: new Set(),
    },
  };
  before.forEach((state, index) => tally(draft, index, state, 1));
  return draft;
}

export const runStatus = (draft: Draft): WorkflowRunStatus =>
  draft.run?.to ?? draft.known.run.status;

export function stepAt(draft: Draft, index: number): StepDefinition {
  const step = draft.graph.steps[index];
  if (step === undefined) throw new Error(`there is no step ${index}`);
  return step;
}

export function stateAt(draft: Draft, index: number): StepState {
  const state = draft.states[index];
  if (state === undefined) throw new Error(`there is no step ${index}`);
  return state;
}

/** The row of a step with what this progression wrote; undefined, and asked for, when it is not loaded. */
export function rowOf(draft: Draft, index: number): StepRow | undefined {
  const { step_ref } = stepAt(draft, index);
  const row = draft.known.rows.get(step_ref);
  if (row === undefined) draft.needs.rows.add(step_ref);
  return row && { ...row, ...draft.patches.get(index) };
}

/** The output of a step; undefined, and asked for, when it is not loaded. */
export function outputOf(draft: Draft, index: number): JsonValue | undefined {
  const { step_ref } = stepAt(draft, index);
  const own = draft.patches.get(index)?.output;
  const output = own === undefined ? draft.known.outputs.get(step_ref) : own;
  if (output === undefined) draft.needs.outputs.add(step_ref);
  return output;
}

/** Columns of a step to write; later ones win one by one. */
export const setPatch = (draft: Draft, index: number, patch: StepPatch): void => {
  draft.patches.set(index, { ...draft.patches.get(index), ...patch });
};

/** Counts a step in or out; only for `move`. */
export function tally(draft: Draft, index: number, state: StepState, by: 1 | -1): void {
  if (!isTerminalStep(state)) draft.open += by;
  if (state !== 'running') return;
  const { resource_class, concurrency_key } = stepAt(draft, index);
  draft.running += by;
  draft.runningByClass.set(resource_class, (draft.runningByClass.get(resource_class) ?? 0) + by);
  if (by < 0) draft.slotFreed = true;
  if (concurrency_key === '') return;
  if (by > 0) draft.keyHolders.set(concurrency_key, index);
  else draft.keyHolders.delete(concurrency_key);
}

/** Takes a slot for a step that may start once what is missing is known; the draft will be thrown away. */
export const reserve = (draft: Draft, index: number): void => tally(draft, index, 'running', 1);

export function decide(
  draft: Draft,
  index: number,
  decision_type: Decision['decision_type'],
  decision: string,
  explanation: string,
  details: JsonValue,
): void {
  const { step_ref } = stepAt(draft, index);
  draft.decisions.push({ step_ref, decision_type, decision, explanation, details });
}

/** What is missing, or null. */
export function needOf({ needs }: Draft): Need | null {
  const { rows, outputs, payload, admissions, map_outputs } = needs;
  if (rows.size + outputs.size + admissions.size + map_outputs.size === 0 && !payload) return null;
  return {
    rows: [...rows],
    outputs: [...outputs],
    payload,
    admissions: [...admissions].map(([step_ref, request]) => ({ step_ref, request })),
    map_outputs: [...map_outputs],
  };
}

export function changesOf(draft: Draft): Changes {
  const steps: StepChange[] = [...draft.patches].map(([index, patch]) => ({
    step_ref: stepAt(draft, index).step_ref,
    from: draft.before[index] ?? 'pending',
    to: stateAt(draft, index),
    reset: draft.resets.has(index),
    patch,
  }));
  return {
    cancel_everything: draft.cancelEverything,
    cancel_work: [...draft.cancelWork].map((index) => stepAt(draft, index).step_ref),
    waits: draft.waits,
    children_ended: draft.childrenEnded,
    steps,
    starts: draft.starts,
    decisions: draft.decisions,
    run: draft.run,
    continuation: draft.continuation,
    emits: draft.emits,
    warnings: draft.warnings,
  };
}

export const isUnchanged = (changes: Changes): boolean =>
  Object.values(changes).every(
    (part) => part === null || (Array.isArray(part) && part.length === 0),
  );
