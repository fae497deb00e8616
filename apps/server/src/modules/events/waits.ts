// A wait of a run, as rows: opened and closed on the caller's transaction, together with the run's own change.

import type { FailureCode } from '../../domain/failures.ts';
import type { Queryable } from '../../platform/db/query.ts';
import { Failure } from '../../platform/failure.ts';
import type { ResumeFacts } from '../executor/index.ts';
import type { LeftReaction, WaitingVerbs } from '../queue/index.ts';
import { findEarly, takeEarly } from './early/early-events.ts';
import * as store from './store.sql.ts';

/** Keys of parents that wait for a child; what follows is the child's id. No caller may choose such a key. */
export const AWAIT_PREFIX = 'spawn-await:';

export const awaitKey = (child_id: string): string => `${AWAIT_PREFIX}${child_id}`;

export interface NewWait {
  readonly project_id: string;
  readonly run_id: string;
  readonly event_key: string;
  readonly timeout_secs: number;
  /** What the wait is about, for people. */
  readonly request_payload?: unknown;
  /** Told that somebody waits. */
  readonly notify_url?: string | undefined;
}

/**
 * Before `openWait`, in its transaction: what comes between this and its end waits. Exact, because the count is a later
 * statement than the lock.
 * @throws event_trigger_quota_exceeded
 */
export async function admitEventWait(tx: Queryable, project_id: string): Promise<void> {
  const limit = await store.lockWaitLimit(tx, { project_id });
  if (limit && (await store.countEventWaits(tx, { project_id })).waits >= limit.most)
    throw new Failure<FailureCode>('event_trigger_quota_exceeded');
}

/** After the run went to `waiting` in this transaction. Undefined: the project waits for this key already. */
export const openWait = (tx: Queryable, { request_payload, notify_url = '', ...wait }: NewWait) =>
  store.insertTrigger(tx, {
    ...wait,
    notify_url,
    request_payload_json: request_payload === undefined ? null : JSON.stringify(request_payload),
  });

/** `openWait` for an event from outside: where it came early the run goes on at once. */
export async function openEventWait(
  tx: Queryable,
  waiting: Pick<WaitingVerbs, 'resume'>,
  wait: NewWait,
) {
  const { project_id, run_id, event_key } = wait;
  const early = await findEarly(tx, { project_id, event_key });
  const opened = await openWait(tx, wait);
  if (!opened || !early) return opened;
  await takeEarly(tx, { project_id, event_key });
  if (!(await waiting.resume(tx, { project_id, run_id, reason: 'event received' })))
    throw new Error(`run ${run_id} does not wait right after it began to`);
  await store.receiveTrigger(tx, {
    project_id,
    trigger_id: opened.id,
    payload_json: JSON.stringify(early.payload),
    sent_by: early.sent_by,
  });
  return opened;
}

/** After the runs left their wait in this transaction, for whatever reason. */
export async function cancelWaitsOf(
  tx: Queryable,
  input: { project_id: string; run_ids: readonly string[]; reason: string },
): Promise<void> {
  await store.cancelTriggersOf(tx, {
    project_id: input.project_id,
    run_ids: input.run_ids,
    error: input.reason,
  });
}

/** For createOperatorVerbs: runs that were canceled or restarted wait for nothing any more. */
export const cancelLeftWaits: LeftReaction = cancelWaitsOf;

/** What the next request of a run is told about its past; undefined when there is nothing to tell. */
export async function resumeFacts(db: Queryable, run_id: string): Promise<ResumeFacts | undefined> {
  const { checkpoint_state, checkpoint_at, event_payload } = await store.findResumeFacts(db, {
    run_id,
  });
  if (checkpoint_state === null && event_payload === null) return undefined;
  return {
    checkpoint:
      checkpoint_state === null || checkpoint_at === null
        ? undefined
        : { state: checkpoint_state, created_at: checkpoint_at },
    event_payload: event_payload ?? undefined,
  };
}
