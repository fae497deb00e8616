// Simulations: reads a definition, computes in a thread of its own, writes nothing.
import type { z } from 'zod';
import type { FailureCode } from '../../../domain/failures.ts';
import type { Database } from '../../../platform/db/database.ts';
import { Failure } from '../../../platform/failure.ts';
import type { ProjectScope } from '../../access/index.ts';
import { refusalOfOverrides, type Definitions } from '../definitions/service.ts';
import { definitionOf } from '../definitions/steps.ts';
import type { JsonValue } from '../engine/definition.ts';
import type { EngineLimits } from '../engine/facts.ts';
import { applyOverrides } from '../engine/validation.ts';
import type { SimulateWorkflowRequest } from './contract.ts';
import type { Isolated } from './isolated.ts';
import type { SimulationMode } from './tasks.ts';
import * as store from './store.sql.ts';

type Request = z.output<typeof SimulateWorkflowRequest>;

export interface SimulationDeps {
  readonly db: Database;
  readonly definitions: Pick<Definitions, 'current'>;
  readonly isolated: Isolated;
  readonly limits: EngineLimits;
}

export type Simulations = ReturnType<typeof createSimulations>;

export function createSimulations({ db, definitions, isolated, limits }: SimulationDeps) {
  async function costOf(project: ProjectScope, jobs: readonly string[]): Promise<number> {
    const job_ids = [...new Set(jobs)];
    const averages = await db.tenant(project.project_id, (tx) =>
      store.averageCosts(tx, { ...project, job_ids }),
    );
    const of = new Map(averages.map(({ job_id, average }) => [job_id, average]));
    return Math.round(jobs.reduce((sum, job_id) => sum + (of.get(job_id) ?? 0), 0));
  }

  return {
    /** @throws workflow_not_found, invalid_workflow, simulation_too_long */
    async simulate(project: ProjectScope, workflow: string, request: Request = {}) {
      const { row, steps: rows } = await definitions.current(project, workflow);
      const left = applyOverrides(rows.map(definitionOf), request.step_overrides ?? []);
      if ('message' in left) throw refusalOfOverrides(left.field, left.message);
      const { steps } = left;
      const { failures = [], step_outputs = {}, payload = null } = request;
      refuseUnknown(new Set(steps.map(({ step_ref }) => step_ref)), request);
      const mode = request.mode ?? modeOf(request);
      const { jobs, ...foreseen } = await isolated.run({
        kind: 'foresee',
        workflow: {
          timeout_secs: row.timeout_secs,
          max_parallel_steps: row.max_parallel_steps,
          steps,
        },
        mode,
        payload: payload as JsonValue,
        failures: [...new Set(failures)],
        step_outputs: step_outputs as Readonly<Record<string, JsonValue>>,
        limits,
      });
      return {
        workflow_id: row.id,
        version: row.version,
        mode,
        step_count: steps.length,
        ...foreseen,
        estimated_cost_microusd: await costOf(project, jobs),
      };
    },
  };
}

function modeOf({ failures = [], step_outputs, payload }: Request): SimulationMode {
  if (failures.length > 0) return 'failure_injection';
  return step_outputs === undefined && payload === undefined ? 'dry_run' : 'sandbox';
}

function refuseUnknown(refs: ReadonlySet<string>, { failures = [], step_outputs = {} }: Request) {
  const wrong = [
    ...failures.flatMap((ref, at) => (refs.has(ref) ? [] : [`body.failures[${at}]`])),
    ...Object.keys(step_outputs).flatMap((ref) =>
      refs.has(ref) ? [] : [`body.step_outputs[${JSON.stringify(ref)}]`],
    ),
  ];
  const [path] = wrong;
  if (path === undefined) return;
  const message = 'names a step that the run would not have';
  throw new Failure<FailureCode>('invalid_workflow', {
    message: `${path}: ${message}`,
    details: wrong.map((one) => ({ path: one, message })),
  });
}
