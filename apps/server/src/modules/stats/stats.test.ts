import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { inOneHour, runActions } from '../../../test/run-actions.ts';
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
  assert.deepEqual(totals, { ready: 4, waiting: 2, delayed: 1, running: 0 });
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
