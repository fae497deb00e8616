// Events that came before anybody waited for them, kept for as long as the project wants (`event_buffer_secs`; 0 is not at
// all). The next who waits for the key consumes the oldest.

import type { FailureCode } from '../../../domain/failures.ts';
import { Conflict, type Database } from '../../../platform/db/database.ts';
import type { JsonValue } from '../../../platform/db/json-columns.ts';
import type { Queryable } from '../../../platform/db/query.ts';
import { Failure } from '../../../platform/failure.ts';
import { canonicalJson } from '../../runs/index.ts';
import { findWaiter } from '../store.sql.ts';
import * as store from './store.sql.ts';

/** Kept events of one project, give or take those that come at the same moment. */
const MOST_KEPT = 10_000;
const BATCH = 1_000;

export interface EventKey {
  readonly project_id: string;
  readonly event_key: string;
}

const keyOf = ({ project_id, event_key }: EventKey): EventKey => ({ project_id, event_key });

/** For whoever is about to wait: nobody keeps an event of this key, and nobody else gets it, before this transaction ends. */
export async function findEarly(
  tx: Queryable,
  key: EventKey,
): Promise<store.FindEarlyEventRow | undefined> {
  await store.lockKey(tx, keyOf(key));
  return store.findEarlyEvent(tx, keyOf(key));
}

/** After `findEarly` in the same transaction: the same event, consumed. */
export const takeEarly = (
  tx: Queryable,
  key: EventKey,
): Promise<store.TakeEarlyEventRow | undefined> => store.takeEarlyEvent(tx, keyOf(key));

/** For who waits by now although there is an event: of two steps that begin to wait at once only the first was asked about it. */
export const sendKeptOf = (tx: Queryable, key: EventKey): Promise<number> =>
  store.sendKeptOf(tx, keyOf(key));

export interface KeptEvent {
  readonly event_key: string;
  readonly status: 'buffered';
  readonly expires_at: string;
}

export interface EarlyEvent extends EventKey {
  readonly payload: JsonValue;
  readonly sent_by: string;
  /** Sent by somebody who repeats what he is not sure of: kept once. */
  readonly once: boolean;
}

/**
 * Keeps an event that nobody waits for; undefined: the project keeps none. After locks of runs, if any.
 * @throws Conflict when somebody began to wait meanwhile: the same again will find him
 * @throws event_buffer_full
 */
export async function keepEarly(
  tx: Queryable,
  { payload, sent_by, once, ...of }: EarlyEvent,
): Promise<KeptEvent | undefined> {
  const key = keyOf(of);
  const { project_id, event_key } = key;
  const buffer = await store.findBuffer(tx, { project_id });
  if (!buffer) return undefined;
  await store.lockKey(tx, key);
  if (await findWaiter(tx, key)) throw new Conflict('somebody waits for the key by now');
  const kept = ({ expires_at }: { readonly expires_at: string }) =>
    ({ event_key, status: 'buffered', expires_at }) as const;
  if (once) {
    const same = canonicalJson(payload);
    const known = (await store.listKept(tx, key)).find(
      (event) => canonicalJson(event.payload) === same,
    );
    if (known) return kept(known);
  }
  if ((await store.countKept(tx, { project_id, most: MOST_KEPT })).kept >= MOST_KEPT)
    throw new Failure<FailureCode>('event_buffer_full');
  return kept(
    await store.keepEvent(tx, {
      ...key,
      payload_json: JSON.stringify(payload),
      sent_by,
      secs: buffer.secs,
    }),
  );
}

/** One round: what is too old goes, what is waited for by now is sent again. */
export async function tidyEarly(db: Database): Promise<{ readonly again: boolean }> {
  const removed = await store.removeExpired(db, { limit: BATCH });
  const sent = await store.sendKept(db, { limit: BATCH });
  return { again: removed === BATCH || sent.length === BATCH };
}
