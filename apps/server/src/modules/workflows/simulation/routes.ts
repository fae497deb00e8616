import { bind } from '../../access/index.ts';
import * as api from './contract.ts';
import type { Simulating } from './index.ts';

export const simulationRoutes = ({ simulations, suites }: Simulating) => [
  bind(api.simulateWorkflow, ({ project }, { params, body }) =>
    simulations.simulate(project, params.workflowID, body),
  ),
  bind(api.runWorkflowTests, ({ project }, { body }) => suites.run(project, body)),
];
