import { bind } from '../access/index.ts';
import { getJobSchedule } from './contract.ts';
import type { ScheduleReads } from './service.ts';
import { getWorkflowSchedule } from './workflows/contract.ts';
import type { WorkflowScheduleReads } from './workflows/reads.ts';

export const scheduleRoutes = (schedules: ScheduleReads, ofWorkflows: WorkflowScheduleReads) => [
  bind(getJobSchedule, ({ project }, { params, query }) =>
    schedules.get(project, params.jobID, query.count),
  ),
  bind(getWorkflowSchedule, ({ project }, { params, query }) =>
    ofWorkflows.get(project, params.workflowID, query.count),
  ),
];
