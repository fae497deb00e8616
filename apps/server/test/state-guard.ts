// In tests, the database itself holds every run to the table of transitions: whatever statement of the product changes a
// status from one to another that the table does not know, fails.

import { runStates } from '../src/modules/queue/index.ts';
import type { Database } from '../src/platform/db/database.ts';

/** Tests may put runs where no statement of ours would: their own pool is exempt. */
export async function guardTransitions(db: Database): Promise<void> {
  const steps = runStates.states.flatMap((from) =>
    runStates.outOf(from).map((to) => `${from} ${to}`),
  );
  const run = (text: string) => db.query({ text, values: [] });
  await run(`create function test_guard_transition() returns trigger language plpgsql as $$
    begin
      if current_setting('application_name') <> 'strait-test' and old.status || ' ' || new.status <> all ('{${steps.map((step) => `"${step}"`).join(',')}}') then
        raise exception 'a run cannot go from % to %', old.status, new.status;
      end if;
      return null;
    end $$`);
  await run(`create trigger test_guard_transition after update of status on job_runs
    for each row when (old.status <> new.status) execute function test_guard_transition()`);
}
