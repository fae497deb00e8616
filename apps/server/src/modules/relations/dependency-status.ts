// What keeps a run that waits for other jobs.

import type { FailureCode } from '../../domain/failures.ts';
import type { Database } from '../../platform/db/database.ts';
import { Failure } from '../../platform/failure.ts';
import type { ProjectScope } from '../access/index.ts';
import { dependencyView } from '../jobs/index.ts';
import { dependencyStatus, isRunId, type RunStatus } from '../queue/index.ts';
import { runDetails } from '../runs/index.ts';
import type { RunDependencyStatus } from './contract.ts';

export type DependencyReads = ReturnType<typeof createDependencyReads>;

export const createDependencyReads = ({ db }: { readonly db: Database }) => ({
  /** @throws run_not_found */
  get: (project: ProjectScope, run_id: string): Promise<RunDependencyStatus> =>
    db.tenant(project.project_id, async (tx) => {
      const key = { project_id: project.project_id, run_id };
      const run = isRunId(run_id) ? await runDetails.run(tx, key) : undefined;
      if (!run) throw new Failure<FailureCode>('run_not_found');
      const rows = await dependencyStatus(tx, key);
      // What was let go or started is kept by nothing any more, whatever ended since.
      const kept =
        run.status === 'delayed' || (run.status === 'waiting' && run.started_at === null);
      return {
        run_id,
        job_id: run.job_id,
        status: run.status as RunStatus,
        dependencies: rows.map((row) => ({ ...dependencyView(row), satisfied: row.met })),
        dependencies_satisfied: !kept || rows.every(({ met }) => met),
      };
    }),
});
