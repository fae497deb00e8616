// Waits of workflow steps, as rows: written on the transaction of whoever holds the lock of the workflow run.

import { Conflict } from '../../platform/db/database.ts';
import type { JsonValue } from '../../platform/db/json-columns.ts';
import type { Queryable } from '../../platform/db/query.ts';
import { sendKeptOf, takeEarly } from './early/early-events.ts';
import * as store from './store.sql.ts';

export interface NewStepWait {
  readonly project_id: string;
  readonly workflow_run_id: string;
  readonly step_run_id: string;
  readonly event_key: string;
  readonly trigger_type: 'event' | 'sleep';
  readonly timeout_secs: number;
  /** Milliseconds since 1970. */
  readonly expires_at: number;
  readonly request_payload?: JsonValue;
  readonly notify_url?: string;
  /** It came before its waiter. */
  readonly received?: { readonly payload: JsonValue };
}

/** @throws Conflict when somebody else waits for this key since it was asked about: the same again will find him. */
export async function openStepWait(tx: Queryable, wait: NewStepWait): Promise<string> {
  const { received, request_payload = null } = wait;
  const key = { project_id: wait.project_id, event_key: wait.event_key };
  const early = received && (await takeEarly(tx, key));
  if (received && !early) throw new Conflict('the early event is gone');
  const made = await store.insertStepTrigger(tx, {
    ...key,
    workflow_run_id: wait.workflow_run_id,
    step_run_id: wait.step_run_id,
    trigger_type: wait.trigger_type,
    timeout_secs: wait.timeout_secs,
    expires_at: wait.expires_at,
    request_payload_json: request_payload === null ? null : JSON.stringify(request_payload),
    notify_url: wait.notify_url ?? '',
    is_received: received !== undefined,
    response_payload_json: received ? JSON.stringify(received.payload) : null,
    sent_by: early?.sent_by ?? '',
  });
  if (!made) throw new Conflict('another trigger waits for this key');
  if (wait.trigger_type === 'event' && !received) await sendKeptOf(tx, key);
  return made.id;
}

export interface StepWaitEnd {
  readonly trigger_id: string;
  readonly to_status: 'received' | 'timed_out' | 'canceled';
  readonly actor: string | null;
  readonly error: string | null;
  readonly payload: JsonValue;
}

export const endStepWaits = (
  tx: Queryable,
  project_id: string,
  ends: readonly StepWaitEnd[],
): Promise<number> => store.endStepTriggers(tx, { project_id, ends: ends });

/** Of a workflow run that has ended. */
export const cancelStepWaits = (
  tx: Queryable,
  input: { project_id: string; workflow_run_id: string; error: string },
): Promise<number> => store.cancelStepTriggers(tx, input);

/** A wait that belongs to nothing any more. */
export const dropStepWait = (
  tx: Queryable,
  input: { project_id: string; trigger_id: string; error: string },
): Promise<number> => store.cancelTriggerById(tx, input);

/** Of workflow runs that are removed. */
export const removeStepWaits = (tx: Queryable, step_run_ids: readonly string[]): Promise<number> =>
  store.removeStepTriggers(tx, { step_run_ids });

export const findKeyWaiter = (
  tx: Queryable,
  key: { project_id: string; event_key: string },
): Promise<store.FindKeyWaiterRow | undefined> => store.findKeyWaiter(tx, key);

/**
 * False: the project has as many waits as it may (max_active_event_triggers), those included that this transaction was
 * granted before and has not opened yet. Others wait until it ends.
 */
export async function admitStepWait(
  tx: Queryable,
  project_id: string,
  granted: number,
): Promise<boolean> {
  const limit = await store.lockWaitLimit(tx, { project_id });
  return !limit || (await store.countEventWaits(tx, { project_id })).waits + granted < limit.most;
}
