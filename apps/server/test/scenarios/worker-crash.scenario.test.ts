// Workers die by SIGKILL in the middle of their runs, again and again. Nothing may be lost, stuck or finished twice.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { audit, untilAllEnded, watchQueue } from './accounts.ts';
import { full, leasesOf, report, startCluster, untilLeases, type Cluster } from './cluster.ts';
import type { ProductProcess } from './processes.ts';

const RUNS = full ? 5_000 : 1_500;
const KILLS = full ? 20 : 5;
const LEASES = 20;
const BACKLOG = 300;
const BULK = 250;

test('workers that are killed while they hold leases lose no run and finish no attempt twice', async (t) => {
  const began = performance.now();
  const cluster = await startCluster(t, {
    database: 'own',
    env: { WORKER_CONCURRENCY: '48', DB_MAX_CONNS: '12' },
  });
  const endpoint = await cluster.endpoint(({ attempt, claim }) =>
    // Some fail by themselves, so that retries and lost attempts mix.
    attempt === 1 && claim % 50 === 0
      ? { status: 500, delay_ms: 50 }
      : { delay_ms: 150 + (claim % 150) },
  );
  const api = await cluster.start('api');
  const job = await cluster.job(api, endpoint, { max_attempts: 50, retry_strategy: 'fixed' });
  const workers = [await cluster.start('worker'), await cluster.start('worker')];
  const watch = watchQueue(cluster.db);

  const killing = killWorkers(cluster, workers);
  let triggered = 0;
  let killed: readonly number[] | undefined;
  void killing.then(
    (held) => (killed = held),
    () => (killed = []),
  );
  while (triggered < RUNS || killed === undefined) {
    const [backlog] = await cluster.rows<{ count: number }>('select count(*) from run_queue');
    if (Number(backlog?.count) > BACKLOG) {
      await sleep(20);
      continue;
    }
    const items = Array.from({ length: BULK }, (_, index) => ({
      payload: { n: triggered + index },
    }));
    assert.equal(
      (await cluster.call(api, 'POST', `/v1/jobs/${job}/trigger/bulk`, { items })).status,
      201,
    );
    triggered += BULK;
  }
  const held = await killing;
  const states = await untilAllEnded(cluster);
  const { snapshots } = await watch.stop();
  const books = await audit(cluster, endpoint);

  assert.deepEqual(
    states,
    { completed: triggered },
    'all runs complete: attempts are left for every kill',
  );
  assert.ok(books.lost_attempts >= held.length * LEASES * 0.5, 'the kills took attempts with them');
  report({
    scenario: 'worker-crash',
    kills: held.length,
    leases_held: held,
    ...books,
    states,
    snapshots,
    secs: Math.round((performance.now() - began) / 1000),
  });
});

/** Kills one worker after the other, each with at least 20 leases; how many it still held when it was gone. */
async function killWorkers(cluster: Cluster, workers: ProductProcess[]): Promise<number[]> {
  const held: number[] = [];
  for (let kill = 0; kill < KILLS; kill++) {
    const victim = workers[kill % workers.length] as ProductProcess;
    await untilLeases(cluster, victim, LEASES + 5);
    const before = await leasesOf(cluster, victim);
    await victim.kill();
    assert.ok(before >= LEASES, `the victim held ${before} leases`);
    held.push(await leasesOf(cluster, victim));
    workers[kill % workers.length] = await cluster.start('worker');
  }
  return held;
}
