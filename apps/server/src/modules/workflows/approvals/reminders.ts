// Reminders of approvals, once each: a row in the history of the run, which is what others learn of it by.
import type { Database } from '../../../platform/db/database.ts';
import { loop, type Loop, type LoopDeps } from '../../../platform/services/loop.ts';
import * as progression from '../progression/store.sql.ts';
import * as store from './store.sql.ts';

const BATCH = 200;

export interface ReminderDeps {
  /** The hot pool. */
  readonly db: Database;
  readonly onError: (error: unknown, what: string) => void;
}

export type Reminders = ReturnType<typeof createReminders>;

export function createReminders({ db, onError }: ReminderDeps) {
  /** The history of a run is written under its lock: whoever follows it by id misses nothing. */
  const remind = ({ project_id, workflow_run_id, approval_id }: store.ListDueRemindersRow) =>
    db.transaction(async (tx) => {
      const run = await progression.lockRun(tx, { project_id, workflow_run_id });
      return run ? store.markReminded(tx, { project_id, approval_id }) : 0;
    });

  return {
    /** One round; `again`: there may be more. */
    async remind(): Promise<{ again: boolean }> {
      const due = await store.listDueReminders(db, { limit: BATCH });
      let reminded = 0;
      for (const one of due) {
        try {
          reminded += await remind(one);
        } catch (error) {
          onError(error, 'the reminder of an approval');
        }
      }
      return { again: due.length === BATCH && reminded > 0 };
    },
  };
}

export const reminderLoops = ({
  reminders,
  ...shared
}: LoopDeps & { readonly reminders: Reminders }): Loop[] => [
  loop({
    ...shared,
    name: 'remind of approvals',
    every_ms: 5_000,
    run: reminders.remind,
  }),
];
