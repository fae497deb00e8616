// What this process is executing right now: how much room is left, which leases are not yet copied into the
// wide row, and how to abort one.

import type { AbortReason, AttemptControl } from './dispatcher.ts';
import type { ClaimedRun, Completion } from '../queue/index.ts';

export interface Attempt {
  readonly run: ClaimedRun;
  readonly control: AttemptControl;
  abort(reason: AbortReason): void;
  /** ms on the monotonic clock. */
  readonly begun: number;
  finishing: boolean;
  version: Completion['version'];
}

export type Attempts = ReturnType<typeof createAttempts>;

export interface AttemptsDeps {
  readonly capacity: number;
  readonly monotonic: () => number;
  readonly mayStart: () => boolean;
}

export function createAttempts({ capacity, monotonic, mayStart }: AttemptsDeps) {
  // Keyed by run and claim: a run that was reaped and claimed again may be here twice for a moment.
  const running = new Map<string, Attempt>();
  let unmarked: Attempt[] = [];
  let reserved = 0;
  let idle: (() => void)[] = [];

  return {
    /** Takes up to `wanted` places for a claim that is about to be made. */
    reserve(wanted: number): number {
      const taken = Math.min(wanted, capacity - running.size - reserved);
      if (taken > 0) reserved += taken;
      return Math.max(taken, 0);
    },
    unreserve(places: number): void {
      reserved -= places;
    },
    free: () => capacity - running.size - reserved,
    size: () => running.size,

    begin(run: ClaimedRun): Attempt {
      const controller = new AbortController();
      let reason: AbortReason | undefined;
      const attempt: Attempt = {
        run,
        begun: monotonic(),
        finishing: false,
        version: undefined,
        control: {
          signal: controller.signal,
          reason: () => reason,
          mayStart,
          resolved: (version) => {
            attempt.version = version;
          },
          finishing: () => {
            attempt.finishing = true;
          },
        },
        abort: (why) => {
          reason ??= why;
          controller.abort();
        },
      };
      running.set(keyOf(run), attempt);
      unmarked.push(attempt);
      return attempt;
    },

    end(attempt: Attempt): void {
      attempt.finishing = true;
      running.delete(keyOf(attempt.run));
      if (running.size === 0) {
        for (const wake of idle) wake();
        idle = [];
      }
    },

    /** Attempts older than `age_ms` whose lease is not in the wide row yet; each is handed out once. */
    takeUnmarked(age_ms: number): Attempt[] {
      const limit = monotonic() - age_ms;
      const due: Attempt[] = [];
      const young: Attempt[] = [];
      for (const attempt of unmarked) {
        if (attempt.finishing) continue;
        (attempt.begun <= limit ? due : young).push(attempt);
      }
      unmarked = young;
      return due;
    },
    /** Puts attempts back whose mark could not be written. */
    markAgain(attempts: readonly Attempt[]): void {
      unmarked.unshift(...attempts.filter((attempt) => !attempt.finishing));
    },

    has: (run_id: string, claim_seq: number) => running.has(keyOf({ id: run_id, claim_seq })),
    all: () => [...running.values()],
    /** By `run id, space, claim`, as abort notifications name it. */
    named: (name: string) => running.get(name),
    names: (): ReadonlySet<string> => new Set(running.keys()),
    /** Resolves once nothing executes any more. */
    idle: () =>
      running.size === 0 ? Promise.resolve() : new Promise<void>((resolve) => idle.push(resolve)),
  };
}

const keyOf = (claim: Pick<ClaimedRun, 'id' | 'claim_seq'>): string =>
  `${claim.id} ${claim.claim_seq}`;
