import { bind } from '../access/index.ts';
import { getJobSchedule } from './contract.ts';
import type { ScheduleReads } from './service.ts';

export const scheduleRoutes = (schedules: ScheduleReads) => [
  bind(getJobSchedule, ({ project }, { params, query }) =>
    schedules.get(project, params.jobID, query.count),
  ),
];
