// Nothing is written for a run whose token has passed. A write either holds the lease row or does not happen; why
// not is looked up afterwards, only to say it.

import type { FailureCode } from '../../domain/failures.ts';
import type { Database, Tx } from '../../platform/db/database.ts';
import { Failure } from '../../platform/failure.ts';
import { leases, type Lease, type LeaseState, type RunClaim } from '../queue/index.ts';

export type Fence = ReturnType<typeof createFence>;

/** A row that moves between two looks (executing → waiting) is found at the next one. */
const LOOKS = 5;

/** Thrown inside a transaction to undo it because the lease was lost on the way; `attempt` then looks why. */
export const leaseLost = new Error('the lease was lost');

export function refusalOf(state: Exclude<LeaseState, 'held'>): Failure<FailureCode> {
  switch (state) {
    case 'gone':
      return new Failure<FailureCode>('run_not_found');
    case 'terminal':
      return new Failure<FailureCode>('run_not_active', { message: 'the run has ended' });
    case 'not_started':
      return new Failure<FailureCode>('run_not_active', { message: 'the run has not started' });
    case 'superseded':
      return new Failure<FailureCode>('run_attempt_superseded');
  }
}

export function createFence(db: Database) {
  /**
   * Runs `once` until it has an answer; undefined (or a thrown `leaseLost`) means the claim held nothing at that
   * moment. @throws run_not_found, run_not_active, run_attempt_superseded
   */
  const attempt = async <T>(claim: RunClaim, once: () => Promise<T | undefined>): Promise<T> => {
    for (let look = 0; look < LOOKS; look++) {
      const answer = await once().catch((error: unknown) => {
        if (error === leaseLost) return undefined;
        throw error;
      });
      if (answer !== undefined) return answer;
      const state = await leases.state(db, claim);
      if (state !== 'held') throw refusalOf(state);
    }
    throw refusalOf('superseded');
  };

  return {
    attempt,

    /** The lease as it is now; what is decided from it must be fenced again by the write. */
    look: (claim: RunClaim): Promise<Lease> => attempt(claim, () => leases.find(db, claim)),

    /**
     * `work` in a transaction that holds the lease, shared: it must not end the attempt itself. `alone`: no other
     * such `work` of this run at the same time.
     */
    write: async <T>(
      claim: RunClaim,
      work: (tx: Tx, lease: Lease) => Promise<T>,
      how: 'shared' | 'alone' = 'shared',
    ): Promise<T> =>
      (
        await attempt(claim, () =>
          db.transaction(async (tx) => {
            // Always before the lease: whoever waits here must not hold up a transition.
            if (how === 'alone') await leases.serialize(tx, claim.run_id);
            const lease = await leases.lock(tx, claim);
            return lease && { answer: await work(tx, lease) };
          }),
        )
      ).answer,
  };
}
