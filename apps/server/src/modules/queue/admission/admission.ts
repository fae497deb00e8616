// Endpoints that stand in the way of runs: closed ones hold the runs of their jobs like a pause, but for one probe at a
// time; slow ones leave a share of a job's limit; some take only so many runs at a time, all jobs together. The executor decides which; claims, promotion and inserts obey.

import type { Queryable } from '../../../platform/db/query.ts';
import { waitForRoot } from '../limits/store.sql.ts';
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

/** Runs moved by one statement; what is ready beyond that is caught by the verdict of its claim. */
const MOVED = 5_000;

export type EndpointAdmission = ReturnType<typeof createEndpointAdmission>;

const columns = (keys: readonly EndpointKey[]) => ({
  project_ids: keys.map(({ project_id }) => project_id),
  endpoints: keys.map(({ endpoint }) => endpoint),
});

const lock = async (tx: Queryable, keys: readonly EndpointKey[]): Promise<void> =>
  void (await store.lockAdmissions(tx, columns(keys)));

export function createEndpointAdmission({ db }: { db: Queryable }) {
  return {
    /** In the transaction that changed what is known of them. Answers with those that let more through than before. */
    set: async (
      tx: Queryable,
      wanted: readonly (EndpointKey & Admission)[],
    ): Promise<EndpointKey[]> => {
      if (wanted.length === 0) return [];
      await lock(tx, wanted);
      return store.setAdmissions(tx, {
        ...columns(wanted),
        closed: wanted.map(({ closed }) => closed),
        shares: wanted.map(({ share }) => share),
        probe_ats: wanted.map(({ probe_at }) => probe_at),
      });
    },

    /** Before several of them are changed one by one: a promotion that promises probes locks them in the same order. */
    lock,

    /**
     * A limit comes, or falls: from the commit on nothing starts beyond it. What runs already is counted and finishes, the
     * rest goes back to wait. False: no job calls the endpoint. The caller holds its health row, and no lane yet.
     */
    limit: async (tx: Queryable, key: EndpointKey, max_in_flight: number): Promise<boolean> => {
      const { project_id, endpoint } = key;
      const root_lane_id = (await store.ensureLanesOfEndpoint(tx, { project_id, endpoint }))[0]
        ?.root_lane_id;
      if (root_lane_id === undefined) return false;
      await waitForRoot(tx, { root_lane_id });
      const { fresh } = await store.limitEndpoint(tx, { project_id, endpoint, max_in_flight });
      const of_endpoint = { project_id, endpoint, root_lane_id };
      // Later, whatever comes is placed where it is counted.
      if (fresh) {
        await store.laneParked(tx, { ...of_endpoint, limit: MOVED });
        await store.laneQueued(tx, { ...of_endpoint, limit: MOVED });
      }
      const leases = await store.laneLeases(tx, of_endpoint);
      if (leases.length > 0)
        await store.countLeases(tx, {
          lane_ids: leases.map(({ lane_id }) => lane_id),
          counted: leases.filter(({ was }) => was !== null).length,
        });
      await store.returnEndpointSurplus(tx, { ...of_endpoint, max_in_flight });
      await store.tellProjects(tx, { project_ids: [project_id] });
      return true;
    },

    /** More at a time than before; null: as many as there are. */
    ease: async (
      tx: Queryable,
      { project_id, endpoint }: EndpointKey,
      max_in_flight: number | null,
    ): Promise<void> =>
      void (await store.easeEndpoint(tx, { project_id, endpoint, max_in_flight })),

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
