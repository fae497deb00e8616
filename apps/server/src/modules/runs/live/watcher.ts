// One poll for all watched runs: reads new events when a notification says that something changed somewhere,
// at most every 50 ms, and every second in case one was lost.

import type { Queryable } from '../../../platform/db/query.ts';
import type { Listener } from '../../../platform/db/listen.ts';
import * as store from './store.sql.ts';

export type LiveEvent = store.ListNewEventsRow;

/** What one stream does with what is read for its run. Events may come again; ids tell. */
export type Watch = (events: readonly LiveEvent[]) => void;

export interface Watcher {
  /** Calls `watch` with the run's events from shortly before `since` on, until the returned function is called. */
  watch(run_id: string, since: string, watch: Watch): () => void;
  /** Reads the run's events once, with room for transactions that committed late. */
  readLate(run_id: string, since: string): Promise<LiveEvent[]>;
  readonly watched: number;
}

export interface WatcherOptions {
  readonly db: Queryable;
  readonly listener: Pick<Listener, 'on'>;
  readonly onError?: (error: unknown) => void;
}

const MIN_INTERVAL_MS = 50;
const BACKSTOP_MS = 1000;
// An event's time is when its transaction began, so it can become visible after newer ones. Every poll
// looks back a little, some further, and the last one as far as a transaction may last.
const OVERLAP_MS = 3_000;
const WIDE_OVERLAP_MS = 10_000;
const WIDE_EVERY_MS = 5_000;
export const LATEST_COMMIT_MS = 61_000;

interface Watched {
  newest_ms: number;
  /** Someone joined since the last poll: look back far. */
  fresh: boolean;
  readonly watches: Set<Watch>;
}

export function createWatcher({ db, listener, onError }: WatcherOptions): Watcher {
  const runs = new Map<string, Watched>();
  let stopListening: (() => void) | undefined;
  let backstop: NodeJS.Timeout | undefined;
  let timer: NodeJS.Timeout | undefined;
  let polling = false;
  let again = false;
  let began = -Infinity;
  let interval = MIN_INTERVAL_MS;
  let wideAt = -Infinity;

  const soon = (): void => {
    if (runs.size === 0) return;
    if (polling) again = true;
    else timer ??= setTimeout(() => void poll(), Math.max(0, began + interval - performance.now()));
  };

  const poll = async (): Promise<void> => {
    timer = undefined;
    polling = true;
    again = false;
    began = performance.now();
    const wide = began - wideAt >= WIDE_EVERY_MS;
    if (wide) wideAt = began;
    try {
      const asked = [...runs];
      const sinces = asked.map(([, run]) =>
        before(run.newest_ms, run.fresh ? LATEST_COMMIT_MS : wide ? WIDE_OVERLAP_MS : OVERLAP_MS),
      );
      for (const [, run] of asked) run.fresh = false;
      const rows = await store.listNewEvents(db, { run_ids: asked.map(([id]) => id), sinces });
      for (const [run_id, events] of Map.groupBy(rows, (row) => row.run_id))
        deliver(run_id, events);
    } catch (error) {
      // The next poll looks back as far as it must; until then streams only lag.
      for (const run of runs.values()) run.fresh = true;
      onError?.(error);
    } finally {
      polling = false;
      // A slow poll must not become the database's main occupation.
      interval = Math.max(MIN_INTERVAL_MS, 2 * (performance.now() - began));
      if (again) soon();
    }
  };

  const deliver = (run_id: string, events: readonly LiveEvent[]): void => {
    const run = runs.get(run_id);
    if (!run) return;
    for (const event of events)
      run.newest_ms = Math.max(run.newest_ms, Date.parse(event.created_at));
    for (const watch of run.watches) watch(events);
  };

  const begin = (): void => {
    stopListening ??= listener.on('run_live', soon);
    backstop ??= setInterval(soon, BACKSTOP_MS);
  };

  const end = (): void => {
    stopListening?.();
    clearInterval(backstop);
    clearTimeout(timer);
    stopListening = backstop = timer = undefined;
  };

  return {
    watch(run_id, since, watch) {
      const run = runs.get(run_id) ?? { newest_ms: 0, fresh: true, watches: new Set() };
      run.newest_ms = Math.max(run.newest_ms, Date.parse(since));
      run.fresh = true;
      run.watches.add(watch);
      runs.set(run_id, run);
      begin();
      soon();
      return () => {
        run.watches.delete(watch);
        if (run.watches.size > 0 || runs.get(run_id) !== run) return;
        runs.delete(run_id);
        if (runs.size === 0) end();
      };
    },
    readLate: (run_id, since) =>
      store.listNewEvents(db, {
        run_ids: [run_id],
        sinces: [before(Date.parse(since), LATEST_COMMIT_MS)],
      }),
    get watched() {
      return runs.size;
    },
  };
}

const before = (moment_ms: number, by_ms: number): string =>
  new Date(Math.max(0, moment_ms - by_ms)).toISOString();
