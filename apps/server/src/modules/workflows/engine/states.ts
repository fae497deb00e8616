// The states of workflow runs and steps and every legal move (workflow-semantics §6).
import { stateMachine } from '../../../platform/state-machine.ts';

export const workflowRunStates = stateMachine('workflow run', {
  pending: ['running', 'canceled', 'failed'],
  running: ['paused', 'completed', 'failed', 'timed_out', 'canceled'],
  paused: ['running', 'completed', 'failed', 'timed_out', 'canceled'],
  // Back to running only by a reset of steps (§14.2).
  completed: ['running'],
  failed: ['running', 'compensating'],
  timed_out: ['running', 'compensating'],
  canceled: [],
  compensating: ['compensated', 'compensation_failed', 'canceled'],
  compensated: [],
  compensation_failed: [],
});
export type WorkflowRunStatus = (typeof workflowRunStates.states)[number];

/** A run in which steps may still change by themselves. */
export const isActive = (status: WorkflowRunStatus): boolean =>
  status === 'running' || status === 'paused';

/** A run that has ended, be it only until somebody reopens it. */
export const isOver = (status: WorkflowRunStatus): boolean =>
  status !== 'pending' && status !== 'compensating' && !isActive(status);

export const stepStatuses = stateMachine('step', {
  pending: ['waiting', 'running', 'completed', 'failed', 'skipped', 'canceled'],
  waiting: ['waiting', 'running', 'completed', 'failed', 'skipped', 'canceled'],
  running: ['waiting', 'completed', 'failed', 'canceled'],
  // Out of the last four only by a reset of steps (§14.2).
  completed: ['pending', 'waiting'],
  failed: ['pending', 'waiting'],
  skipped: ['pending', 'waiting'],
  canceled: ['pending', 'waiting'],
});
export type StepStatus = (typeof stepStatuses.states)[number];

export type WaitReason =
  | 'dependencies'
  | 'capacity'
  | 'approval'
  | 'cost_gate'
  | 'event'
  | 'sleep'
  | 'retry';

interface StateFacts {
  readonly status: StepStatus;
  readonly wait_reason: WaitReason | null;
  /** One character, so that the states of a thousand steps are one short text (the board of a run). */
  readonly code: string;
}
const at = (
  status: StepStatus,
  code: string,
  wait_reason: WaitReason | null = null,
): StateFacts => ({
  status,
  wait_reason,
  code,
});

/**
 * What the engine has to tell apart: finer than the seven statuses on the wire, which follow from it. A
 * step remembers why it is blocked (one decision per change of reason) and why it ended (what its
 * dependents and a reset make of it).
 */
export const STEP_STATES = {
  pending: at('pending', 'p'),
  needs_dependencies: at('waiting', 'd', 'dependencies'),
  blocked_parallel: at('waiting', 'm', 'capacity'),
  blocked_key: at('waiting', 'k', 'capacity'),
  blocked_class: at('waiting', 'l', 'capacity'),
  blocked_quota: at('waiting', 'q', 'capacity'),
  /** Its cost gate was passed; the run is paused, or it starts in the same progression. */
  past_gate: at('waiting', 'z', 'capacity'),
  on_approval: at('waiting', 'a', 'approval'),
  on_cost_gate: at('waiting', 'g', 'cost_gate'),
  on_event: at('waiting', 'e', 'event'),
  on_sleep: at('waiting', 's', 'sleep'),
  on_retry: at('waiting', 't', 'retry'),
  running: at('running', 'r'),
  completed: at('completed', 'C'),
  failed: at('failed', 'F'),
  /** By its condition or an operator: counts as resolved. */
  skipped: at('skipped', 'S'),
  /** Because a step it depends on failed under skip_dependents. */
  skipped_dependency: at('skipped', 'D'),
  /** Its own work was canceled: a failure for the policy of the step. */
  canceled_work: at('canceled', 'W'),
  /** The run ended around it. */
  canceled_run: at('canceled', 'R'),
} as const satisfies Record<string, StateFacts>;
export type StepState = keyof typeof STEP_STATES;

export const statusOf = (state: StepState): StepStatus => STEP_STATES[state].status;
export const waitReasonOf = (state: StepState): WaitReason | null => STEP_STATES[state].wait_reason;
export const codeOf = (state: StepState): string => STEP_STATES[state].code;

const byCode: (StepState | undefined)[] = [];
for (const state of Object.keys(STEP_STATES) as StepState[])
  byCode[codeOf(state).charCodeAt(0)] = state;

/** The states of the steps of a run, in the order of `graph.steps`, as one text. */
export const writeBoard = (states: readonly StepState[]): string => states.map(codeOf).join('');

/** @throws Error on a code no state has: the board was not written by this program. */
export function readBoard(board: string): StepState[] {
  const states: StepState[] = [];
  for (let at = 0; at < board.length; at += 1) {
    const state = byCode[board.charCodeAt(at)];
    if (state === undefined) throw new Error(`'${board[at]}' is no state of a step`);
    states.push(state);
  }
  return states;
}

const TERMINAL: ReadonlySet<StepState> = new Set<StepState>([
  'completed',
  'failed',
  'skipped',
  'skipped_dependency',
  'canceled_work',
  'canceled_run',
]);
export const isTerminalStep = (state: StepState): boolean => TERMINAL.has(state);

const PARKED: ReadonlySet<StepState> = new Set<StepState>([
  'on_approval',
  'on_cost_gate',
  'on_event',
  'on_sleep',
]);
/** Waits for a person, an event or a timer of its own: never runnable. */
export const isParked = (state: StepState): boolean => PARKED.has(state);

const BLOCKED: ReadonlySet<StepState> = new Set<StepState>([
  'blocked_parallel',
  'blocked_key',
  'blocked_class',
  'blocked_quota',
  'past_gate',
]);
export const isBlocked = (state: StepState): boolean => BLOCKED.has(state);
