// Schedules: jobs that run by themselves. Promises: one fire per schedule and instant, whatever number of schedulers
// there are and whenever they stop; a schedule is never older than its job; a bad one stops only itself.

export { createScheduler, type Scheduler, type Scheduling } from './firing.ts';
export { schedulerLoops, type SchedulerLoopDeps } from './loops.ts';
export { scheduleRoutes } from './routes.ts';
export { changeSchedules } from './schedules.ts';
export { createScheduleReads, type ScheduleReads } from './service.ts';
