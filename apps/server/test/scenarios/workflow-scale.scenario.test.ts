// How large a workflow may be, and what a step costs: chains, fans and lists on the database, beside plain runs
// (workflow-semantics §27.5, §27.6 12).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createEndingCallbacks } from '../../src/modules/workflows/callbacks/endings.ts';
import { defineStep, type StepInput } from '../../src/modules/workflows/engine/definition.ts';
import { until } from '../until.ts';
import { workflowApp } from '../workflow-runs.ts';
import { createStoredWorld } from '../workflows/stored-world.ts';
import { full, report } from './cluster.ts';

const STEPS = full ? 1_000 : 60;
const ITEMS = full ? 10_000 : 150;
const PATIENCE = { deadline_ms: full ? 900_000 : 60_000, every_ms: full ? 200 : 20 };
const OPTIONS = { timeout: 1_800_000 };

const name = (n: number) => `s${String(n).padStart(4, '0')}`;
const numbers = (count: number) => Array.from({ length: count }, (_, n) => n);
const chain = (count: number, rest: object) =>
  numbers(count).map((n) => ({
    step_ref: name(n),
    depends_on: n === 0 ? [] : [name(n - 1)],
    ...rest,
  }));
const fan = (count: number, rest: object) => {
  const middle = numbers(count - 2).map((n) => name(n + 1));
  return [
    { step_ref: name(0), ...rest },
    ...middle.map((step_ref) => ({ step_ref, depends_on: [name(0)], ...rest })),
    { step_ref: name(count - 1), depends_on: middle, ...rest },
  ];
};
const rounded = (value: number) => Math.round(value * 10) / 10;
function spread(times: readonly number[]) {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number) =>
    rounded(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0);
  return { p50: at(0.5), p95: at(0.95), max: at(1) };
}

test(`what a callback costs in a run of ${STEPS} steps`, OPTIONS, async () => {
  const world = await createStoredWorld();
  const { hot, others } = world;
  const troubles: unknown[] = [];
  const { follow } = createEndingCallbacks({
    db: hot,
    endings: world.endings,
    progression: others,
    onError: (error) => troubles.push(error),
  });
  async function measure(steps: readonly StepInput[], callbacks: number) {
    const key = await world.makeRun(await world.makeWorkflow(steps.map(defineStep)), {
      payload: { some: 'thing' },
      depth: 0,
    });
    await hot.transaction((tx) => others.begin(tx, key));
    const times: number[] = [];
    for (let n = 0; n < callbacks; n += 1) {
      const [row] = await world.app.sql<{ job_run_id: string }>(
        `select job_run_id from workflow_step_runs where workflow_run_id = $1 and state = 'r' order by step_ref limit 1`,
        key.workflow_run_id,
      );
      assert.ok(row);
      await world.settle(row.job_run_id, { to: 'completed', result: { n } });
      const began = performance.now();
      await follow();
      times.push(performance.now() - began);
    }
    await hot.transaction(async (tx) => {
      const run = await others.open(tx, key);
      assert.ok(run);
      await others.deliver(tx, run, { kind: 'cancel', run_error: 'no', step_error: 'no' });
    });
    assert.deepEqual(troubles, []);
    // The first opens the fan.
    return { first: rounded(times[0] ?? 0), ...spread(times.slice(1)) };
  }
  const rest = { job_id: world.job };
  const callbacks = full ? 300 : 20;
  const figures = {
    chain_ms: await measure(chain(STEPS, rest), callbacks),
    // A class may run so many steps at a time that the next starts with each end.
    fan_ms: await measure(fan(STEPS, rest), callbacks),
  };
  report({ scenario: 'workflow-callback', steps: STEPS, ...figures });
  await world.close();
  if (full)
    assert.ok(Math.max(figures.chain_ms.p95, figures.fan_ms.p95) <= 50, 'p95 of a callback');
});

test(`a chain and a fan of ${STEPS} steps and a list of ${ITEMS} complete`, OPTIONS, async () => {
  const on = await workflowApp({
    settings: { WORKER_CONCURRENCY: '50', DB_MAX_CONNS: '20', RATE_LIMIT_REQUESTS: '0' },
  });
  await on.job('j');
  const arrivals: number[] = [];
  on.answers['j'] = () => {
    arrivals.push(performance.now());
    return { body: {} };
  };
  const rest = { job_slug: 'j' };
  await on.workflow('chain', chain(STEPS, rest));
  await on.workflow('fan', fan(STEPS, rest));
  await on.workflow('list', [
    {
      step_ref: 'all',
      step_type: 'map',
      map_items: '{{payload.items}}',
      map_max_parallel: 100,
      ...rest,
    },
  ]);
  const ends = new Set(['completed', 'failed']);
  async function completes(slug: string, count: number, body: object = {}) {
    const began = performance.now();
    const id = await on.trigger(slug, body);
    await until(`${slug} to end`, async () => ends.has((await on.read(id)).status), PATIENCE);
    const run = await on.read(id);
    assert.equal(run.status, 'completed', JSON.stringify(run));
    const secs = (performance.now() - began) / 1000;
    return { id, secs: rounded(secs), per_sec: Math.round(count / secs) };
  }
  const { id, ...one } = await completes('chain', STEPS);
  const seen = arrivals.slice(1).map((at, n) => at - (arrivals[n] ?? 0));
  const { id: _fan, ...wide } = await completes('fan', STEPS);
  const { id: _list, ...list } = await completes('list', ITEMS, {
    payload: { items: numbers(ITEMS) },
  });

  // As many runs that belong to no workflow.
  const bare = full ? 5_000 : 200;
  const began = performance.now();
  for (let from = 0; from < bare; from += 200) {
    const items = numbers(Math.min(200, bare - from)).map((n) => ({ payload: { n } }));
    const made = await on.internal('POST', '/v1/jobs/j/trigger/bulk', { items });
    assert.equal(made.status, 201, JSON.stringify(made.body));
  }
  const open = `select count(*)::int as n from job_runs where status <> 'completed'`;
  await until(
    'plain runs to end',
    async () => (await on.app.sql<{ n: number }>(open))[0]?.n === 0,
    PATIENCE,
  );
  const secs = (performance.now() - began) / 1000;

  // From the end of a step's job to the start of the next, beside a trigger alone to its start: by the database's clock, and
  // as the endpoint and the caller see it.
  const between = await on.app.sql<{ ms: number }>(
    `select (extract(epoch from j.started_at - lag(j.finished_at) over (order by s.step_ref)) * 1000)::float8 as ms
       from workflow_step_runs s join job_runs j on j.id = s.job_run_id where s.workflow_run_id = $1 order by s.step_ref offset 1`,
    id,
  );
  const alone: number[] = [];
  const seenAlone: number[] = [];
  for (let n = 0; n < (full ? 200 : 30); n += 1) {
    const from = performance.now();
    const { body } = await on.internal('POST', '/v1/jobs/j/trigger', {});
    const row = await until('a run to end', async () => {
      const [found] = await on.app.sql<{ ms: number }>(
        `select (extract(epoch from started_at - created_at) * 1000)::float8 as ms from job_runs where id = $1 and status = 'completed'`,
        body.id,
      );
      return found;
    });
    alone.push(row.ms);
    seenAlone.push((arrivals.at(-1) ?? 0) - from);
  }
  const beside = (step: readonly number[], plain: readonly number[]) => {
    const [step_ms, plain_ms] = [spread(step), spread(plain)];
    return { step_ms, plain_ms, ratio: rounded(step_ms.p50 / Math.max(0.1, plain_ms.p50)) };
  };
  report({
    scenario: 'workflow-scale',
    steps: STEPS,
    items: ITEMS,
    chain: one,
    fan: wide,
    list,
    plain: { runs: bare, secs: rounded(secs), per_sec: Math.round(bare / secs) },
    latency: beside(
      between.map(({ ms }) => ms),
      alone,
    ),
    latency_seen: beside(seen, seenAlone),
  });
  assert.equal(on.called.length, STEPS * 2 + ITEMS + bare + alone.length, 'nothing started twice');
  await on.close();
});
