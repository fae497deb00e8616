// Brings the ends of attempts into the database: coalesced, retried while PostgreSQL is away, and isolated, so
// that one result the database refuses never holds up the others in its batch.

import { setTimeout as sleep } from 'node:timers/promises';
import { createBatcher, type Completion, type Queue, type Settlement } from '../queue/index.ts';

export interface SettlingOptions {
  readonly queue: Pick<Queue, 'complete' | 'settle'>;
  readonly max: number;
  readonly parallel: number;
  readonly pause_ms: number;
  readonly early: number;
  readonly isUnavailable: (error: unknown) => boolean;
  readonly onError: (error: unknown, what: string) => void;
}

/**
 * Waits between tries while the database is away; the last one repeats for as long as it takes. Giving up would leave
 * a lease that no reaper takes, because this worker lives, and would do the work again. Memory stays bounded: an
 * attempt keeps its place in the worker until it is settled, so nothing new is claimed meanwhile.
 */
const BACKOFF_MS = [100, 200, 400, 800, 1600];
const LONGEST_BACKOFF_MS = 2000;

export interface Settling {
  /** True when this claim really completed the run; false when it was fenced off. */
  complete(completion: Completion): Promise<boolean>;
  /** True when this claim really settled the run. */
  settle(settlement: Settlement): Promise<boolean>;
  drain(): Promise<void>;
}

export function createSettling(options: SettlingOptions): Settling {
  const { queue, max, parallel, pause_ms, early, isUnavailable, onError } = options;

  const patiently = async <Answer>(write: () => Promise<Answer>): Promise<Answer> => {
    for (let tries = 0; ; tries++) {
      try {
        return await write();
      } catch (error) {
        if (!isUnavailable(error)) throw error;
        await sleep(BACKOFF_MS[tries] ?? LONGEST_BACKOFF_MS);
      }
    }
  };

  const isolated = async <Item extends { readonly id: string }>(
    batch: readonly Item[],
    write: (batch: readonly Item[]) => Promise<Set<string>>,
    alone: (item: Item, error: unknown) => Promise<boolean>,
  ): Promise<boolean[]> => {
    try {
      const settled = await patiently(() => write(batch));
      return batch.map((item) => settled.has(item.id));
    } catch (error) {
      if (batch.length === 1 && batch[0]) return [await alone(batch[0], error)];
      const answers: boolean[] = [];
      for (const item of batch) answers.push(...(await isolated([item], write, alone)));
      return answers;
    }
  };

  const completing = createBatcher<Completion, boolean>({
    max,
    parallel,
    pause_ms,
    early,
    flush: (batch) =>
      isolated(batch, queue.complete, async (run, error) => {
        onError(error, `result of run ${run.id} could not be stored`);
        const settled = await patiently(() =>
          queue.settle([
            {
              id: run.id,
              created_at: run.created_at,
              claim_seq: run.claim_seq,
              started_at: run.started_at,
              to: 'system_failed',
              error: 'the result could not be stored',
              error_class: 'internal',
              level: 'error',
            },
          ]),
        );
        return settled.has(run.id);
      }),
  });
  const settling = createBatcher<Settlement, boolean>({
    max,
    parallel,
    pause_ms,
    early,
    flush: (batch) =>
      isolated(
        batch,
        (runs) => queue.settle(runs),
        async (run, error) => {
          onError(error, `end of an attempt of run ${run.id} could not be stored`);
          return false;
        },
      ),
  });

  return {
    complete: (completion) => completing.add(completion),
    settle: (settlement) => settling.add(settlement),
    drain: async () => {
      await completing.drain();
      await settling.drain();
    },
  };
}
