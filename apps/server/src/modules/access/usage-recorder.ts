// Remembers which keys were used and which users were seen, and writes it down now and then: no request
// waits for it, and losing some of it in a crash is fine.

import type { Database } from '../../platform/db/database.ts';
import * as store from './store.sql.ts';

export interface SeenActor {
  readonly id: string;
  readonly email: string | null;
  readonly name: string | null;
}

export interface UsageRecorder {
  used(key_id: string): void;
  seen(actor: SeenActor): void;
  /** Writes what is due; never rejects. */
  flush(): Promise<void>;
  start(): void;
  stop(): Promise<void>;
}

const flushEveryMs = 5_000;
/** One write per key and minute; known users are refreshed every ten minutes. */
const keyIntervalMs = 60_000;
const actorIntervalMs = 600_000;
/** Forgotten wholesale when full: then some writes come early. */
const maxRemembered = 50_000;

export function createUsageRecorder(db: Database, now: () => number = Date.now): UsageRecorder {
  const keys = new Map<string, number>();
  const actors = new Map<string, number>();
  let due_keys = new Set<string>();
  let due_actors = new Map<string, SeenActor>();
  let timer: NodeJS.Timeout | undefined;

  const isDue = (written: Map<string, number>, id: string, interval: number): boolean => {
    const at = now();
    if (at - (written.get(id) ?? -Infinity) < interval) return false;
    if (written.size >= maxRemembered) written.clear();
    written.set(id, at);
    return true;
  };

  const flush = async () => {
    const key_ids = [...due_keys];
    const people = [...due_actors.values()];
    due_keys = new Set();
    due_actors = new Map();
    const writes = people.map((actor) => store.upsertActor(db, actor));
    if (key_ids.length > 0) writes.push(store.touchKeys(db, { key_ids }));
    // The database being away is reported by everything else; these facts can be lost.
    await Promise.allSettled(writes);
  };

  return {
    used: (key_id) => void (isDue(keys, key_id, keyIntervalMs) && due_keys.add(key_id)),
    seen: (actor) =>
      void (isDue(actors, actor.id, actorIntervalMs) && due_actors.set(actor.id, actor)),
    flush,
    start: () => {
      timer ??= setInterval(() => void flush(), flushEveryMs).unref();
    },
    async stop() {
      clearInterval(timer);
      timer = undefined;
      await flush();
    },
  };
}
