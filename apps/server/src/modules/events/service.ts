// Waits as people and other systems see them. Every change takes the run's place row first and the trigger
// second, each guarded by its state: of several ends of one wait exactly one happens.

import type { FailureCode } from '../../domain/failures.ts';
import type { Database, Tx } from '../../platform/db/database.ts';
import type { Listener } from '../../platform/db/listen.ts';
import { Failure } from '../../platform/failure.ts';
import type { ProjectScope } from '../access/index.ts';
import { leases, type OperatorVerbs, type WaitingVerbs } from '../queue/index.ts';
import type { EventTrigger } from './contract.ts';
import * as store from './store.sql.ts';
import { createTriggerStream } from './stream.ts';
import { triggerView, type TriggerRow } from './view.ts';
import { cancelWaitsOf } from './waits.ts';

export interface EventsDependencies {
  readonly db: Database;
  readonly listener: Pick<Listener, 'on'>;
  readonly waiting: WaitingVerbs;
  /** With `cancelLeftWaits` among its reactions. */
  readonly operator: Pick<OperatorVerbs, 'cancel'>;
}

export type Events = ReturnType<typeof createEvents>;

const refusal = (code: FailureCode) => new Failure<FailureCode>(code);

export function createEvents({ db, listener, waiting, operator }: EventsDependencies) {
  const find = async (project: ProjectScope, event_key: string): Promise<TriggerRow> => {
    const row = await db.tenant(project.project_id, (tx) =>
      store.findTrigger(tx, { ...project, event_key }),
    );
    if (!row) throw refusal('event_not_found');
    return row;
  };

  /** The trigger of this key and the run that waits for it. */
  const findWaiting = async (tx: Tx, project: ProjectScope, event_key: string) => {
    const row = await store.findTrigger(tx, { ...project, event_key });
    if (!row) throw refusal('event_not_found');
    const run_id = row.job_run_id;
    if (row.status !== 'waiting' || run_id === null) throw refusal('event_not_waiting');
    return { trigger_id: row.id, run_id };
  };

  return {
    /** @throws event_not_found */
    get: async (project: ProjectScope, event_key: string): Promise<EventTrigger> =>
      triggerView(await find(project, event_key)),

    /** @throws event_not_found, event_not_waiting */
    send: (
      project: ProjectScope,
      event_key: string,
      payload: unknown,
      sent_by: string,
    ): Promise<EventTrigger> =>
      db.transaction(async (tx) => {
        const { trigger_id, run_id } = await findWaiting(tx, project, event_key);
        if (!(await waiting.resume(tx, { ...project, run_id, reason: 'event received' })))
          throw refusal('event_not_waiting');
        const received = await store.receiveTrigger(tx, {
          ...project,
          trigger_id,
          payload_json: JSON.stringify(payload ?? {}),
          sent_by,
        });
        // Somebody ended this wait meanwhile: what was resumed above is another one and must not be.
        if (!received) throw refusal('event_not_waiting');
        return triggerView(received);
      }),

    /** @throws event_not_found, event_not_waiting */
    cancel: (project: ProjectScope, event_key: string): Promise<EventTrigger> =>
      db.transaction(async (tx) => {
        const { trigger_id, run_id } = await findWaiting(tx, project, event_key);
        // Once the run's waiting row is ours nobody else ends the wait, so a second look at the trigger decides.
        if (!(await leases.lockWaiting(tx, run_id))) throw refusal('event_not_waiting');
        const now = await store.findTriggerById(tx, { ...project, trigger_id });
        if (now?.status !== 'waiting') throw refusal('event_not_waiting');
        const reason = 'the wait was canceled';
        await operator.cancel(tx, {
          ...project,
          run_ids: [run_id],
          reason,
          child_reason: 'parent canceled',
        });
        await cancelWaitsOf(tx, { ...project, run_ids: [run_id], reason });
        const canceled = await store.findTriggerById(tx, { ...project, trigger_id });
        if (!canceled) throw refusal('event_not_found');
        return triggerView(canceled);
      }),

    /** @throws event_not_found */
    stream: async (project: ProjectScope, event_key: string) =>
      createTriggerStream({ db, listener }, await find(project, event_key)),
  };
}
