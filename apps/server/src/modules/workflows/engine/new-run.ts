// How the steps of a run begin: of a new one, and of one that retries another (workflow-semantics §14.1).
import type { Graph } from './graph.ts';
import type { StepState } from './states.ts';

/**
 * States in the order of `graph.steps`. `completed` names steps that a retry takes over with their outputs; everything
 * else starts fresh, conditions are asked again.
 */
export function initialStates(
  graph: Graph,
  completed: ReadonlySet<string> = new Set(),
): StepState[] {
  const isTaken = (index: number) => completed.has(graph.steps[index]?.step_ref ?? '');
  return graph.steps.map((_, index) => {
    if (isTaken(index)) return 'completed';
    const isReady = graph.dependencies[index]?.every(isTaken) ?? true;
    return isReady ? 'pending' : 'needs_dependencies';
  });
}

/** What `deps_completed` and `deps_required` of a step say: derived on reading, never counted. */
export function dependencyCounts(
  graph: Graph,
  states: readonly StepState[],
  index: number,
): { readonly deps_completed: number; readonly deps_required: number } {
  const dependencies = graph.dependencies[index] ?? [];
  const resolved = dependencies.filter((dependency) => {
    const state = states[dependency];
    const isFallen = state === 'failed' || state === 'canceled_work';
    const goesOn = graph.steps[dependency]?.on_failure === 'continue';
    return state === 'completed' || state === 'skipped' || (isFallen && goesOn);
  });
  return { deps_completed: resolved.length, deps_required: dependencies.length };
}
