// Keeps the schedule of a workflow beside it: called in the transaction that changes the workflow.
import type { WorkflowScheduleReaction } from '../../workflows/index.ts';
import { instant, nextOf } from '../schedules.ts';
import * as store from './store.sql.ts';

/** A disabled workflow keeps its row without a next instant; once enabled it begins with what is still to come. */
export const changeWorkflowSchedule: WorkflowScheduleReaction = async (
  tx,
  { project_id },
  { id, enabled, cron, cron_timezone },
) => {
  const key = { project_id, workflow_id: id };
  if (cron === null) {
    await store.removeSchedule(tx, key);
    return;
  }
  const timezone = cron_timezone ?? 'UTC';
  const next = nextOf(cron, timezone, Date.parse((await store.readTime(tx)).now));
  await store.putSchedule(tx, {
    ...key,
    cron,
    timezone,
    enabled,
    next_fire_at: enabled && 'next' in next ? instant(next.next) : null,
    problem: 'problem' in next ? next.problem : null,
  });
};
