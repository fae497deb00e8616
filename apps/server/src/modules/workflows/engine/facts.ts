// What comes into the progression of a workflow run: rows as they are under its lock, and one event.
import type { JsonValue } from './definition.ts';
import type { Graph } from './graph.ts';
import type { WorkflowRunStatus } from './states.ts';

/** Times are milliseconds since 1970, by the database's clock. */
export type Instant = number;

export interface RunFacts {
  readonly id: string;
  readonly workflow_id: string;
  readonly status: WorkflowRunStatus;
  /** Of the run, copied from the version at trigger; 0 means none. */
  readonly max_parallel_steps: number;
  readonly timeout_secs: number;
  readonly expires_at: Instant | null;
  /** Runs above it through `parent_workflow_run_id`. */
  readonly depth: number;
  /** How many runs it continues (`continue_as_new`); 0 for the first. */
  readonly generation: number;
  /** It is a child, and the step that started it has ended. */
  readonly parent_step_over: boolean;
  /** Another run continues it. */
  readonly continued: boolean;
}

export interface MapCounts {
  readonly total: number;
  readonly started: number;
  readonly completed: number;
  readonly failed: number;
}

export interface StepRow {
  readonly attempt: number;
  /** The job run or child run in flight. A child that continued as new keeps the id of its first run. */
  readonly work_id: string | null;
  /** The approval or event trigger it is parked on. */
  readonly wait_id: string | null;
  readonly started_at: Instant | null;
  readonly next_retry_at: Instant | null;
  readonly error: string | null;
  /** Its cost gate was approved since the last reset. */
  readonly gate_passed: boolean;
  readonly map: MapCounts | null;
}

/** Whether something can start now; asked only for steps that nothing else holds back. */
export type AdmissionRequest =
  | { readonly kind: 'job'; readonly job_id: string; readonly count: number }
  | { readonly kind: 'sub_workflow'; readonly workflow_id: string; readonly count: number }
  | {
      readonly kind: 'event';
      readonly event_key: string;
      /** Steps of this run whose waits end with this event: their keys are free. */
      readonly freed_by: readonly string[];
    };

export type Admission =
  | {
      readonly kind: 'granted';
      /** How many of `count` may start; all when absent. */
      readonly room?: number;
      /** Mean cost of recent completed runs of the job, when the step has a cost gate. */
      readonly average_cost_microusd?: number;
      /** An event that came before its waiter. */
      readonly early_event?: { readonly payload: JsonValue };
    }
  /** A quota, or the limit on concurrent runs of a workflow: the step waits. For jobs, the quota of the project. */
  | { readonly kind: 'full'; readonly explanation: string; readonly details?: JsonValue }
  /** It will not start: the step fails. */
  | { readonly kind: 'refused'; readonly error: string };

export interface EngineLimits {
  /** WF_STEP_CONCURRENCY_LIMIT; 0 means none. */
  readonly step_concurrency: number;
  readonly small: number;
  readonly medium: number;
  readonly large: number;
  readonly max_nesting_depth: number;
  readonly max_payload_bytes: number;
  readonly max_map_items: number;
  /** Runs one may continue as new after another. */
  readonly max_generations: number;
}

export interface Known {
  readonly now: Instant;
  readonly run: RunFacts;
  readonly graph: Graph;
  /** States of all steps, one character each (`writeBoard`). */
  readonly board: string;
  readonly limits: EngineLimits;
  // The rest is filled as `need` asks for it, and may hold more than was asked.
  readonly rows: ReadonlyMap<string, StepRow>;
  /** Null for a step without output. */
  readonly outputs: ReadonlyMap<string, JsonValue>;
  readonly payload?: { readonly value: JsonValue };
  readonly admissions: ReadonlyMap<string, Admission>;
  /** Outputs of all children of a map in order, those of the event included, null for failed ones; 'too_large' over the limit of outputs. */
  readonly map_outputs: ReadonlyMap<string, readonly JsonValue[] | 'too_large'>;
}

export interface Need {
  readonly rows: readonly string[];
  readonly outputs: readonly string[];
  readonly payload: boolean;
  readonly admissions: readonly { readonly step_ref: string; readonly request: AdmissionRequest }[];
  readonly map_outputs: readonly string[];
}

interface OfStep {
  readonly step_ref: string;
}

export interface MapChildEnd {
  readonly index: number;
  readonly ok: boolean;
  /** The row of the child was still open, read under the lock of the run. */
  readonly open: boolean;
}

export type Event =
  /** Paused: it begins below a run that is paused, or in the place of one, and starts nothing until it is resumed. */
  | { readonly kind: 'started'; readonly paused?: true }
  | (OfStep & {
      readonly kind: 'job_ended';
      readonly job_run_id: string;
      readonly status: string;
      readonly result: JsonValue;
      readonly error: string | null;
    })
  | (OfStep & {
      readonly kind: 'child_ended';
      /** The first run of the child. */
      readonly child_run_id: string;
      readonly status: string;
      /** `{step_ref: output}` of the child's steps with output. */
      readonly output: JsonValue;
      readonly error: string | null;
    })
  | (OfStep & {
      readonly kind: 'map_children_ended';
      readonly attempt: number;
      readonly children: readonly MapChildEnd[];
    })
  | (OfStep & {
      readonly kind: 'event_received';
      readonly trigger_id: string;
      readonly payload: JsonValue;
      readonly sent_by: string;
    })
  | (OfStep & {
      readonly kind: 'event_timed_out' | 'event_canceled' | 'sleep_over';
      readonly trigger_id: string;
    })
  | (OfStep & {
      readonly kind: 'approved';
      readonly approval_id: string;
      readonly actor: string;
    })
  | (OfStep & {
      readonly kind: 'rejected';
      readonly approval_id: string;
      readonly actor: string;
      readonly reason: string;
    })
  | (OfStep & { readonly kind: 'approval_timed_out'; readonly approval_id: string })
  | (OfStep & { readonly kind: 'retry_due' })
  | { readonly kind: 'run_timed_out' }
  /** Quotas may have room again, or the run stalled: look at everything. */
  | { readonly kind: 'reconsider' }
  | { readonly kind: 'pause' | 'resume' }
  /** By a person (`workflow canceled by user`), a parent that ended, or the reaper. */
  | { readonly kind: 'cancel'; readonly run_error: string; readonly step_error: string }
  | { readonly kind: 'fail'; readonly error: string }
  | (OfStep & { readonly kind: 'skip'; readonly reason: string; readonly actor: string })
  | (OfStep & {
      readonly kind: 'force_complete';
      readonly result: JsonValue;
      readonly reason: string;
      readonly actor: string;
    })
  | (OfStep & { readonly kind: 'retry_step' | 'replay_subtree'; readonly actor: string });
