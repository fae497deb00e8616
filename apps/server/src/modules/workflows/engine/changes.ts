// What comes out of a progression: plain data for one transaction. A store applies the parts in the order of
// the fields of `Changes`.
import type { JsonValue } from './definition.ts';
import type { Instant, MapCounts, Need } from './facts.ts';
import type { StepState, WorkflowRunStatus } from './states.ts';

export interface RunChange {
  readonly from: WorkflowRunStatus;
  readonly to: WorkflowRunStatus;
  readonly error: string | null;
  /** Set on the first entry to running. */
  readonly started_at?: Instant;
  /** Null when the run was reopened. */
  readonly finished_at?: Instant | null;
  readonly expires_at?: Instant | null;
}

/** Columns to write; an absent one keeps its value. */
export interface StepPatch {
  readonly attempt?: number;
  /** Null clears it. */
  readonly output?: JsonValue;
  readonly error?: string | null;
  readonly started_at?: Instant | null;
  readonly finished_at?: Instant | null;
  readonly next_retry_at?: Instant | null;
  /** The step no longer belongs to what it started or waited for. */
  readonly work_id?: null;
  readonly wait_id?: null;
  readonly gate_passed?: boolean;
  readonly map?: MapCounts | null;
}

export interface StepChange {
  readonly step_ref: string;
  readonly from: StepState;
  readonly to: StepState;
  /** On the way it was canceled if it was running, and then put back to the start. */
  readonly reset: boolean;
  readonly patch: StepPatch;
}

interface StartOf {
  readonly step_ref: string;
  readonly attempt: number;
}

export type Target =
  | { readonly kind: 'job'; readonly job_id: string }
  | { readonly kind: 'sub_workflow'; readonly workflow_id: string; readonly depth: number };

/** What to insert. The store makes the id and writes it into the step (`job_run_id`, `wait_id`). */
export type Start =
  | (StartOf & {
      readonly kind: 'work';
      readonly target: Target;
      readonly payload: JsonValue;
      /** 0 leaves the timeout of the target. */
      readonly timeout_secs: number;
    })
  | (StartOf & {
      readonly kind: 'approval' | 'cost_gate';
      readonly approvers: readonly string[];
      readonly expires_at: Instant | null;
    })
  | (StartOf & {
      readonly kind: 'event';
      readonly event_key: string;
      readonly request_payload: JsonValue;
      readonly timeout_secs: number;
      readonly expires_at: Instant;
      readonly notify_url: string;
      /** It came early: the trigger is born received, and the step has ended. */
      readonly received?: { readonly payload: JsonValue };
    })
  | (StartOf & {
      readonly kind: 'sleep';
      readonly event_key: string;
      readonly timeout_secs: number;
      readonly expires_at: Instant;
    })
  /** One open child row per item; `map_children` starts them. */
  | (StartOf & { readonly kind: 'map'; readonly items: readonly JsonValue[] })
  /** Children `from` … `from + count - 1`, each with `childPayload` of its item. */
  | (StartOf & {
      readonly kind: 'map_children';
      readonly target: Target;
      readonly from: number;
      readonly count: number;
      readonly timeout_secs: number;
    });

/** How the open approval or trigger of a step ends. */
export interface WaitEnd {
  readonly step_ref: string;
  readonly to: 'approved' | 'rejected' | 'timed_out' | 'canceled' | 'received';
  readonly actor: string | null;
  readonly error: string | null;
  readonly payload?: JsonValue;
}

export const DECISION_TYPES = [
  'scheduler',
  'concurrency',
  'resource',
  'condition',
  'cost_gate',
  'output',
  'operator',
] as const;

export interface Decision {
  readonly step_ref: string;
  readonly decision_type: (typeof DECISION_TYPES)[number];
  readonly decision: string;
  readonly explanation: string;
  readonly details: JsonValue;
}

export interface Changes {
  readonly waits: readonly WaitEnd[];
  readonly children_ended: readonly {
    readonly step_ref: string;
    readonly attempt: number;
    readonly index: number;
    readonly ok: boolean;
  }[];
  /** Steps whose open work (job run, child run, map children) is to be canceled. */
  readonly cancel_work: readonly string[];
  /** Cancel all open work, waits, map children and child runs under the run, with this as their error. */
  readonly cancel_everything: string | null;
  /** By order of change; each step once. */
  readonly steps: readonly StepChange[];
  readonly starts: readonly Start[];
  readonly decisions: readonly Decision[];
  /** Null when the run keeps its status. A change to a terminal one is news for the parent. */
  readonly run: RunChange | null;
  /** The same workflow starts again with this payload; it inherits the links to the parent. */
  readonly continuation: { readonly payload: JsonValue; readonly generation: number } | null;
  /** To send after the commit. */
  readonly emits: readonly {
    readonly step_ref: string;
    readonly event_key: string;
    readonly payload: JsonValue;
  }[];
  /** For the log; nothing depends on them. */
  readonly warnings: readonly string[];
}

export type Refusal =
  | 'run_not_pausable'
  | 'run_not_resumable'
  | 'run_not_cancelable'
  | 'run_not_resettable'
  | 'run_not_active'
  | 'step_not_found'
  | 'step_not_waiting'
  | 'step_not_terminal'
  | 'step_not_resettable';

export type Progress =
  | { readonly kind: 'changes'; readonly changes: Changes }
  /** Load these and ask again: nothing was decided. */
  | { readonly kind: 'need'; readonly need: Need }
  /** Late, twice, or already so: success without a change. */
  | { readonly kind: 'nothing'; readonly why: string }
  /** An operator asked for what the state does not allow (409; 404 for `step_not_found`). */
  | { readonly kind: 'refused'; readonly refusal: Refusal; readonly message: string };
