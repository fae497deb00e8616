// The run ends its own attempt: completed, failed, or failed and to be tried again.

import type { FailureCode } from '../../domain/failures.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Database } from '../../platform/db/database.ts';
import { Failure } from '../../platform/failure.ts';
import { cancelWaitsOf } from '../events/index.ts';
import { decideRetry, policyOf } from '../executor/index.ts';
import { delayIntoWindow, type Jobs } from '../jobs/index.ts';
import type { Lease, Queue, RunClaim, Settlement, WaitingVerbs } from '../queue/index.ts';
import { runDetails, runView } from '../runs/index.ts';
import { jsonBytes, limits } from './contract.ts';
import type { Fence } from './fence.ts';
import { cutToBytes, detailsAt } from './rules.ts';

export interface FinishingDeps {
  readonly db: Database;
  readonly fence: Fence;
  readonly queue: Pick<Queue, 'complete' | 'settle'>;
  readonly waiting: Pick<WaitingVerbs, 'end'>;
  readonly jobs: Pick<Jobs, 'executionConfig' | 'checkResult'>;
  readonly clock: Pick<Clock, 'now'>;
  readonly max_result_bytes: number;
}

export interface FailReport {
  readonly error: string;
  readonly error_class?: string | undefined;
  readonly retryable: boolean;
}

export function createFinishing({
  db,
  fence,
  queue,
  waiting,
  jobs,
  clock,
  max_result_bytes,
}: FinishingDeps) {
  const view = async ({ id: run_id, project_id }: Lease) => {
    const run = await runDetails.run(db, { run_id, project_id });
    if (!run) throw new Failure<FailureCode>('run_not_found');
    return runView(run);
  };

  const claimOf = ({ id, created_at, claim_seq, started_at }: Lease) => ({
    id,
    created_at,
    claim_seq,
    started_at: started_at ?? created_at,
  });

  /** waiting → terminal, by the claim that waits; what it waited for is canceled. */
  const endWait = (
    lease: Lease,
    status: 'completed' | 'failed',
    facts: { error: string | null; error_class: string | null; result_json: string | null },
  ) =>
    db.transaction(async (tx) => {
      const { id: run_id, project_id, claim_seq } = lease;
      if (!(await waiting.end(tx, { project_id, run_id, claim_seq, status, ...facts })))
        return false;
      await cancelWaitsOf(tx, {
        project_id,
        run_ids: [run_id],
        reason: `the run ended as ${status}`,
      });
      return true;
    });

  const retryOrEnd = async (
    lease: Lease,
    error: string,
    error_class: string,
  ): Promise<Settlement> => {
    const { id, created_at, claim_seq, started_at } = claimOf(lease);
    // The handler asks for a retry, so the class it names does not decide about it.
    const config = await jobs.executionConfig(lease);
    const decision = decideRetry(
      {
        attempt: lease.attempt,
        priority: lease.priority,
        metadata: lease.metadata,
        error_class: 'unknown',
        fingerprint: error,
      },
      policyOf(lease, config),
      Math.random(),
    );
    const event = { attempt: lease.attempt, error_class };
    const common = { id, created_at, claim_seq, error, error_class, metadata: decision.metadata };
    if (decision.to === 'queued') {
      const delay = delayIntoWindow(config, decision.delay_ms, clock.now());
      return {
        ...common,
        to: 'queued',
        attempt: decision.attempt,
        priority: decision.priority,
        ...delay,
        event: { ...event, retry_in_ms: delay.delay_ms },
        level: 'warn',
      };
    }
    return {
      ...common,
      to: decision.to,
      started_at,
      event: decision.poison ? { ...event, poison: true } : event,
      level: 'error',
    };
  };

  return {
    /** @throws result_too_large, result_invalid, and what the fence says */
    complete: (claim: RunClaim, result: unknown) => {
      if (result !== undefined && jsonBytes(result) > max_result_bytes) {
        throw new Failure<FailureCode>('result_too_large', {
          message: `the result is larger than ${max_result_bytes} bytes`,
        });
      }
      const result_json = result === undefined ? undefined : JSON.stringify(result);
      return fence.attempt(claim, async () => {
        const lease = await fence.look(claim);
        const config = await jobs.executionConfig(lease);
        const details = detailsAt('body.result', jobs.checkResult(config, result ?? null));
        if (details.length > 0) throw new Failure<FailureCode>('result_invalid', { details });
        if (lease.waiting) {
          const ended = await endWait(lease, 'completed', {
            error: null,
            error_class: null,
            result_json: result_json ?? null,
          });
          return ended ? view(lease) : undefined;
        }
        const version =
          config.version === lease.job_version
            ? undefined
            : ([config.version, config.version_id] as const);
        const done = await queue.complete([
          { ...claimOf(lease), result: result_json, version, event: { by: 'run' } },
        ]);
        return done.has(lease.id) ? view(lease) : undefined;
      });
    },

    /** @throws run_not_executing for a retry of a run that waits, and what the fence says */
    fail: (claim: RunClaim, report: FailReport) => {
      const error = cutToBytes(report.error, limits.message_bytes);
      const error_class = report.error_class ?? 'unknown';
      return fence.attempt(claim, async () => {
        const lease = await fence.look(claim);
        if (lease.waiting) {
          if (report.retryable)
            throw new Failure<FailureCode>('run_not_executing', {
              message: 'a run that waits can only fail for good',
            });
          const ended = await endWait(lease, 'failed', { error, error_class, result_json: null });
          return ended ? view(lease) : undefined;
        }
        const settlement: Settlement = report.retryable
          ? await retryOrEnd(lease, error, error_class)
          : {
              ...claimOf(lease),
              to: 'failed',
              error,
              error_class,
              event: { attempt: lease.attempt, error_class, by: 'run' },
              level: 'error',
            };
        const settled = await queue.settle([settlement]);
        return settled.has(lease.id) ? view(lease) : undefined;
      });
    },
  };
}
