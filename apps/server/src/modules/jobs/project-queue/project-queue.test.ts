import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { shiftClock } from '../../../../test/database.ts';
import { promoteAll } from '../../../../test/promote.ts';
import { inOneHour, runActions } from '../../../../test/run-actions.ts';
import { upkeepOf } from '../../../../test/upkeep.ts';

let on: Awaited<ReturnType<typeof runActions>>;

before(async () => {
  on = await runActions();
});
after(() => on.close());

const queued = () =>
  on.app.sql<{ place: string; run_id: string }>(
    `select 'ready' as place, run_id from run_queue union all select 'parked', run_id from run_parked order by 2`,
  );

describe('the queue of a project', () => {
  it('is paused by a flag: nothing of the project starts, whatever it waited for, and others go on', async () => {
    const { composition, db } = on.app;
    const worker_id = await on.queue.registerWorker({ hostname: 'pause', pid: 1 });
    /** What may start; the rest is put where it waits, as a worker does. */
    const claim = async () => {
      const runs = await on.queue.claim({ worker_id, limit: 100, cursor: '' });
      await on.queue.park(runs.filter(({ verdict }) => verdict === 'park'));
      return runs.filter(({ verdict }) => verdict === 'go').map(({ id }) => id);
    };
    const [plain, limited] = [await on.makeJob(), await on.makeJob({ max_concurrency: 1 })];
    await on.app.call('POST', '/v1/jobs', {
      headers: { ...on.app.internal, 'x-project-id': on.other.project_id },
      body: { name: 'o', slug: 'o', endpoint_url: 'http://127.0.0.1:9/x' },
    });
    const delayed = await on.run(plain, { scheduled_at: inOneHour() });
    const admitted = [await on.run(plain), await on.run(limited)];

    for (let n = 0; n < 2; n++) {
      const { status, body } = await on.call('POST', '/v1/queue/pause');
      assert.deepEqual([status, body], [200, { status: 'paused' }]);
    }
    assert.equal((await on.call('GET', '/v1/stats/queue')).body.paused, true);
    assert.deepEqual(
      (await queued()).map(({ place }) => place),
      ['ready', 'ready'],
      'pausing moves nothing',
    );
    const { body: held } = await on.call('POST', `/v1/jobs/${plain}/trigger`, {});
    assert.equal(held.job_paused, true);
    const { body: elsewhere } = await on.call('POST', '/v1/jobs/o/trigger', {}, on.other.api_key);
    assert.deepEqual(await claim(), [elsewhere.id]);
    await on.call('DELETE', `/v1/runs/${elsewhere.id}`, undefined, on.other.api_key);
    const mine = [delayed, ...admitted, held.id];
    await shiftClock(db, 2 * 3_600_000);
    try {
      while ((await upkeepOf(composition).moveDue()).again);
      await promoteAll(on.app);
      assert.deepEqual(await claim(), []);
      assert.deepEqual(
        await queued(),
        mine.map((run_id) => ({ place: 'parked', run_id })),
      );
      for (let n = 0; n < 2; n++) await on.call('POST', '/v1/queue/resume');
      await promoteAll(on.app);
      assert.deepEqual((await claim()).toSorted(), mine);
      await on.call('POST', '/v1/runs/bulk-cancel', { run_ids: mine });
    } finally {
      await shiftClock(db, 0);
    }
    assert.equal((await on.call('GET', '/v1/stats/queue')).body.paused, false);
    const audits = [
      ...(await on.audits('project.queue_paused', on.project.project_id)),
      ...(await on.audits('project.queue_resumed', on.project.project_id)),
    ];
    assert.equal(audits.length, 2, 'what changes nothing leaves no trace');
  });

  it('keeps what was debounced, and lets it become a run afterwards', async () => {
    const { firing } = on.app.composition.modules.runs;
    const due = () => on.app.sql(`update debounce_pending set fire_at = now() - interval '1 min'`);
    const job = await on.makeJob({ debounce_window_secs: 60 });
    await on.call('POST', `/v1/jobs/${job}/trigger`, {});
    const runs = () =>
      on.app.sql('select r.id from job_runs r join jobs j on j.id = r.job_id where slug = $1', job);
    await on.call('POST', '/v1/queue/pause');
    await due();
    await firing.fire();
    assert.deepEqual(await runs(), []);
    await on.call('POST', '/v1/queue/resume');
    await due();
    await firing.fire();
    assert.equal((await runs()).length, 1);
  });
});
