import { bind } from '../access/index.ts';
import { getJobQueueDepth, getQueueDepth } from './contract.ts';
import type { Stats } from './service.ts';

export const statsRoutes = (stats: Stats) => [
  bind(getQueueDepth, ({ project }) => stats.project(project)),
  bind(getJobQueueDepth, ({ project }, { params }) => stats.job(project, params.jobID)),
];
