// What is computed beside the server, in a thread of its own: plain data in, plain data out.
import type { JsonValue, StepDefinition } from '../engine/definition.ts';
import type { EngineLimits } from '../engine/facts.ts';
import {
  SIMULATION_BUDGET,
  SimulationTooLong,
  type SimulationBudget,
} from '../engine/simulation.ts';
import { foresee, type Foreseen } from './foresee.ts';
import { runTests, type TestResult } from './run-tests.ts';
import type { WorkflowTest } from './suite.ts';

export interface WorkflowFacts {
  readonly steps: readonly StepDefinition[];
  readonly timeout_secs: number;
  readonly max_parallel_steps: number;
}

export type SimulationMode = 'dry_run' | 'sandbox' | 'failure_injection';

export interface ForeseeTask {
  readonly kind: 'foresee';
  readonly workflow: WorkflowFacts;
  readonly mode: SimulationMode;
  readonly payload: JsonValue;
  readonly failures: readonly string[];
  readonly step_outputs: Readonly<Record<string, JsonValue>>;
  readonly limits: Partial<EngineLimits>;
}

export interface SuiteTask {
  readonly kind: 'suite';
  readonly tests: readonly WorkflowTest[];
  /** By the name tests use; what is missing does not exist. */
  readonly workflows: Readonly<Record<string, WorkflowFacts>>;
  readonly limits: Partial<EngineLimits>;
}

export type Task = ForeseeTask | SuiteTask;
export interface Results {
  readonly foresee: Foreseen;
  readonly suite: readonly TestResult[];
}
export type Answer<T extends Task> =
  | { readonly result: Results[T['kind']] }
  | { readonly too_long: true };

export function perform(task: Task): Answer<Task> {
  const budget: SimulationBudget = { left: SIMULATION_BUDGET };
  try {
    return { result: task.kind === 'suite' ? runTests(task, budget) : foresee(task, budget) };
  } catch (error) {
    if (error instanceof SimulationTooLong) return { too_long: true };
    throw error;
  }
}
