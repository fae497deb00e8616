// Budgets with the real engine and a real endpoint that reports what it spends.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { testApp, type TestApp } from '../../../../test/app.ts';
import { budgetSums, watchBudgets } from '../../../../test/budget.ts';
import { scriptedEndpoint, type ScriptedEndpoint } from '../../../../test/endpoint.ts';
import { until } from '../../../../test/until.ts';

const COST = 1_000;
const FIT = 50;
const TRIGGERS = 200;

let app: TestApp;
let endpoint: ScriptedEndpoint;

before(async () => {
  app = await testApp({ mode: 'all', start: true, settings: { WORKER_DRAIN_TIMEOUT: '1s' } });
  endpoint = await scriptedEndpoint(async ({ headers }) => {
    const run_id = String(headers['x-run-id']);
    // In two parts, so that what is left of the reservation counts in between.
    for (const cost_microusd of [COST / 4, (COST * 3) / 4]) {
      const { status } = await app.call('POST', `/sdk/v1/runs/${run_id}/usage`, {
        key: String(headers['x-run-token']),
        body: { provider: 'p', model: 'm', cost_microusd },
      });
      if (status !== 201) return { status: 400 };
    }
    return {};
  });
});
after(async () => {
  await endpoint.close();
  await app.close();
});

async function budgeted(breach_policy: string) {
  const { project_id, api_key: key } = await app.project(breach_policy);
  const call = (method: string, path: string, body?: unknown) =>
    app.call(method, path, { key, body });
  const made = await call('POST', '/v1/jobs', {
    name: 'spends',
    slug: 'spends',
    endpoint_url: endpoint.url,
  });
  assert.equal(made.status, 201, JSON.stringify(made.body));
  const set = (max_daily_cost_microusd: number) =>
    app.call('PUT', '/v1/project-budget', {
      headers: { ...app.internal, 'x-project-id': project_id },
      body: { max_daily_cost_microusd, breach_policy },
    });
  assert.equal((await set(COST * FIT)).status, 200);
  const estimate = await call('PUT', '/v1/jobs/spends/budget', { cost_estimate_microusd: COST });
  assert.equal(estimate.status, 200, JSON.stringify(estimate.body));
  const trigger = () => call('POST', '/v1/jobs/spends/trigger', {});
  const states = async () =>
    Object.fromEntries(
      (
        await app.sql<{ status: string; n: number }>(
          'select status, count(*)::int as n from job_runs where project_id = $1 group by 1 order by 1',
          project_id,
        )
      ).map(({ status, n }) => [status, n]),
    );
  return { project_id, call, set, trigger, states };
}

const sampled = (answers: readonly { status: number }[]) =>
  Object.fromEntries(
    [201, 429].map((status) => [status, answers.filter((one) => one.status === status).length]),
  );

test('a budget that refuses is as exact where rate limits, dedup and room in the queue are asked as well', async () => {
  const on = await budgeted('reject');
  const quotas = { max_queued_runs: 1_000, max_daily_cost_microusd: COST * 5 };
  const headers = app.internal;
  const url = `/v1/projects/${on.project_id}/quotas`;
  assert.equal((await app.call('PUT', url, { headers, body: quotas })).status, 200);
  const limits = { rate_limit_max: 1_000, rate_limit_window_secs: 60, dedup_window_secs: 60 };
  assert.equal((await on.call('PATCH', '/v1/jobs/spends', limits)).status, 200);
  const triggered = await Promise.all(
    Array.from({ length: 20 }, (_, n) =>
      on.call('POST', '/v1/jobs/spends/trigger', { payload: { n } }),
    ),
  );
  assert.deepEqual(sampled(triggered), { 201: 5, 429: 15 });
  for (const { status, body } of triggered)
    if (status === 429) assert.equal(body.code, 'daily_cost_exceeded');
  const items = [{ payload: { n: 'a' } }, { payload: { n: 'b' } }];
  const set = await on.call('POST', '/v1/jobs/spends/trigger/bulk', { items });
  assert.equal(set.body.code, 'daily_cost_exceeded');
  await until('all accepted runs to end', async () => (await on.states())['completed'] === 5);
  // What was refused was taken from nobody: it is no duplicate.
  await app.call('PUT', url, { headers, body: { max_queued_runs: 1_000 } });
  const later = await on.call('POST', '/v1/jobs/spends/trigger/bulk', { items });
  assert.equal(later.body.created, 2, JSON.stringify(later.body));
});

test('200 triggers at once against a budget for 50 that refuses: 50 are accepted and dispatched, never a cent too much', async () => {
  const on = await budgeted('reject');
  const watch = watchBudgets(app.db, on.project_id);
  const answers = await Promise.all(Array.from({ length: TRIGGERS }, on.trigger));
  assert.deepEqual(sampled(answers), { 201: FIT, 429: TRIGGERS - FIT });
  const refused = answers.find(({ status }) => status === 429);
  assert.equal(refused?.body.code, 'daily_cost_exceeded');
  assert.ok(Number(refused.headers['retry-after']) > 0, 'says when the day turns');
  await until('all accepted runs to end', async () => (await on.states())['completed'] === FIT);
  const { over, looks, most } = await watch.stop();
  assert.deepEqual(over, []);
  assert.equal(most, FIT * COST, 'the budget was used to its end');
  assert.ok(looks > 20, `${looks} looks`);
  assert.deepEqual(await on.states(), { completed: FIT });
  const events = await on.call('GET', '/v1/budget-events');
  assert.deepEqual(events.body.data.map(({ type }: { type: string }) => type).toSorted(), [
    'budget.threshold_reached',
    'spending.limit_reached',
  ]);
});

test('a budget that lets wait: exactly 50 of 200 are dispatched, the others when it is raised', async () => {
  const on = await budgeted('wait');
  const seen = endpoint.requests.length;
  const watch = watchBudgets(app.db, on.project_id);
  const answers = await Promise.all(Array.from({ length: TRIGGERS }, on.trigger));
  assert.deepEqual(sampled(answers), { 201: TRIGGERS, 429: 0 });
  await until('what fits to end', async () => (await on.states())['completed'] === FIT);
  await until('the reservations to be settled', async () =>
    (await budgetSums(app.db, on.project_id)).every(({ reserved }) => reserved === 0),
  );
  // A sweep more: nothing else starts.
  const before = await app.sql(
    'select count(*) from run_parked where project_id = $1',
    on.project_id,
  );
  assert.deepEqual(before, [{ count: TRIGGERS - FIT }]);
  assert.equal(endpoint.requests.length - seen, FIT);
  const state = await on.call('GET', '/v1/project-budget');
  assert.deepEqual(
    [state.body.spent_microusd, state.body.reserved_microusd, state.body.remaining_microusd],
    [FIT * COST, 0, 0],
  );
  assert.equal((await on.set(COST * (FIT + 7))).status, 200);
  await until('the raise to be used', async () => (await on.states())['completed'] === FIT + 7);
  const { over } = await watch.stop();
  assert.deepEqual(over, []);
  assert.equal((await on.set(0)).status, 200);
  await until('all to end', async () => (await on.states())['completed'] === TRIGGERS);
});
