// The lease of a run as the run itself sees it: what its token still allows, and why not.

import type { Queryable } from '../../../platform/db/query.ts';
import { isRunId } from '../run-id.ts';
import { isTerminal } from '../states.ts';
import * as store from './store.sql.ts';

/** What a run token says. `claim_seq` null: whatever claim serves attempt 1, unless the run was replayed. */
export interface RunClaim {
  readonly run_id: string;
  readonly attempt: number;
  readonly claim_seq: number | null;
}

/** The place row of a claim with what decisions about the attempt need. `waiting`: suspended, not executing. */
export type Lease = store.LockLeaseRow;

/** `held`: it is the claim's after all, the row only moved between two looks. */
export type LeaseState = 'held' | 'gone' | 'terminal' | 'superseded' | 'not_started';

export interface LeaseFacts {
  readonly status: string;
  readonly attempt: number;
  readonly replayed: boolean;
  /** Of the place row, when the run executes or waits. */
  readonly claim_seq: number | null;
}

/** Why a claim found no lease. */
export function leaseState(claim: RunClaim, facts: LeaseFacts | undefined): LeaseState {
  if (!facts) return 'gone';
  if (isTerminal(facts.status)) return 'terminal';
  if (facts.attempt !== claim.attempt) return 'superseded';
  if (claim.claim_seq !== null) return facts.claim_seq === claim.claim_seq ? 'held' : 'superseded';
  if (facts.replayed) return 'superseded';
  return facts.claim_seq === null ? 'not_started' : 'held';
}

const keyOf = ({ run_id, attempt, claim_seq }: RunClaim) => ({ run_id, attempt, claim_seq });

/** Statements of one claim. `lock` and the fenced writes hold until their transaction ends. */
export const leases = {
  /** The lease now, unlocked: fence the write again. */
  find: (db: Queryable, claim: RunClaim): Promise<Lease | undefined> =>
    store.findLease(db, keyOf(claim)),

  /** No transition of the run passes this transaction any more. Never delete the place row after this. */
  lock: (tx: Queryable, claim: RunClaim): Promise<Lease | undefined> =>
    store.lockLease(tx, keyOf(claim)),

  /** Before anything else but `serialize`, by who makes runs and then ends this attempt. False: the claim is gone. */
  lockToEnd: async (
    tx: Queryable,
    claim: { readonly run_id: string; readonly claim_seq: number },
  ): Promise<boolean> => (await store.lockLeaseToEnd(tx, claim)) !== undefined,

  /** Before `lock`: writes that count come one at a time per run. */
  serialize: async (tx: Queryable, run_id: string): Promise<void> =>
    void (await store.serializeRun(tx, { run_id })),

  state: async (db: Queryable, claim: RunClaim): Promise<LeaseState> =>
    leaseState(claim, isRunId(claim.run_id) ? await store.explainLease(db, claim) : undefined),

  /** Makes every other end of the run's wait stand in line. False: it does not wait. */
  lockWaiting: async (tx: Queryable, run_id: string): Promise<boolean> =>
    (await store.lockWaitingRun(tx, { run_id })) !== undefined,

  /** Undefined: the claim holds nothing. */
  addEvent: (
    db: Queryable,
    claim: RunClaim,
    event: { type: string; level: string; message: string; data_json: string },
  ) => store.addRunEvent(db, { ...keyOf(claim), ...event }),

  /** Counts to `cap`. */
  countEvents: async (db: Queryable, run_id: string, cap: number): Promise<number> =>
    (await store.countRunEvents(db, { run_id, cap })).events,

  /** Serialised. The one event that says the run's further events are dropped; written the first time. */
  dropMarker: (tx: Queryable, run_id: string, message: string) =>
    store.addDropMarker(tx, { run_id, message }),

  /** Undefined: there would be more than `max_keys` annotations. */
  annotate: (
    tx: Queryable,
    lease: Lease,
    annotations: Readonly<Record<string, string>>,
    max_keys: number,
  ) =>
    store.annotateRun(tx, {
      run_id: lease.id,
      project_id: lease.project_id,
      annotations_json: JSON.stringify(annotations),
      max_keys,
    }),

  /** Announces chunks on the channel `run_chunks`. False: the claim holds nothing. */
  notifyChunks: async (
    db: Queryable,
    claim: RunClaim,
    chunks: readonly string[],
  ): Promise<boolean> => (await store.notifyChunks(db, { ...keyOf(claim), chunks })) !== undefined,

  /** Beats of endpoints that own their runs; not waiting for the disk. How many still owned theirs. */
  beatEndpoints: async (tx: Queryable, beats: ReadonlyMap<string, number>): Promise<number> => {
    await store.relaxCommit(tx);
    return store.beatEndpoints(tx, { run_ids: [...beats.keys()], claim_seqs: [...beats.values()] });
  },
};
