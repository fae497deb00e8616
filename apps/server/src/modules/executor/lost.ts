// What becomes of an attempt whose worker or endpoint fell silent (engine-semantics §8.3): a crash is retried like
// any other failure while attempts are left.

import { delayIntoWindow, type JobConfig, type Jobs } from '../jobs/index.ts';
import type { LostLease, Settlement } from '../queue/index.ts';
import { isDatabaseError } from '../../platform/db/database.ts';
import { decideRetry, policyOf } from './rules.ts';

/** Nobody knows whether the request left; so this is always a lost attempt, never a hand-back. */
export async function lostSettlement(
  lease: LostLease,
  jobs: Pick<Jobs, 'executionConfig'>,
  now_ms: number,
): Promise<Settlement> {
  let job: JobConfig;
  try {
    job = await jobs.executionConfig(lease);
  } catch (error) {
    // One job that cannot be read must not keep everybody's lost runs where they are.
    if (isDatabaseError(error)) throw error;
    return {
      id: lease.run_id,
      created_at: lease.run_created_at,
      claim_seq: lease.claim_seq,
      to: 'system_failed',
      error: `the attempt was lost and its job cannot be read: ${String(error)}`,
      error_class: 'internal',
      started_at: lease.started_at,
      level: 'error',
    };
  }
  const error_class = lease.overdue ? 'timeout' : 'crash';
  const error = lease.overdue
    ? 'the endpoint took the run over and did not finish it in time'
    : lease.worker_id === null
      ? 'the endpoint that owned the run fell silent'
      : 'the worker that executed the run was lost';
  const decision = decideRetry(
    {
      attempt: lease.attempt,
      priority: lease.priority,
      metadata: lease.metadata,
      error_class,
      fingerprint: error_class,
    },
    policyOf(lease, job),
    Math.random(),
  );
  const event = { attempt: lease.attempt, error_class };
  const shared = {
    id: lease.run_id,
    created_at: lease.run_created_at,
    claim_seq: lease.claim_seq,
    error,
    error_class,
    metadata: decision.metadata,
    version:
      job.version === lease.job_version ? undefined : ([job.version, job.version_id] as const),
  };
  if (decision.to === 'queued') {
    const delay = delayIntoWindow(job, decision.delay_ms, now_ms);
    return {
      ...shared,
      to: 'queued',
      attempt: decision.attempt,
      priority: decision.priority,
      ...delay,
      event: { ...event, retry_in_ms: delay.delay_ms },
      level: 'warn',
    };
  }
  return { ...shared, to: decision.to, started_at: lease.started_at, event, level: 'error' };
}
