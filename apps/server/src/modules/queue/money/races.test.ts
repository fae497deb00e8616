// Everybody at once: promoters, workers that spend, fail, wait and hand back, cancels and changes of budgets. Whatever the
// order, no budget is exceeded at any instant, the books are right, and what fits has started once it is quiet.

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { watchBudgets } from '../../../../test/budget.ts';
import { moneyTest } from '../../../../test/money.ts';

let t: Awaited<ReturnType<typeof moneyTest>>;
before(async () => (t = await moneyTest()));
afterEach(() => t.clear());
after(() => t.close());

const JOBS = 3;
const ROUNDS = 12;

test('budgets hold under every interleaving that comes up', async () => {
  await t.setProject({ max_daily_cost_microusd: 2_000 });
  const jobs: string[] = [];
  for (let n = 0; n < JOBS; n++)
    jobs.push(
      await t.makeJob({
        ...(n > 0 && { cost_estimate_microusd: 20 * n }),
        max_daily_cost_microusd: 1_000,
        max_daily_cost_per_key_microusd: 400,
      }),
    );
  let seed = 7;
  const random = (below: number): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return Math.floor((seed / 2_147_483_648) * below);
  };
  for (const job of jobs)
    for (const concurrency_key of ['a', 'b', 'c', ''])
      await t.trigger(job, 25, concurrency_key === '' ? {} : { concurrency_key });

  const watch = watchBudgets(t.on.app.db, t.project_id);
  let charged = 0;
  let refused = 0;
  const work = async (): Promise<void> => {
    for (let round = 0; round < ROUNDS; round++) {
      await t.promote();
      for (const run of await t.executing(1 + random(6))) {
        if (run.verdict !== 'go') {
          await t.on.queue.park([run]);
          continue;
        }
        // Sometimes more than was reserved.
        for (let report = random(4); report > 0; report--) {
          const status = await t.spend(run, random(25));
          if (status === 201) charged += 1;
          else refused += 1;
        }
        const end = random(5);
        if (end === 0)
          await t.on.queue.settle([{ ...run, error: undefined, to: 'queued', unstarted: true }]);
        else if (end === 1)
          await t.on.queue.settle([
            { ...run, to: 'queued', attempt: run.attempt + 1, delay_ms: 3_600_000, error: 'e' },
          ]);
        else if (end === 2) await t.on.call('DELETE', `/v1/runs/${run.id}`);
        else await t.on.queue.complete([run]);
      }
    }
  };
  await Promise.all([work(), work(), work(), work()]);
  assert.ok(charged > 0 && refused > 0, `${charged} charged, ${refused} refused`);
  await t.promote();
  await t.upkeep.settle();
  const { over, looks } = await watch.stop();
  assert.deepEqual(over.slice(0, 5), [], `${over.length} times over a budget in ${looks} looks`);

  assert.deepEqual(await t.upkeep.mend(), [], 'the books are right');
  assert.deepEqual(
    await t.on.app.sql(
      `select (select sum(spent_microusd)::int from cost_days where job_id = '') as project,
              (select sum(spent_microusd)::int from cost_days where job_id <> '' and concurrency_key = '') as jobs,
              (select sum(cost_microusd)::int from run_usage) as records`,
    ),
    await t.on.app.sql(
      'select s as project, s as jobs, s as records from (select sum(cost_microusd)::int as s from run_usage) x',
    ),
  );
  assert.deepEqual(
    await t.on.app.sql(
      `select p.job_id, m.money, m.cost from (select distinct on (lane_id) * from run_parked order by lane_id, rank, seq) p
         join lanes l on l.lane_id = p.lane_id
        cross join lateral (select strait_money(l.project_id, l.job_id, l.concurrency_key) as money) x
        cross join lateral (select x.money, greatest(x.money[1] - strait_run_cost(p.run_id), 0) as cost) m
        where m.cost <= least(m.money[2], m.money[3], m.money[4]) and least(m.money[2], m.money[3], m.money[4]) > 0`,
    ),
    [],
    'what fits has started',
  );
  assert.deepEqual(
    await t.on.app.sql(
      `select q.run_id from (select run_id from run_queue union all select run_id from run_active) q
        where not exists (select from cost_reservations v where v.run_id = q.run_id)`,
    ),
    [],
    'nothing was let go without its money',
  );
});
