// Deleting a workflow: a short transaction marks it, from then on nobody finds it. What runs have left goes with the last of
// them; a loop looks for workflows that have none any more.
import type { FailureCode } from '../../../domain/failures.ts';
import type { Database, Tx } from '../../../platform/db/database.ts';
import { Failure } from '../../../platform/failure.ts';
import type { ProjectScope } from '../../access/index.ts';
import { recordAudit, type AuditSource } from '../../audit/index.ts';
import type { WorkflowScheduleReaction } from './schedule-reaction.ts';
import * as store from './store.sql.ts';

interface Deleting {
  readonly db: Database;
  readonly onScheduleChanged: WorkflowScheduleReaction;
}

interface WorkflowKey {
  readonly project_id: string;
  readonly workflow_id: string;
}

/** A version can have a thousand steps. */
const VERSIONS_PER_STEP = 20;
/** How long a caller waits for the versions to go; the rest is left to the loop. */
const PATIENCE_MS = 5_000;
/** Deletions younger than this are under way in the call that asked for them. */
const MIN_AGE_SECS = 30;
const WORKFLOWS_PER_ROUND = 20;

/** Waits for runs that are being made, then refuses while one is active. @throws workflow_not_found, workflow_has_active_runs */
export async function deleteWorkflow(
  { db, onScheduleChanged }: Deleting,
  project: ProjectScope,
  by: AuditSource,
  workflow: string,
): Promise<void> {
  const key = await db.tenant(project.project_id, async (tx) => {
    const found = await store.lockWorkflowForDeletion(tx, { ...project, workflow });
    if (!found) throw new Failure<FailureCode>('workflow_not_found');
    const { id, name, slug, version } = found;
    const locked = { ...project, workflow_id: id };
    const { runs } = await store.countActiveRuns(tx, { ...locked, version: null });
    if (runs > 0) throw new Failure<FailureCode>('workflow_has_active_runs');
    await store.markWorkflowDeleted(tx, locked);
    await onScheduleChanged(tx, project, {
      id,
      enabled: false,
      cron: null,
      cron_timezone: null,
    });
    // Its jobs are free to go.
    await store.deleteSteps(tx, locked);
    await recordAudit(tx, project, by, {
      action: 'workflow.deleted',
      resource_type: 'workflow',
      resource_id: id,
      details: { name, slug, version },
    });
    return locked;
  });
  await remove(db, key, AbortSignal.timeout(PATIENCE_MS));
}

export async function finishDeletions(
  { db }: Pick<Deleting, 'db'>,
  signal: AbortSignal,
): Promise<void> {
  const open = { min_age_secs: MIN_AGE_SECS, limit: WORKFLOWS_PER_ROUND };
  for (const key of await store.listDeletedWorkflows(db, open)) await remove(db, key, signal);
}

/** In steps; safe for several at once, and to be stopped anywhere. Does nothing while the workflow has runs. */
async function remove(db: Database, key: WorkflowKey, signal: AbortSignal): Promise<void> {
  const inProject = <T>(run: (tx: Tx) => Promise<T>) => db.tenant(key.project_id, run);
  while (!signal.aborted) {
    const some = { ...key, limit: VERSIONS_PER_STEP };
    if ((await inProject((tx) => store.deleteVersions(tx, some))) === VERSIONS_PER_STEP) continue;
    await inProject((tx) => store.deleteWorkflow(tx, key));
    return;
  }
}
