// PostgreSQL dies by SIGKILL under load. The product restarts its own server, its processes carry on, and whatever
// was acknowledged exists and ends.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../until.ts';
import { audit, untilAllEnded, watchQueue } from './accounts.ts';
import { full, report, startCluster, type Cluster } from './cluster.ts';
import type { ProductProcess } from './processes.ts';

const KILLS = full ? 5 : 2;
const CALLERS = 8;
/** Between a kill's recovery and the next kill. */
const QUIET_MS = 1_500;

test('a killed PostgreSQL comes back by itself and nothing acknowledged is lost', async (t) => {
  const began = performance.now();
  const cluster = await startCluster(t, {
    database: 'embedded',
    env: { WORKER_CONCURRENCY: '40' },
  });
  const endpoint = await cluster.endpoint(({ claim }) => ({ delay_ms: 50 + (claim % 200) }));
  const all = await cluster.start('all');
  const worker = await cluster.start('worker');
  const job = await cluster.job(all, endpoint, { max_attempts: 50, retry_strategy: 'fixed' });
  const watch = watchQueue(cluster.db);

  const load = startLoad(cluster, all, job);
  const recoveries: number[] = [];
  for (let kill = 0; kill < KILLS; kill++) {
    await sleep(QUIET_MS);
    const before = load.acknowledged.size;
    assert.ok(endpoint.open() > 0, 'runs are executing when the server dies');
    const died = performance.now();
    const postmaster = cluster.postmaster();
    process.kill(postmaster, 'SIGKILL');
    await until(
      'a trigger to be acknowledged again',
      async () => {
        // Those in flight at the kill may still have been answered.
        return (
          performance.now() - died > 50 &&
          restarted(cluster, postmaster) &&
          load.acknowledged.size > before + CALLERS
        );
      },
      { deadline_ms: 30_000 },
    );
    recoveries.push(Math.round(performance.now() - died));
  }
  await sleep(QUIET_MS);
  await load.stop();
  const states = await untilAllEnded(cluster);
  const { snapshots } = await watch.stop();
  const books = await audit(cluster, endpoint);

  assert.ok(all.running() && worker.running(), 'no product process ended');
  const known = new Set(
    (await cluster.rows<{ id: string }>('select id from job_runs')).map(({ id }) => id),
  );
  assert.deepEqual(
    [...load.acknowledged].filter((id) => !known.has(id)),
    [],
    'every acknowledged run exists',
  );
  assert.deepEqual(states, { completed: known.size });
  report({
    scenario: 'postgres-crash',
    kills: KILLS,
    acknowledged: load.acknowledged.size,
    refused: load.refused(),
    recoveries_ms: recoveries,
    ...books,
    states,
    snapshots,
    secs: Math.round((performance.now() - began) / 1000),
  });
});

test(
  'results that arrive while PostgreSQL is away for long are stored when it is back',
  { skip: !full },
  async (t) => {
    // Longer than any back-off, shorter than the lease: nobody has a reason to do the work again.
    const cluster = await startCluster(t, { database: 'own', env: { WORKER_LEASE: '60s' } });
    const endpoint = await cluster.endpoint(({ claim }) => ({ delay_ms: 500 + (claim % 1000) }));
    const all = await cluster.start('all');
    const job = await cluster.job(all, endpoint, { max_attempts: 3 });
    const items = Array.from({ length: 200 }, (_, n) => ({ payload: { n } }));
    assert.equal(
      (await cluster.call(all, 'POST', `/v1/jobs/${job}/trigger/bulk`, { items })).status,
      201,
    );
    await until('every run to be dispatched', () => endpoint.dispatches.length === items.length);
    await cluster.outage(12_000);
    assert.equal(endpoint.open(), 0, 'all replies were sent meanwhile');
    const back = performance.now();
    assert.deepEqual(await untilAllEnded(cluster), { completed: items.length });
    const settled_ms = Math.round(performance.now() - back);
    const books = await audit(cluster, endpoint);
    assert.deepEqual(
      [books.repeated, books.hand_backs, books.lost_attempts],
      [0, 0, 0],
      'no run was executed again',
    );
    report({ scenario: 'postgres-outage', outage_ms: 12_000, settled_ms, ...books });
  },
);

function restarted(cluster: Cluster, killed: number): boolean {
  try {
    return cluster.postmaster() !== killed;
  } catch {
    return false;
  }
}

/** Callers that trigger one run after the other and remember what was acknowledged. */
function startLoad(cluster: Cluster, api: ProductProcess, job: string) {
  const acknowledged = new Set<string>();
  const refusals: number[] = [];
  let stopped = false;
  const caller = async (): Promise<void> => {
    while (!stopped) {
      const { status, body } = await cluster.call<{ id: string }>(
        api,
        'POST',
        `/v1/jobs/${job}/trigger`,
        { payload: {} },
      );
      if (status === 201) acknowledged.add(body.id);
      else {
        refusals.push(status);
        assert.equal(status, 503, `refused with ${status}: ${JSON.stringify(body)}`);
      }
      await sleep(status === 201 ? 25 : 100);
    }
  };
  const callers = Array.from({ length: CALLERS }, caller);
  for (const each of callers) each.catch(() => {});
  return {
    acknowledged,
    refused: () => refusals.length,
    async stop(): Promise<void> {
      stopped = true;
      await Promise.all(callers);
    },
  };
}
