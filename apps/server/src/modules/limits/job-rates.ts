// How many runs of a job may come into being per time: its own limit, and named ones that jobs of a project share. Leaky
// buckets in PostgreSQL: a full burst at once, then evenly. Always on the transaction that creates the runs, so that a
// run that does not come into being is not counted.

import type { Queryable } from '../../platform/db/query.ts';
import * as store from './store.sql.ts';

export interface RatedJob {
  readonly id: string;
  readonly project_id: string;
  readonly rate_limit_max: number | null;
  readonly rate_limit_window_secs: number | null;
  /** `{name, max, window_secs}`, as jobs keep them. */
  readonly rate_limit_keys: unknown;
}

interface Bucket {
  readonly bucket: string;
  /** As people know it. */
  readonly label: string;
  readonly most: number;
  readonly window_secs: number;
}

export interface Reserved {
  readonly wait_secs: number;
  readonly limit?: string | undefined;
}

/** Where a run of this job is counted. */
export function bucketsOf(job: RatedJob): Bucket[] {
  const named = job.rate_limit_keys as readonly {
    readonly name: string;
    readonly max: number;
    readonly window_secs: number;
  }[];
  const own =
    (job.rate_limit_max ?? 0) > 0 && (job.rate_limit_window_secs ?? 0) > 0
      ? [
          {
            bucket: `job:${job.id}`,
            label: `the job, ${job.rate_limit_max} per ${job.rate_limit_window_secs} s`,
            most: job.rate_limit_max ?? 0,
            window_secs: job.rate_limit_window_secs ?? 0,
          },
        ]
      : [];
  return [
    ...own,
    ...named.map(({ name, max, window_secs }) => ({
      bucket: `key:${job.project_id}:${name}`,
      label: `"${name}", ${max} per ${window_secs} s`,
      most: max,
      window_secs,
    })),
  ];
}

const columns = (buckets: readonly Bucket[], amount: number) => ({
  buckets: buckets.map(({ bucket }) => bucket),
  most: buckets.map(({ most }) => most),
  window_secs: buckets.map(({ window_secs }) => window_secs),
  amount,
});

export const jobRates = {
  /** Seconds until so many runs fit; 0: they do and are counted. A negative amount gives back. */
  async take(tx: Queryable, job: RatedJob, amount: number): Promise<number> {
    const buckets = bucketsOf(job);
    if (buckets.length === 0 || amount === 0) return 0;
    const { taken, wait_secs } = await store.takeTokens(tx, {
      ...columns(buckets, amount),
      mode: 'all',
    });
    return taken === amount ? 0 : wait_secs;
  },

  /** Counts as many of these runs as fit; how many, and the seconds until one more does. */
  async takeSome(tx: Queryable, job: RatedJob, amount: number) {
    const buckets = bucketsOf(job);
    if (buckets.length === 0 || amount === 0) return { taken: amount, wait_secs: 0 };
    return store.takeTokens(tx, { ...columns(buckets, amount), mode: 'some' });
  },

  /** Counts one run in any case; seconds until its turn, and the limit that makes it wait longest. */
  async reserve(tx: Queryable, job: RatedJob): Promise<Reserved> {
    const buckets = bucketsOf(job);
    if (buckets.length === 0) return { wait_secs: 0 };
    const charge = { ...columns(buckets, 1), mode: 'reserve' };
    const { wait_secs } = await store.takeTokens(tx, charge);
    if (wait_secs <= 0) return { wait_secs: 0 };
    // Still locked: what stands there is what was just counted.
    const found =
      buckets.length > 1 ? await store.lookAtTokens(tx, columns(buckets, 0)) : buckets[0];
    const tightest = buckets.find(({ bucket }) => bucket === found?.bucket);
    return { wait_secs, limit: tightest?.label };
  },

  /**
   * For whoever counts runs of several jobs in one transaction: their buckets are locked at once, in one order, so that two
   * of them do not wait for each other.
   */
  async hold(tx: Queryable, jobs: readonly RatedJob[]): Promise<void> {
    const buckets = new Map(jobs.flatMap(bucketsOf).map((bucket) => [bucket.bucket, bucket]));
    if (buckets.size === 0) return;
    await store.takeTokens(tx, { ...columns([...buckets.values()], 0), mode: 'reserve' });
  },

  /** What `take` would answer; counts nothing. */
  async look(db: Queryable, job: RatedJob, amount: number): Promise<number> {
    const buckets = bucketsOf(job);
    if (buckets.length === 0) return 0;
    return (await store.lookAtTokens(db, columns(buckets, amount)))?.wait_secs ?? 0;
  },

  /** Forgets buckets that are empty; returns how many. */
  trim: (db: Queryable): Promise<number> => store.deleteEmptyLevels(db),
};
