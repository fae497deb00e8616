// Timers that are over: sleeps, events that did not come, approvals nobody gave, retries, whole runs. A timer is a row, and
// acting on it twice changes nothing.
import type { Database } from '../../../platform/db/database.ts';
import { dropStepWait } from '../../events/index.ts';
import { listIdle } from '../compensation/store.sql.ts';
import type { Event } from '../engine/facts.ts';
import type { Progression } from '../progression/progression.ts';
import type { RunKey } from '../progression/run-lock.ts';
import * as store from './store.sql.ts';

const BATCH = 200;
/** How long the timers of a run are left alone of which one failed: those behind it have their turn. */
const TROUBLED_MS = 5_000;

export interface TimerDeps {
  /** The hot pool. */
  readonly db: Database;
  readonly progression: Progression;
  readonly onError: (error: unknown, what: string) => void;
}

interface Due {
  readonly key: RunKey;
  readonly event: Event;
}

export function createTimers({ db, progression, onError }: TimerDeps) {
  /** Runs, and until when. */
  const troubled = new Map<string, number>();
  const blockedRuns = pages(store.listBlocked);
  const unstartedMaps = pages(store.listUnstartedMaps);
  const idleUndoing = pages(listIdle);

  /** Every row comes in turn, also where those before it stay what they are. */
  function pages<Row extends RunKey>(
    list: (on: Database, page: { after_id: string; limit: number }) => Promise<Row[]>,
  ): () => Promise<Row[]> {
    let after_id = '';
    return async () => {
      const rows = await list(db, { after_id, limit: BATCH });
      after_id = rows.length === BATCH ? (rows.at(-1)?.workflow_run_id ?? '') : '';
      return rows;
    };
  }

  const deliver = async ({ key, event }: Due): Promise<boolean> => {
    try {
      return await db.transaction(async (tx) => {
        if (!(await store.tryToRing(tx, key)).mine) return false;
        const run = await progression.open(tx, key);
        return run !== undefined && (await progression.deliver(tx, run, event)).kind === 'changes';
      });
    } catch (error) {
      troubled.set(key.workflow_run_id, performance.now() + TROUBLED_MS);
      onError(error, `the timer of a workflow run (${event.kind})`);
      return false;
    }
  };

  const undoNext = async (key: RunKey): Promise<void> => {
    try {
      await db.transaction(async (tx) => {
        const run = await progression.open(tx, key);
        if (run) await progression.undoing.next(tx, run);
      });
    } catch (error) {
      onError(error, 'undoing a workflow run');
    }
  };

  async function due(): Promise<{ readonly found: Due[]; readonly full: boolean }> {
    const now = performance.now();
    for (const [id, until] of troubled) if (until <= now) troubled.delete(id);
    const limit = { limit: BATCH, except_runs: [...troubled.keys()] };
    const [triggers, approvals, retries, runs, unbegun] = await Promise.all([
      store.listDueTriggers(db, limit),
      store.listDueApprovals(db, limit),
      store.listDueRetries(db, limit),
      store.listDueRuns(db, limit),
      store.listUnbegun(db, limit),
    ]);
    const found: Due[] = [];
    for (const {
      id: trigger_id,
      project_id,
      trigger_type,
      workflow_run_id,
      step_ref,
    } of triggers) {
      if (workflow_run_id === null || step_ref === null) {
        await dropStepWait(db, { project_id, trigger_id, error: 'the workflow run is gone' });
        continue;
      }
      const kind = trigger_type === 'sleep' ? 'sleep_over' : 'event_timed_out';
      found.push({ key: { project_id, workflow_run_id }, event: { kind, step_ref, trigger_id } });
    }
    for (const { id: approval_id, project_id, workflow_run_id, step_ref } of approvals)
      found.push({
        key: { project_id, workflow_run_id },
        event: { kind: 'approval_timed_out', step_ref, approval_id },
      });
    for (const { project_id, workflow_run_id, step_ref } of retries)
      found.push({ key: { project_id, workflow_run_id }, event: { kind: 'retry_due', step_ref } });
    for (const { id: workflow_run_id, project_id } of runs)
      found.push({ key: { project_id, workflow_run_id }, event: { kind: 'run_timed_out' } });
    for (const { id: workflow_run_id, project_id } of unbegun)
      found.push({ key: { project_id, workflow_run_id }, event: { kind: 'started' } });
    const full = [triggers, approvals, retries, runs, unbegun].some(
      ({ length }) => length === BATCH,
    );
    return { found, full };
  }

  return {
    /** One round, and when the next timer is over. */
    async ring(): Promise<{ again: boolean; next_ms?: number }> {
      const { found, full } = await due();
      const before = troubled.size;
      let changed = 0;
      for (const one of found)
        if (!troubled.has(one.key.workflow_run_id) && (await deliver(one))) changed += 1;
      if (full && (changed > 0 || troubled.size > before)) return { again: true };
      const { next_ms } = await store.nextDue(db);
      return next_ms === null ? { again: false } : { again: false, next_ms: Math.max(0, next_ms) };
    },

    /** Triggers of steps that do not wait for them, or are gone: nothing would ever end them but their deadline. */
    async dropForsakenWaits(): Promise<{ again: boolean }> {
      const left = await store.listForsakenWaits(db, { limit: BATCH });
      for (const { id: trigger_id, project_id } of left)
        await dropStepWait(db, { project_id, trigger_id, error: 'the step no longer waits' });
      return { again: left.length === BATCH };
    },

    /** Runs with steps that wait for a quota, maps whose children do, and runs whose undoing does. */
    async reconsider(): Promise<void> {
      for (const { project_id, workflow_run_id } of [
        ...(await blockedRuns()),
        ...(await unstartedMaps()),
      ])
        await deliver({ key: { project_id, workflow_run_id }, event: { kind: 'reconsider' } });
      for (const key of await idleUndoing()) await undoNext(key);
    },
  };
}
