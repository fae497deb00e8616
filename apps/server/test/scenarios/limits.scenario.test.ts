// Four workers, jobs and keys with limits, workers killed in between: the endpoint itself measures how many of a job and
// of a key it works on at a time, and never sees more than allowed.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { audit, untilAllEnded, watchQueue } from './accounts.ts';
import { full, report, startCluster, untilLeases } from './cluster.ts';
import type { Dispatch } from './endpoint.ts';

const JOBS = full ? 50 : 8;
const KEYS = full ? 200 : 16;
const RUNS = full ? 20_000 : 1_200;
const KILLS = full ? 10 : 2;
const WORKERS = 4;
const BULK = 250;

interface Caps {
  readonly job: number;
  readonly key: number;
}

test('limits hold at the endpoint, at every instant, while workers are killed', async (t) => {
  const began = performance.now();
  const cluster = await startCluster(t, {
    database: 'own',
    env: { WORKER_CONCURRENCY: '100', DB_MAX_CONNS: '10' },
  });
  const caps = new Map<string, Caps>();
  const busy = new Map<string, number>();
  const most = new Map<string, number>();
  const broken: string[] = [];
  const enter = (what: string, cap: number): void => {
    const now = (busy.get(what) ?? 0) + 1;
    busy.set(what, now);
    most.set(what, Math.max(most.get(what) ?? 0, now));
    if (now > cap) broken.push(`${what}: ${now} of ${cap}`);
  };
  const leave = (what: string): void => void busy.set(what, (busy.get(what) ?? 0) - 1);
  const endpoint = await cluster.endpoint((dispatch: Dispatch) => {
    const job = String(dispatch.headers['x-job-id']);
    const cap = caps.get(job) ?? { job: 0, key: 0 };
    const key = `${job} ${(dispatch.payload as { key: string }).key}`;
    const delay_ms = 5 + (dispatch.claim % 40);
    enter(job, cap.job);
    enter(key, cap.key);
    // What the handler does it does to its end, whatever becomes of the worker; far shorter than a lease.
    setTimeout(() => {
      leave(job);
      leave(key);
    }, delay_ms);
    return { delay_ms };
  });
  const api = await cluster.start('api');
  const jobs: string[] = [];
  for (let n = 0; n < JOBS; n++) {
    const cap = { job: 2 + (n % 7), key: 1 + (n % 2) };
    const id = await cluster.job(api, endpoint, {
      max_concurrency: cap.job,
      max_concurrency_per_key: cap.key,
      max_attempts: 50,
      retry_strategy: 'fixed',
    });
    caps.set(id, cap);
    jobs.push(id);
  }
  const workers = await Promise.all(Array.from({ length: WORKERS }, () => cluster.start('worker')));
  const watch = watchQueue(cluster.db);
  const killing = (async () => {
    for (let kill = 0; kill < KILLS; kill++) {
      const victim = workers[kill % WORKERS];
      assert.ok(victim);
      await untilLeases(cluster, victim, 3);
      await victim.kill();
      workers[kill % WORKERS] = await cluster.start('worker');
    }
  })();
  for (let from = 0; from < RUNS; from += BULK) {
    const job = jobs[(from / BULK) % JOBS];
    const items = Array.from({ length: Math.min(BULK, RUNS - from) }, (_, index) => {
      const key = `k${(from + index) % (KEYS / JOBS)}`;
      return { payload: { key }, concurrency_key: key };
    });
    const made = await cluster.call(api, 'POST', `/v1/jobs/${job}/trigger/bulk`, { items });
    assert.equal(made.status, 201, JSON.stringify(made.body));
  }
  await killing;
  const states = await untilAllEnded(cluster, 240_000);
  const { snapshots } = await watch.stop();
  const books = await audit(cluster, endpoint);

  assert.deepEqual(broken.slice(0, 10), [], `${broken.length} times over a limit`);
  assert.deepEqual(states, { completed: RUNS });
  const used = jobs.filter((job) => most.get(job) === caps.get(job)?.job).length;
  assert.ok(used > 0, 'some job was at its limit, or nothing was tested');
  const [left] = await cluster.rows<{ slots: number }>(
    'select coalesce(sum(in_flight), 0)::int as slots from lanes',
  );
  assert.equal(left?.slots, 0, 'every slot came back');
  report({
    scenario: 'limits',
    kills: KILLS,
    jobs_at_limit: used,
    ...books,
    snapshots,
    secs: Math.round((performance.now() - began) / 1000),
  });
});
