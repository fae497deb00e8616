// What a run would do, by the real progression function (workflow-semantics §16). Pure.
import type { StepDefinition } from '../engine/definition.ts';
import { compileGraph, topologicalOrder, type Graph } from '../engine/graph.ts';
import {
  simulate,
  type Simulation,
  type SimulationBudget,
  type StepMock,
} from '../engine/simulation.ts';
import type { ForeseeTask } from './tasks.ts';

export interface FailurePath {
  readonly step_ref: string;
  readonly policy: string;
  readonly skipped: readonly string[];
  readonly run_status: string;
}

export interface Foreseen {
  readonly predicted_order: readonly string[];
  readonly execution_plan: readonly {
    readonly step_ref: string;
    readonly parallel_group: number;
  }[];
  readonly dag: {
    readonly nodes: readonly { readonly step_ref: string; readonly step_type: string }[];
    readonly edges: readonly { readonly from: string; readonly to: string }[];
  };
  readonly estimated_duration_secs: number;
  /** Jobs of the steps that would start, one for each start. */
  readonly jobs: readonly string[];
  readonly condition_results: Readonly<Record<string, boolean>>;
  readonly failure_paths: readonly FailurePath[];
  readonly final_status?: string;
  readonly error?: string;
}

/** Times are of no day: nothing here depends on when it is. */
const NOW = 0;

export function foresee(task: ForeseeTask, budget: SimulationBudget): Foreseen {
  const graph = compileGraph(task.workflow.steps);
  const { order } = topologicalOrder(graph);
  const shape = { ...planOf(graph, order), estimated_duration_secs: longestSecs(graph, order) };
  const none = { condition_results: {}, failure_paths: [] };
  const refs = order.map((index) => graph.steps[index]?.step_ref ?? '');
  if (task.mode === 'dry_run')
    return { ...shape, ...none, predicted_order: refs, jobs: jobsOf(graph, new Set(refs)) };

  const play = (failing: readonly string[]) =>
    simulate({
      graph,
      payload: task.payload,
      mocks: mocksOf(task, failing),
      limits: task.limits,
      max_parallel_steps: task.workflow.max_parallel_steps,
      timeout_secs: task.workflow.timeout_secs,
      now: NOW,
      budget,
    });
  const failing = task.mode === 'failure_injection' ? task.failures : [];
  const played = play(failing);
  return {
    ...shape,
    predicted_order: played.order,
    jobs: jobsOf(graph, new Set(played.order)),
    condition_results: conditionsOf(graph, played),
    failure_paths: failing.map((step_ref) => {
      const { steps, status } = failing.length === 1 ? played : play([step_ref]);
      const at = graph.indexOf.get(step_ref) ?? -1;
      return {
        step_ref,
        policy: graph.steps[at]?.on_failure ?? '',
        skipped: steps.flatMap((step) =>
          step.state === 'skipped_dependency' ? [step.step_ref] : [],
        ),
        run_status: status,
      };
    }),
    final_status: played.status,
    ...(played.error !== null && { error: played.error }),
  };
}

function mocksOf(
  { step_outputs, workflow: { steps } }: ForeseeTask,
  failing: readonly string[],
): Record<string, StepMock> {
  const fails = new Set(failing);
  return Object.fromEntries(
    steps.map(({ step_ref }) => {
      const output = Object.hasOwn(step_outputs, step_ref) ? (step_outputs[step_ref] ?? null) : {};
      const mock: StepMock = { response: output, event: output };
      // A wait without an event times out.
      return [step_ref, fails.has(step_ref) ? { status_code: 500, approve: false } : mock];
    }),
  );
}

function planOf(graph: Graph, order: readonly number[]) {
  const group: number[] = [];
  for (const index of order)
    group[index] =
      Math.max(-1, ...(graph.dependencies[index] ?? []).map((at) => group[at] ?? 0)) + 1;
  const refOf = (index: number) => graph.steps[index]?.step_ref ?? '';
  return {
    execution_plan: order.map((index) => ({
      step_ref: refOf(index),
      parallel_group: group[index] ?? 0,
    })),
    dag: {
      nodes: graph.steps.map(({ step_ref, step_type }) => ({ step_ref, step_type })),
      edges: graph.steps.flatMap(({ step_ref: to }, index) =>
        (graph.dependencies[index] ?? []).map((at) => ({ from: refOf(at), to })),
      ),
    },
  };
}

const expectedSecs = ({ step_type, expected_duration_secs, sleep_duration_secs }: StepDefinition) =>
  expected_duration_secs || (step_type === 'sleep' ? sleep_duration_secs : 0);

function longestSecs(graph: Graph, order: readonly number[]): number {
  const ends: number[] = [];
  for (const index of order) {
    const begins = Math.max(0, ...(graph.dependencies[index] ?? []).map((at) => ends[at] ?? 0));
    const step = graph.steps[index];
    ends[index] = begins + (step ? expectedSecs(step) : 0);
  }
  return Math.max(0, ...ends);
}

/** Of steps whose condition was asked. */
function conditionsOf(graph: Graph, { order, decisions }: Simulation): Record<string, boolean> {
  const started = new Set(order);
  const skipped = new Set(
    decisions.flatMap(({ step_ref, decision_type, decision }) =>
      decision_type === 'condition' && decision === 'skip' ? [step_ref] : [],
    ),
  );
  return Object.fromEntries(
    graph.steps.flatMap(({ step_ref, condition }) => {
      if (condition === null || !(started.has(step_ref) || skipped.has(step_ref))) return [];
      return [[step_ref, started.has(step_ref)]];
    }),
  );
}

const jobsOf = (graph: Graph, started: ReadonlySet<string>): string[] =>
  graph.steps.flatMap(({ step_ref, job_id }) =>
    job_id !== '' && started.has(step_ref) ? [job_id] : [],
  );
