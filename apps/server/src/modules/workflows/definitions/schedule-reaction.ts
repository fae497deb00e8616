// What has to be told when a workflow is due by itself, or no longer is.
import type { Tx } from '../../../platform/db/database.ts';
import type { ProjectScope } from '../../access/index.ts';
import type { FindWorkflowRow } from './store.sql.ts';

export type ScheduledWorkflow = Pick<FindWorkflowRow, 'id' | 'enabled' | 'cron' | 'cron_timezone'>;

/** In the transaction that made, changed or deleted the workflow; it holds the workflow. Cron null: no schedule (any more). */
export type WorkflowScheduleReaction = (
  tx: Tx,
  project: ProjectScope,
  workflow: ScheduledWorkflow,
) => Promise<void>;
