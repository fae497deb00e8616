// Workers that freeze, drain and hurry: what they held goes on exactly once, and nothing of them stays behind.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { until } from '../until.ts';
import { audit, untilAllEnded, watchQueue } from './accounts.ts';
import { full, leasesOf, report, startCluster, untilLeases, type Cluster } from './cluster.ts';
import type { Dispatch } from './endpoint.ts';
import type { ProductProcess } from './processes.ts';

const RUNS = full ? 200 : 40;

const trigger = async (
  cluster: Cluster,
  api: ProductProcess,
  job: string,
  count: number,
): Promise<void> => {
  const items = Array.from({ length: count }, (_, n) => ({ payload: { n } }));
  assert.equal(
    (await cluster.call(api, 'POST', `/v1/jobs/${job}/trigger/bulk`, { items })).status,
    201,
  );
};

const numberOf = ({ payload }: Dispatch): number => (payload as { n: number }).n;

describe('worker processes', () => {
  test('a worker frozen past its lease and awake again cannot finish what others took over', async (t) => {
    const cluster = await startCluster(t, { database: 'shared' });
    const { promise: thawed, resolve: thaw } = Promise.withResolvers<void>();
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    // First attempts are answered when their worker is about to wake up: late, but with 200. By then the second
    // attempts of even runs have ended and those of odd runs are under way.
    const endpoint = await cluster.endpoint((dispatch) => {
      if (dispatch.attempt === 1) return { until: thawed };
      return numberOf(dispatch) % 2 === 1 ? { until: released } : {};
    });
    const api = await cluster.start('api');
    const job = await cluster.job(api, endpoint, { retry_strategy: 'fixed', max_attempts: 3 });
    const frozen = await cluster.start('worker');
    await trigger(cluster, api, job, RUNS);
    await until('every run to be dispatched', () => endpoint.open() === RUNS);
    assert.equal(await leasesOf(cluster, frozen), RUNS);
    const watch = watchQueue(cluster.db);
    const states = () =>
      cluster.rows<{ status: string; attempt: number; runs: number }>(
        `select status, attempt, count(*)::int as runs from job_runs where payload ->> 'n' <> '-1' group by 1, 2 order by 1`,
      );
    const half = [
      { status: 'completed', attempt: 2, runs: RUNS / 2 },
      { status: 'executing', attempt: 2, runs: RUNS / 2 },
    ];

    frozen.signal('SIGSTOP');
    const rescuer = await cluster.start('worker');
    await until('the other worker to take every run over', async () =>
      isDeepStrictEqual(await states(), half),
    );
    thaw();
    await until('the late replies to be sent', () => endpoint.open() === RUNS / 2);
    frozen.signal('SIGCONT');
    const replies = async (): Promise<number> => {
      const metrics = await (await fetch(`${frozen.url}/metrics`)).text();
      return Number(/run_attempts_total\{outcome="ok"\} (\d+)/.exec(metrics)?.[1]);
    };
    await until(
      'the thawed worker to have read every late reply',
      async () => (await replies()) === RUNS,
    );
    await sleep(200); // and to have tried to store it
    assert.deepEqual(await states(), half, 'late results change nothing');
    release();
    assert.deepEqual(await untilAllEnded(cluster), { completed: RUNS });
    await rescuer.kill();

    assert.equal(
      (await cluster.call(api, 'POST', `/v1/jobs/${job}/trigger`, { payload: { n: -1 } })).status,
      201,
    );
    await until(
      'the thawed worker to take up work again',
      () => endpoint.dispatches.length > 2 * RUNS,
    );
    const { snapshots } = await watch.stop();
    const [last] = endpoint.dispatches.slice(-1);
    assert.deepEqual([last?.attempt, last && numberOf(last)], [1, -1]);
    await untilAllEnded(cluster);
    report({ scenario: 'freeze', ...(await audit(cluster, endpoint)), snapshots });
  });

  test('a stopping worker finishes what ends in time and hands back the rest with the attempt unchanged', async (t) => {
    const cluster = await startCluster(t, {
      database: 'shared',
      env: { WORKER_DRAIN_TIMEOUT: '1500ms' },
    });
    // Even runs end within the drain; odd ones only once they were handed back.
    let stuck = true;
    const never = new Promise<void>(() => {});
    const endpoint = await cluster.endpoint((dispatch) => {
      if (numberOf(dispatch) % 2 === 0) return { delay_ms: 900 };
      return stuck ? { until: never } : {};
    });
    const api = await cluster.start('api');
    const job = await cluster.job(api, endpoint, { max_attempts: 1 });
    const worker = await cluster.start('worker');
    await trigger(cluster, api, job, RUNS);
    await until('every run to be dispatched', () => endpoint.open() === RUNS);
    await untilLeases(cluster, worker, RUNS);
    const watch = watchQueue(cluster.db, 200);

    const asked = performance.now();
    worker.signal('SIGTERM');
    assert.deepEqual(await worker.exited, { code: 0, signal: null }, worker.log());
    const took_ms = Math.round(performance.now() - asked);
    assert.ok(took_ms > 1_400 && took_ms < 15_000, `the drain took ${took_ms} ms`);
    assert.deepEqual(
      await cluster.rows(
        `select status, attempt, count(*)::int as runs from job_runs group by 1, 2 order by 1`,
      ),
      [
        { status: 'completed', attempt: 1, runs: RUNS / 2 },
        { status: 'queued', attempt: 1, runs: RUNS / 2 },
      ],
    );
    assert.deepEqual(await cluster.rows('select run_id from run_active'), [], 'no lease is left');
    assert.deepEqual(
      await cluster.rows('select id from workers where pid = $1', [worker.pid]),
      [],
      'it signed off',
    );
    assert.equal(await handedBack(cluster), RUNS / 2);
    await until('the endpoint to see its requests aborted', () => endpoint.open() === 0);
    assert.equal(
      endpoint.dispatches.filter(({ outcome }) => outcome === 'aborted').length,
      RUNS / 2,
    );

    stuck = false;
    await cluster.start('worker');
    assert.deepEqual(
      await untilAllEnded(cluster),
      { completed: RUNS },
      'the next worker ends the rest, though one attempt is all they have',
    );
    const { snapshots } = await watch.stop();
    report({ scenario: 'drain', took_ms, ...(await audit(cluster, endpoint)), snapshots });
  });

  test('a second signal ends the waiting and still hands everything back', async (t) => {
    const cluster = await startCluster(t, {
      database: 'shared',
      env: { WORKER_DRAIN_TIMEOUT: '60s' },
    });
    const never = new Promise<void>(() => {});
    const endpoint = await cluster.endpoint(() => ({ until: never }));
    const api = await cluster.start('api');
    const job = await cluster.job(api, endpoint);
    const worker = await cluster.start('worker');
    await trigger(cluster, api, job, RUNS);
    await until('every run to be dispatched', () => endpoint.open() === RUNS);

    worker.signal('SIGTERM');
    await sleep(400);
    assert.ok(worker.running(), 'one signal lets it wait');
    assert.equal(await leasesOf(cluster, worker), RUNS, 'and keep its leases');
    const asked = performance.now();
    worker.signal('SIGTERM');
    assert.deepEqual(await worker.exited, { code: 0, signal: null }, worker.log());
    const took_ms = Math.round(performance.now() - asked);
    assert.ok(took_ms < 30_000, `hurrying took ${took_ms} ms`);
    assert.deepEqual(await cluster.rows('select run_id from run_active'), []);
    assert.equal(await handedBack(cluster), RUNS);
    report({ scenario: 'hurry', took_ms });
  });
});

async function handedBack(cluster: Cluster): Promise<number> {
  const [row] = await cluster.rows<{ count: number }>(
    `select count(*)::int as count from run_events
      where type = 'state_change' and data ->> 'to' = 'queued' and data ->> 'reason' = 'worker_shutdown' and data ->> 'attempt' = '1'`,
  );
  return row?.count ?? 0;
}
