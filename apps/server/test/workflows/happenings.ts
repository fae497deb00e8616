// The ways in which what a step started can end, picked by a number.
import type { JsonValue } from '../../src/modules/workflows/engine/definition.ts';
import type { Event } from '../../src/modules/workflows/engine/facts.ts';
import type { OpenItem } from '../../src/modules/workflows/engine/memory-run.ts';

const JOB_ENDS = [
  'completed',
  'completed',
  'completed',
  'failed',
  'dead_letter',
  'canceled',
  'completed',
  'crashed',
];
const CHILD_ENDS = ['completed', 'completed', 'failed', 'timed_out', 'canceled'];

export const outputFor = (dice: number): JsonValue => ({ n: dice % 3 });

/** An event and when it comes; 2 always ends well. */
export function endOf(item: OpenItem, dice: number, now: number): { event: Event; at: number } {
  const { id, step_ref, start, attempt } = item;
  const output = outputFor(dice);
  const event = (of: Event, at = now) => ({ event: of, at });
  switch (start.kind) {
    case 'map_children': {
      const child = { index: item.index ?? 0, ok: dice % 4 !== 0, open: true };
      return event({ kind: 'map_children_ended', step_ref, attempt, children: [child] });
    }
    case 'work': {
      const isJob = start.target.kind === 'job';
      const ends = isJob ? JOB_ENDS : CHILD_ENDS;
      const status = ends[dice % ends.length] ?? 'completed';
      const error = status === 'failed' ? 'boom' : null;
      return isJob
        ? event({ kind: 'job_ended', step_ref, job_run_id: id, status, result: output, error })
        : event({ kind: 'child_ended', step_ref, child_run_id: id, status, output, error });
    }
    case 'approval':
    case 'cost_gate': {
      const about = { step_ref, approval_id: id, actor: 'ann' };
      if (dice % 4 === 0) return event({ kind: 'rejected', ...about, reason: 'no' });
      if (dice % 4 !== 1 || start.expires_at === null) return event({ kind: 'approved', ...about });
      const at = Math.max(now, start.expires_at);
      return event({ kind: 'approval_timed_out', step_ref, approval_id: id }, at);
    }
    case 'event': {
      const about = { step_ref, trigger_id: id };
      if (dice % 6 === 0) return event({ kind: 'event_timed_out', ...about });
      if (dice % 6 === 1) return event({ kind: 'event_canceled', ...about });
      return event({ kind: 'event_received', ...about, payload: output, sent_by: 'x' });
    }
    default:
      return event({ kind: 'sleep_over', step_ref, trigger_id: id });
  }
}
