// Creating runs. Callers of single triggers share statements, also across projects, so nothing that is wrong with
// one job may fail the runs of another.

import { isDatabaseUnavailable, repeatConflicts } from '../../platform/db/database.ts';
import type { Queryable } from '../../platform/db/query.ts';
import { createBatcher } from './batcher.ts';
import { placing } from './lane-gone.ts';
import type { Enqueued, NewRun, QueueSettings } from './queue.ts';
import * as intakeStore from './intake/store.sql.ts';
import * as store from './store.sql.ts';

const MAX_ROWS = 500;
/** Characters of payload per statement: far from the longest string V8 can make, at no cost for ordinary payloads. */
const MAX_PAYLOAD = 8 * 1024 * 1024;
/** Jobs of a failed batch that are tried at the same time, so that one that waits for a lock holds up few others. */
const APART = 3;

/** Undefined: no run was created, because the job is gone or disabled or the idempotency key is taken. */
type Inserted = Enqueued | undefined;

export type Held = Extract<Enqueued, { outcome: 'held' }>;

/** How `keyHolders` names what a run asks for. */
export const holderKey = ({ job_id, idempotency_key }: NewRun): string =>
  `${job_id} ${idempotency_key}`;

interface EnqueuingDeps {
  readonly db: Queryable;
  readonly settings: QueueSettings;
}

export function createEnqueuing({ db, settings }: EnqueuingDeps) {
  const insert = async (target: Queryable, runs: readonly NewRun[]): Promise<Inserted[]> => {
    const answers: Inserted[] = Array.from({ length: runs.length });
    const input = {
      job_ids: runs.map((run) => run.job_id),
      project_ids: runs.map((run) => run.project_id),
      payloads: runs.map((run) => run.payload),
      priorities: runs.map((run) => run.priority),
      idempotency_keys: runs.map((run) => run.idempotency_key ?? null),
      payload_hashes: runs.map((run) =>
        run.idempotency_key === undefined ? null : (run.payload_hash ?? null),
      ),
      extras: runs.map((run) => run.extra ?? null),
      aging_ms: settings.aging_ms,
      default_ttl_secs: settings.default_ttl_secs,
    };
    const rows = await placing(store.enqueueRuns(target, input));
    for (const { ord, id, status, created_at, expires_at } of rows) {
      answers[ord - 1] = { outcome: 'created', id, status, created_at, expires_at };
    }
    return answers;
  };

  /** The runs that hold these keys; runs without a key, or with one nobody holds, are not in the answer. */
  const keyHolders = async (
    target: Queryable,
    runs: readonly NewRun[],
  ): Promise<Map<string, Held>> => {
    const keyed = runs.filter((run) => run.idempotency_key !== undefined);
    if (keyed.length === 0) return new Map();
    const found = await intakeStore.findKeyHolders(target, {
      job_ids: keyed.map((run) => run.job_id),
      idempotency_keys: keyed.map((run) => run.idempotency_key ?? ''),
    });
    return new Map(
      found.map(({ job_id, idempotency_key, run_id: id, status, created_at, payload_hash }) => [
        `${job_id} ${idempotency_key}`,
        { outcome: 'held', id, status, created_at, payload_hash },
      ]),
    );
  };

  /** Says of every run that was not created whether its key is taken: a new statement, so the winner is visible. */
  const explain = async (
    target: Queryable,
    runs: readonly NewRun[],
    inserted: readonly (Inserted | Error)[],
  ): Promise<(Enqueued | Error)[]> => {
    const holders = await keyHolders(
      target,
      runs.filter((_, index) => !inserted[index]),
    );
    return runs.map((run, index) => {
      return inserted[index] ?? holders.get(holderKey(run)) ?? { outcome: 'refused' };
    });
  };

  /**
   * One statement for all; when it fails, one per job. What failed was rolled back whole, so nothing is created twice,
   * except when the database went away: then nobody knows, and every caller is told so.
   */
  const insertApart = async (runs: readonly NewRun[]): Promise<(Inserted | Error)[]> => {
    try {
      return await repeatConflicts(() => insert(db, runs));
    } catch (error) {
      if (isDatabaseUnavailable(error)) throw error;
      const parts = partsOf(runs, error);
      if (parts.length === 1 && isForeignKeyViolation(error)) return [{ outcome: 'refused' }];
      if (parts.length === 1) return runs.map(() => asError(error));
      const answers: (Inserted | Error)[] = Array.from({ length: runs.length });
      const work = parts.values();
      const worker = async (): Promise<void> => {
        for (const part of work) {
          const found = await insertApart(part.map((index) => runs[index] as NewRun)).catch(
            (failure: unknown) => part.map(() => asError(failure)),
          );
          for (const [position, index] of part.entries()) answers[index] = found[position];
        }
      };
      await Promise.all(Array.from({ length: APART }, worker));
      return answers;
    }
  };

  const flush = async (runs: readonly NewRun[]): Promise<(Enqueued | Error)[]> => {
    const inserted = await insertApart(runs);
    try {
      return await explain(db, runs, inserted);
    } catch (error) {
      // What was created is committed and stays so; only those whose key could not be looked up do not know.
      return runs.map((run, index) => {
        if (inserted[index]) return inserted[index];
        return run.idempotency_key === undefined ? { outcome: 'refused' } : asError(error);
      });
    }
  };

  return {
    keyHolders,

    /** For single runs, batched. */
    shared: createBatcher<NewRun, Enqueued>({
      flush,
      max: MAX_ROWS,
      parallel: 2,
      max_weight: MAX_PAYLOAD,
      weightOf: (run) => run.payload.length,
    }),

    /** All or nothing, on the caller's transaction when `target` is one. */
    all: async (target: Queryable, runs: readonly NewRun[]): Promise<Enqueued[]> => {
      const write = () => insert(target, runs);
      // A transaction of the caller's is repeated by him, whole.
      const inserted = await (target === db ? repeatConflicts(write) : write());
      return (await explain(target, runs, inserted)) as Enqueued[];
    },
  };
}

/** Positions by job, or one by one when a single job's runs violate a foreign key (each may name another run). */
function partsOf(runs: readonly NewRun[], error: unknown): number[][] {
  const byJob = [...Map.groupBy(runs.keys(), (index) => runs[index]?.job_id).values()];
  return byJob.length === 1 && isForeignKeyViolation(error)
    ? [...runs.keys()].map((index) => [index])
    : byJob;
}

const isForeignKeyViolation = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === '23503';

const asError = (error: unknown): Error =>
  error instanceof Error ? error : new Error(String(error));
