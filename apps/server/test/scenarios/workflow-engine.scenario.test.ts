// The progression function against a plain model: random workflows, random order of what happens to them, duplicates,
// crashes before and after the commit, pauses and operators (workflow-semantics §27.6, 1).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { workflowCases } from '../workflows/cases.ts';
import { drive } from '../workflows/driver.ts';

const CASES = process.env['STRAIT_SCENARIOS'] === 'full' ? 20_000 : 500;

test(`I1 to I10 hold and every state is the model's in ${CASES} random workflows`, async () => {
  const seed = Number(process.env['SEED'] ?? Date.now() % 2_147_483_647);
  // Making a failing case small can take minutes.
  const shrinks = process.env['SHRINK'] === '1';
  console.log(`seed ${seed} (SEED=${seed} repeats it, SHRINK=1 makes its case small)`);
  const seen = new Map<string, number>();
  const count = (what: string) => seen.set(what, (seen.get(what) ?? 0) + 1);
  let events = 0;
  await fc.assert(
    fc.asyncProperty(workflowCases, async (workflow) => {
      const end = await drive(workflow);
      events += end.events;
      count(end.status);
      for (const kind of end.kinds) count(kind);
    }),
    { seed, numRuns: CASES, endOnFailure: !shrinks },
  );
  console.log(`${events} events`, Object.fromEntries(seen));
  // A generator that stops reaching something would make the test say less than its name.
  const kinds = [
    'completed',
    'failed',
    'canceled',
    'timed_out',
    'map_children_ended',
    'child_ended',
    'event_received',
    'event_timed_out',
    'sleep_over',
    'approved',
    'rejected',
    'approval_timed_out',
    'retry_due',
    'pause',
    'resume',
    'skip',
    'force_complete',
    'retry_step',
    'replay_subtree',
  ];
  for (const kind of kinds) assert.ok((seen.get(kind) ?? 0) > 0, `no case came to ${kind}`);
});
