// Waits as people and other systems see them.

import type { FailureCode } from '../../domain/failures.ts';
import { Conflict, type Database } from '../../platform/db/database.ts';
import type { Listener } from '../../platform/db/listen.ts';
import { Failure } from '../../platform/failure.ts';
import type { Access } from '../access/index.ts';
import type { OperatorVerbs, WaitingVerbs } from '../queue/index.ts';
import type { EventTrigger } from './contract.ts';
import { createWaitEnds, type StepEvents } from './ends.ts';
import { createReading } from './reading/reading.ts';
import { createRights, type Asker } from './rights.ts';
import { createSending } from './sending.ts';
import * as store from './store.sql.ts';
import { createTriggerStream } from './stream.ts';
import { triggerView, type TriggerRow } from './view.ts';

export interface EventsDependencies {
  readonly db: Database;
  /** The queue's pool. */
  readonly hot: Database;
  readonly listener: Pick<Listener, 'on'>;
  readonly waiting: WaitingVerbs;
  /** With `cancelLeftWaits` among its reactions. */
  readonly operator: Pick<OperatorVerbs, 'cancel'>;
  readonly steps: StepEvents;
  readonly access: Pick<Access['control'], 'authorize'>;
}

export type Events = ReturnType<typeof createEvents>;

const refusal = (code: FailureCode) => new Failure<FailureCode>(code);

export function createEvents({ db, hot, listener, access, ...deps }: EventsDependencies) {
  const ends = createWaitEnds(deps);
  const rights = createRights(access);

  const find = async (asker: Asker, event_key: string): Promise<TriggerRow> => {
    const { project_id } = asker.project;
    const allowed = await rights(asker, 'read');
    const row = await db.tenant(project_id, (tx) =>
      store.findTrigger(tx, { project_id, event_key }),
    );
    if (!row) throw refusal('event_not_found');
    allowed.require(row.source_type);
    return row;
  };

  return {
    ...createReading({ db, rights }),
    ...createSending({ db, hot, ends, rights }),

    /** @throws event_not_found */
    get: async (asker: Asker, event_key: string): Promise<EventTrigger> =>
      triggerView(await find(asker, event_key)),

    /** @throws event_not_found, event_not_waiting, event_is_sleep */
    async cancel(asker: Asker, event_key: string): Promise<EventTrigger> {
      const { project_id } = asker.project;
      const allowed = await rights(asker, 'cancel');
      return hot.tenant(project_id, async (tx) => {
        const found = await store.findTrigger(tx, { project_id, event_key });
        if (!found) throw refusal('event_not_found');
        allowed.require(found.source_type);
        if (found.status !== 'waiting') throw refusal('event_not_waiting');
        if (found.trigger_type === 'sleep') throw refusal('event_is_sleep');
        await ends.lock(tx, project_id, [found]);
        const row = await ends.again(tx, found);
        if (row?.status !== 'waiting') throw new Conflict('the wait ended meanwhile');
        const canceled = await ends.cancel(tx, row);
        if (!canceled) throw refusal('event_not_waiting');
        return triggerView(canceled);
      });
    },

    /** @throws event_not_found */
    stream: async (asker: Asker, event_key: string) =>
      createTriggerStream({ db, listener }, await find(asker, event_key)),
  };
}
