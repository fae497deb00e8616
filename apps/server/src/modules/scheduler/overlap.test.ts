import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { shiftClock } from '../../../test/database.ts';
import { endMeanwhile } from '../../../test/end-meanwhile.ts';
import { runActions } from '../../../test/run-actions.ts';
import { createScheduler } from './index.ts';

let on: Awaited<ReturnType<typeof runActions>>;
before(async () => (on = await runActions()));
after(() => on.close());

const scheduler = (queue: Parameters<typeof createScheduler>[0]['queue']) => {
  const { hot: db, modules } = on.app.composition;
  const settings = { misfire_grace_ms: 300_000 };
  return createScheduler({ ...modules, db, queue, settings, onTrouble: assert.fail });
};

/** An executing run of a job whose schedule, which cancels others, is due. */
async function due(settings: object = {}) {
  const overlap = { cron: '* * * * *', cron_overlap_policy: 'cancel_running' };
  await shiftClock(on.app.db, 0);
  const job = await on.makeJob({ ...overlap, ...settings });
  const claim = await on.claim(await on.run(job));
  await shiftClock(on.app.db, 60_000);
  const read = () =>
    on.app.sql<{ triggered_by: string; status: string }>(
      `select r.triggered_by, r.status from job_runs r join jobs j on j.id = r.job_id
        where j.slug = $1 order by r.created_at, r.id`,
      job,
    );
  const remove = async () => {
    assert.equal((await on.call('PATCH', `/v1/jobs/${job}`, { cron: null })).status, 200);
    const canceled = await on.call('POST', '/v1/runs/bulk-cancel-all', { job_id: job });
    assert.equal(canceled.status, 200);
  };
  return { claim, read, remove };
}

it('a fire that cancels does not cross with the end of what it cancels', async () => {
  const { claim, read, remove } = await due({ max_concurrency: 5 });
  const meanwhile = endMeanwhile(on, claim);
  await scheduler(meanwhile.queue).round(AbortSignal.timeout(10_000));
  assert.deepEqual(await meanwhile.result(), { completed: 0, tries: 1, made: 1 });
  assert.deepEqual(await read(), [
    { triggered_by: 'manual', status: 'canceled' },
    { triggered_by: 'cron', status: 'queued' },
  ]);
  await remove();
});

it('a fire whose key somebody takes at the last moment cancels nobody', async () => {
  const { read, remove } = await due();
  const { queue } = on.app.composition.modules;
  let looks = 0;
  await scheduler({
    ...queue,
    enqueueMany: async (runs, tx) => {
      if (looks++ === 0)
        await queue.enqueueMany(runs.map((run) => ({ ...run, extra: { triggered_by: 'manual' } })));
      return queue.enqueueMany(runs, tx);
    },
  }).round(AbortSignal.timeout(10_000));
  assert.equal(looks, 2);
  assert.deepEqual(await read(), [
    { triggered_by: 'manual', status: 'queued' },
    { triggered_by: 'manual', status: 'queued' },
  ]);
  await remove();
});
