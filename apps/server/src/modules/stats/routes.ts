import { bind } from '../access/index.ts';
import { getJobQueueDepth, getQueueDepth } from './contract.ts';
import type { Stats } from './service.ts';
import { simulateLimits } from './what-if/contract.ts';
import type { WhatIf } from './what-if/service.ts';

export const statsRoutes = (stats: Stats, whatIf: WhatIf) => [
  bind(getQueueDepth, ({ project }) => stats.project(project)),
  bind(getJobQueueDepth, ({ project }, { params }) => stats.job(project, params.jobID)),
  bind(simulateLimits, ({ project }, { params, body }) =>
    whatIf.simulate(project, params.jobID, body),
  ),
];
