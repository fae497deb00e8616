// Removes workflow runs that ended long ago (workflow-semantics §20). Versions of deleted workflows go after their last run.
import type { Database } from '../../../platform/db/database.ts';
import { removeStepWaits } from '../../events/index.ts';
import { isOver, workflowRunStates } from '../engine/states.ts';
import * as store from './store.sql.ts';

const RUNS = 200;
/** Of the runs removed in one transaction, unless one run alone has more. */
const STEPS = 5_000;

const statuses = workflowRunStates.states.filter(isOver);

export type WorkflowRetention = ReturnType<typeof createWorkflowRetention>;

export function createWorkflowRetention({
  db,
  retention_secs,
}: {
  /** The hot pool. */
  readonly db: Database;
  readonly retention_secs: number;
}) {
  return {
    /** One batch; `again`: there may be more, such as children of what went. */
    removeOldRuns: (): Promise<{ again: boolean }> =>
      db.transaction(async (tx) => {
        const old = await store.lockOldRuns(tx, { statuses, retention_secs, limit: RUNS });
        const run_ids: string[] = [];
        let steps = 0;
        for (const run of old) {
          steps += run.steps;
          if (run_ids.length > 0 && steps > STEPS) break;
          run_ids.push(run.id);
        }
        if (run_ids.length === 0) return { again: false };
        const step_run_ids = (await store.listStepIds(tx, { run_ids })).map(({ id }) => id);
        await removeStepWaits(tx, step_run_ids);
        const removed = await store.deleteRuns(tx, { run_ids, statuses });
        return { again: removed > 0 };
      }),
  };
}
