// What has to be told when a job is due by itself, or no longer is.

import type { Tx } from '../../platform/db/database.ts';
import type { ProjectScope } from '../access/index.ts';
import type { FindJobRow } from './store.sql.ts';

/** The settings that decide when a job runs by itself. */
export const SCHEDULE_SETTINGS = [
  'enabled',
  'cron',
  'timezone',
  'cron_overlap_policy',
  'cron_catchup',
] as const;

export type JobSchedule = Pick<FindJobRow, 'id' | (typeof SCHEDULE_SETTINGS)[number]>;

/** In the transaction that made or changed the jobs. Also for jobs that have no schedule any more. */
export type ScheduleReaction = (
  tx: Tx,
  project: ProjectScope,
  jobs: readonly JobSchedule[],
) => Promise<void>;
