// Endpoints that stand in the way of runs: closed ones hold the runs of their jobs like a pause, but for one probe at a
// time; slow ones leave a share of a job's limit. The executor decides which; claims, promotion and inserts obey.

import type { Queryable } from '../../../platform/db/query.ts';
import * as store from './store.sql.ts';

export interface EndpointKey {
  readonly project_id: string;
  readonly endpoint: string;
}

export interface Admission {
  readonly closed: boolean;
  /** Of the max_concurrency of its jobs, in (0, 1]. */
  readonly share: number;
  /** No probe of a closed endpoint before. */
  readonly probe_at: string;
}

export interface ProbeClaim extends EndpointKey {
  readonly run_id: string;
  readonly claim_seq: number;
}

export type Entry =
  | { readonly verdict: 'open' }
  /** This claim is the one probe. */
  | { readonly verdict: 'probe' }
  | { readonly verdict: 'closed'; readonly probe_in_ms: number };

/** How long after its deadline a probe without a result is lost. */
const LOST_AFTER_SECS = 10;

export type EndpointAdmission = ReturnType<typeof createEndpointAdmission>;

export function createEndpointAdmission({ db }: { db: Queryable }) {
  return {
    /** In the transaction that changed what is known of them. Answers with those that let more through than before. */
    set: async (
      tx: Queryable,
      wanted: readonly (EndpointKey & Admission)[],
    ): Promise<EndpointKey[]> =>
      wanted.length === 0
        ? []
        : store.setAdmissions(tx, {
            project_ids: wanted.map(({ project_id }) => project_id),
            endpoints: wanted.map(({ endpoint }) => endpoint),
            closed: wanted.map(({ closed }) => closed),
            shares: wanted.map(({ share }) => share),
            probe_ats: wanted.map(({ probe_at }) => probe_at),
          }),

    /** Right before an attempt is sent. */
    enter: async (claim: ProbeClaim, timeout_ms: number): Promise<Entry> => {
      const found = await store.enterEndpoint(db, {
        ...claim,
        lost_after_secs: timeout_ms / 1000 + LOST_AFTER_SECS,
      });
      if (!found?.closed) return { verdict: 'open' };
      return found.probe
        ? { verdict: 'probe' }
        : { verdict: 'closed', probe_in_ms: found.probe_in_ms };
    },

    /** False: it was lost meanwhile. */
    endProbe: async (tx: Queryable, claim: ProbeClaim): Promise<boolean> =>
      (await store.endProbe(tx, { ...claim })) !== undefined,

    /** The promised run leads to another endpoint. */
    returnPromise: async (key: EndpointKey, run_id: string): Promise<void> =>
      void (await store.returnPromise(db, { ...key, run_id })),

    /** A probe of theirs is due. */
    wake: async (project_ids: readonly string[]): Promise<void> =>
      void (await store.tellProjects(db, { project_ids })),

    removeOld: (tx: Queryable, silent_secs: number): Promise<number> =>
      store.removeOldAdmissions(tx, { silent_secs }),
  };
}
