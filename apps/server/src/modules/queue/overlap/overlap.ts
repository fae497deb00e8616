// Runs of a job beside each other, for those who start jobs by themselves.

import type { Queryable } from '../../../platform/db/query.ts';
import type { OperatorVerbs } from '../operator/verbs.ts';
import * as store from './store.sql.ts';

const CHUNK = 500;

interface JobRef {
  readonly job_id: string;
  readonly project_id: string;
}

/** Those of the jobs that have a run which is not over: delayed, queued, running or waiting. */
export async function busyJobs(tx: Queryable, jobs: readonly JobRef[]): Promise<Set<string>> {
  if (jobs.length === 0) return new Set();
  const rows = await store.listBusyJobs(tx, {
    job_ids: jobs.map(({ job_id }) => job_id),
    project_ids: jobs.map(({ project_id }) => project_id),
  });
  return new Set(rows.map(({ job_id }) => job_id));
}

/**
 * Cancels every run of the job that is not over, except one, and what those spawned. How many of the job there were. Best
 * before that one is made: making it may take a lane that the end of another one waits for.
 */
export async function cancelOthers(
  tx: Queryable,
  operator: Pick<OperatorVerbs, 'cancel'>,
  { reason, run_id = '', ...job }: JobRef & { readonly run_id?: string; readonly reason: string },
): Promise<number> {
  let canceled = 0;
  for (;;) {
    const others = await store.listOtherRuns(tx, { ...job, run_id, limit: CHUNK });
    if (others.length === 0) return canceled;
    const done = await operator.cancel(tx, {
      project_id: job.project_id,
      run_ids: others.map(({ id }) => id),
      reason,
      child_reason: 'parent run canceled',
    });
    canceled += done.canceled.length;
    // All of them ended by themselves meanwhile, or what is left comes with the next fire.
    if (done.canceled.length === 0 || others.length < CHUNK) return canceled;
  }
}
