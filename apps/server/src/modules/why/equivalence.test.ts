// "Nothing is in the way" exactly where promotion lets the run in: random states in PostgreSQL, asked first and promoted then.
// The long form: STRAIT_SCENARIOS=full npm test why/equivalence (10,000 states, minutes; STRAIT_TEST_SEED repeats one).

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { seededRandom } from '../../../test/contract/nasty.ts';
import { testApp, type TestApp } from '../../../test/app.ts';
import {
  promotionState,
  removeStates,
  setUpStates,
  type PromotionState,
} from '../../../test/promotion-states.ts';

const seed = Number(process.env['STRAIT_TEST_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const FULL = process.env['STRAIT_SCENARIOS'] === 'full';
/** About 7 waiting runs in each. */
const STATES = FULL ? 10_000 : 60;
const AT_ONCE = 60;
const ASKERS = 4;
/** Waiting runs of a state that are asked about. */
const ASKED = FULL ? 3 : Number.POSITIVE_INFINITY;
/** Of so many states one. */
const UNBLOCKED = FULL ? 20 : 4;
const ROUNDS = 4;
/** No call takes them away. */
const STAYS = ['endpoint_closed', 'endpoint_concurrency'];

let app: TestApp;

before(async () => {
  app = await testApp();
});
after(() => app.close());

interface Waiting {
  readonly run_id: string;
  readonly project_id: string;
  readonly root_lane_id: number;
}

const waitingIn = (states: readonly PromotionState[]) =>
  app.sql<Waiting>(
    'select run_id, project_id, root_lane_id from run_parked where project_id = any ($1) order by run_id',
    states.map(({ project_id }) => project_id),
  );

/** What stands in the way of each; that no worker process lives here does not count. */
async function ask(runs: readonly Waiting[]): Promise<Map<string, readonly string[]>> {
  const { why } = app.composition.modules;
  const says = new Map<string, readonly string[]>();
  const open = runs.values();
  const asker = async () => {
    for (const { run_id, project_id } of open) {
      const { blockers } = await why.explain({ project_id } as never, run_id);
      says.set(
        run_id,
        blockers.map(({ kind }) => kind).filter((kind) => kind !== 'no_worker'),
      );
    }
  };
  await Promise.all(Array.from({ length: ASKERS }, asker));
  return says;
}

/** Who calls what the answers say would help, until nothing is left that a call takes away. */
async function unblock({ run_id, project_id }: Waiting, kinds: Map<string, number>): Promise<void> {
  const { blockers } = await app.composition.modules.why.explain({ project_id } as never, run_id);
  for (const { kind, unblock: call } of blockers) {
    if (!call) continue;
    const headers = { ...app.internal, 'x-project-id': project_id };
    const { status, body } = await app.call(call.method, call.path, { headers, body: call.body });
    assert.ok(status < 300, `${call.method} ${call.path}: ${status} ${JSON.stringify(body)}`);
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  }
}

async function promote(runs: readonly Waiting[]): Promise<Set<string>> {
  const { limits } = app.composition.modules.engineNeeds;
  for (const root of new Set(runs.map(({ root_lane_id }) => root_lane_id)))
    while ((await limits.promote(root)).more);
  const ready = await app.sql<{ run_id: string }>(
    'select run_id from run_queue where run_id = any ($1)',
    runs.map(({ run_id }) => run_id),
  );
  return new Set(ready.map(({ run_id }) => run_id));
}

describe('why', () => {
  it(
    `says "nothing is in the way" exactly of what promotion then promotes (seed ${seed})`,
    { timeout: FULL ? 900_000 : 60_000 },
    async (test) => {
      const counts = new Map<string, number>();
      const count = (kind: string) => counts.set(kind, (counts.get(kind) ?? 0) + 1);
      const calls = new Map<string, number>();
      const random = seededRandom(seed);
      let asked = 0;
      let free = 0;
      for (let first = 0; first < STATES; first += AT_ONCE) {
        const states = Array.from({ length: Math.min(AT_ONCE, STATES - first) }, (_, n) =>
          promotionState(seed, first + n),
        );
        await setUpStates(app, states);
        const runs = await waitingIn(states);
        const chosen = [...Map.groupBy(runs, (run) => run.project_id).values()].flatMap((waiting) =>
          waiting.length <= ASKED
            ? waiting
            : Array.from({ length: ASKED }, () =>
                waiting.splice(random.below(waiting.length), 1),
              ).flat(),
        );
        const says = await ask(chosen);
        const promoted = await promote(runs);
        for (const { run_id, project_id } of chosen) {
          const blockers = says.get(run_id) ?? ['never asked'];
          assert.equal(
            promoted.has(run_id),
            blockers.length === 0,
            `${project_id}, seed ${seed}: promoted ${promoted.has(run_id)}, but ${blockers.join(', ')}`,
          );
          blockers.forEach(count);
          asked += 1;
          free += blockers.length === 0 ? 1 : 0;
        }
        // One that still waits gets everything out of its way by the calls of its answer.
        for (const [, waiting] of Map.groupBy(await waitingIn(states), (run) => run.project_id)) {
          if (random.below(UNBLOCKED) > 0) continue;
          const run = random.pick(waiting);
          // A limit that is raised lets others in as well, so another one may come into sight.
          let entered = false;
          let left: readonly string[] = [];
          for (let round = 0; round < ROUNDS && !entered; round++) {
            await unblock(run, calls);
            left = (await ask([run])).get(run.run_id) ?? [];
            entered = (await promote([run])).has(run.run_id);
          }
          const stays = left.filter((kind) => STAYS.includes(kind));
          assert.deepEqual(
            [entered, left],
            [stays.length === 0, stays],
            `${run.project_id}, seed ${seed}, run ${run.run_id}`,
          );
        }
        await removeStates(app, states);
      }
      test.diagnostic(`calls performed: ${JSON.stringify(Object.fromEntries(calls))}`);
      test.diagnostic(
        `${STATES} states, ${asked} runs, ${free} of them free; ${JSON.stringify(Object.fromEntries(counts))}`,
      );
      assert.ok(free > asked / 20 && free < asked * 0.95, 'both answers are given often');
    },
  );
});
