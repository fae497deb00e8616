// Schedules as people see them.

import type { z } from 'zod';
import type { FailureCode } from '../../domain/failures.ts';
import type { Database } from '../../platform/db/database.ts';
import { Failure } from '../../platform/failure.ts';
import type { ProjectScope } from '../access/index.ts';
import { nextFires, type Jobs } from '../jobs/index.ts';
import type { JobSchedule } from './contract.ts';
import { instant } from './schedules.ts';
import * as store from './store.sql.ts';

const RECENT = 10;

export type ScheduleReads = ReturnType<typeof createScheduleReads>;

export function createScheduleReads({
  db,
  jobs,
}: {
  readonly db: Database;
  readonly jobs: Pick<Jobs, 'get'>;
}) {
  return {
    /** @throws job_not_found, schedule_not_found */
    async get(
      project: ProjectScope,
      job: string,
      count: number,
    ): Promise<z.input<typeof JobSchedule>> {
      const { id: job_id } = await jobs.get(project, job);
      const key = { ...project, job_id };
      const [schedule, recent_fires] = await db.tenant(project.project_id, async (tx) => [
        await store.findSchedule(tx, key),
        await store.listFires(tx, { ...key, limit: RECENT }),
      ]);
      if (!schedule) throw new Failure<FailureCode>('schedule_not_found');
      const { cron, timezone, enabled, problem, now } = schedule;
      return {
        job_id,
        cron,
        timezone,
        overlap_policy: schedule.overlap_policy as z.input<typeof JobSchedule>['overlap_policy'],
        catchup: schedule.catchup as z.input<typeof JobSchedule>['catchup'],
        status: problem !== null ? 'invalid' : enabled ? 'active' : 'disabled',
        job_paused: schedule.job_paused,
        problem,
        next_fire_at: schedule.next_fire_at,
        last_fire_at: schedule.last_fire_at,
        last_run_id: schedule.last_run_id,
        next_fires:
          problem === null
            ? nextFires(cron, timezone, Date.parse(now), count).map((at_ms) => instant(at_ms))
            : [],
        recent_fires: recent_fires as z.input<typeof JobSchedule>['recent_fires'],
      };
    },
  };
}
