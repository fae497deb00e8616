// How deep the queue is, per project, job and key: counted outside the hot path, free to poll.

export { statsRoutes } from './routes.ts';
export { createStats, statsLoops, type Stats } from './service.ts';
