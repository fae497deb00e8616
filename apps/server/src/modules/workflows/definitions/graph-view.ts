// The graph of a definition in forms that others draw. Pure.
import type { StepDefinition } from '../engine/definition.ts';
import { compileGraph, rootsOf, topologicalOrder } from '../engine/graph.ts';

export function planOf(steps: readonly StepDefinition[]) {
  const graph = compileGraph(steps);
  const { order } = topologicalOrder(graph);
  return {
    step_count: steps.length,
    roots: rootsOf(graph),
    topological_order: order.map((index) => graph.steps[index]?.step_ref ?? ''),
  };
}

/** Every step with those that depend on it directly. */
export function adjacencyOf(steps: readonly StepDefinition[]): Record<string, string[]> {
  const graph = compileGraph(steps);
  const refOf = (index: number) => graph.steps[index]?.step_ref ?? '';
  return Object.fromEntries(
    graph.steps.map(({ step_ref }, index) => [
      step_ref,
      (graph.dependents[index] ?? []).map(refOf).sort(),
    ]),
  );
}

/** For Graphviz. Names of steps hold nothing that would have to be escaped. */
export function dotOf(steps: readonly StepDefinition[]): string {
  const types = new Map(steps.map(({ step_ref, step_type }) => [step_ref, step_type]));
  const lines = Object.entries(adjacencyOf(steps)).flatMap(([from, dependents]) => [
    `  "${from}" [label="${from}\\n${types.get(from)}"];`,
    ...dependents.map((to) => `  "${from}" -> "${to}";`),
  ]);
  return ['digraph workflow {', ...lines, '}', ''].join('\n');
}
