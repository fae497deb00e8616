// Jobs: what to call, how often, how many at once; their versions, and the live and frozen settings that
// triggers and the executor work with. Promises: no version is lost, no job disappears under a live run,
// secrets never leave, and a saved job has passed every rule.

export { createJobs, type Jobs, type JobsDependencies } from './service.ts';
export { jobLoops } from './loops.ts';
export { jobRoutes } from './routes.ts';
export { cronProblem } from './cron-expression.ts';
export { nextFire, nextFires } from './cron-times.ts';
export { resolveName, urlProblem, type ResolveName } from './endpoint-check.ts';
export type { JobUsers } from './delete-job.ts';
export { Catchup, Job, OverlapPolicy, Tags } from './schemas.ts';
export type { JobSchedule, ScheduleReaction } from './schedule-reaction.ts';
export { createGroups, type Groups } from './groups/service.ts';
export { groupRoutes } from './groups/routes.ts';
export { JobDependency } from './dependencies/contract.ts';
export { createDependencies, dependencyView, type Dependencies } from './dependencies/service.ts';
export { dependencyRoutes } from './dependencies/routes.ts';
export { budgetRoutes } from './budgets/routes.ts';
export { projectQueueRoutes } from './project-queue/routes.ts';
export { createProjectQueue, type ProjectQueue } from './project-queue/service.ts';
export { createBudgets, type Budgets } from './budgets/service.ts';
export { keyLimitRoutes } from './key-limits/routes.ts';
export { createKeyLimits, type KeyLimits } from './key-limits/service.ts';
export type { JobView } from './view.ts';
export type { JobConfig, TriggerJob } from './types.ts';
export type { HealthFacts, JobHistory, JobKey } from './history.ts';
export { delayIntoWindow, nextAllowed, type ExecutionWindow } from './execution-window.ts';
export { findTriggerJobs } from './live-settings.ts';
