// In tests, the database itself holds runs, workflow runs and their steps to the tables of transitions: whatever statement of
// the product changes a status from one to another that its table does not know, fails.

import { runStates } from '../src/modules/queue/index.ts';
import { stepStatuses, workflowRunStates } from '../src/modules/workflows/engine/states.ts';
import type { Database } from '../src/platform/db/database.ts';

interface Table {
  readonly states: readonly string[];
  outOf(state: string): readonly string[];
}
const GUARDED: Readonly<Record<string, Table>> = {
  job_runs: runStates as Table,
  workflow_runs: workflowRunStates as Table,
  workflow_step_runs: stepStatuses as Table,
};

/** Tests may put runs where no statement of ours would: their own pool is exempt. */
export async function guardTransitions(db: Database): Promise<void> {
  const run = (text: string) => db.query({ text, values: [] });
  for (const [name, table] of Object.entries(GUARDED)) {
    const moves = table.states.flatMap((from) => table.outOf(from).map((to) => `"${from} ${to}"`));
    await run(`create function test_guard_${name}() returns trigger language plpgsql as $$
      begin
        if current_setting('application_name') <> 'strait-test' and old.status || ' ' || new.status <> all ('{${moves.join(',')}}') then
          raise exception '${name} cannot go from % to %', old.status, new.status;
        end if;
        return null;
      end $$`);
    await run(`create trigger test_guard_transition after update of status on ${name}
      for each row when (old.status <> new.status) execute function test_guard_${name}()`);
  }
}
