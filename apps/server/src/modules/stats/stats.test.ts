import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { shiftClock } from '../../../test/database.ts';
import { inOneHour, runActions } from '../../../test/run-actions.ts';
import { upkeepOf } from '../../../test/upkeep.ts';
import { createLimits } from '../queue/index.ts';

let on: Awaited<ReturnType<typeof runActions>>;

before(async () => {
  on = await runActions();
});
after(() => on.close());

test('depths per project, job and key, as of the last count', async () => {
  const { stats } = on.app.composition.modules;
  const plain = await on.makeJob();
  const limited = await on.makeJob({ max_concurrency_per_key: 1 });
  for (let n = 0; n < 3; n++) await on.run(plain);
  await on.run(plain, { scheduled_at: inOneHour() });
  for (let n = 0; n < 3; n++) await on.run(limited, { concurrency_key: 'k' });
  const [lane] = await on.app.sql<{ root_lane_id: number }>(
    'select root_lane_id from run_parked limit 1',
  );
  await createLimits({ db: on.app.composition.hot }).promote(lane?.root_lane_id ?? 0);
  await on.app.sql('delete from queue_depths');
  assert.equal((await on.call('GET', '/v1/stats/queue')).body.ready, 0, 'nobody counts when asked');

  await stats.recount();
  const { body } = await on.call('GET', '/v1/stats/queue');
  const { jobs, oldest_ready_at, ...totals } = body;
  assert.deepEqual(totals, { ready: 4, waiting: 2, delayed: 1, running: 0, paused: false });
  assert.ok(Date.parse(oldest_ready_at) <= Date.now());
  assert.deepEqual(
    jobs
      .map(({ slug, ready, waiting }: { slug: string; ready: number; waiting: number }) => [
        slug,
        ready,
        waiting,
      ])
      .toSorted(),
    [
      [plain, 3, 0],
      [limited, 1, 2],
    ].toSorted(),
  );
  const { body: job } = await on.call('GET', `/v1/jobs/${limited}/queue`);
  assert.deepEqual(job.keys, [{ concurrency_key: 'k', in_flight: 1, waiting: 2 }]);
  assert.equal((await on.call('GET', '/v1/jobs/nobody/queue')).status, 404);

  await on.call('POST', '/v1/runs/bulk-cancel-all', {
    job_id: (await on.call('GET', `/v1/jobs/${plain}`)).body.id,
  });
  await stats.recount();
  assert.equal((await on.call('GET', `/v1/jobs/${plain}/queue`)).body.ready, 0);
});

test('the oldest one has waited since it was due, not since it was made', async () => {
  const { composition, db } = on.app;
  await on.call('POST', '/v1/runs/bulk-cancel-all', { status: 'queued' });
  const oldest = async (job: string): Promise<number | undefined> => {
    await composition.modules.stats.recount();
    const { oldest_ready_at } = (await on.call('GET', `/v1/jobs/${job}/queue`)).body;
    return oldest_ready_at && Date.parse(oldest_ready_at);
  };
  const [plain, urgent, again] = [await on.makeJob(), await on.makeJob(), await on.makeJob()];
  const scheduled_at = inOneHour();
  await on.run(plain, { scheduled_at });
  await on.run(urgent, { scheduled_at, priority: 2 });
  const attempt = { attempt: 2, priority: 1, error: 'e', delay_ms: 3_600_000 };
  const id = await on.run(again);
  await on.queue.settle([{ ...(await on.claim(id)), to: 'queued', ...attempt }]);
  const { next_retry_at } = await on.read(id);
  assert.equal(await oldest(plain), undefined);
  await shiftClock(db, 2 * 3_600_000);
  try {
    while ((await upkeepOf(composition).moveDue()).again);
    assert.equal(await oldest(plain), Date.parse(scheduled_at));
    assert.equal(await oldest(urgent), Date.parse(scheduled_at));
    assert.equal(await oldest(again), Date.parse(next_retry_at));
  } finally {
    await shiftClock(db, 0);
  }
});
