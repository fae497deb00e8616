// What a step of a workflow says, as versions freeze it and runs follow it (workflow-semantics §3).
import type { JsonValue } from '../../../platform/db/json-columns.ts';

export type { JsonValue };

export const STEP_TYPES = [
  'job',
  'approval',
  'sub_workflow',
  'wait_for_event',
  'sleep',
  /** One job or workflow run per element of a list. */
  'map',
  /** When the run completes, the workflow starts again with the payload of this step. */
  'continue_as_new',
] as const;
export type StepType = (typeof STEP_TYPES)[number];

export const FAILURE_POLICIES = ['fail_workflow', 'skip_dependents', 'continue'] as const;
export type FailurePolicy = (typeof FAILURE_POLICIES)[number];

export const RESOURCE_CLASSES = ['small', 'medium', 'large'] as const;
export type ResourceClass = (typeof RESOURCE_CLASSES)[number];

export interface StepDefinition {
  readonly step_ref: string;
  readonly step_type: StepType;
  readonly depends_on: readonly string[];
  readonly condition: JsonValue;
  readonly on_failure: FailurePolicy;
  readonly payload: JsonValue;
  readonly job_id: string;
  readonly sub_workflow_id: string;
  readonly max_nesting_depth: number;
  readonly approval_approvers: readonly string[];
  readonly approval_timeout_secs: number;
  readonly event_key: string;
  readonly event_timeout_secs: number;
  readonly event_notify_url: string;
  readonly event_emit_key: string;
  readonly sleep_duration_secs: number;
  readonly retry_max_attempts: number;
  readonly retry_backoff: 'exponential' | 'fixed';
  readonly retry_initial_delay_secs: number;
  readonly retry_max_delay_secs: number;
  readonly timeout_secs_override: number;
  readonly output_transform: string;
  readonly concurrency_key: string;
  readonly resource_class: ResourceClass;
  readonly expected_duration_secs: number;
  readonly cost_gate_threshold_microusd: number;
  readonly cost_gate_timeout_secs: number;
  readonly cost_gate_default_action: 'approve' | 'fail';
  readonly compensation_job_id: string;
  readonly compensation_timeout_secs: number;
  /** A list, or a template that gives one. */
  readonly map_items: JsonValue;
  /** Children in flight at a time. */
  readonly map_max_parallel: number;
  /** So many children may fail and the step still completes; their outputs are null. */
  readonly map_tolerated_failures: number;
  /** Whether the output is the list of outputs, in order; else only the counts. */
  readonly map_collect: boolean;
}

export const STEP_DEFAULTS: Omit<StepDefinition, 'step_ref'> = {
  step_type: 'job',
  depends_on: [],
  condition: null,
  on_failure: 'fail_workflow',
  payload: null,
  job_id: '',
  sub_workflow_id: '',
  max_nesting_depth: 0,
  approval_approvers: [],
  approval_timeout_secs: 0,
  event_key: '',
  event_timeout_secs: 3600,
  event_notify_url: '',
  event_emit_key: '',
  sleep_duration_secs: 0,
  retry_max_attempts: 0,
  retry_backoff: 'exponential',
  retry_initial_delay_secs: 1,
  retry_max_delay_secs: 3600,
  timeout_secs_override: 0,
  output_transform: '',
  concurrency_key: '',
  resource_class: 'small',
  expected_duration_secs: 0,
  cost_gate_threshold_microusd: 0,
  cost_gate_timeout_secs: 3600,
  cost_gate_default_action: 'fail',
  compensation_job_id: '',
  compensation_timeout_secs: 0,
  map_items: null,
  map_max_parallel: 100,
  map_tolerated_failures: 0,
  map_collect: true,
};

export const MAX_STEPS = 1000;
export const MAX_STEP_REF = 128;
export const MAX_WAIT_SECS = 2_592_000;
export const MAX_EVENT_KEY = 512;
export const MAX_CONCURRENCY_KEY = 128;
export const MAX_MAP_ITEMS = 10_000;
export const MAX_MAP_PARALLEL = 1000;
export const DEFAULT_EVENT_TIMEOUT_SECS = 3600;
/** Of a sleep whose stored duration is 0, which no definition accepted today can have. */
export const DEFAULT_SLEEP_SECS = 60;

export type StepInput = { readonly step_ref: string } & Partial<StepDefinition>;

/** A step with every default filled in and each dependency named once. */
export const defineStep = (step: StepInput): StepDefinition => ({
  ...STEP_DEFAULTS,
  ...step,
  depends_on: [...new Set(step.depends_on ?? [])],
});
