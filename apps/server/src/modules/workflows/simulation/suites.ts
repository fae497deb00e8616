// Test suites: reads the definitions that tests name, runs all tests in a thread of its own, writes nothing.
import type { z } from 'zod';
import { Failure } from '../../../platform/failure.ts';
import type { ProjectScope } from '../../access/index.ts';
import { definitionOf } from '../definitions/steps.ts';
import type { SimulationDeps } from './service.ts';
import type { RunWorkflowTestsRequest } from './suite.ts';
import type { WorkflowFacts } from './tasks.ts';

export type Suites = ReturnType<typeof createSuites>;

export function createSuites({ definitions, isolated, limits }: Omit<SimulationDeps, 'db'>) {
  /** Undefined: the project has no such workflow. */
  const factsOf = async (
    project: ProjectScope,
    workflow: string,
  ): Promise<WorkflowFacts | undefined> => {
    try {
      const { row, steps } = await definitions.current(project, workflow);
      const { timeout_secs, max_parallel_steps } = row;
      return { timeout_secs, max_parallel_steps, steps: steps.map(definitionOf) };
    } catch (error) {
      if (error instanceof Failure && error.code === 'workflow_not_found') return undefined;
      throw error;
    }
  };

  return {
    /** @throws simulation_too_long */
    async run(project: ProjectScope, { tests }: z.output<typeof RunWorkflowTestsRequest>) {
      const workflows: [string, WorkflowFacts][] = [];
      for (const name of new Set(tests.map(({ workflow }) => workflow))) {
        const facts = await factsOf(project, name);
        if (facts) workflows.push([name, facts]);
      }
      const results = await isolated.run({
        kind: 'suite',
        tests,
        workflows: Object.fromEntries(workflows),
        limits,
      });
      const failed = results.filter(({ passed }) => !passed).length;
      return { passed: failed === 0, total: results.length, failed, results };
    },
  };
}
