// Schedules: jobs and workflows that run by themselves. Promises: one fire per schedule and instant, whatever number of
// schedulers there are and whenever they stop; a schedule is never older than what it belongs to; a bad one stops only itself.

export { createScheduler, type Scheduler, type Scheduling } from './firing.ts';
export { schedulerLoops, type SchedulerLoopDeps } from './loops.ts';
export { scheduleRoutes } from './routes.ts';
export { changeSchedules } from './schedules.ts';
export { createScheduleReads, type ScheduleReads } from './service.ts';
export {
  createWorkflowScheduler,
  type WorkflowScheduler,
  type WorkflowScheduling,
} from './workflows/firing.ts';
export { workflowSchedulerLoops } from './workflows/loops.ts';
export { createWorkflowScheduleReads } from './workflows/reads.ts';
export { changeWorkflowSchedule } from './workflows/schedules.ts';
