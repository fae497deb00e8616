import { bind } from '../access/index.ts';
import { getDependencyStatus } from './contract.ts';
import type { DependencyReads } from './dependency-status.ts';

export const relationRoutes = (reads: DependencyReads) => [
  bind(getDependencyStatus, ({ project }, { params }) => reads.get(project, params.runID)),
];
