// Brings the ends of attempts into the database: coalesced, retried while PostgreSQL is away, and isolated, so
// that one result the database refuses never holds up the others in its batch.

import { setTimeout as sleep } from 'node:timers/promises';
import { isBadData } from '../../platform/db/database.ts';
import {
  createBatcher,
  type Claim,
  type Completion,
  type Queue,
  type Settlement,
} from '../queue/index.ts';

export interface SettlingOptions {
  readonly queue: Pick<Queue, 'complete' | 'settle' | 'handOver'>;
  readonly max: number;
  readonly parallel: number;
  readonly pause_ms: number;
  readonly early: number;
  readonly isUnavailable: (error: unknown) => boolean;
  readonly onError: (error: unknown, what: string) => void;
}

/**
 * Waits between tries while the database is away or does not take a write now (locks, time-outs, a full disk, a standby);
 * the last one repeats for as long as it takes. Giving up would leave a lease that no reaper takes, because this worker
 * lives, and would do the work again under the same attempt. Memory stays bounded: an
 * attempt keeps its place in the worker until it is settled, so nothing new is claimed meanwhile.
 */
const BACKOFF_MS = [100, 200, 400, 800, 1600];
const LONGEST_BACKOFF_MS = 2000;

export interface Settling {
  /** True when this claim really completed the run; false when it was fenced off. */
  complete(completion: Completion): Promise<boolean>;
  /** True when this claim really settled the run. */
  settle(settlement: Settlement): Promise<boolean>;
  /** Gives the lease to the endpoint; false when the claim lost the run. The deadline is asked for at each try. */
  handOver(claim: Claim, deadline_secs: () => number): Promise<boolean>;
  drain(): Promise<void>;
}

const claimOf = ({ id, created_at, claim_seq }: Claim): Claim => ({ id, created_at, claim_seq });

export function createSettling(options: SettlingOptions): Settling {
  const { queue, max, parallel, pause_ms, early, isUnavailable, onError } = options;

  /** Tries again for as long as `passes` says that the error will. */
  const patiently = async <Answer>(
    write: () => Promise<Answer>,
    passes: (error: unknown) => boolean,
    what: string,
  ): Promise<Answer> => {
    for (let tries = 0; ; tries++) {
      try {
        return await write();
      } catch (error) {
        if (!passes(error)) throw error;
        if (!isUnavailable(error)) onError(error, what);
        await sleep(BACKOFF_MS[tries] ?? LONGEST_BACKOFF_MS);
      }
    }
  };
  /** For what stands alone: only values that the database will never take are given up on. */
  const stubbornly = <Answer>(write: () => Promise<Answer>, what: string): Promise<Answer> =>
    patiently(write, (error) => !isBadData(error), what);

  /** One that the database does not take, or not now, never holds up the others in its batch. */
  const isolated = async <Item extends { readonly id: string }>(
    batch: readonly Item[],
    write: (batch: readonly Item[]) => Promise<Set<string>>,
    alone: (item: Item, error: unknown) => Promise<boolean>,
  ): Promise<boolean[]> => {
    const writeOne = async (item: Item): Promise<boolean> => {
      try {
        const written = await stubbornly(
          () => write([item]),
          `end of an attempt of run ${item.id}`,
        );
        return written.has(item.id);
      } catch (error) {
        return alone(item, error);
      }
    };
    try {
      const settled = await patiently(() => write(batch), isUnavailable, '');
      return batch.map((item) => settled.has(item.id));
    } catch {
      return Promise.all(batch.map(writeOne));
    }
  };

  /** What is left to say about an attempt whose end cannot be stored as it was. */
  const settleBare = async (end: Settlement): Promise<boolean> => {
    const settled = await stubbornly(
      () => queue.settle([end]),
      `end of an attempt of run ${end.id}`,
    );
    return settled.has(end.id);
  };

  const completing = createBatcher<Completion, boolean>({
    max,
    parallel,
    pause_ms,
    early,
    flush: (batch) =>
      isolated(batch, queue.complete, (run, error) => {
        onError(error, `result of run ${run.id} could not be stored`);
        return settleBare({
          ...claimOf(run),
          started_at: run.started_at,
          to: 'system_failed',
          error: 'the result could not be stored',
          error_class: 'internal',
          level: 'error',
        });
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
        (run, error) => {
          onError(error, `end of an attempt of run ${run.id} could not be stored as it was`);
          const { to, started_at, attempt, priority, level, unstarted, owner } = run;
          const { delay_ms, delayed_by } = run;
          return settleBare({
            ...claimOf(run),
            to,
            started_at,
            attempt,
            priority,
            delay_ms,
            delayed_by,
            level,
            unstarted,
            owner,
            error: 'what the attempt left behind could not be stored',
            error_class: 'internal',
          });
        },
      ),
  });

  return {
    complete: (completion) => completing.add(completion),
    settle: (settlement) => settling.add(settlement),
    handOver: (claim, deadline_secs) =>
      stubbornly(() => queue.handOver(claim, deadline_secs()), `hand-over of run ${claim.id}`),
    drain: async () => {
      await completing.drain();
      await settling.drain();
    },
  };
}
