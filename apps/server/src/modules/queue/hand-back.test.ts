// What a run keeps when an attempt is given back, and whose leases may be.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { inRunTest, type InRunTest } from '../../../test/in-run.ts';
import { inOneHour } from '../../../test/run-actions.ts';
import { lostSettlement } from '../executor/index.ts';
import { createUpkeep } from './upkeep/upkeep.ts';

let on: InRunTest;

before(async () => {
  on = await inRunTest();
});
after(() => on.close());

const giveBack = async (id: string, attempt = 1) => {
  const lost = await on.claim(id);
  const settled = await on.queue.settle([
    { ...lost, to: 'queued', unstarted: true, event: { attempt, reason: 'claim_reply_lost' } },
  ]);
  assert.ok(settled.has(id));
};

const row = async (id: string) =>
  (
    await on.app.sql<{
      expires_at: string | null;
      started_at: string | null;
      error: string | null;
    }>('select expires_at, started_at, error from job_runs where id = $1', id)
  )[0];

test('a run that goes on after a wait still counts as started, so the event reaches its handler', async () => {
  const run = await on.running(await on.makeJob());
  assert.equal((await run.post('wait-for-event', { event_key: 'given back' })).status, 200);
  assert.equal((await on.event('POST', 'given back', '/send', { payload: {} })).status, 200);
  await giveBack(run.id);
  assert.ok((await row(run.id))?.started_at);
});

test('a run that never started keeps its time to live', async () => {
  const id = await on.run(await on.makeJob(), { ttl_secs: 600 });
  await giveBack(id);
  const { expires_at, started_at } = (await row(id)) ?? {};
  assert.ok(expires_at);
  assert.equal(started_at, null);
});

test('the error of the attempt before stays', async () => {
  const id = await on.run(await on.makeJob());
  const first = await on.claim(id);
  await on.queue.settle([
    { ...first, to: 'queued', attempt: 2, error: 'boom', error_class: 'server' },
  ]);
  await giveBack(id, 2);
  assert.equal((await row(id))?.error, 'boom');
});

test('a run that was scheduled gains no age by being parked or given back', async () => {
  const id = await on.run(await on.makeJob(), { scheduled_at: inOneHour() });
  const rank = async (table: string) =>
    Number(
      (await on.app.sql<{ rank: number }>(`select rank from ${table} where run_id = $1`, id))[0]
        ?.rank,
    );
  const scheduled = await rank('run_delayed');
  await on.app.sql(
    `with due as (delete from run_delayed where run_id = $1 returning *),
          done as (update job_runs set status = 'queued' where id = $1)
     insert into run_queue (project_id, rank, run_id, run_created_at, job_id, attempt)
     select project_id, rank, run_id, run_created_at, job_id, attempt from due`,
    id,
  );
  await giveBack(id);
  assert.equal(await rank('run_queue'), scheduled);
  const claim = await on.claim(id);
  await on.queue.park([claim]);
  assert.equal(await rank('run_parked'), scheduled);
  await on.call('DELETE', `/v1/runs/${id}`); // parked although nothing is paused
});

test('what the endpoint owns is not given back by the worker that owned it before', async () => {
  const id = await on.run(await on.makeJob());
  const worker_id = await on.queue.registerWorker({ hostname: 'x', pid: 2 });
  const [claimed] = (await on.queue.claim({ worker_id, limit: 100, cursor: '' })).filter(
    (run) => run.id === id,
  );
  assert.ok(claimed);
  const claim = { id, created_at: claimed.created_at, claim_seq: claimed.claim_seq };
  assert.ok(await on.queue.handOver(claim, 300));
  assert.ok(await on.queue.handOver(claim, 300), 'repeating it does no harm');
  const { status, claimed_at } = await on.read(id);
  assert.deepEqual([status, claimed_at !== undefined], ['executing', true]);
  const settled = await on.queue.settle([
    { ...claim, owner: worker_id, to: 'queued', unstarted: true, event: { attempt: 1 } },
  ]);
  assert.equal(settled.size, 0);
});

test('a lost run whose job cannot be read ends alone; the others are taken over', async () => {
  const { upkeep } = reaper();
  const bad = await on.makeJob({ endpoint_signing_secret: 'a secret of sixteen or more' });
  const good = await on.makeJob();
  const ids = [await on.run(bad), await on.run(good)];
  const worker_id = await on.queue.registerWorker({ hostname: 'dead', pid: 1 });
  await on.queue.claim({ worker_id, limit: 100, cursor: '' });
  await on.queue.removeWorker(worker_id);
  await on.app.sql(
    `update jobs set endpoint_signing_secret_enc = '\\x00112233445566778899aabbccddeeff' where slug = $1`,
    bad,
  );
  await upkeep.reap();
  assert.deepEqual(
    await on.app.sql('select run_id from run_active where run_id = any ($1)', ids),
    [],
  );
  assert.equal((await on.read(ids[0] ?? '')).attempt, 2, 'crash recovery needs no secret');
});

/** The engine's upkeep with the rules of the executor, in this process. */
function reaper() {
  const { hot, modules } = on.app.composition;
  const settings = { ...on.settings, lease_ms: 30_000, stale_ms: 60_000 };
  return {
    upkeep: createUpkeep({
      db: hot,
      queue: on.queue,
      settings,
      settlementOf: (lease) => lostSettlement(lease, modules.jobs, Date.now()),
    }),
  };
}
