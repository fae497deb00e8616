// Keeps the rows of schedules beside their jobs: called in the transaction that changes a job.

import type { Queryable } from '../../platform/db/query.ts';
import { nextFire, type JobSchedule, type ScheduleReaction } from '../jobs/index.ts';
import * as store from './store.sql.ts';

export const NEVER_FIRES = 'the expression never fires';

/** The next instant, or why there is none. Saved expressions can be read; what got in otherwise must not stop the rest. */
export function nextOf(
  cron: string,
  timezone: string,
  after_ms: number,
): { readonly next: number } | { readonly problem: string } {
  try {
    const next = nextFire(cron, timezone, after_ms);
    return next === undefined ? { problem: NEVER_FIRES } : { next };
  } catch (error) {
    return { problem: `cannot be read: ${error instanceof Error ? error.message : String(error)}` };
  }
}

export const instant = (at_ms: number): string => new Date(at_ms).toISOString();

/** Disabled jobs keep their row without a next instant; once enabled they begin with what is still to come. */
export const changeSchedules: ScheduleReaction = async (tx, { project_id }, jobs) => {
  const scheduled = jobs.filter(({ cron }) => cron !== null);
  const gone = jobs.filter(({ cron }) => cron === null).map(({ id }) => id);
  if (gone.length > 0) await store.removeSchedules(tx, { project_id, job_ids: gone });
  if (scheduled.length > 0) await put(tx, project_id, scheduled);
};

async function put(tx: Queryable, project_id: string, jobs: readonly JobSchedule[]): Promise<void> {
  const now_ms = Date.parse((await store.readTime(tx)).now);
  const rows = jobs.map((job) => {
    const cron = job.cron ?? '';
    const timezone = job.timezone ?? 'UTC';
    const next = nextOf(cron, timezone, now_ms);
    return {
      ...job,
      cron,
      timezone,
      next_fire_at: job.enabled && 'next' in next ? instant(next.next) : null,
      problem: 'problem' in next ? next.problem : null,
    };
  });
  await store.putSchedules(tx, {
    project_id,
    job_ids: rows.map(({ id }) => id),
    crons: rows.map(({ cron }) => cron),
    timezones: rows.map(({ timezone }) => timezone),
    overlap_policies: rows.map(({ cron_overlap_policy }) => cron_overlap_policy),
    catchups: rows.map(({ cron_catchup }) => cron_catchup),
    enabled: rows.map(({ enabled }) => enabled),
    next_fires: rows.map(({ next_fire_at }) => next_fire_at),
    problems: rows.map(({ problem }) => problem),
  });
}
