// Schedules of workflows as people see them.
import type { z } from 'zod';
import type { FailureCode } from '../../../domain/failures.ts';
import type { Database } from '../../../platform/db/database.ts';
import { Failure } from '../../../platform/failure.ts';
import type { ProjectScope } from '../../access/index.ts';
import { nextFires } from '../../jobs/index.ts';
import type { Definitions } from '../../workflows/index.ts';
import { instant } from '../schedules.ts';
import type { WorkflowSchedule } from './contract.ts';
import * as store from './store.sql.ts';

const RECENT = 10;

export type WorkflowScheduleReads = ReturnType<typeof createWorkflowScheduleReads>;

export function createWorkflowScheduleReads({
  db,
  definitions,
}: {
  readonly db: Database;
  readonly definitions: Pick<Definitions, 'idOf'>;
}) {
  return {
    /** @throws workflow_not_found, workflow_schedule_not_found */
    async get(
      project: ProjectScope,
      workflow: string,
      count: number,
    ): Promise<z.input<typeof WorkflowSchedule>> {
      const workflow_id = await definitions.idOf(project, workflow);
      const key = { ...project, workflow_id };
      const [schedule, recent_fires] = await db.tenant(project.project_id, async (tx) => [
        await store.findSchedule(tx, key),
        await store.listFires(tx, { ...key, limit: RECENT }),
      ]);
      if (!schedule) throw new Failure<FailureCode>('workflow_schedule_not_found');
      const { cron, timezone, enabled, problem, now } = schedule;
      return {
        workflow_id,
        cron,
        timezone,
        skip_if_running: schedule.skip_if_running,
        status: problem !== null ? 'invalid' : enabled ? 'active' : 'disabled',
        problem,
        next_fire_at: schedule.next_fire_at,
        last_fire_at: schedule.last_fire_at,
        last_run_id: schedule.last_run_id,
        next_fires:
          problem === null
            ? nextFires(cron, timezone, Date.parse(now), count).map((at_ms) => instant(at_ms))
            : [],
        recent_fires: recent_fires as z.input<typeof WorkflowSchedule>['recent_fires'],
      };
    },
  };
}
