// The graph of a run with the states of its steps, and its longest way. Pure.
import { criticalPath, type CriticalPath } from '../engine/critical-path.ts';
import type { EngineLimits } from '../engine/facts.ts';
import { rootsOf } from '../engine/graph.ts';
import { standingOf } from '../engine/standing.ts';
import { isOver, statusOf, waitReasonOf } from '../engine/states.ts';
import { durationOf, knownOf, timeOf, type Look } from './look.ts';

export const criticalPathOf = ({ graph, steps, states, now, status }: Look): CriticalPath =>
  criticalPath(
    graph,
    steps.map(({ started_at, finished_at }, index) => ({
      state: states[index] ?? 'pending',
      started_at: timeOf(started_at),
      finished_at: timeOf(finished_at),
    })),
    now,
    isOver(status),
  );

export function graphView(look: Look, limits: EngineLimits) {
  const { row, graph, steps, states, now } = look;
  const standing = standingOf(knownOf(look, limits));
  const path = criticalPathOf(look);
  const refOf = (index: number) => graph.steps[index]?.step_ref ?? '';
  return {
    workflow_run_id: row.id,
    workflow_id: row.workflow_id,
    version: row.workflow_version,
    nodes: steps.map((step, index) => {
      const state = states[index] ?? 'pending';
      return {
        step_ref: step.step_ref,
        type: graph.steps[index]?.step_type ?? 'job',
        status: statusOf(state),
        wait_reason: waitReasonOf(state) ?? undefined,
        depends_on: (graph.dependencies[index] ?? []).map(refOf),
        attempt: step.attempt,
        started_at: step.started_at,
        finished_at: step.finished_at,
        duration_ms: durationOf(step, now),
      };
    }),
    edges: graph.dependents.flatMap((dependents, index) =>
      dependents.map((dependent) => ({ from: refOf(index), to: refOf(dependent) })),
    ),
    roots: rootsOf(graph),
    runnable: steps.flatMap(({ step_ref, next_retry_at }, index) =>
      standing.isRunnable(index, timeOf(next_retry_at)) ? [step_ref] : [],
    ),
    critical_path: path.refs,
    critical_path_estimate_ms: Math.round(path.estimate_ms),
    critical_path_remaining_ms: Math.round(path.remaining_ms),
  };
}
