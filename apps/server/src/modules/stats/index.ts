// How deep the queue is, per project, job and key: counted outside the hot path, free to poll. And what other limits would
// have done to a job.

export { statsRoutes } from './routes.ts';
export { createWhatIf, type WhatIf } from './what-if/service.ts';
export { createStats, statsLoops, type Stats } from './service.ts';
