// Workers are killed while their runs spend a daily budget. What is reserved and spent never exceeds it, exactly the runs
// that fit reach the endpoint, and none is charged twice for what its lost attempt had spent.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { watchBudgets } from '../budget.ts';
import { until } from '../until.ts';
import { audit, untilAllEnded } from './accounts.ts';
import { full, report, startCluster, untilLeases } from './cluster.ts';
import type { Dispatch } from './endpoint.ts';

const RUNS = full ? 2_000 : 200;
const FIT = full ? 500 : 50;
const KILLS = full ? 10 : 2;
const WORKERS = 3;
const COST = 1_000;

test('a daily budget holds while workers are killed, and all of it is used', async (t) => {
  const began = performance.now();
  const cluster = await startCluster(t, {
    database: 'own',
    env: { WORKER_CONCURRENCY: '4', DB_MAX_CONNS: '10' },
  });
  const api = await cluster.start('api');
  /** What was recorded of each run, over all its attempts. */
  const spent = new Map<string, number>();
  const spend = async ({ run_id, headers }: Dispatch, most: number): Promise<void> => {
    const done = spent.get(run_id) ?? 0;
    const cost_microusd = Math.min(most, COST) - done;
    if (cost_microusd <= 0) return;
    const { status } = await cluster.call(
      api,
      'POST',
      `/sdk/v1/runs/${run_id}/usage`,
      { provider: 'p', model: 'm', cost_microusd },
      { authorization: `Bearer ${String(headers['x-run-token'])}` },
    );
    if (status === 201) spent.set(run_id, done + cost_microusd);
  };
  const endpoint = await cluster.endpoint((dispatch) => ({
    until: spend(dispatch, COST / 2)
      .then(() => sleep(400 + (dispatch.claim % 200)))
      .then(() => spend(dispatch, COST)),
  }));
  const job = await cluster.job(api, endpoint, { max_attempts: 50, retry_strategy: 'fixed' });
  const set = async (max_daily_cost_microusd: number): Promise<void> => {
    const budget = { max_daily_cost_microusd, cost_estimate_microusd: COST };
    const { status, body } = await cluster.call(api, 'PUT', `/v1/jobs/${job}/budget`, budget);
    assert.equal(status, 200, JSON.stringify(body));
  };
  await set(FIT * COST);
  const watch = watchBudgets(cluster.db, 'default');
  const workers = await Promise.all(Array.from({ length: WORKERS }, () => cluster.start('worker')));
  const killing = (async () => {
    for (let kill = 0; kill < KILLS; kill++) {
      const victim = workers[kill % WORKERS];
      assert.ok(victim);
      await untilLeases(cluster, victim, 2);
      await victim.kill();
      workers[kill % WORKERS] = await cluster.start('worker');
    }
  })();
  const triggers = Array.from({ length: RUNS / 50 }, () =>
    cluster.call(api, 'POST', `/v1/jobs/${job}/trigger/bulk`, {
      items: Array.from({ length: 50 }, () => ({ payload: {} })),
    }),
  );
  for (const { status, body } of await Promise.all(triggers))
    assert.equal(status, 201, JSON.stringify(body));
  await killing;
  await until(
    'all that fits to have run',
    async () => {
      const [row] = await cluster.rows<{ open: number }>(
        `select ((select count(*) from run_queue) + (select count(*) from run_active) + (select count(*) from run_delayed)
                 + (select count(*) from cost_reservations))::int as open`,
      );
      return row?.open === 0;
    },
    { deadline_ms: 120_000 },
  );
  const reached = new Set(endpoint.dispatches.map(({ run_id }) => run_id));
  assert.equal(reached.size, FIT, 'exactly the runs that fit were dispatched');

  await set(RUNS * COST + 1);
  assert.deepEqual(await untilAllEnded(cluster, 240_000), { completed: RUNS });
  const { over, looks, most } = await watch.stop();
  assert.deepEqual(over.slice(0, 5), [], `${over.length} times over the limit`);
  assert.equal(most, RUNS * COST);
  const books = await audit(cluster, endpoint);
  assert.ok(books.lost_attempts > 0, 'some attempt was lost, or nothing was tested');
  assert.deepEqual(
    await cluster.rows(
      `select d.spent_microusd::int as spent, (select sum(u.cost_microusd)::int from run_usage u) as recorded
         from cost_days d where d.job_id = $1 and d.concurrency_key = ''`,
      [job],
    ),
    [{ spent: RUNS * COST, recorded: RUNS * COST }],
  );
  report({
    scenario: 'budget',
    kills: KILLS,
    ...books,
    looks,
    secs: Math.round((performance.now() - began) / 1000),
  });
});
