import { z } from 'zod';
import { operation } from '../access/index.ts';
import { JobDependency } from '../jobs/index.ts';
import { RunStatus } from '../runs/index.ts';

export const RunDependencyStatus = z
  .object({
    run_id: z.string(),
    job_id: z.string(),
    status: RunStatus,
    dependencies: z.array(
      JobDependency.extend({
        satisfied: z.boolean().meta({ description: 'As things are now, for this run' }),
      }).meta({ id: 'RunDependency' }),
    ),
    dependencies_satisfied: z.boolean().meta({ description: 'Nothing of this keeps the run' }),
  })
  .meta({ id: 'RunDependencyStatus' });
export type RunDependencyStatus = z.input<typeof RunDependencyStatus>;

export const getDependencyStatus = operation({
  id: 'getV1RunsByRunIDDependencyStatus',
  sdk: 'runs.listDependencyStatus',
  method: 'GET',
  path: '/v1/runs/:runID/dependency-status',
  summary: "Read which jobs a run waits for, and whether they ended as the run's job asks",
  tags: ['Runs'],
  permission: 'runs:read',
  params: z.object({ runID: z.string() }),
  replies: { 200: RunDependencyStatus },
  failures: ['run_not_found'],
});
