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

export function createRetention({ db, settings }: { db: Database; settings: RetentionSettings }) {
  /** Where the sweep stands. Lost with the process: the next one begins again and finds little to do. */
  let after_id = '';

  return {
    purgeKeys: async (): Promise<{ again: boolean }> => ({
      again: (await store.purgeIdempotencyKeys(db, { limit: PURGE_BATCH })) === PURGE_BATCH,
    }),

    /** Partitions of job_runs three months ahead; names of those made now. */
    ensurePartitions: async (): Promise<string[]> =>
      (await store.ensurePartitions(db, { months_ahead: MONTHS_AHEAD })).flatMap(
        ({ partition }) => partition ?? [],
      ),

    /** Empties and drops the oldest partition that is past every retention; `again` while there is more to delete. */
    retirePartitions: async (signal: AbortSignal): Promise<{ again: boolean }> => {
      const retention_secs = Math.max(
        settings.short_secs,
        settings.long_secs,
        settings.dead_letter_secs,
      );
      const oldest = (await store.listPartitions(db, { retention_secs }))[0];
      if (!oldest?.old || signal.aborted) return { again: false };
      const { changed } = await store.purgePartition(db, {
        leaf: oldest.leaf,
        max_rows: PURGE_BATCH,
      });
      if (changed === 0) await store.retirePartition(db, { leaf: oldest.leaf });
      return { again: true };
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

    /** Brings the dead letters back under their caps, some at a time. */
    limitDeadLetters: async (): Promise<{ again: boolean }> => {
      const {
        dead_letters_per_project: per_project,
        dead_letters_per_job: per_job,
        dead_letter_overflow,
      } = settings;
      if (per_project === 0 && per_job === 0) return { again: false };
      const caps = { per_project, per_job, limit: PAGE };
      const changed =
        dead_letter_overflow === 'reject'
          ? (await store.rejectDeadLetters(db, caps)).length
          : await store.dropDeadLetters(db, caps);
      return { again: changed === PAGE };
    },
  };
}

/** The smallest id of a run created at this instant. */
function idAt(instant: string): string {
  const hex = Date.parse(instant).toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}`;
}
