// Tells notify URLs that somebody waits for an event. The row was written in the transaction that opened the wait and goes with
// the verdict, so that every URL is told at least once or the wait says `failed`.

import type { Database } from '../../../platform/db/database.ts';
import type { OutboundClient } from '../../../platform/outbound/client.ts';
import { judge, MOST_ATTEMPTS, requestOf, type Verdict } from './rules.ts';
import * as store from './store.sql.ts';

const BATCH = 32;
const TIMEOUT_MS = 10_000;
/** How long a row is held for whoever sends: longer than a request can take. */
const HOLD_SECS = 30;
/** Of the answer; nobody reads it. */
const MAX_ANSWER_BYTES = 4_096;

export interface NotificationDeps {
  /** The queue's pool. */
  readonly db: Database;
  readonly outbound: Pick<OutboundClient, 'send'>;
  readonly onFailed: (of: {
    readonly project_id: string;
    readonly trigger_id: string;
    readonly why: string;
  }) => void;
}

export type Notifications = ReturnType<typeof createNotifications>;

type Held = store.ClaimNotificationsRow;

export function createNotifications({ db, outbound, onFailed }: NotificationDeps) {
  async function verdictOn(held: Held, signal: AbortSignal): Promise<Verdict> {
    // Whoever made the last attempt did not live to see its end.
    if (held.attempts > MOST_ATTEMPTS)
      return { kind: 'failed', why: 'the last attempt had no end' };
    const reply = await outbound.send({
      method: 'POST',
      url: held.notify_url,
      ...requestOf(held),
      deadline_ms: TIMEOUT_MS,
      max_body_bytes: MAX_ANSWER_BYTES,
      signal,
    });
    return judge(reply, held.attempts);
  }

  async function tell(held: Held, signal: AbortSignal): Promise<void> {
    const verdict = await verdictOn(held, signal);
    const { id, project_id, attempts, trigger_id } = held;
    const key = { id, project_id, attempts };
    if (verdict.kind === 'later') {
      await store.postponeNotification(db, { ...key, ...verdict });
      return;
    }
    const ended = await store.endNotification(db, { ...key, status: verdict.kind });
    if (verdict.kind === 'failed' && ended > 0)
      onFailed({ project_id, trigger_id, why: verdict.why });
  }

  return {
    /** One round, and when the next is due. */
    async send(
      signal: AbortSignal,
    ): Promise<{ readonly again: boolean; readonly next_ms?: number }> {
      const held = await store.claimNotifications(db, { limit: BATCH, hold_secs: HOLD_SECS });
      await Promise.all(held.map((one) => tell(one, signal)));
      if (held.length === BATCH) return { again: true };
      const { next_ms } = await store.nextNotification(db);
      return next_ms === null ? { again: false } : { again: false, next_ms: Math.max(0, next_ms) };
    },
  };
}
