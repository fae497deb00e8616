import { bind } from '../access/index.ts';
import { explainRun } from './contract.ts';
import type { Why } from './service.ts';

export const whyRoutes = (why: Why) => [
  bind(explainRun, ({ project }, { params }) => why.explain(project, params.runID)),
];
