// The store of workflow runs against the model that the pure engine is held to: on the database, with what the queue, the
// callbacks and the timers really do (workflow-semantics §27.6, 1).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { workflowCases } from '../workflows/cases.ts';
import { drive } from '../workflows/driver.ts';
import { storedRun, type StoredRun } from '../workflows/stored-run.ts';
import { createStoredWorld } from '../workflows/stored-world.ts';
import { full, report } from './cluster.ts';

const CASES = Number(process.env['CASES'] ?? (full ? 2_000 : 30));
/** Databases side by side. */
const LANES = 2;

test(
  `I1 to I10 hold on the database and every state is the model's in ${CASES} random workflows`,
  { timeout: 3_600_000 },
  async () => {
    const seed = Number(process.env['SEED'] ?? Date.now() % 2_147_483_647);
    console.log(`seed ${seed} (SEED=${seed} repeats it, SHRINK=1 makes its case small)`);
    const began = performance.now();
    const seen = new Map<string, number>();
    const count = (what: string) => seen.set(what, (seen.get(what) ?? 0) + 1);
    let events = 0;

    async function lane(number: number): Promise<void> {
      const world = await createStoredWorld();
      await fc.assert(
        fc.asyncProperty(workflowCases, async (workflow) => {
          const runs: StoredRun[] = [];
          const end = await drive(workflow, async (options) => {
            const run = await storedRun(world, options);
            runs.push(run);
            return run;
          });
          for (const run of runs) await run.finish();
          events += end.events;
          count(end.status);
          for (const kind of end.kinds) count(kind);
        }),
        {
          seed: seed + number,
          numRuns: CASES / LANES,
          endOnFailure: process.env['SHRINK'] !== '1',
        },
      );
      await world.close();
    }
    await Promise.all(Array.from({ length: LANES }, (_, number) => lane(number)));
    const secs = Math.round((performance.now() - began) / 100) / 10;
    report({
      scenario: 'workflow-store',
      cases: CASES,
      events,
      secs,
      seen: Object.fromEntries(seen),
    });
    const kinds = [
      'completed',
      'failed',
      'job_ended',
      'child_ended',
      'map_children_ended',
      'retry_due',
      'pause',
    ];
    // In thirty cases one of them may be missing.
    if (full)
      for (const kind of kinds) assert.ok((seen.get(kind) ?? 0) > 0, `no case came to ${kind}`);
  },
);
