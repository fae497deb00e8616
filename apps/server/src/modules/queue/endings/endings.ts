// Ends of runs that somebody acts on, and runs that wait for other jobs to end. No end is acted on twice: its row goes in
// the transaction that acts. No wait is missed: who parks a run has it judged again once it is visible, and who ends one has
// those judged that were visible then.

import type { Database, Tx } from '../../../platform/db/database.ts';
import type { Queryable } from '../../../platform/db/query.ts';
import * as store from './store.sql.ts';

/** A run that ended, with what its job says should follow. */
export type Ending = store.TakeEndingsRow;
/** The end of a run that a step of a workflow started. */
export type StepEnding = store.TakeStepEndingsRow;
export type DependencyStatusRow = store.DependencyStatusRow;

export type Endings = ReturnType<typeof createEndings>;

/** Waiting runs judged in one transaction. */
const JUDGED = 1_000;

export function createEndings({
  db,
  settings: { aging_ms },
}: {
  /** The hot pool. */
  readonly db: Database;
  readonly settings: { readonly aging_ms: number };
}) {
  return {
    /** Due ends, or only one; whoever gets them in `tx` is the only one who acts on them. */
    take: (tx: Tx, { limit, only }: { limit: number; only?: number }): Promise<Ending[]> =>
      store.takeEndings(tx, { limit, only: only ?? null }),

    /** Its time comes again, later each time. */
    postpone: async (ending_id: number): Promise<void> =>
      void (await store.postponeEnding(db, { ending_id })),

    /** Something about this run that people should know. */
    note: async (
      tx: Tx,
      run_id: string,
      message: string,
      data: Readonly<Record<string, unknown>>,
    ): Promise<void> =>
      void (await store.noteOnRun(tx, { run_id, message, data_json: JSON.stringify(data) })),

    /** Runs that wait for these ends are judged in the next rounds of `judge`. */
    markDependents: (
      tx: Tx,
      endings: readonly Pick<Ending, 'run_id' | 'job_id' | 'status'>[],
    ): Promise<number> =>
      store.markDependents(tx, {
        run_ids: endings.map(({ run_id }) => run_id),
        job_ids: endings.map(({ job_id }) => job_id),
        statuses: endings.map(({ status }) => status),
      }),

    /** Ends of runs that steps started, those of them that are still there; whoever gets them in `tx` acts on them. */
    takeSteps: (tx: Tx, ending_ids: readonly number[]): Promise<StepEnding[]> =>
      store.takeStepEndings(tx, { ending_ids }),

    /** Ends that nobody told their steps; how many. */
    tellStepsAgain: async (
      ends: readonly { readonly run_id: string; readonly workflow_step_run_id: string }[],
    ): Promise<number> =>
      (
        await store.tellStepsAgain(db, {
          run_ids: ends.map(({ run_id }) => run_id),
          step_run_ids: ends.map(({ workflow_step_run_id }) => workflow_step_run_id),
        })
      ).length,

    /** Their time comes again, later each time. */
    postponeSteps: async (ending_ids: readonly number[]): Promise<void> =>
      void (await store.postponeStepEndings(db, { ending_ids })),

    /** Their workflow runs are gone. */
    dropSteps: async (ending_ids: readonly number[]): Promise<void> =>
      void (await store.dropStepEndings(db, { ending_ids })),

    /** In the transaction that took a dependency from the job. */
    dependenciesChanged: async (tx: Queryable, job_id: string): Promise<void> =>
      void (await store.markDependentsOfJob(tx, { job_id })),

    /** A net under dependencies that were written a moment ago. */
    markRecent: async (): Promise<void> => void (await store.markRecent(db)),

    /** Lets runs go whose dependencies are met; `again`: there may be more. */
    judge: (): Promise<{ again: boolean }> =>
      db.transaction(async (tx) => {
        const found = await store.lockUnchecked(tx, { limit: JUDGED });
        if (found.length === 0) return { again: false };
        const run_ids = found.map(({ run_id }) => run_id);
        await store.judgeDependents(tx, { run_ids, aging_ms });
        return { again: found.length === JUDGED };
      }),
  };
}

/** The dependencies of a run's job as they stand for it, newest first. */
export const dependencyStatus = (
  db: Queryable,
  key: { readonly project_id: string; readonly run_id: string },
): Promise<DependencyStatusRow[]> => store.dependencyStatus(db, key);
