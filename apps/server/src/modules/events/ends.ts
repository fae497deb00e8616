// How a wait ends by somebody's will, whoever waits: lock the run that waits, look again, end both. Of several ends of one
// wait exactly one happens, because each holds that lock and each is guarded by the state.

import type { Tx } from '../../platform/db/database.ts';
import type { JsonValue } from '../../platform/db/json-columns.ts';
import { leases, type OperatorVerbs, type WaitingVerbs } from '../queue/index.ts';
import * as store from './store.sql.ts';
import type { TriggerRow } from './view.ts';
import { cancelWaitsOf } from './waits.ts';

export interface StepWait {
  readonly project_id: string;
  readonly workflow_run_id: string;
  readonly step_run_id: string;
  readonly trigger_id: string;
}

/** Steps of workflows, which are above this module: given by `workflows`. */
export interface StepEvents {
  /** Locks these workflow runs in order of their ids, until the transaction ends. */
  readonly lock: (
    tx: Tx,
    input: { readonly project_id: string; readonly workflow_run_ids: readonly string[] },
  ) => Promise<void>;
  /** The step goes on, or fails, and its trigger has ended with it; false: it does not wait for this trigger. */
  readonly deliver: (
    tx: Tx,
    wait: StepWait,
    end:
      | { readonly kind: 'event_received'; readonly payload: JsonValue; readonly sent_by: string }
      | { readonly kind: 'event_canceled' },
  ) => Promise<boolean>;
}

export interface EndDeps {
  readonly steps: StepEvents;
  readonly waiting: Pick<WaitingVerbs, 'resume'>;
  /** With `cancelLeftWaits` among its reactions. */
  readonly operator: Pick<OperatorVerbs, 'cancel'>;
}

export type WaitEnds = ReturnType<typeof createWaitEnds>;

type Found = Pick<
  TriggerRow,
  'id' | 'project_id' | 'source_type' | 'workflow_run_id' | 'job_run_id'
>;

export function createWaitEnds({ steps, waiting, operator }: EndDeps) {
  const again = (tx: Tx, { id: trigger_id, project_id }: Found) =>
    store.findTriggerById(tx, { trigger_id, project_id });

  const stepWaitOf = (row: TriggerRow): StepWait => ({
    project_id: row.project_id,
    workflow_run_id: row.workflow_run_id ?? '',
    step_run_id: row.workflow_step_run_id ?? '',
    trigger_id: row.id,
  });

  return {
    /**
     * Every other end of these waits stands in line until the transaction ends. Workflow runs come before everything of the
     * queue, and each kind in order of ids.
     */
    async lock(tx: Tx, project_id: string, rows: readonly Found[]): Promise<void> {
      const of = (id: (row: Found) => string | null) =>
        [...new Set(rows.flatMap((row) => id(row) ?? []))].toSorted();
      const workflow_run_ids = of((row) => row.workflow_run_id);
      if (workflow_run_ids.length > 0) await steps.lock(tx, { project_id, workflow_run_ids });
      for (const run_id of of((row) => row.job_run_id)) await leases.lockWaiting(tx, run_id);
    },

    /** As it is now, for whoever locked it. */
    again,

    /** Of a locked wait, as it was looked at under the lock; undefined: nothing waits there any more. */
    async receive(
      tx: Tx,
      row: TriggerRow,
      payload: JsonValue,
      sent_by: string,
    ): Promise<TriggerRow | undefined> {
      const { project_id, job_run_id: run_id } = row;
      if (run_id === null) {
        const event = { kind: 'event_received', payload, sent_by } as const;
        return (await steps.deliver(tx, stepWaitOf(row), event)) ? again(tx, row) : undefined;
      }
      if (!(await waiting.resume(tx, { project_id, run_id, reason: 'event received' })))
        return undefined;
      return store.receiveTrigger(tx, {
        project_id,
        trigger_id: row.id,
        payload_json: JSON.stringify(payload),
        sent_by,
      });
    },

    /** The same for giving it up. */
    async cancel(tx: Tx, row: TriggerRow): Promise<TriggerRow | undefined> {
      const { project_id, job_run_id: run_id } = row;
      if (run_id === null) {
        const event = { kind: 'event_canceled' } as const;
        return (await steps.deliver(tx, stepWaitOf(row), event)) ? again(tx, row) : undefined;
      }
      const reason = 'the wait was canceled';
      await operator.cancel(tx, {
        project_id,
        run_ids: [run_id],
        reason,
        child_reason: 'parent canceled',
      });
      await cancelWaitsOf(tx, { project_id, run_ids: [run_id], reason });
      return again(tx, row);
    },
  };
}
