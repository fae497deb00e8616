// The limit of an endpoint that adapts: judged by windows of results of all workers, one after the other under the lock of
// the endpoint's health row. A crash between recording a window and judging it loses a sample, nothing else.

import type { Database, Tx } from '../../../platform/db/database.ts';
import type { EndpointAdmission, EndpointKey } from '../../queue/index.ts';
import {
  isTroubled,
  nextConcurrency,
  NO_LOAD,
  resultsIn,
  troubleOf,
  type Baseline,
  type Bounds,
  type Concurrency,
  type LoadWindow,
} from './concurrency-rules.ts';
import * as store from './store.sql.ts';

/** A window that has ended, and what the endpoint's latency was before it. */
export interface JudgedWindow extends EndpointKey {
  readonly window: LoadWindow;
  readonly baseline: Baseline;
}

export interface ConcurrencyDeps {
  readonly db: Database;
  readonly admission: Pick<EndpointAdmission, 'limit' | 'ease'>;
  /** Undefined: off; limits that were left are lifted. */
  readonly bounds: Bounds | undefined;
  readonly onChange: (endpoint: EndpointKey, to: 'limited' | 'free') => void;
}

/** How long nobody judged an endpoint before it is looked at without results. */
const SILENT_SECS = 600;
const LOOKED_AT = 500;

export function createConcurrency({ db, admission, bounds, onChange }: ConcurrencyDeps) {
  const judge = async (judged: JudgedWindow): Promise<void> => {
    const { project_id, endpoint } = judged;
    const key = { project_id, endpoint };
    const became = await db.transaction(async (tx) => {
      if (!(await store.lockHealth(tx, key))) return undefined;
      const load = await store.findLoad(tx, key);
      const { limit, observed, used, calm } = load;
      const before: Concurrency | undefined =
        limit === null || observed === null || used === null || calm === null
          ? undefined
          : { limit, observed, used, calm };
      const after = bounds && nextConcurrency(before, { ...load, ...judged }, bounds);
      return after ? put(tx, judged, limit, after) : lift(tx, key, limit);
    });
    if (became) onChange(key, became);
  };

  const put = async (
    tx: Tx,
    { project_id, endpoint, window }: JudgedWindow,
    limit: number | null,
    after: Concurrency,
  ): Promise<'limited' | undefined> => {
    const key = { project_id, endpoint };
    if (limit === null || after.limit < limit) {
      if (!(await admission.limit(tx, key, after.limit))) return undefined;
    } else if (after.limit > limit) await admission.ease(tx, key, after.limit);
    const { observed, used, calm } = after;
    await store.putConcurrency(tx, {
      ...key,
      observed,
      used,
      calm,
      moved: after.limit !== limit,
      judged: resultsIn(window) > 0,
    });
    return limit === null ? 'limited' : undefined;
  };

  const lift = async (
    tx: Tx,
    key: EndpointKey,
    limit: number | null,
  ): Promise<'free' | undefined> => {
    await store.removeConcurrency(tx, key);
    if (limit === null) return undefined;
    await admission.ease(tx, key, null);
    return 'free';
  };

  return {
    /** Endpoints that do well and have no limit cost nothing here. */
    async judge(windows: readonly (JudgedWindow & { readonly limited: boolean })[]): Promise<void> {
      for (const { limited, ...judged } of windows)
        if (limited || (bounds && isTroubled(troubleOf(judged.window, judged.baseline))))
          await judge(judged);
    },

    /** Limits of endpoints nobody hears of, which may be unlimited again. */
    async relax(): Promise<void> {
      const silent = await store.listSilentLimits(db, {
        silent_secs: bounds ? SILENT_SECS : 0,
        limit: LOOKED_AT,
      });
      for (const { project_id, endpoint } of silent)
        await judge({ project_id, endpoint, window: NO_LOAD, baseline: { ms: null, samples: 0 } });
    },
  };
}
