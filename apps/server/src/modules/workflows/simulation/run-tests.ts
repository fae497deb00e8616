// Tests of workflows: each is a run in virtual time, then every assertion holds or says why not. Pure.
import type { JsonValue } from '../engine/definition.ts';
import { compileGraph } from '../engine/graph.ts';
import type { MemoryStep } from '../engine/memory-run.ts';
import {
  simulate,
  SimulationTooLong,
  type Simulation,
  type SimulationBudget,
  type StepMock,
} from '../engine/simulation.ts';
import { statusOf } from '../engine/states.ts';
import { durationMs } from '../engine/step-input.ts';
import { applyOverrides } from '../engine/validation.ts';
import type { WorkflowTest, WorkflowTestAssertion } from './suite.ts';
import type { SuiteTask } from './tasks.ts';

export interface TestResult {
  readonly name: string;
  readonly workflow: string;
  readonly passed: boolean;
  /** One text for each assertion that does not hold, or why nothing was run. */
  readonly failures: readonly string[];
  readonly workflow_status?: string;
  readonly error?: string;
  readonly duration_ms?: number;
  readonly steps: readonly { readonly step_ref: string; readonly status: string }[];
}

export const runTests = (task: SuiteTask, budget: SimulationBudget): TestResult[] =>
  task.tests.map((test) => runTest(task, test, budget));

function runTest(task: SuiteTask, test: WorkflowTest, budget: SimulationBudget): TestResult {
  const { name, workflow } = test;
  const notRun = (...failures: string[]): TestResult => ({
    name,
    workflow,
    passed: false,
    failures,
    steps: [],
  });
  const facts = Object.hasOwn(task.workflows, workflow) ? task.workflows[workflow] : undefined;
  if (!facts) return notRun(`there is no workflow ${JSON.stringify(workflow)}`);
  const whole = applyOverrides(facts.steps, []);
  if ('message' in whole) return notRun(whole.message);
  const graph = compileGraph(whole.steps);
  const strangers = Object.keys(test.mocks ?? {}).filter((ref) => !graph.indexOf.has(ref));
  if (strangers.length > 0)
    return notRun(
      ...strangers.map((ref) => `a mock names step ${JSON.stringify(ref)}, which is not there`),
    );

  try {
    const run = simulate({
      graph,
      payload: (test.payload ?? null) as JsonValue,
      mocks: (test.mocks ?? {}) as Readonly<Record<string, StepMock>>,
      limits: task.limits,
      max_parallel_steps: facts.max_parallel_steps,
      timeout_secs: facts.timeout_secs,
      now: 0,
      budget,
    });
    const failures = test.assertions.flatMap((assertion) => failuresOf(assertion, run));
    return {
      name,
      workflow,
      passed: failures.length === 0,
      failures,
      workflow_status: run.status,
      ...(run.error !== null && { error: run.error }),
      duration_ms: run.duration_ms,
      steps: run.steps.map(({ step_ref, state }) => ({ step_ref, status: statusOf(state) })),
    };
  } catch (error) {
    if (error instanceof SimulationTooLong)
      return notRun('the run takes too long: fewer retries or items');
    throw error;
  }
}

/** All members that are given must hold; one text says what does not. */
function failuresOf(assertion: WorkflowTestAssertion, run: Simulation): string[] {
  const wrong: string[] = [];
  const { step: step_ref, status, workflow_status, duration_under } = assertion;
  if (step_ref !== undefined) {
    const step = run.steps.find((one) => one.step_ref === step_ref);
    if (step) wrong.push(...wrongOf(step, status, assertion));
    else wrong.push(`there is no step ${JSON.stringify(step_ref)}`);
  }
  if (workflow_status !== undefined && run.status !== workflow_status)
    wrong.push(`the workflow is ${run.status}, not ${workflow_status}${because(run.error)}`);
  if (duration_under !== undefined && run.duration_ms >= (durationMs(duration_under) ?? 0))
    wrong.push(`the run took ${run.duration_ms} ms, not under ${duration_under}`);
  return wrong.length === 0 ? [] : [wrong.join('; ')];
}

function wrongOf(
  { step_ref, state, output, error }: MemoryStep,
  status: string | undefined,
  assertion: WorkflowTestAssertion,
): string[] {
  const wrong: string[] = [];
  const actual = statusOf(state);
  if (status !== undefined && actual !== status)
    wrong.push(`step ${step_ref} is ${actual}, not ${status}${because(error)}`);
  if (Object.hasOwn(assertion, 'output_contains')) {
    const expected = assertion.output_contains as JsonValue;
    if (!containsAtTop(output, expected))
      wrong.push(
        `the output of step ${step_ref} is ${shown(output)} and does not contain ${shown(expected)}`,
      );
  }
  return wrong;
}

const because = (error: string | null): string => (error === null ? '' : ` (${error})`);

function shown(value: JsonValue): string {
  const text = JSON.stringify(value);
  return text.length > 500 ? `${text.slice(0, 500)}…` : text;
}

/** A text is looked for in the output, as text; deeper down it has to be the whole text. */
function containsAtTop(actual: JsonValue, expected: JsonValue): boolean {
  if (typeof expected !== 'string') return contains(actual, expected);
  return (typeof actual === 'string' ? actual : JSON.stringify(actual)).includes(expected);
}

/** Every member of an object, every element of a list somewhere in the other list. */
export function contains(actual: JsonValue, expected: JsonValue): boolean {
  if (typeof expected !== 'object' || expected === null) return actual === expected;
  if (typeof actual !== 'object' || actual === null) return false;
  if (Array.isArray(expected))
    return (
      Array.isArray(actual) &&
      expected.every((wanted) => actual.some((one: JsonValue) => contains(one, wanted)))
    );
  if (Array.isArray(actual)) return false;
  const members = actual as Readonly<Record<string, JsonValue>>;
  return Object.entries(expected).every(
    ([name, wanted]) => Object.hasOwn(members, name) && contains(members[name] ?? null, wanted),
  );
}
