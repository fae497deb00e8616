// Two runs side by side, step by step. Pure.
import { statusOf } from '../engine/states.ts';
import { durationOf, type Look } from './look.ts';
import { runView } from './views.ts';

export function compareView(a: Look, b: Look) {
  const ofB = new Map(b.steps.map((step, index) => [step.step_ref, index]));
  const inA = new Set(a.steps.map(({ step_ref }) => step_ref));
  const side = (look: Look, index: number) => {
    const step = look.steps[index];
    return {
      status: statusOf(look.states[index] ?? 'pending'),
      duration_ms: (step && durationOf(step, look.now)) ?? 0,
    };
  };
  const step_diffs = a.steps.flatMap(({ step_ref }, index) => {
    const other = ofB.get(step_ref);
    if (other === undefined) return [];
    const [one, two] = [side(a, index), side(b, other)];
    return [
      {
        step_ref,
        status_a: one.status,
        status_b: two.status,
        duration_ms_a: one.duration_ms,
        duration_ms_b: two.duration_ms,
      },
    ];
  });
  const runOf = ({ row, status, finished_at }: Look) => ({ ...runView(row), status, finished_at });
  return {
    run_a: runOf(a),
    run_b: runOf(b),
    status_diff: a.status !== b.status,
    step_diffs,
    only_in_a: a.steps.flatMap(({ step_ref }) => (ofB.has(step_ref) ? [] : [step_ref])),
    only_in_b: b.steps.flatMap(({ step_ref }) => (inA.has(step_ref) ? [] : [step_ref])),
  };
}
