// Events that completed steps send (`event_emit_key`), after their own commit. A row of event_emits goes in the transaction that
// delivers it: a crash before its commit leaves it, so that none is lost and none delivered twice.

import { Conflict, type Database, type Tx } from '../../../platform/db/database.ts';
import type { JsonValue } from '../../../platform/db/json-columns.ts';
import type { Queryable } from '../../../platform/db/query.ts';
import { keepEarly } from '../early/early-events.ts';
import { createWaitEnds, type EndDeps } from '../ends.ts';
import { findWaiter } from '../store.sql.ts';
import * as store from './store.sql.ts';

const BATCH = 200;
/** Keys worked on at the same time. */
const PARALLEL = 4;

export interface Emit {
  readonly project_id: string;
  readonly event_key: string;
  readonly payload: JsonValue;
  readonly sent_by: string;
  readonly workflow_step_run_id: string;
}

/** Sent once this transaction has committed. */
export const queueEmits = (tx: Queryable, emits: readonly Emit[]): Promise<number> =>
  store.insertEmits(tx, { emits: emits });

export interface EmitDeps extends EndDeps {
  /** The queue's pool. */
  readonly db: Database;
  /** Nobody waited for it, and the project keeps no early events. */
  readonly onDropped: (emit: { readonly project_id: string; readonly event_key: string }) => void;
  readonly onError: (error: unknown, what: string) => void;
}

export type Emits = ReturnType<typeof createEmits>;

type Due = store.ListDueEmitsRow;

export function createEmits({ db, onDropped, onError, ...deps }: EmitDeps) {
  const ends = createWaitEnds(deps);

  async function deliver(
    tx: Tx,
    { id: emit_id, project_id, event_key, payload, sent_by }: Due,
  ): Promise<'sent' | 'dropped' | 'gone'> {
    const found = await findWaiter(tx, { project_id, event_key });
    if (found) await ends.lock(tx, project_id, [found]);
    if ((await store.takeEmit(tx, { emit_id, project_id })) === 0) return 'gone';
    if (found) {
      const row = await ends.again(tx, found);
      if (row?.status !== 'waiting') throw new Conflict('the wait ended meanwhile');
      // A trigger and what waits belong together; where they do not, nobody waits.
      if (await ends.receive(tx, row, payload, sent_by)) return 'sent';
      return 'dropped';
    }
    const kept = await keepEarly(tx, { project_id, event_key, payload, sent_by, once: false });
    return kept ? 'sent' : 'dropped';
  }

  async function attempt(emit: Due): Promise<void> {
    const { id: emit_id, project_id, event_key } = emit;
    try {
      const outcome = await db.transaction((tx) => deliver(tx, emit));
      if (outcome === 'dropped') onDropped({ project_id, event_key });
    } catch (error) {
      onError(error, 'an event that a step emits');
      await store.postponeEmit(db, { emit_id, project_id });
    }
  }

  return {
    /** One round; `again`: there may be more. Events of one key go one after the other, and no key waits for another. */
    async follow(): Promise<{ readonly again: boolean }> {
      const due = await store.listDueEmits(db, { limit: BATCH });
      const byKey = Map.groupBy(due, ({ project_id, event_key }) => `${project_id} ${event_key}`);
      const keys = byKey.values();
      const lane = async (): Promise<void> => {
        for (const emits of keys) for (const emit of emits) await attempt(emit);
      };
      await Promise.all(Array.from({ length: PARALLEL }, lane));
      return { again: due.length > 0 };
    },
  };
}
