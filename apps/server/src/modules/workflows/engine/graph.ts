// A definition compiled for progress: who waits for whom, by index. Compiled once per version and set of
// disabled steps, then shared by all its runs.
import type { StepDefinition } from './definition.ts';

export interface Graph {
  /** By `step_ref` in code unit order (`collate "C"`): the order of the board, and of starts. */
  readonly steps: readonly StepDefinition[];
  readonly indexOf: ReadonlyMap<string, number>;
  readonly dependencies: readonly (readonly number[])[];
  readonly dependents: readonly (readonly number[])[];
}

export const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** Dependencies on steps that are not there are left out: validation has refused them, or overrides removed them. */
export function compileGraph(definitions: readonly StepDefinition[]): Graph {
  const steps = definitions.toSorted((a, b) => byText(a.step_ref, b.step_ref));
  const indexOf = new Map(steps.map((step, index) => [step.step_ref, index]));
  const dependents: number[][] = steps.map(() => []);
  const dependencies = steps.map((step, index) =>
    [...new Set(step.depends_on)].flatMap((ref) => {
      const dependency = indexOf.get(ref);
      if (dependency === undefined) return [];
      dependents[dependency]?.push(index);
      return [dependency];
    }),
  );
  return { steps, indexOf, dependencies, dependents };
}

export const rootsOf = (graph: Graph): string[] =>
  graph.steps.flatMap((step, index) =>
    graph.dependencies[index]?.length === 0 ? [step.step_ref] : [],
  );

/** Kahn, the first ready step by name first. `left` is what cycles keep from ever being ready. */
export function topologicalOrder(graph: Graph): { order: number[]; left: number[] } {
  const unmet = graph.dependencies.map((dependencies) => dependencies.length);
  const ready = new IndexHeap();
  unmet.forEach((count, index) => count === 0 && ready.push(index));
  const order: number[] = [];
  for (let index = ready.pop(); index !== undefined; index = ready.pop()) {
    order.push(index);
    for (const dependent of graph.dependents[index] ?? []) {
      const count = (unmet[dependent] ?? 0) - 1;
      unmet[dependent] = count;
      if (count === 0) ready.push(dependent);
    }
  }
  const left = unmet.flatMap((count, index) => (count > 0 ? [index] : []));
  return { order, left };
}

/** Every step that depends on `index`, directly or not. */
export function descendantsOf(graph: Graph, index: number): Set<number> {
  const found = new Set<number>();
  const open = [index];
  for (let next = open.pop(); next !== undefined; next = open.pop())
    for (const dependent of graph.dependents[next] ?? [])
      if (!found.has(dependent)) {
        found.add(dependent);
        open.push(dependent);
      }
  return found;
}

/** Smallest first; each index is in it once. A step is taken out as often as it was put in anew. */
export class IndexHeap {
  readonly #heap: number[] = [];
  readonly #inside = new Set<number>();

  push(index: number): void {
    if (this.#inside.has(index)) return;
    this.#inside.add(index);
    const heap = this.#heap;
    let at = heap.length;
    heap.push(index);
    while (at > 0) {
      const above = (at - 1) >> 1;
      const other = heap[above] ?? 0;
      if (other <= index) break;
      heap[at] = other;
      at = above;
    }
    heap[at] = index;
  }

  pop(): number | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined) return undefined;
    this.#inside.delete(first);
    if (heap.length === 0) return first;
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      if (left >= heap.length) break;
      const right = left + 1;
      const below = right < heap.length && (heap[right] ?? 0) < (heap[left] ?? 0) ? right : left;
      const other = heap[below] ?? 0;
      if (other >= last) break;
      heap[at] = other;
      at = below;
    }
    heap[at] = last;
    return first;
  }
}
