// How long what has ended is kept. Every function is one round, safe in any number of processes; loops.ts says
// when they run.

import type { Database } from '../../../platform/db/database.ts';
import * as store from './store.sql.ts';

export interface RetentionSettings {
  /** Of completed, failed, canceled and expired runs. */
  readonly short_secs: number;
  /** Of runs that timed out, crashed or failed in the engine. */
  readonly long_secs: number;
  readonly dead_letter_secs: number;
  /** Dead letters kept per project and per job; 0 is no limit. */
  readonly dead_letters_per_project: number;
  readonly dead_letters_per_job: number;
  /** Beyond these: `drop_oldest` removes the oldest, `reject` makes the newest `system_failed`. */
  readonly dead_letter_overflow: string;
}

export type Retention = ReturnType<typeof createRetention>;

const PURGE_BATCH = 5_000;
const MONTHS_AHEAD = 3;
/** Runs looked at per round; small, because one page deletes up to seven rows for each. */
const PAGE = 1_000;
/** A dead letter may become visible this much later than it says it died. */
const LATE_SECS = 300;
const EVER_SECS = 3_000_000_000;

export function createRetention({ db, settings }: { db: Database; settings: RetentionSettings }) {
  /** Where the sweep stands. Lost with the process: the next one begins again and finds little to do. */
  let after_id = '';
  /** When dead letters were last found to be within their caps, on the monotonic clock. */
  let within_caps: number | undefined;

  return {
    purgeKeys: async (): Promise<{ again: boolean }> => ({
      again: (await store.purgeIdempotencyKeys(db, { limit: PURGE_BATCH })) === PURGE_BATCH,
    }),

    /** Partitions of job_runs three months ahead; names of those made now. */
    ensurePartitions: async (): Promise<string[]> =>
      (await store.ensurePartitions(db, { months_ahead: MONTHS_AHEAD })).flatMap(
        ({ partition }) => partition ?? [],
      ),

    /**
     * Drops one month that `removeOldRuns` has left empty. A month in which one run still lives, or ended so late that it
     * is kept, stays; those after it do not wait for it.
     */
    retirePartitions: async (signal: AbortSignal): Promise<{ again: boolean }> => {
      const { short_secs, long_secs, dead_letter_secs } = settings;
      const retention_secs = Math.max(short_secs, long_secs, dead_letter_secs);
      const leaves = await store.listPartitions(db, { retention_secs });
      for (const { leaf, lower_bound, upper_bound, past } of leaves) {
        if (!past || signal.aborted) break;
        if ((await store.isOccupied(db, { lower_bound, upper_bound })).occupied) continue;
        await store.retirePartition(db, { leaf });
        return { again: true };
      }
      return { again: false };
    },

    /**
     * One page of a sweep over the months that may hold something past its retention. Months go in order, so the
     * sweep's place is the last id it saw; `again` until the sweep is through.
     */
    removeOldRuns: async (signal: AbortSignal): Promise<{ again: boolean; removed: number }> => {
      const { short_secs, long_secs, dead_letter_secs } = settings;
      const shortest = Math.min(short_secs, long_secs, dead_letter_secs);
      const leaves = await store.listPartitions(db, { retention_secs: shortest });
      for (const { lower_bound, upper_bound, begun } of leaves) {
        if (!begun || signal.aborted) break;
        if (after_id !== '' && after_id >= idAt(upper_bound)) continue;
        const { last_id, removed } = await store.removeOldRuns(db, {
          lower_bound,
          upper_bound,
          after_id,
          short_secs,
          long_secs,
          dead_letter_secs,
          limit: PAGE,
        });
        after_id = last_id ?? idAt(upper_bound);
        return { again: true, removed };
      }
      after_id = '';
      return { again: false, removed: 0 };
    },

    /**
     * Brings the dead letters back under their caps, some at a time. Looks only where one died since all were within
     * them. Jobs first: what goes there may bring the project under its own cap.
     */
    limitDeadLetters: async (): Promise<{ again: boolean }> => {
      const { dead_letters_per_project: per_project, dead_letters_per_job: per_job } = settings;
      if (per_project === 0 && per_job === 0) return { again: false };
      const rejects = settings.dead_letter_overflow === 'reject';
      const began = performance.now();
      const crowded = await store.listCrowded(db, {
        per_project,
        per_job,
        from_oldest: rejects,
        recent_secs:
          within_caps === undefined ? EVER_SECS : (began - within_caps) / 1000 + LATE_SECS,
      });
      if (crowded.length === 0) {
        within_caps = began;
        return { again: false };
      }
      const jobs = crowded.filter(({ job_id }) => job_id !== null);
      let changed = 0;
      for (const { project_id, job_id, finished_at, run_id } of jobs.length > 0 ? jobs : crowded) {
        const surplus = {
          of_project: project_id,
          of_job: job_id,
          finished_at,
          run_id,
          limit: PAGE,
        };
        changed += rejects
          ? (await store.rejectDeadLetters(db, surplus)).length
          : await store.dropDeadLetters(db, surplus);
      }
      return { again: changed > 0 };
    },
  };
}

/** The smallest id of a run created at this instant. */
function idAt(instant: string): string {
  const hex = Date.parse(instant).toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}`;
}
