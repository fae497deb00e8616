// Three workers and an endpoint that fails: together they stop calling it, one of them sends one probe when the time has
// come, and its success lets everything go. The endpoint itself counts.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { shiftClock } from '../database.ts';
import { until } from '../until.ts';
import { audit, untilAllEnded } from './accounts.ts';
import { full, report, startCluster } from './cluster.ts';

const RUNS = full ? 2_000 : 300;
const WORKERS = 3;
const CONCURRENCY = 5;
const BULK = 100;

test('workers share what they know of an endpoint, and send one probe between them', async (t) => {
  const cluster = await startCluster(t, {
    database: 'shared',
    // The database's clock is moved by a minute: leases must outlast that.
    env: { WORKER_CONCURRENCY: String(CONCURRENCY), DB_MAX_CONNS: '6', WORKER_LEASE: '10m' },
  });
  const began = performance.now();
  let sound = false;
  let probes = 0;
  // A slow probe: whoever went beside it would be seen.
  const endpoint = await cluster.endpoint(() =>
    sound ? { delay_ms: probes++ === 0 ? 500 : 5 } : { status: 503 },
  );
  const api = await cluster.start('api');
  const job = await cluster.job(api, endpoint, { max_attempts: 20, retry_strategy: 'fixed' });
  await Promise.all(Array.from({ length: WORKERS }, () => cluster.start('worker')));
  for (let from = 0; from < RUNS; from += BULK) {
    const items = Array.from({ length: BULK }, () => ({ payload: {} }));
    const made = await cluster.call(api, 'POST', `/v1/jobs/${job}/trigger/bulk`, { items });
    assert.equal(made.status, 201, JSON.stringify(made.body));
  }
  interface Health {
    readonly endpoints: readonly { readonly breaker: { readonly state: string } }[];
  }
  const breaker = async () => {
    const { body } = await cluster.call<Health>(api, 'GET', `/v1/jobs/${job}/endpoint-health`);
    return body.endpoints[0]?.breaker.state;
  };
  await until('the breaker to open', async () => (await breaker()) === 'open');
  // Everything settles where it waits: parked by claims that met the breaker, or delayed and then parked.
  const parked = await until(
    'all runs to wait',
    async () => {
      const [row] = await cluster.rows<{ runs: number }>(
        'select count(*)::int as runs from run_parked',
      );
      return row?.runs === RUNS && row.runs;
    },
    { deadline_ms: 30_000 },
  );
  const wasted = endpoint.dispatches.length;
  assert.ok(wasted >= 5 && wasted <= RUNS / 2, `${wasted} dispatches to an endpoint that fails`);

  sound = true;
  await shiftClock(cluster.db, 60_500);
  await until('the probe', () => endpoint.dispatches.length > wasted);
  await until('its success', async () => (await breaker()) === 'closed');
  const states = await untilAllEnded(cluster, 120_000);
  assert.deepEqual(states, { completed: RUNS });
  const [probe, ...others] = endpoint.dispatches.slice(wasted);
  assert.ok(probe?.ended_at);
  for (const other of others)
    assert.ok(other.started_at >= (probe.ended_at ?? 0), 'nobody went beside the probe');
  const sent = endpoint.dispatches.filter(({ run_id }) => run_id !== '').length;
  assert.equal(sent, wasted + RUNS, 'afterwards every run was sent once');
  await shiftClock(cluster.db, 0);
  const books = await audit(cluster, endpoint);
  report({
    scenario: 'failing endpoint',
    wasted,
    parked,
    ...books,
    secs: Math.round((performance.now() - began) / 1000),
  });
});
