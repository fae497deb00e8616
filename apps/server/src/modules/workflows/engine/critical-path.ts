// The longest path of a run by how long its steps take or will take (workflow-semantics §15).
import { topologicalOrder, type Graph } from './graph.ts';
import { isTerminalStep, type StepState } from './states.ts';

export interface StepTiming {
  readonly state: StepState;
  readonly started_at: number | null;
  readonly finished_at: number | null;
}

export interface CriticalPath {
  readonly refs: readonly string[];
  readonly estimate_ms: number;
  /** Over the same steps; 0 for a run that is over. */
  readonly remaining_ms: number;
}

/** `timings` in the order of `graph.steps`. Ties go to the smaller name. */
export function criticalPath(
  graph: Graph,
  timings: readonly StepTiming[],
  now: number,
  isRunOver: boolean,
): CriticalPath {
  const estimates = graph.steps.map((step, index) => {
    const { started_at = null, finished_at = null } = timings[index] ?? {};
    if (finished_at !== null) return finished_at - (started_at ?? finished_at);
    if (step.timeout_secs_override > 0) return step.timeout_secs_override * 1000;
    if (step.expected_duration_secs > 0) return step.expected_duration_secs * 1000;
    return started_at === null ? 0 : now - started_at;
  });

  const longest: number[] = [];
  const before: (number | undefined)[] = [];
  const { order } = topologicalOrder(graph);
  for (const index of order) {
    const last = best(graph.dependencies[index] ?? [], longest);
    before[index] = last;
    longest[index] = (last === undefined ? 0 : (longest[last] ?? 0)) + (estimates[index] ?? 0);
  }
  const path: number[] = [];
  for (let at = best(order, longest); at !== undefined; at = before[at]) path.push(at);
  path.reverse();

  const remaining = path.map((index) => {
    const { state, started_at = null } = timings[index] ?? {};
    const estimate = estimates[index] ?? 0;
    if (state !== undefined && isTerminalStep(state)) return 0;
    return started_at === null ? estimate : Math.max(0, estimate - (now - started_at));
  });
  return {
    refs: path.map((index) => graph.steps[index]?.step_ref ?? ''),
    estimate_ms: sum(path.map((index) => estimates[index] ?? 0)),
    remaining_ms: isRunOver ? 0 : sum(remaining),
  };
}

const sum = (numbers: readonly number[]): number => numbers.reduce((all, one) => all + one, 0);

/** The one of `indexes` with the longest way to it; of several the first by name, which is the smallest index. */
function best(indexes: readonly number[], longest: readonly number[]): number | undefined {
  let found: number | undefined;
  for (const index of indexes.toSorted((a, b) => a - b))
    if (found === undefined || (longest[index] ?? 0) > (longest[found] ?? 0)) found = index;
  return found;
}
