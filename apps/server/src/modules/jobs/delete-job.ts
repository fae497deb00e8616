// Deleting a job in steps, so that nobody waits for the removal of a long history: a short transaction marks it, from
// then on nobody finds it; its runs go in chunks; the row goes last. A loop finishes what was interrupted.

import type { FailureCode } from '../../domain/failures.ts';
import type { Database, Tx } from '../../platform/db/database.ts';
import { Failure } from '../../platform/failure.ts';
import type { ProjectScope } from '../access/index.ts';
import { recordAudit, type AuditSource } from '../audit/index.ts';
import type { JobHistory, JobKey } from './history.ts';
import * as store from './store.sql.ts';

export interface Deleting {
  readonly db: Database;
  readonly history: JobHistory;
  readonly users: JobUsers;
}

/** Whoever refers to jobs from above and would be left without: asked under the lock of the job. */
export interface JobUsers {
  isUsed(tx: Tx, key: JobKey): Promise<boolean>;
}

const RUNS_PER_STEP = 2_000;
/** How long a caller waits for the history of his job to go; the rest is left to the loop. */
const PATIENCE_MS = 10_000;
/** Deletions younger than this are under way in the call that asked for them. */
const MIN_AGE_SECS = 30;
const JOBS_PER_ROUND = 20;

/**
 * Waits for triggers under way, then refuses while one of the runs is live. Not under the tenant role: the queue's
 * tables are shared by all projects.
 * @throws job_not_found, job_has_active_runs, job_in_use
 */
export async function deleteJob(
  deps: Deleting,
  project: ProjectScope,
  by: AuditSource,
  job: string,
): Promise<void> {
  const { db, history, users } = deps;
  const key = await db.transaction(async (tx) => {
    const found = await store.lockJobForDeletion(tx, { ...project, job });
    if (!found) throw new Failure<FailureCode>('job_not_found');
    const { id, name, slug, version } = found;
    const locked = { ...project, job_id: id };
    if (await history.hasLiveRuns(tx, locked))
      throw new Failure<FailureCode>('job_has_active_runs');
    if (await users.isUsed(tx, locked)) throw new Failure<FailureCode>('job_in_use');
    await store.markJobDeleted(tx, locked);
    await recordAudit(tx, project, by, {
      action: 'job.delete',
      resource_type: 'job',
      resource_id: id,
      details: { name, slug, version },
    });
    return locked;
  });
  await remove(deps, key, AbortSignal.timeout(PATIENCE_MS));
}

export async function finishDeletions(deps: Deleting, signal: AbortSignal): Promise<void> {
  const open = { min_age_secs: MIN_AGE_SECS, limit: JOBS_PER_ROUND };
  for (const key of await store.listDeletedJobs(deps.db, open)) await remove(deps, key, signal);
}

/** Chunk by chunk; safe for several at once, and to be stopped anywhere. */
async function remove({ db, history }: Deleting, key: JobKey, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const removed = await db.transaction((tx) => history.removeRuns(tx, key, RUNS_PER_STEP));
    if (removed === RUNS_PER_STEP) continue;
    const gone = db.transaction(async (tx) => {
      await history.removeTraces(tx, key);
      await store.deleteJob(tx, key);
    });
    try {
      return await gone;
    } catch (error) {
      // Somebody else removes the same runs and has not committed yet, or did not get to.
      if (!hasRunsLeft(error) || removed === 0) throw error;
    }
  }
}

function hasRunsLeft(error: unknown): boolean {
  const { code, table } = (error ?? {}) as { readonly code?: string; readonly table?: string };
  return code === '23503' && (table ?? '').startsWith('job_runs');
}
