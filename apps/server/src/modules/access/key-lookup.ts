// Which key a hash belongs to: asked of PostgreSQL for every request, so that revoking a key works at
// once. Requests that arrive while a look-up is under way share the next one.

import type { Queryable } from '../../platform/db/query.ts';
import * as store from './store.sql.ts';

type FoundKey = store.FindKeysRow;

export type KeyLookup = (key_hash: string) => Promise<FoundKey | undefined>;

/** More would cost PostgreSQL more statements; fewer would let one slow answer hold everybody. */
const maxInFlight = 2;

export function createKeyLookup(db: Queryable): KeyLookup {
  let waiting = new Map<string, PromiseWithResolvers<FoundKey | undefined>>();
  let in_flight = 0;
  let scheduled = false;

  async function askNow(): Promise<void> {
    scheduled = false;
    if (waiting.size === 0 || in_flight >= maxInFlight) return;
    const asked = waiting;
    waiting = new Map();
    in_flight++;
    try {
      const rows = await store.findKeys(db, { key_hashes: [...asked.keys()] });
      const found = new Map(rows.map((row) => [row.key_hash, row]));
      for (const [key_hash, { resolve }] of asked) resolve(found.get(key_hash));
    } catch (error) {
      for (const { reject } of asked.values()) reject(error);
    } finally {
      in_flight--;
      void askNow();
    }
  }

  return (key_hash) => {
    // Never joins a look-up under way: that may have read before the key was revoked.
    let pending = waiting.get(key_hash);
    if (!pending) waiting.set(key_hash, (pending = Promise.withResolvers()));
    if (!scheduled) {
      scheduled = true;
      setImmediate(() => void askNow());
    }
    return pending.promise;
  };
}
