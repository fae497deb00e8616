// When the steps of a run ran, what they waited and what ran beside them. Pure.
import { statusOf } from '../engine/states.ts';
import { criticalPathOf } from './graph-read.ts';
import { durationOf, timeOf, type Look } from './look.ts';
import { overlapsOf } from './overlaps.ts';

/** Of a thousand steps that run at once each would name all others: the names are the first ones, the count is exact. */
export const PARALLEL_NAMED = 20;

export function timelineView(look: Look) {
  const { row, status, started_at, finished_at, graph, steps, states, now } = look;
  const began = timeOf(started_at);
  const onPath = new Set(criticalPathOf(look).refs);
  const started = steps.flatMap((step, index) => {
    const start = timeOf(step.started_at);
    return start === null ? [] : [{ index, start, end: timeOf(step.finished_at) ?? now }];
  });
  const overlaps = overlapsOf(started, PARALLEL_NAMED);
  const beside = new Map(started.map(({ index }, place) => [index, overlaps[place]]));
  const startOf = new Map(started.map(({ index, start }) => [index, start]));

  const waitOf = (index: number): number => {
    const start = startOf.get(index);
    if (start === undefined) return 0;
    const ends = (graph.dependencies[index] ?? []).map(
      (dependency) => timeOf(steps[dependency]?.finished_at ?? null) ?? start,
    );
    const ready = ends.length > 0 ? Math.max(...ends) : (began ?? start);
    return Math.max(0, start - ready);
  };
  const view = (index: number) => {
    const step = steps[index];
    if (!step) return [];
    const { first = [], count = 0 } = beside.get(index) ?? {};
    return [
      {
        step_run_id: step.id,
        step_ref: step.step_ref,
        type: graph.steps[index]?.step_type ?? 'job',
        status: statusOf(states[index] ?? 'pending'),
        started_at: step.started_at,
        finished_at: step.finished_at,
        duration_ms: durationOf(step, now) ?? 0,
        parallel_with: first.map((place) => steps[started[place]?.index ?? -1]?.step_ref ?? ''),
        parallel_count: count,
        on_critical_path: onPath.has(step.step_ref),
        wait_ms: waitOf(index),
      },
    ];
  };
  // By name in the graph already; those that never started come last.
  const order = [...steps.keys()].sort(
    (a, b) => (startOf.get(a) ?? Infinity) - (startOf.get(b) ?? Infinity) || a - b,
  );
  return {
    workflow_run_id: row.id,
    status,
    started_at,
    finished_at,
    total_ms: began === null ? 0 : Math.max(0, (timeOf(finished_at) ?? now) - began),
    steps: order.flatMap(view),
  };
}
