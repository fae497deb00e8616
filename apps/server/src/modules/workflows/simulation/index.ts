// Runs that only happen in memory.
import { createIsolated } from './isolated.ts';
import { createSimulations, type SimulationDeps } from './service.ts';
import { createSuites } from './suites.ts';

export type Simulating = ReturnType<typeof createSimulating>;

export function createSimulating(deps: Omit<SimulationDeps, 'isolated'>) {
  const isolated = createIsolated();
  return {
    simulations: createSimulations({ ...deps, isolated }),
    suites: createSuites({ ...deps, isolated }),
  };
}
