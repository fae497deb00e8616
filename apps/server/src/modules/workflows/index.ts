// Workflows: graphs of jobs, approvals, waits and sleeps. Promises: a saved workflow has passed every rule, and a version
// never changes; a run with finite steps ends, a step starts at most once per attempt. What decides is pure (engine/), what
// writes it holds the lock of the run (progression/), what brings news is repeated until it was heard (callbacks/).

import { isJobUsed } from './definitions/store.sql.ts';
import type { JobUsers } from '../jobs/index.ts';

export { createDefinitions, type Definitions } from './definitions/service.ts';
export { createPolicies, type Policies } from './definitions/policy.ts';
export type {
  ScheduledWorkflow,
  WorkflowScheduleReaction,
} from './definitions/schedule-reaction.ts';
export { definitionRoutes } from './definitions/routes.ts';
export { definitionLoops } from './definitions/loops.ts';
export { reminderLoops } from './approvals/reminders.ts';
export { createSimulating, type Simulating } from './simulation/index.ts';
export { simulationRoutes } from './simulation/routes.ts';
export { canaryLoops } from './canary/loops.ts';
export { canaryRoutes } from './canary/routes.ts';
export { callbackLoops } from './callbacks/loops.ts';
export { workflowRunRoutes } from './runs/routes.ts';
export type { WorkflowTriggers } from './runs/trigger.ts';
export { workflowUpkeepLoops } from './reaper/loops.ts';
export { STALL_ACTIONS, type Reaped } from './reaper/reaper.ts';
export { compensationRoutes } from './compensation/routes.ts';
export { createWorkflowRuns, type WorkflowRuns } from './service.ts';

/** Steps of the current versions. */
export const jobsInSteps: JobUsers = {
  isUsed: async (tx, key) => (await isJobUsed(tx, key)).used,
};
