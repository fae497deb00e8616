// A limit on what an endpoint takes at a time, wherever its runs stand: without an engine, step by step.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { runActions } from '../../../../test/run-actions.ts';
import { checkQueue } from '../upkeep/checker.ts';
import { checkIdleRoom } from '../upkeep/store.sql.ts';
import { createLimits } from '../limits/limits.ts';
import { createEndpointAdmission } from './admission.ts';

let on: Awaited<ReturnType<typeof runActions>>;
let limits: ReturnType<typeof createLimits>;
let admission: ReturnType<typeof createEndpointAdmission>;
let ports = 3000;

before(async () => {
  on = await runActions();
  limits = createLimits({ db: on.app.composition.hot });
  admission = createEndpointAdmission({ db: on.app.composition.hot });
});
after(() => on.close());

const newEndpoint = (): string => `http://127.0.0.1:${++ports}/x`;
const keyOf = (endpoint: string) => ({ project_id: on.project.project_id, endpoint });
const limit = (endpoint: string, max: number): Promise<boolean> =>
  on.app.composition.hot.transaction((tx) => admission.limit(tx, keyOf(endpoint), max));
const ease = (endpoint: string, max: number | null): Promise<void> =>
  on.app.composition.hot.transaction((tx) => admission.ease(tx, keyOf(endpoint), max));

async function promote(): Promise<void> {
  const roots = await on.app.sql<{ root_lane_id: number }>(
    'select distinct root_lane_id from run_parked where root_lane_id <> 0',
  );
  for (const { root_lane_id } of roots) while ((await limits.promote(root_lane_id)).more);
}

/** How many of the jobs' runs are ready, leased and waiting. */
async function standing(...jobs: string[]): Promise<readonly number[]> {
  const [row] = await on.app.sql<{ n: number[] }>(
    `with mine as (select id from jobs where slug = any ($1))
     select array[(select count(*)::int from run_queue where job_id in (select id from mine)),
                  (select count(*)::int from run_active a join job_runs r on r.id = a.run_id where r.job_id in (select id from mine)),
                  (select count(*)::int from run_parked where job_id in (select id from mine))] as n`,
    jobs,
  );
  assert.ok(row);
  return row.n;
}

async function claim(most: number) {
  const worker_id = await on.queue.registerWorker({ hostname: 'in flight', pid: 1 });
  const runs = await on.queue.claim({ worker_id, limit: most, cursor: '' });
  return runs.map(({ id, created_at, claim_seq, verdict }) => ({
    id,
    created_at,
    claim_seq,
    verdict,
    started_at: new Date().toISOString(),
  }));
}

const complete = (runs: Awaited<ReturnType<typeof claim>>) =>
  on.queue.complete(runs.map((run) => ({ ...run, result: undefined })));
const healthy = async (): Promise<void> => {
  assert.deepEqual(await limits.mend(), [], 'every slot is counted');
  assert.deepEqual(await checkQueue(on.app.db), []);
};
const cancelAll = async (): Promise<void> => {
  const open = await on.app.sql<{ id: string }>(
    `select id from job_runs where status in ('delayed', 'queued', 'executing')`,
  );
  await on.call('POST', '/v1/runs/bulk-cancel', { run_ids: open.map(({ id }) => id) });
};

describe('an endpoint with a limit', () => {
  it('counts what runs and what is ready, over all its jobs, and lets through exactly as many', async () => {
    const endpoint_url = newEndpoint();
    const free = await on.makeJob({ endpoint_url });
    const limited = await on.makeJob({ endpoint_url: `${endpoint_url}?a`, max_concurrency: 5 });
    const keyed = await on.makeJob({ endpoint_url, max_concurrency_per_key: 2 });
    const jobs = [free, limited, keyed];
    for (let n = 0; n < 6; n++) {
      await on.run(free);
      await on.run(limited);
      await on.run(keyed, { concurrency_key: 'k' });
    }
    await promote();
    assert.deepEqual(await standing(...jobs), [13, 0, 5]);
    const running = await claim(8);
    assert.deepEqual(await standing(...jobs), [5, 8, 5]);

    // Lower than what runs: nothing more starts, and what is ready goes back.
    assert.equal(await limit(endpoint_url, 4), true);
    assert.deepEqual(await standing(...jobs), [0, 8, 10]);
    await healthy();
    await promote();
    assert.deepEqual(await standing(...jobs), [0, 8, 10]);
    await complete(running.slice(0, 5));
    await promote();
    assert.deepEqual(await standing(...jobs), [1, 3, 9], 'one has room under four');
    // New runs wait, whatever job they are of; limits of jobs and keys hold beside it.
    for (const job of jobs) await on.run(job);
    await promote();
    assert.deepEqual(await standing(...jobs), [1, 3, 12]);
    await healthy();

    await ease(endpoint_url, 6);
    await promote();
    assert.deepEqual(await standing(...jobs), [3, 3, 10]);
    await ease(endpoint_url, null);
    await promote();
    const [ready = 0, leased, waiting = 0] = await standing(...jobs);
    assert.equal(leased, 3);
    assert.ok(ready >= 7, 'all of the free job');
    assert.equal(ready + waiting, 13);
    await on.run(free);
    assert.equal((await standing(free))[2], 0, 'which has no lane any more');
    await healthy();
    await cancelAll();
  });

  it('is found by claims of runs that no lane of a job counts', async () => {
    const endpoint_url = newEndpoint();
    const job = await on.makeJob({ endpoint_url });
    await limit(endpoint_url, 2);
    const other = await on.makeJob({ endpoint_url: newEndpoint() });
    for (let n = 0; n < 3; n++) await on.run(other);
    assert.deepEqual(await standing(other), [3, 0, 0]);
    const { status } = await on.call('PATCH', `/v1/jobs/${other}`, { endpoint_url });
    assert.equal(status, 200);
    const claimed = await claim(10);
    assert.deepEqual(
      claimed.map(({ verdict }) => verdict),
      ['park', 'park', 'park'],
    );
    await on.queue.park(claimed);
    await on.run(job);
    await promote();
    assert.deepEqual(await standing(job, other), [2, 0, 2]);
    assert.deepEqual(
      (await claim(10)).map(({ verdict }) => verdict),
      ['go', 'go'],
    );
    await healthy();
    await cancelAll();
    await ease(endpoint_url, null);
  });

  it('takes runs from the lane of their project, and their slots with them', async () => {
    const endpoint_url = newEndpoint();
    const job = await on.makeJob({ endpoint_url });
    const quota = (max_executing_runs: number) =>
      on.app.call('PUT', `/v1/projects/${on.project.project_id}/quotas`, {
        headers: on.app.internal,
        body: { max_executing_runs },
      });
    assert.equal((await quota(5)).status, 200);
    for (let n = 0; n < 8; n++) await on.run(job);
    await promote();
    await claim(3);
    assert.deepEqual(await standing(job), [2, 3, 3]);
    await limit(endpoint_url, 4);
    assert.deepEqual(await standing(job), [0, 3, 5]);
    await promote();
    assert.deepEqual(await standing(job), [1, 3, 4]);
    await healthy();
    await ease(endpoint_url, null);
    await promote();
    assert.deepEqual(await standing(job), [2, 3, 3], 'the limit of the project is left');
    await cancelAll();
    assert.equal((await quota(0)).status, 200);
  });

  it('closed or slow as well, keeps its limit when it opens again', async () => {
    const endpoint_url = newEndpoint();
    const job = await on.makeJob({ endpoint_url });
    await limit(endpoint_url, 1);
    const set = (closed: boolean) =>
      admission.set(on.app.composition.hot, [
        { ...keyOf(endpoint_url), closed, share: 1, probe_at: '2100-01-01T00:00:00Z' },
      ]);
    await set(true);
    for (let n = 0; n < 3; n++) await on.run(job);
    await promote();
    assert.deepEqual(await standing(job), [0, 0, 3]);
    assert.equal((await set(false)).length, 1);
    await promote();
    assert.deepEqual(await standing(job), [1, 0, 2]);
    await set(true);
    await ease(endpoint_url, null);
    const [left] = await on.app.sql(
      'select closed, max_in_flight from endpoint_admission where endpoint = $1',
      endpoint_url,
    );
    assert.deepEqual(left, { closed: true, max_in_flight: null });
    await set(false);
    const rows = await on.app.sql(
      'select * from endpoint_admission where endpoint = $1',
      endpoint_url,
    );
    assert.deepEqual(rows, []);
    await promote();
    assert.deepEqual(await standing(job), [3, 0, 0]);
    await cancelAll();
  });

  it('closed while all it takes is under way, gets its probe nonetheless', async () => {
    const endpoint_url = newEndpoint();
    const job = await on.makeJob({ endpoint_url });
    await limit(endpoint_url, 1);
    for (let n = 0; n < 3; n++) await on.run(job);
    await promote();
    assert.equal((await claim(10)).length, 1);
    const close = (probe_at: string) =>
      admission.set(on.app.composition.hot, [
        { ...keyOf(endpoint_url), closed: true, share: 1, probe_at },
      ]);
    await close('2100-01-01T00:00:00Z');
    await promote();
    assert.deepEqual(await standing(job), [0, 1, 2], 'none is due');
    await close('2000-01-01T00:00:00Z');
    const [next] = await on.app.sql<{ run_id: string }>(
      'select run_id from run_parked order by rank, seq limit 1',
    );
    const blockers = async () =>
      (await on.call('GET', `/v1/runs/${next?.run_id}/why`)).body.blockers
        .map(({ kind }: { kind: string }) => kind)
        .filter((kind: string) => kind !== 'no_worker');
    assert.deepEqual(await blockers(), []);
    assert.deepEqual(await checkIdleRoom(on.app.db, { limit: 9 }), [next]);
    await promote();
    assert.deepEqual(await standing(job), [1, 1, 1], 'one, not more');
    const [row] = await on.app.sql('select probe_run_id as run_id from endpoint_admission');
    assert.deepEqual(row, next);
    assert.deepEqual(
      (await claim(10)).map(({ id, verdict }) => [id, verdict]),
      [[next?.run_id, 'go']],
    );
    await healthy();
    await cancelAll();
    await ease(endpoint_url, null);
    await on.app.sql('delete from endpoint_admission');
  });

  it('is a matter of one project, and of endpoints that jobs call', async () => {
    const endpoint_url = newEndpoint();
    assert.equal(await limit(endpoint_url, 1), false);
    await on.makeJob({ endpoint_url });
    await limit(endpoint_url, 1);
    const body = { name: 'theirs', slug: 'theirs', endpoint_url };
    assert.equal((await on.call('POST', '/v1/jobs', body, on.other.api_key)).status, 201);
    for (let n = 0; n < 3; n++)
      await on.call('POST', '/v1/jobs/theirs/trigger', {}, on.other.api_key);
    assert.deepEqual(await standing('theirs'), [3, 0, 0]);
    assert.deepEqual(
      (await claim(10)).map(({ verdict }) => verdict),
      ['go', 'go', 'go'],
    );
    const runs = await on.app.sql<{ run_id: string }>('select run_id from run_active');
    for (const { run_id } of runs)
      await on.call('DELETE', `/v1/runs/${run_id}`, undefined, on.other.api_key);
    await ease(endpoint_url, null);
  });
});
