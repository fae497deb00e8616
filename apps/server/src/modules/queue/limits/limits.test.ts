import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { promoteAll } from '../../../../test/promote.ts';
import { untilSomebodyWaits } from '../../../../test/lock-waits.ts';
import { runActions } from '../../../../test/run-actions.ts';
import { createQueue } from '../queue.ts';
import { createLimits } from './limits.ts';

let on: Awaited<ReturnType<typeof runActions>>;
let limits: ReturnType<typeof createLimits>;

before(async () => {
  on = await runActions();
  limits = createLimits({ db: on.app.composition.hot });
});
after(() => on.close());

/** How many of the job's runs are ready, leased and waiting. */
async function standing(job: string): Promise<[ready: number, leased: number, waiting: number]> {
  const [row] = await on.app.sql<{ ready: number; leased: number; waiting: number }>(
    `select (select count(*)::int from run_queue q where q.job_id = j.id) as ready,
            (select count(*)::int from run_parked p where p.job_id = j.id) as waiting,
            (select count(*)::int from run_active a join job_runs r on r.id = a.run_id where r.job_id = j.id) as leased
       from jobs j where j.slug = $1`,
    job,
  );
  assert.ok(row);
  return [row.ready, row.leased, row.waiting];
}

const trigger = async (job: string, count: number, body: object = {}): Promise<string[]> => {
  const ids: string[] = [];
  for (let n = 0; n < count; n++) ids.push(await on.run(job, body));
  return ids;
};

async function claim(limit = 100) {
  const worker_id = await on.queue.registerWorker({ hostname: 'limits', pid: 1 });
  const runs = await on.queue.claim({ worker_id, limit, cursor: '' });
  return runs.map(({ id, created_at, claim_seq, verdict, job_id }) => ({
    id,
    created_at,
    claim_seq,
    verdict,
    job_id,
    started_at: new Date().toISOString(),
  }));
}

const cancelAll = async (): Promise<void> => {
  for (;;) {
    const open = await on.app.sql<{ id: string }>(
      `select id from job_runs where status in ('delayed','queued','executing','waiting') limit 100`,
    );
    if (open.length === 0) return;
    await on.call('POST', '/v1/runs/bulk-cancel', { run_ids: open.map(({ id }) => id) });
  }
};

const slots = async (job: string): Promise<(number | null)[][]> =>
  (
    await on.app.sql<{ in_flight: number; max_inflight: number | null }>(
      `select l.in_flight, l.max_inflight from lanes l join jobs j on j.id = l.job_id where j.slug = $1 order by lane_id`,
      job,
    )
  ).map(({ in_flight, max_inflight }) => [in_flight, max_inflight]);

describe('limits on runs in flight', () => {
  it('a job runs as many at a time as it may, and the next when one ends, however it ends', async () => {
    const job = await on.makeJob({ max_concurrency: 2 });
    await trigger(job, 6);
    assert.deepEqual(
      await standing(job),
      [2, 0, 4],
      'what finds room starts at once, the rest waits',
    );
    await promoteAll(on.app);
    assert.deepEqual(await standing(job), [2, 0, 4]);
    const [first, second] = await claim();
    assert.ok(first && second);
    assert.deepEqual(await slots(job), [[2, 2]]);
    await promoteAll(on.app);
    assert.deepEqual(await standing(job), [0, 2, 4], 'a lease is a slot');

    await on.queue.complete([first]);
    await promoteAll(on.app);
    assert.deepEqual(await standing(job), [1, 1, 3]);
    await on.queue.settle([{ ...second, to: 'queued', attempt: 2, delay_ms: 60_000, error: 'e' }]);
    await promoteAll(on.app);
    assert.deepEqual(await standing(job), [2, 0, 2], 'a retry waits without a slot');
    const [third] = await claim(1);
    assert.ok(third);
    await on.call('DELETE', `/v1/runs/${third.id}`);
    await promoteAll(on.app);
    assert.deepEqual(await standing(job), [2, 0, 1], 'a canceled attempt frees its slot');
    const [fourth] = await claim(1);
    assert.ok(fourth);
    await on.queue.settle([{ ...fourth, to: 'queued', unstarted: true }]);
    assert.deepEqual(await standing(job), [1, 0, 2], 'given back, it queues for a slot again');
    await cancelAll();
    assert.deepEqual(await slots(job), [[0, 2]]);
  });

  it('what comes together starts together or waits, and nobody waits for a lane', async () => {
    const job = await on.makeJob({ max_concurrency: 3 });
    const runs = (n: number) => Array.from({ length: n }, () => ({ payload: {} }));
    const bulk = (n: number) => on.call('POST', `/v1/jobs/${job}/trigger/bulk`, { items: runs(n) });
    assert.equal((await bulk(2)).status, 201);
    assert.deepEqual(await standing(job), [2, 0, 0]);
    assert.deepEqual(await slots(job), [[2, 3]]);
    assert.equal((await bulk(2)).status, 201);
    assert.deepEqual(await standing(job), [2, 0, 2], 'two do not fit into one');
    assert.equal((await bulk(1)).status, 201);
    assert.deepEqual(await standing(job), [2, 0, 3], 'one would, but others wait for that slot');
    await promoteAll(on.app);
    assert.deepEqual(await standing(job), [3, 0, 2]);
    await cancelAll();

    await on.app.db.transaction(async (tx) => {
      await tx.query({ text: 'select from lanes for no key update', values: [] });
      assert.equal((await bulk(1)).status, 201);
    });
    assert.deepEqual(await standing(job), [0, 0, 1], 'somebody held the lanes');
    await promoteAll(on.app);
    assert.deepEqual(await standing(job), [1, 0, 0]);
    await cancelAll();
  });

  it('an end and a transaction that enqueues twice do not wait for each other', async () => {
    const job = await on.makeJob({ max_concurrency: 5 });
    const [{ id: job_id, project_id } = { id: '', project_id: '' }] = await on.app.sql<{
      id: string;
      project_id: string;
    }>('select id, project_id from jobs where slug = $1', job);
    const run = { job_id, project_id, payload: '{}', priority: 0 };
    const keyed = { ...run, idempotency_key: 'k', payload_hash: 'h' };
    await on.queue.enqueueMany([keyed]);
    const [running] = await claim(1);
    assert.ok(running);
    let ended: Promise<unknown> = Promise.resolve();
    await on.app.db.transaction(async (tx) => {
      await on.queue.enqueueMany([run], tx);
      ended = on.queue.complete([running]);
      await untilSomebodyWaits(on.app, 'the end to wait for the lane that this transaction holds');
      const [second] = await on.queue.enqueueMany([keyed], tx);
      assert.equal(second?.outcome, 'held');
    });
    await ended;
    assert.deepEqual(await standing(job), [1, 0, 0]);
    await cancelAll();
  });

  it('an end that loses a deadlock is repeated, a few times', async () => {
    const job = await on.makeJob({ max_concurrency: 5 });
    const id = await on.run(job);
    const end = { ...(await on.claim(id)), started_at: new Date().toISOString() };
    const { hot } = on.app.composition;
    let losses = 0;
    const queue = createQueue({
      db: {
        query: async (call) => {
          if (losses-- <= 0) return hot.query(call);
          const text = `do $$ begin raise exception 'x' using errcode = '40P01'; end $$`;
          return hot.query({ text, values: [] });
        },
      },
      settings: { aging_ms: 0, default_ttl_secs: 0, idempotency_retention_secs: 60 },
    });
    losses = 4;
    await assert.rejects(queue.complete([end]), { code: '40P01' });
    losses = 3;
    assert.equal((await queue.settle([{ ...end, to: 'queued', unstarted: true }])).size, 1);
    await promoteAll(on.app);
    losses = 3;
    const again = { ...(await on.claim(id)), started_at: end.started_at };
    assert.deepEqual(await queue.complete([again]), new Set([id]));
    assert.deepEqual(await standing(job), [0, 0, 0]);
  });

  it('keys of a job have limits of their own, and the job one above them', async () => {
    const job = await on.makeJob({ max_concurrency: 3, max_concurrency_per_key: 2 });
    await trigger(job, 3, { concurrency_key: 'a' });
    await trigger(job, 3, { concurrency_key: 'b' });
    await trigger(job, 1);
    await promoteAll(on.app);
    assert.deepEqual(await standing(job), [3, 0, 4]);
    const keys = await on.app.sql(
      `select r.concurrency_key as key, count(*)::int as runs from run_queue q join job_runs r on r.id = q.run_id
        where r.job_id = (select id from jobs where slug = $1) group by 1 order by 1`,
      job,
    );
    assert.deepEqual(keys, [
      { key: 'a', runs: 2 },
      { key: 'b', runs: 1 },
    ]);
    await cancelAll();
  });

  it('a limit that comes, rises and falls counts at once, for what is queued and what runs', async () => {
    const job = await on.makeJob();
    await trigger(job, 6);
    assert.deepEqual(await standing(job), [6, 0, 0], 'no limit, no waiting');
    const [running] = await claim(1);
    assert.ok(running);
    const patch = async (max_concurrency: number) => {
      const { status, body } = await on.call('PATCH', `/v1/jobs/${job}`, { max_concurrency });
      assert.equal(status, 200, JSON.stringify(body));
      await promoteAll(on.app);
    };
    await patch(3);
    assert.deepEqual(await standing(job), [2, 1, 3]);
    await patch(2);
    assert.deepEqual(await standing(job), [1, 1, 4], 'what did not start yet goes back to wait');
    await patch(5);
    assert.deepEqual(await standing(job), [4, 1, 1]);
    await patch(0);
    assert.deepEqual(await standing(job), [5, 1, 0]);
    await on.queue.complete([running]);
    await cancelAll();
    assert.deepEqual(await slots(job), [[0, null]]);
  });

  it('a limit of the job counts for runs that hold or wait for slots of the project', async () => {
    const job = await on.makeJob();
    const quotas = (max_executing_runs: number) =>
      on.app.call('PUT', `/v1/projects/${on.project.project_id}/quotas`, {
        headers: on.app.internal,
        body: { max_executing_runs },
      });
    assert.equal((await quotas(3)).status, 200);
    await trigger(job, 6, { concurrency_key: 'k' });
    assert.deepEqual(await standing(job), [3, 0, 3]);
    assert.equal((await on.call('PATCH', `/v1/jobs/${job}`, { max_concurrency: 1 })).status, 200);
    await promoteAll(on.app);
    assert.deepEqual(await standing(job), [1, 0, 5]);
    const patch = { max_concurrency: null, max_concurrency_per_key: 2 };
    assert.equal((await on.call('PATCH', `/v1/jobs/${job}`, patch)).status, 200);
    await promoteAll(on.app);
    assert.deepEqual(await standing(job), [2, 0, 4]);
    assert.equal((await claim()).length, 2);

    // Also where the change came between the look at the lane and the claim.
    await on.app.sql(
      `update run_active set lane_id = root_lane_id from lanes l where l.lane_id = run_active.lane_id`,
    );
    await on.app.sql(
      `with held as (delete from run_active returning *)
       insert into run_queue (project_id, rank, run_id, run_created_at, job_id, attempt, lane_id)
       select r.project_id, 0, r.id, r.created_at, r.job_id, r.attempt, held.lane_id
         from held join job_runs r on r.id = held.run_id`,
    );
    const worker_id = await on.queue.registerWorker({ hostname: 'limits', pid: 1 });
    const claimed = await on.queue.claim({ worker_id, limit: 10, cursor: '' });
    assert.deepEqual(
      claimed.map(({ verdict }) => verdict),
      ['park', 'park'],
    );
    await on.queue.park(claimed);
    assert.equal((await quotas(0)).status, 200);
    await cancelAll();
  });

  it('a claim that was under way when the limit came is sent back by its verdict', async () => {
    const job = await on.makeJob();
    await trigger(job, 2);
    // As if the adoption had skipped locked rows.
    await on.app.sql(`update jobs set max_concurrency = 1 where slug = $1`, job);
    const claimed = await claim();
    assert.deepEqual(
      claimed.map(({ verdict }) => verdict),
      ['park', 'park'],
    );
    await on.queue.park(claimed);
    await promoteAll(on.app);
    assert.deepEqual(await standing(job), [1, 0, 1]);
    await cancelAll();
  });

  it('pausing holds what was promoted already, once, and resuming lets it go', async () => {
    const job = await on.makeJob({ max_concurrency: 1 });
    await trigger(job, 2);
    await promoteAll(on.app);
    await on.call('POST', `/v1/jobs/${job}/pause`);
    const claimed = await claim();
    assert.deepEqual(
      claimed.map(({ verdict }) => verdict),
      ['park'],
    );
    await on.queue.park(claimed);
    await promoteAll(on.app);
    assert.deepEqual(await standing(job), [0, 0, 2]);
    assert.deepEqual(await slots(job), [[0, 1]]);
    await on.call('POST', `/v1/jobs/${job}/resume`);
    await promoteAll(on.app);
    assert.deepEqual(await standing(job), [1, 0, 1]);
    await cancelAll();
  });

  it('a wrong count is found and mended', async () => {
    const job = await on.makeJob({ max_concurrency: 2 });
    await trigger(job, 2);
    await promoteAll(on.app);
    await on.app.sql(
      `update lanes set in_flight = in_flight + 1 where job_id = (select id from jobs where slug = $1)`,
      job,
    );
    const drift = await limits.mend();
    assert.deepEqual(
      drift.map(({ was, counted }) => [was, counted]),
      [[3, 2]],
    );
    assert.deepEqual(await limits.mend(), []);
    await cancelAll();
  });

  it('a closed endpoint is tried by a run that the turns of keys let through, not by the best ranked one behind it', async () => {
    const endpoint_url = 'http://127.0.0.1:9/probed-in-turn';
    const job = await on.makeJob({ endpoint_url, max_concurrency: 1 });
    await on.call('PUT', `/v1/jobs/${job}/concurrency-keys/*`, { weight: 1 });
    await on.app.sql(
      `insert into endpoint_admission (project_id, endpoint, closed, share, probe_at)
       values ($1, strait_endpoint($2), true, 1, strait_now() - interval '1 s')`,
      on.project.project_id,
      endpoint_url,
    );
    await on.run(job, { concurrency_key: 'served', priority: 9 });
    const next = await on.run(job, { concurrency_key: 'next' });
    await on.app.sql(`update lanes set turn = 5 where concurrency_key = 'served'`);
    await promoteAll(on.app);
    assert.deepEqual(await standing(job), [1, 0, 1]);
    const [ready] = await on.app.sql(
      `select q.run_id from run_queue q join jobs j on j.id = q.job_id where j.slug = $1`,
      job,
    );
    assert.equal(ready?.['run_id'], next);
    await cancelAll();
  });
});
