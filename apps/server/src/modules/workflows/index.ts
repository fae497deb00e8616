// Workflows: graphs of jobs, approvals, waits and sleeps. Promises so far: a saved workflow has passed every rule, no
// version is lost, and a version never changes. Runs are not here yet; what decides them is in engine/.

import { isJobUsed } from './definitions/store.sql.ts';
import type { JobUsers } from '../jobs/index.ts';

export { createDefinitions, type Definitions } from './definitions/service.ts';
export { createPolicies, type Policies } from './definitions/policy.ts';
export { definitionRoutes } from './definitions/routes.ts';
export { definitionLoops } from './definitions/loops.ts';

/** Steps of the current versions. */
export const jobsInSteps: JobUsers = {
  isUsed: async (tx, key) => (await isJobUsed(tx, key)).used,
};
