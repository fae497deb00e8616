import { bind } from '../../access/index.ts';
import * as api from './contract.ts';
import type { Simulations } from './service.ts';

export const simulationRoutes = ({ simulations }: { readonly simulations: Simulations }) => [
  bind(api.simulateWorkflow, ({ project }, { params, body }) =>
    simulations.simulate(project, params.workflowID, body),
  ),
];
