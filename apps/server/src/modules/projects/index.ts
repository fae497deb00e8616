// The directory of projects. A project is an opaque id on every row; this says what it is called.

export { createProjects } from './service.ts';
export type { Projects } from './service.ts';
export type { QuotasReaction } from './quotas.ts';
export { projectRoutes } from './routes.ts';
export { saveCostQuota } from './cost-quota.ts';
export { queuePause } from './queue-pause.ts';
