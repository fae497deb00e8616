// What a closed or slow endpoint means for runs, wherever they stand: without an engine, step by step.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { shiftClock } from '../../../../test/database.ts';
import { runActions } from '../../../../test/run-actions.ts';
import { checkQueue } from '../upkeep/checker.ts';
import { createLimits } from '../limits/limits.ts';
import * as upkeep from '../upkeep/store.sql.ts';
import { createEndpointAdmission } from './admission.ts';

let on: Awaited<ReturnType<typeof runActions>>;
let limits: ReturnType<typeof createLimits>;
let admission: ReturnType<typeof createEndpointAdmission>;
let ports = 2000;

before(async () => {
  on = await runActions();
  limits = createLimits({ db: on.app.composition.hot });
  admission = createEndpointAdmission({ db: on.app.composition.hot });
});
after(() => on.close());

const newEndpoint = (): string => `http://127.0.0.1:${++ports}/x`;

async function set(endpoint: string, closed: boolean, in_secs = 60, share = 1): Promise<void> {
  const [row] = await on.app.sql<{ at: string }>(
    'select strait_now() + make_interval(secs => $1) as at',
    in_secs,
  );
  assert.ok(row);
  await admission.set(on.app.composition.hot, [
    { project_id: on.project.project_id, endpoint, closed, share, probe_at: row.at },
  ]);
}

async function promote(): Promise<void> {
  const roots = await on.app.sql<{ root_lane_id: number }>(
    'select distinct root_lane_id from run_parked where root_lane_id <> 0',
  );
  for (const { root_lane_id } of roots) while ((await limits.promote(root_lane_id)).more);
}

/** How many of the jobs' runs are ready, leased and waiting. */
async function standing(
  ...jobs: string[]
): Promise<[ready: number, leased: number, waiting: number]> {
  const [row] = await on.app.sql<{ ready: number; leased: number; waiting: number }>(
    `with mine as (select id from jobs where slug = any ($1))
     select (select count(*)::int from run_queue where job_id in (select id from mine)) as ready,
            (select count(*)::int from run_parked where job_id in (select id from mine)) as waiting,
            (select count(*)::int from run_active a join job_runs r on r.id = a.run_id where r.job_id in (select id from mine)) as leased`,
    jobs,
  );
  assert.ok(row);
  return [row.ready, row.leased, row.waiting];
}

const slotsOf = async (job: string): Promise<number> =>
  (
    await on.app.sql<{ in_flight: number }>(
      'select in_flight from lanes l join jobs j on j.id = l.job_id where j.slug = $1 and concurrency_key is null',
      job,
    )
  )[0]?.in_flight ?? -1;

async function claim() {
  const worker_id = await on.queue.registerWorker({ hostname: 'admission', pid: 1 });
  const runs = await on.queue.claim({ worker_id, limit: 100, cursor: '' });
  return runs.map(({ id, created_at, claim_seq, verdict, probe }) => ({
    id,
    created_at,
    claim_seq,
    verdict,
    probe,
    started_at: new Date().toISOString(),
  }));
}

const shift = async <T>(secs: number, work: () => Promise<T>): Promise<T> => {
  await shiftClock(on.app.db, secs * 1000);
  try {
    return await work();
  } finally {
    await shiftClock(on.app.db, 0);
  }
};

const cancelAll = async (): Promise<void> => {
  const open = await on.app.sql<{ id: string }>(
    `select id from job_runs where status in ('delayed','queued','executing','waiting')`,
  );
  if (open.length === 0) return;
  await on.call('POST', '/v1/runs/bulk-cancel', { run_ids: open.map(({ id }) => id) });
};

describe('a closed endpoint', () => {
  it('holds new runs, admitted runs whose slot goes back, and due retries; open again, all may go', async () => {
    const endpoint_url = newEndpoint();
    const limited = await on.makeJob({ endpoint_url, max_concurrency: 2 });
    const free = await on.makeJob({ endpoint_url: `${endpoint_url}?other=1` });
    for (let n = 0; n < 3; n++) await on.run(limited);
    await on.run(free);
    await promote();
    assert.deepEqual(
      [await standing(limited), await standing(free)],
      [
        [2, 0, 1],
        [1, 0, 0],
      ],
    );
    const retried = await on.run(free);
    const held = await on.claim(retried);
    await on.queue.settle([{ ...held, to: 'queued', attempt: 2, delay_ms: 1_000, error: 'e' }]);
    await promote();

    await set(endpoint_url, true);
    const claimed = await claim();
    assert.deepEqual(
      claimed.map(({ verdict }) => verdict),
      ['park', 'park', 'park'],
    );
    await on.queue.park(claimed);
    assert.equal(await slotsOf(limited), 0, 'slots went back');
    await on.run(free);
    await shift(2, () => upkeep.moveDue(on.app.composition.hot, { limit: 100 }));
    await promote();
    assert.deepEqual(await standing(limited, free), [0, 0, 6]);
    assert.deepEqual(await checkQueue(on.app.db), []);
    assert.equal((await on.read(retried)).attempt, 2);

    await set(endpoint_url, false);
    await promote();
    assert.deepEqual(
      [await standing(limited), await standing(free)],
      [
        [2, 0, 1],
        [3, 0, 0],
      ],
    );
    await cancelAll();
  });

  it('is promised one run of all its jobs and keys when the time comes, and another only when that is gone', async () => {
    const endpoint_url = newEndpoint();
    const keyed = await on.makeJob({ endpoint_url, max_concurrency_per_key: 1 });
    const plain = await on.makeJob({ endpoint_url });
    await set(endpoint_url, true);
    for (const concurrency_key of ['a', 'b', 'c']) await on.run(keyed, { concurrency_key });
    await on.run(plain);
    await promote();
    assert.deepEqual(await standing(keyed, plain), [0, 0, 4]);
    await shift(61, async () => {
      await promote();
      await promote();
      assert.deepEqual(await standing(keyed, plain), [1, 0, 3]);
    });
    await shift(100, async () => {
      await promote();
      assert.deepEqual(await standing(keyed, plain), [1, 0, 3], 'for as long as it is queued');
      assert.deepEqual(await checkQueue(on.app.db), []);
      const [promised] = await on.app.sql<{ run_id: string }>('select run_id from run_queue');
      await on.call('DELETE', `/v1/runs/${promised?.run_id}`);
      await promote();
      assert.deepEqual(await standing(keyed, plain), [1, 0, 2], 'and another when it is gone');
      const claimed = await claim();
      assert.deepEqual(
        claimed.map(({ verdict, probe }) => [verdict, probe]),
        [['go', true]],
      );
      const [probe] = claimed;
      assert.ok(probe);
      const { project_id } = on.project;
      const key = { project_id, endpoint: endpoint_url };
      const mine = { ...key, run_id: probe.id, claim_seq: probe.claim_seq };
      assert.equal((await admission.enter(mine, 1_000)).verdict, 'probe');
      assert.equal((await admission.enter(mine, 1_000)).verdict, 'closed', 'once');
      await promote();
      assert.deepEqual(await standing(keyed, plain), [0, 1, 2]);
    });
    await cancelAll();
    await set(endpoint_url, false);
  });

  it('does not hold a job that calls another one from now on, nor keep its runs beyond their time to live', async () => {
    const endpoint_url = newEndpoint();
    const job = await on.makeJob({ endpoint_url });
    const mortal = await on.makeJob({ endpoint_url, run_ttl_secs: 5 });
    await set(endpoint_url, true);
    await on.run(job);
    const dying = await on.run(mortal);
    await shift(6, () =>
      upkeep.expireRuns(on.app.composition.hot, { limit: 100, idempotency_retention_secs: 60 }),
    );
    assert.equal((await on.read(dying)).status, 'expired');
    await promote();
    assert.deepEqual(await standing(job), [0, 0, 1]);
    await on.call('PATCH', `/v1/jobs/${job}`, { endpoint_url: newEndpoint() });
    await promote();
    assert.deepEqual(await standing(job), [1, 0, 0]);
    await cancelAll();
  });

  it('is a matter of one project', async () => {
    const endpoint_url = newEndpoint();
    const mine = await on.makeJob({ endpoint_url });
    const made = await on.call(
      'POST',
      '/v1/jobs',
      { name: 'theirs', slug: 'theirs', endpoint_url },
      on.other.api_key,
    );
    assert.equal(made.status, 201);
    await set(endpoint_url, true);
    await on.run(mine);
    const { status, body } = await on.call('POST', '/v1/jobs/theirs/trigger', {}, on.other.api_key);
    assert.equal(status, 201);
    const claimed = await claim();
    assert.deepEqual(
      claimed.map(({ id, verdict }) => [id, verdict]),
      [[body.id, 'go']],
    );
    await on.call('DELETE', `/v1/runs/${body.id}`, undefined, on.other.api_key);
    await cancelAll();
  });
});

describe('a slow endpoint', () => {
  it('leaves a share of a limit, at least one, and jobs without a limit alone', async () => {
    const endpoint_url = newEndpoint();
    const wide = await on.makeJob({ endpoint_url, max_concurrency: 10 });
    const narrow = await on.makeJob({ endpoint_url, max_concurrency: 1 });
    const free = await on.makeJob({ endpoint_url });
    await set(endpoint_url, false, 0, 0.25);
    for (let n = 0; n < 5; n++) for (const job of [wide, narrow, free]) await on.run(job);
    await promote();
    assert.deepEqual(
      [await standing(wide), await standing(narrow), await standing(free)],
      [
        [3, 0, 2],
        [1, 0, 4],
        [5, 0, 0],
      ],
    );
    assert.deepEqual(await checkQueue(on.app.db), [], 'what waits is no idle room');
    await set(endpoint_url, false, 0, 1);
    await promote();
    assert.deepEqual(await standing(wide), [5, 0, 0]);
    await cancelAll();
  });
});
