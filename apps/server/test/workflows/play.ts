// Workflow runs in memory for tests of the engine: short ways to say what steps there are and what happens.
import assert from 'node:assert/strict';
import {
  defineStep,
  type JsonValue,
  type StepDefinition,
  type StepInput,
} from '../../src/modules/workflows/engine/definition.ts';
import type {
  Admission,
  AdmissionRequest,
  EngineLimits,
  RunFacts,
} from '../../src/modules/workflows/engine/facts.ts';
import { compileGraph } from '../../src/modules/workflows/engine/graph.ts';
import {
  createMemoryRun,
  DEFAULT_LIMITS,
  type MemoryRun,
} from '../../src/modules/workflows/engine/memory-run.ts';

export const T0 = 1_700_000_000_000;

export const job = (step_ref: string, depends_on: string[] = [], more: Partial<StepInput> = {}) =>
  defineStep({ step_ref, depends_on, job_id: 'job', ...more });
export const step = (step_ref: string, more: Partial<StepInput>) =>
  defineStep({ step_ref, ...more });

interface Setting {
  readonly payload?: JsonValue;
  readonly run?: Partial<RunFacts>;
  readonly limits?: Partial<EngineLimits>;
  readonly admit?: (request: AdmissionRequest, step_ref: string) => Admission;
}
export function begin(
  steps: readonly StepDefinition[],
  { limits, ...rest }: Setting = {},
): MemoryRun {
  const run = createMemoryRun({
    graph: compileGraph(steps),
    limits: { ...DEFAULT_LIMITS, ...limits },
    ...rest,
  });
  run.deliver({ kind: 'started' }, T0);
  return run;
}
export const states = (run: MemoryRun) =>
  Object.fromEntries(run.steps().map(({ step_ref, state }) => [step_ref, state]));
export const openOf = (run: MemoryRun, step_ref: string) => {
  const item = run.open().find((one) => one.step_ref === step_ref);
  if (!item) assert.fail(`${step_ref} has nothing open: ${JSON.stringify(states(run))}`);
  return item;
};
export const end = (
  run: MemoryRun,
  step_ref: string,
  status = 'completed',
  result: JsonValue = {},
  error: string | null = null,
) =>
  run.deliver(
    { kind: 'job_ended', step_ref, job_run_id: openOf(run, step_ref).id, status, result, error },
    T0,
  );
export const decisions = (run: MemoryRun, step_ref: string) =>
  run
    .applied()
    .flatMap((changes) =>
      changes.decisions
        .filter((decision) => decision.step_ref === step_ref)
        .map(({ decision_type, decision }) => `${decision_type}/${decision}`),
    );
export const actor = 'user:ann';
