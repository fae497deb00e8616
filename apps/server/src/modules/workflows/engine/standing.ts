// How steps of a run stand, for those who only look: asked of the same rules that decide, so that both say the same.
import { openDraft } from './draft.ts';
import type { Event, Known } from './facts.ts';
import { progress } from './progress.ts';
import { blockerOf, canStart, type Blocker } from './scheduling.ts';
import { isReady, isResolved } from './settling.ts';
import type { StepState } from './states.ts';

export interface Standing {
  readonly states: readonly StepState[];
  /** Nothing of the run but its pause and its limits keeps it from starting; one that is tried again is due by `next_retry_at`. */
  isRunnable(index: number, next_retry_at: number | null): boolean;
  /** Dependencies it still waits for. */
  unmet(index: number): readonly number[];
  /** The limit of the run that it meets first, and the steps that take it up. */
  limit(index: number): { readonly blocker: Blocker; readonly holders: readonly number[] } | null;
}

export function standingOf(known: Known): Standing {
  const draft = openDraft(known);
  const running = draft.states.flatMap((state, index) => (state === 'running' ? [index] : []));
  const stepOf = (index: number) => known.graph.steps[index];
  const shares = {
    blocked_parallel: () => true,
    blocked_key: (a: number, b: number) =>
      stepOf(a)?.concurrency_key === stepOf(b)?.concurrency_key,
    blocked_class: (a: number, b: number) =>
      stepOf(a)?.resource_class === stepOf(b)?.resource_class,
    blocked_quota: () => false,
  };
  return {
    states: draft.states,
    isRunnable(index, next_retry_at) {
      const state = draft.states[index];
      if (state === undefined || !canStart(state) || !isReady(draft, index)) return false;
      return state !== 'on_retry' || (next_retry_at ?? 0) <= known.now;
    },
    unmet: (index) =>
      (known.graph.dependencies[index] ?? []).filter(
        (dependency) => !isResolved(draft, dependency),
      ),
    limit(index) {
      const blocker = blockerOf(draft, index);
      if (!blocker) return null;
      const holders = running.filter((other) => shares[blocker.state](index, other));
      return { blocker, holders };
    },
  };
}

/** Whether the engine would do it; what would come of it is not looked at. */
export const isAllowed = (known: Known, event: Event): boolean =>
  progress(known, event).kind !== 'refused';
