// Jobs: what to call, how often, how many at once; their versions, and the live and frozen settings that
// triggers and the executor work with. Promises: no version is lost, no job disappears under a live run,
// secrets never leave, and a saved job has passed every rule.

export { createJobs, type Jobs, type JobsDependencies } from './service.ts';
export { jobLoops } from './loops.ts';
export { jobRoutes } from './routes.ts';
export { Job } from './schemas.ts';
export type { JobView } from './view.ts';
export type { JobConfig, TriggerJob } from './types.ts';
export type { HealthFacts, JobHistory, JobKey } from './history.ts';
export { delayIntoWindow, nextAllowed, type ExecutionWindow } from './execution-window.ts';
