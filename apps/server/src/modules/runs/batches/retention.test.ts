import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { runActions } from '../../../../test/run-actions.ts';
import { createBatches } from './service.ts';

const DAY = 86_400;

describe('retention of bulk operations', () => {
  let on: Awaited<ReturnType<typeof runActions>>;
  before(async () => (on = await runActions()));
  after(() => on.close());

  it('they go when they ended long ago and no run of them is kept', async () => {
    const [gone, unclosed, young, named] = await Promise.all(
      Array.from({ length: 4 }, async () => {
        const job = await on.makeJob();
        const bulk = await on.call('POST', `/v1/jobs/${job}/trigger/bulk`, { items: [{}] });
        const run_id: string = bulk.body.results[0].id;
        await on.call('POST', '/v1/runs/bulk-cancel', { run_ids: [run_id] });
        const [run] = await on.app.sql<{ batch_id: string }>(
          'select batch_id from job_runs where id = $1',
          run_id,
        );
        return { run_id, batch_id: run?.batch_id ?? '' };
      }),
    );
    assert.ok(gone && unclosed && young && named);
    const forget = (...of: { run_id: string }[]) =>
      on.app.sql(
        'update job_runs set batch_id = null where id = any ($1)',
        of.map(({ run_id }) => run_id),
      );
    const age = (days: number, closed: boolean, ...of: { batch_id: string }[]) =>
      on.app.sql(
        `update batch_operations set created_at = now() - make_interval(days => $1),
                finished_at = case when $2 then now() - make_interval(days => $1) end where id = any ($3)`,
        days,
        closed,
        of.map(({ batch_id }) => batch_id),
      );
    await forget(gone, unclosed, young);
    await age(91, true, gone, named);
    await age(91, false, unclosed);
    await age(89, true, young);
    const batches = createBatches({ db: on.app.db });
    const { hot } = on.app.composition;
    assert.deepEqual(await batches.removeOld(hot, 90 * DAY), { again: false });
    const left = async () =>
      (await on.call('GET', '/v1/batch-operations')).body.data
        .map(({ id }: { id: string }) => id)
        .toSorted();
    const kept = [young, named].map(({ batch_id }) => batch_id);
    const ours = [...kept, gone.batch_id, unclosed.batch_id];
    assert.deepEqual(
      (await left()).filter((id: string) => ours.includes(id)),
      kept.toSorted(),
    );
    await forget(named);
    await batches.removeOld(hot, 90 * DAY);
    assert.ok(!(await left()).includes(named.batch_id));
  });
});
