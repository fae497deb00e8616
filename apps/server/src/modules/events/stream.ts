// One client watching one wait: its state now, and its end.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Queryable } from '../../platform/db/query.ts';
import type { Listener } from '../../platform/db/listen.ts';
import { streamReply, type StreamReply } from '../../platform/http/sse.ts';
import * as store from './store.sql.ts';
import { triggerEvent, type TriggerRow } from './view.ts';

/** The end of a wait always comes with a change of its run, which notifies; this is for notifications that got lost. */
const BACKSTOP_MS = 5_000;
/** A busy server notifies all the time; nobody needs to look more often. */
const MIN_INTERVAL_MS = 250;

export function createTriggerStream(
  { db, listener }: { db: Queryable; listener: Pick<Listener, 'on'> },
  first: TriggerRow,
): StreamReply {
  return streamReply(async (stream) => {
    await stream.send({
      id: `${first.id}:${first.status}`,
      event: 'status',
      data: triggerEvent(first),
    });
    if (first.status !== 'waiting') return;
    let wake = (): void => undefined;
    const { workflow_run_id } = first;
    const unsubscribe =
      workflow_run_id === null
        ? listener.on('run_live', () => wake())
        : listener.on('workflow_live', (payload) => {
            if (payload === workflow_run_id || payload === '') wake();
          });
    try {
      while (!stream.signal.aborted) {
        const row = await store.findTriggerById(db, {
          trigger_id: first.id,
          project_id: first.project_id,
        });
        if (!row) return;
        if (row.status !== 'waiting') {
          await stream.send({
            id: `${row.id}:${row.status}`,
            event: 'status',
            data: statusEvent(row),
          });
          return;
        }
        const woken = new Promise<void>((resolve) => (wake = resolve));
        const pause = new AbortController();
        const signal = AbortSignal.any([stream.signal, pause.signal]);
        await Promise.race([
          woken,
          sleep(BACKSTOP_MS, undefined, { signal }).catch(() => undefined),
        ]);
        pause.abort();
        await sleep(MIN_INTERVAL_MS, undefined, { signal: stream.signal }).catch(() => undefined);
      }
    } finally {
      unsubscribe();
    }
  });
}

const statusEvent = ({
  id,
  event_key,
  status,
  project_id,
  source_type,
  received_at,
  error,
  updated_at,
}: TriggerRow) => ({
  id,
  event_key,
  status,
  project_id,
  source_type,
  received_at,
  error: error ?? '',
  timestamp: updated_at,
});
