// The limit of an endpoint that adapts: judged by windows of results of all workers, one after the other under the lock of
// the endpoint's health row, apart from the recording of results: a limit waits for the promotion of its project, and nobody
// else shall. A crash between recording a window and judging it loses a sample, nothing else.

import type { Database, Tx } from '../../../platform/db/database.ts';
import type { EndpointAdmission, EndpointKey } from '../../queue/index.ts';
import {
  asksForLimit,
  joinLoad,
  nextConcurrency,
  NO_LOAD,
  resultsIn,
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
  readonly onError: (error: unknown, what: string) => void;
  readonly onChange: (endpoint: EndpointKey, to: 'limited' | 'free') => void;
}

/** How long nobody judged an endpoint before it is looked at without results. */
const SILENT_SECS = 600;
const LOOKED_AT = 500;
const START: EndpointKey = { project_id: '', endpoint: '' };
/** Leases of a moment, of all tenants. */
const LEASES = 10_000;

export function createConcurrency({ db, admission, bounds, onError, onChange }: ConcurrencyDeps) {
  /** Windows that nobody has judged yet; those of one endpoint become one. */
  const waiting = new Map<string, JudgedWindow>();
  let judging: Promise<void> | undefined;
  let looked_at: EndpointKey = START;

  const judge = (judged: JudgedWindow): Promise<void> =>
    judgeOne(judged).catch((error: unknown) => onError(error, 'the limit of an endpoint'));

  const judgeOne = async (judged: JudgedWindow): Promise<void> => {
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
      const { executing } =
        bounds && !before && asksForLimit(judged.window, judged.baseline)
          ? await store.countExecuting(tx, { ...key, look: LEASES })
          : { executing: 0 };
      const after = bounds && nextConcurrency(before, { ...load, executing, ...judged }, bounds);
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

  const judgeWaiting = async (): Promise<void> => {
    for (const [key, window] of waiting) {
      waiting.delete(key);
      await judge(window);
    }
    judging = undefined;
  };

  return {
    /** Resolves when all that was handed over is judged. Endpoints that do well and have no limit cost nothing here. */
    judge(windows: readonly (JudgedWindow & { readonly limited: boolean })[] = []): Promise<void> {
      for (const { limited, ...judged } of windows) {
        if (!limited && !(bounds && asksForLimit(judged.window, judged.baseline))) continue;
        const key = `${judged.project_id} ${judged.endpoint}`;
        const window = joinLoad(waiting.get(key)?.window ?? NO_LOAD, judged.window);
        waiting.set(key, { ...judged, window });
      }
      if (waiting.size > 0) judging ??= judgeWaiting();
      return judging ?? Promise.resolve();
    },

    /** A page of the limits of endpoints nobody hears of, which may be unlimited again; whether there are more. */
    async relax(): Promise<boolean> {
      const silent = await store.listSilentLimits(db, {
        after_project_id: looked_at.project_id,
        after_endpoint: looked_at.endpoint,
        silent_secs: bounds ? SILENT_SECS : 0,
        limit: LOOKED_AT,
      });
      const more = silent.length === LOOKED_AT;
      looked_at = (more && silent.at(-1)) || START;
      for (const { project_id, endpoint } of silent)
        await judge({ project_id, endpoint, window: NO_LOAD, baseline: { ms: null, samples: 0 } });
      return more;
    },
  };
}

/** What was recorded before, and what this batch added to it. */
export const windowOf = (row: store.RecordHealthRow, added: LoadWindow) => ({
  project_id: row.project_id,
  endpoint: row.endpoint,
  limited: row.limited,
  baseline: { ms: row.baseline_ms, samples: row.baseline_samples },
  window: joinLoad(added, {
    ok: row.window_ok,
    failures: row.window_failures,
    overloads: row.window_overloads,
    log_ms: row.window_log_ms,
    peak: row.window_peak,
  }),
});
