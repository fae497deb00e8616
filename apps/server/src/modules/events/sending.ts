// Sending events: to whoever waits for the key, to all who wait under a prefix, or kept for who will wait.

import type { FailureCode } from '../../domain/failures.ts';
import { Conflict, type Database, type Tx } from '../../platform/db/database.ts';
import type { JsonValue } from '../../platform/db/json-columns.ts';
import { Failure } from '../../platform/failure.ts';
import { canonicalJson } from '../runs/index.ts';
import type { EventTrigger } from './contract.ts';
import { keepEarly, type KeptEvent } from './early/early-events.ts';
import type { WaitEnds } from './ends.ts';
import { listWaitingUnder } from './reading/store.sql.ts';
import { senderOf, SOURCE_TYPES, type Allowed, type Asker, type Rights } from './rights.ts';
import * as store from './store.sql.ts';
import { triggerView, type TriggerRow } from './view.ts';
import { AWAIT_PREFIX } from './waits.ts';

/** An event is no larger, however large bodies may be. */
const MAX_PAYLOAD_BYTES = 1_048_576;
/** Waits that one event of a prefix ends. */
const MOST_UNDER_PREFIX = 1_000;
/** What they are given together: each keeps the payload, and the answer shows it for each. */
const MOST_SENT_BYTES = 64 * 1024 * 1024;

export interface SendingDeps {
  readonly db: Database;
  /** The queue's pool. */
  readonly hot: Database;
  readonly ends: WaitEnds;
  readonly rights: Rights;
}

export type Sent =
  | { readonly kind: 'received'; readonly trigger: EventTrigger }
  | { readonly kind: 'kept'; readonly event: KeptEvent };

const refusal = (code: FailureCode) => new Failure<FailureCode>(code);

/** Sleeps end by themselves, and only a child may say what became of it. @throws event_is_sleep, event_is_child */
function refuseOwn({ trigger_type, event_key }: TriggerRow): void {
  if (trigger_type === 'sleep') throw refusal('event_is_sleep');
  if (event_key.startsWith(AWAIT_PREFIX)) throw refusal('event_is_child');
}

/** @throws payload_too_large */
function sizeOf(payload: JsonValue): number {
  const bytes = Buffer.byteLength(JSON.stringify(payload));
  if (bytes > MAX_PAYLOAD_BYTES)
    throw new Failure<FailureCode>('payload_too_large', {
      message: `the payload is larger than ${MAX_PAYLOAD_BYTES} bytes`,
    });
  return bytes;
}

const isSame = ({ status, response_payload }: TriggerRow, payload: JsonValue): boolean =>
  status === 'received' && canonicalJson(response_payload ?? null) === canonicalJson(payload);

export function createSending({ db, hot, ends, rights }: SendingDeps) {
  /** Nobody waits; `row`: who did last. @throws event_not_found, event_not_waiting, event_already_received */
  async function keep(
    tx: Tx,
    { project: { project_id }, caller }: Asker,
    allowed: Allowed,
    sent: { readonly event_key: string; readonly payload: JsonValue },
    row: TriggerRow | undefined,
  ): Promise<Sent> {
    const event = await keepEarly(tx, {
      project_id,
      ...sent,
      sent_by: senderOf(caller),
      once: true,
    });
    if (event) {
      // Who will wait is not known: it may be a step as well as a run. A refusal undoes what was kept.
      for (const source of SOURCE_TYPES) allowed.require(source);
      return { kind: 'kept', event };
    }
    if (!row) throw refusal('event_not_found');
    throw refusal(row.status === 'received' ? 'event_already_received' : 'event_not_waiting');
  }

  return {
    /**
     * Repeating it with the same payload changes nothing and answers the same.
     * @throws event_not_found, event_not_waiting, event_already_received, event_is_sleep, event_is_child, event_buffer_full,
     * payload_too_large
     */
    async send(asker: Asker, event_key: string, payload: JsonValue): Promise<Sent> {
      sizeOf(payload);
      const { project_id } = asker.project;
      const allowed = await rights(asker, 'send');
      return hot.tenant(project_id, async (tx): Promise<Sent> => {
        const found = await store.findTrigger(tx, { project_id, event_key });
        if (!found) return keep(tx, asker, allowed, { event_key, payload }, found);
        allowed.require(found.source_type);
        refuseOwn(found);
        if (isSame(found, payload)) return { kind: 'received', trigger: triggerView(found) };
        if (found.status !== 'waiting')
          return keep(tx, asker, allowed, { event_key, payload }, found);
        await ends.lock(tx, project_id, [found]);
        const row = await ends.again(tx, found);
        if (row?.status !== 'waiting') throw new Conflict('the wait ended meanwhile');
        const received = await ends.receive(tx, row, payload, senderOf(asker.caller));
        // A trigger and what waits belong together; where they do not, the reconcilers see to it.
        if (!received) throw refusal('event_not_waiting');
        return { kind: 'received', trigger: triggerView(received) };
      });
    },

    /**
     * The oldest of them, all or none.
     * @throws payload_too_large
     */
    async sendUnder(asker: Asker, prefix: string, payload: JsonValue): Promise<EventTrigger[]> {
      const most = Math.floor(MOST_SENT_BYTES / sizeOf(payload));
      const { project_id } = asker.project;
      const allowed = await rights(asker, 'send');
      // Not on the queue's pool: only a plan that knows the prefix uses its index.
      const found = await db.tenant(project_id, (tx) =>
        listWaitingUnder(tx, { project_id, prefix, limit: Math.min(MOST_UNDER_PREFIX, most) }),
      );
      for (const { source_type } of found) allowed.require(source_type);
      // Steps first: what follows from them may lock more workflow runs, which come before everything of the queue.
      const inTurn = [
        ...found.filter((row) => row.job_run_id === null),
        ...found.filter((row) => row.job_run_id !== null),
      ];
      return hot.tenant(project_id, async (tx) => {
        await ends.lock(tx, project_id, found);
        const received = new Map<string, EventTrigger>();
        for (const one of inTurn) {
          const row = await ends.again(tx, one);
          const ended =
            row?.status === 'waiting' &&
            (await ends.receive(tx, row, payload, senderOf(asker.caller)));
          if (ended) received.set(ended.id, triggerView(ended));
        }
        return found.flatMap(({ id }) => received.get(id) ?? []);
      });
    },
  };
}
