import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import { testDatabase, type TestDatabase } from '../../../test/database.ts';
import { bucketsOf, jobRates, type RatedJob } from './job-rates.ts';

let database: TestDatabase;
before(async () => {
  database = await testDatabase();
});
after(() => database.drop());

let jobs = 0;
const job = (
  max: number,
  window_secs: number,
  keys: RatedJob['rate_limit_keys'] = [],
): RatedJob => ({
  id: `job-${++jobs}`,
  project_id: 'p',
  rate_limit_max: max,
  rate_limit_window_secs: window_secs,
  rate_limit_keys: keys,
});

/** As if this much time went by for these buckets. */
const pass = (of: RatedJob, secs: number) =>
  database.db.query({
    text: `update rate_limit_levels set at = at - make_interval(secs => $1) where bucket = any ($2)`,
    values: [secs, bucketsOf(of).map(({ bucket }) => bucket)],
  });

describe('rates of jobs', () => {
  it('never let in more than a full burst and what drained since, and say when the next one fits', async () => {
    const step = fc.record({
      pass_secs: fc.integer({ min: 0, max: 200 }),
      amount: fc.integer({ min: 1, max: 8 }),
      some: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 10 }),
        fc.integer({ min: 1, max: 300 }),
        fc.array(step, { minLength: 1, maxLength: 15 }),
        async (max, window_secs, steps) => {
          const rated = job(max, window_secs);
          // The statements take some real time, which only lets in more.
          const begun = performance.now();
          let level = 0;
          for (const { pass_secs, amount, some } of steps) {
            await pass(rated, pass_secs);
            level = Math.max(0, level - (pass_secs * max) / window_secs);
            const real = ((performance.now() - begun) / 1000 + 0.05) * (max / window_secs) + 1e-3;
            const free = max - level;
            if (some) {
              const { taken, wait_secs } = await jobRates.takeSome(database.db, rated, amount);
              assert.ok(taken <= Math.min(amount, Math.floor(free + real)), `${taken} of ${free}`);
              assert.ok(taken >= Math.min(amount, Math.floor(free - 1e-3)), `${taken} of ${free}`);
              assert.equal(wait_secs > 0, taken < amount);
              level += taken;
            } else {
              const wait = await jobRates.take(database.db, rated, amount);
              if (wait === 0) {
                assert.ok(amount <= free + real);
                level += amount;
              } else {
                assert.ok(amount > free - 1e-3);
                const exact = ((level + amount - max) * window_secs) / max;
                assert.ok(Math.abs(wait - exact) < 1 + (performance.now() - begun) / 1000);
              }
            }
          }
        },
      ),
      { numRuns: 40 },
    );
  });

  it('charge all buckets or none, and turns in the order they were reserved', async () => {
    const keys = [{ name: 'a', max: 2, window_secs: 100 }];
    const rated = job(5, 100, keys);
    assert.equal(await jobRates.take(database.db, rated, 2), 0);
    assert.ok((await jobRates.take(database.db, rated, 1)) > 40, 'the key is full');
    const own = { ...rated, rate_limit_keys: [] };
    assert.equal(await jobRates.look(database.db, own, 3), 0, 'the job was not charged for it');
    const turns = [];
    for (let n = 0; n < 3; n++) {
      const { wait_secs, limit } = await jobRates.reserve(database.db, rated);
      turns.push([Math.round(wait_secs), limit]);
    }
    const tightest = '"a", 2 per 100 s';
    assert.deepEqual(turns, [
      [50, tightest],
      [100, tightest],
      [150, tightest],
    ]);
    // The clock of the database does not stand still.
    assert.ok((await jobRates.look(database.db, rated, 1)) > 195);
    await pass(rated, 1000);
    assert.equal(await jobRates.look(database.db, rated, 2), 0);
  });

  it('gives back, and forgets what is empty', async () => {
    const rated = job(3, 1000);
    assert.equal(await jobRates.take(database.db, rated, 3), 0);
    assert.equal(await jobRates.take(database.db, rated, -2), 0);
    assert.equal(await jobRates.look(database.db, rated, 2), 0);
    assert.ok((await jobRates.look(database.db, rated, 3)) > 0);
    const before_count = await count();
    assert.ok(before_count > 0);
    await database.db.query({
      text: `update rate_limit_levels set empty_at = '-infinity'`,
      values: [],
    });
    assert.equal(await jobRates.trim(database.db), before_count);
    assert.equal(await count(), 0);
  });
});

async function count(): Promise<number> {
  const { rows } = await database.db.query({
    text: 'select count(*)::int as n from rate_limit_levels',
    values: [],
  });
  return (rows as { n: number }[])[0]?.n ?? -1;
}
