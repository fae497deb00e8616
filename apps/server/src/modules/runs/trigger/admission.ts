// Triggers of jobs and projects with flow control: every check and the run, or what becomes of the trigger instead, in one
// transaction (engine-semantics §4.1, from 8 on). Jobs without any of it do not come here.

import type { Clock } from '../../../platform/clock.ts';
import type { Database, Tx } from '../../../platform/db/database.ts';
import { Failure } from '../../../platform/failure.ts';
import type { FailureCode } from '../../../domain/failures.ts';
import type { TriggerJob } from '../../jobs/index.ts';
import { jobRates, bucketsOf } from '../../limits/index.ts';
import {
  admission,
  buffers,
  type Enqueued,
  type NewRun,
  type Queue,
  type RunStatus,
} from '../../queue/index.ts';
import { deferred } from './starts.ts';

export interface AdmissionDeps {
  /** The queue's pool. */
  readonly hot: Database;
  readonly queue: Pick<Queue, 'enqueueMany' | 'keyHolders'>;
  readonly clock: Clock;
  /** Of the payload of a batch; beyond it the rest makes another run. */
  readonly max_payload_bytes: number;
}

export interface AskedRun extends NewRun {
  readonly payload_hash: string;
}

/** What of the request is no part of the run. */
export interface BufferKeys {
  readonly debounce_key: string;
  readonly batch_key: string;
}

export type Admitted =
  | Enqueued
  /** The same payload came within the dedup window. */
  | { readonly outcome: 'duplicate'; readonly id: string; readonly status: RunStatus }
  | { readonly outcome: 'debounced'; readonly fire_at: string }
  | { readonly outcome: 'buffered' }
  | { readonly outcome: 'batch'; readonly id: string; readonly status: RunStatus };

/** Ends a transaction that turned out to create nothing: what it charged is charged to nobody. */
class TakenBack extends Error {
  readonly answer: Admitted;
  constructor(answer: Admitted) {
    super('nothing was created');
    this.answer = answer;
  }
}

/** Whether anything but the plain insert has a say in triggers of this job. */
export const isControlled = (job: TriggerJob): boolean =>
  job.queue_limited ||
  job.debounce_window_secs > 0 ||
  job.batch_window_secs > 0 ||
  (job.dedup_window_secs ?? 0) > 0 ||
  bucketsOf(job).length > 0;

export type Admission = ReturnType<typeof createAdmission>;

export const queueFull = (): Failure<FailureCode> =>
  new Failure<FailureCode>('queue_quota_exceeded');

/** `wait_secs` of the rates; a whole set that exceeds the limit by itself never fits. */
export const rateLimited = (wait_secs: number): Failure<FailureCode> =>
  new Failure<FailureCode>('job_rate_limited', { retry_after_secs: wait_secs });

export function createAdmission({ hot, queue, clock, max_payload_bytes }: AdmissionDeps) {
  /** Undefined: no room in the project's queue. */
  const decide = async (
    tx: Tx,
    job: TriggerJob,
    run: AskedRun,
    keys: BufferKeys,
  ): Promise<Admitted | undefined> => {
    const [holder] = await queue.keyHolders([run], tx);
    if (holder) return holder;
    if (!job.enabled) return { outcome: 'refused' };
    if (job.queue_limited && !(await admission.hasRoom(tx, job.project_id, 1))) return undefined;
    const { debounce_window_secs, batch_window_secs } = job;
    const held_back = debounce_window_secs > 0 || batch_window_secs > 0;
    // What waits is counted when it becomes a run.
    const wait_secs = held_back ? await jobRates.look(tx, job, 1) : await jobRates.take(tx, job, 1);
    if (wait_secs > 0) throw rateLimited(wait_secs);

    const same = await duplicates(tx, job, [run]);
    const twin = same.get(run.payload_hash);
    if (twin) {
      throw new TakenBack({
        outcome: 'duplicate',
        id: twin.id,
        status: twin.status as RunStatus,
      });
    }
    if (debounce_window_secs > 0) {
      const { debounce_key } = keys;
      const window_secs = debounce_window_secs;
      const fire_at = await buffers.debounce(tx, run, { debounce_key, window_secs });
      return { outcome: 'debounced', fire_at };
    }
    if (batch_window_secs > 0) return addToBatch(tx, job, run, keys.batch_key);
    const [made] = await queue.enqueueMany([run], tx);
    if (made?.outcome !== 'created') throw new TakenBack(made ?? { outcome: 'refused' });
    return made;
  };

  /** Runs with the payloads of these that came within the job's window; of the others nobody else creates one. */
  const duplicates = async (tx: Tx, job: TriggerJob, runs: readonly AskedRun[]) => {
    const window_secs = job.dedup_window_secs ?? 0;
    if (window_secs === 0) return new Map<string, { id: string; status: string }>();
    const query = { project_id: job.project_id, job_id: job.id, window_secs };
    const payloads = new Map(runs.map(({ payload_hash, payload }) => [payload_hash, payload]));
    return admission.holdPayloads(tx, {
      ...query,
      payload_hashes: [...payloads.keys()],
      payloads: [...payloads.values()],
    });
  };

  /** The trigger that fills a batch makes its run. */
  const addToBatch = async (
    tx: Tx,
    job: TriggerJob,
    run: AskedRun,
    batch_key: string,
  ): Promise<Admitted> => {
    const batch = { job_id: job.id, batch_key };
    const { batch_max_size } = job;
    // Without a size nobody counts, so nobody has to wait for anybody.
    if (batch_max_size > 0) await buffers.holdBatch(tx, batch);
    const items = await buffers.add(tx, run, batch_key, batch_max_size);
    if (batch_max_size === 0 || items < batch_max_size) return { outcome: 'buffered' };
    const made = await flush(tx, job, batch);
    return made
      ? { outcome: 'batch', id: made.id, status: made.status as RunStatus }
      : { outcome: 'buffered' };
  };

  /** One run of the oldest items; undefined when there is none to make. The caller holds the batch. */
  const flush = async (
    tx: Tx,
    job: TriggerJob,
    batch: { readonly job_id: string; readonly batch_key: string },
  ) => {
    const size = { max_items: job.batch_max_size, max_bytes: max_payload_bytes };
    const run = await buffers.take(tx, batch, size);
    if (!run) return undefined;
    const [made] = await queue.enqueueMany([await deferred(tx, job, run, clock.now())], tx);
    // The items stay where they are.
    if (made?.outcome !== 'created') throw new TakenBack({ outcome: 'refused' });
    return made;
  };

  return {
    flush,

    /**
     * Asks for a whole set, whose keys nobody holds: all of them may come in or none. Undefined: the project's queue has no
     * room (commit, so that this is remembered); else the runs that came before, by payload. @throws job_rate_limited
     */
    async admitSet(tx: Tx, job: TriggerJob, runs: readonly AskedRun[]) {
      const hashes = new Set(runs.map(({ payload_hash }) => payload_hash));
      const amount = (job.dedup_window_secs ?? 0) > 0 ? hashes.size : runs.length;
      if (job.queue_limited && !(await admission.hasRoom(tx, job.project_id, amount)))
        return undefined;
      const wait_secs = await jobRates.take(tx, job, amount);
      if (wait_secs > 0) throw rateLimited(wait_secs);
      const same = await duplicates(tx, job, runs);
      // Those create nothing.
      if (same.size > 0) await jobRates.take(tx, job, -same.size);
      return same;
    },

    /** @throws queue_quota_exceeded, job_rate_limited. `refused`: disabled or gone, or the key changes hands. */
    async admit(job: TriggerJob, run: AskedRun, keys: BufferKeys): Promise<Admitted> {
      const { project_id } = job;
      try {
        const admitted = await hot.tenant(project_id, (tx) => decide(tx, job, run, keys));
        if (admitted) return admitted;
        throw queueFull();
      } catch (error) {
        if (error instanceof TakenBack) return error.answer;
        // Whoever took the last place may have been the same trigger.
        if (error instanceof Failure) {
          const [holder] = await hot.tenant(project_id, (tx) => queue.keyHolders([run], tx));
          if (holder) return holder;
        }
        throw error;
      }
    },
  };
}
