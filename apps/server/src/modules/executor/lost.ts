// What becomes of an attempt whose worker or endpoint fell silent (engine-semantics §8.3): a crash is retried like
// any other failure while attempts are left.

import type { Jobs } from '../jobs/index.ts';
import type { LostLease, Settlement } from '../queue/index.ts';
import { decideRetry, policyOf, resolveVersion } from './rules.ts';

/** Nobody knows whether the request left; so this is always a lost attempt, never a hand-back. */
export async function lostSettlement(
  lease: LostLease,
  jobs: Pick<Jobs, 'executionConfig'>,
): Promise<Settlement> {
  const job = await jobs.executionConfig(lease.job_id, resolveVersion(lease), lease.live_version);
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
  };
  return decision.to === 'queued'
    ? {
        ...shared,
        to: 'queued',
        attempt: decision.attempt,
        priority: decision.priority,
        delay_ms: decision.delay_ms,
        event: { ...event, retry_in_ms: decision.delay_ms },
        level: 'warn',
      }
    : { ...shared, to: decision.to, started_at: lease.started_at, event, level: 'error' };
}
