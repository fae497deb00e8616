import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { runActions } from '../../../test/run-actions.ts';
import { until } from '../../../test/until.ts';

describe('deleting a job in steps', () => {
  let on: Awaited<ReturnType<typeof runActions>>;
  before(async () => (on = await runActions()));
  after(() => on.close());

  const jobId = async (slug: string): Promise<string> =>
    (await on.call('GET', `/v1/jobs/${slug}`)).body.id;
  const left = (job_id: string) =>
    on.app.sql(
      'select j.id from jobs j where j.id = $1 union all select r.id from job_runs r where r.job_id = $1',
      job_id,
    );

  it('while its history goes the job is gone, its name is free and its dead letters stay dead', async () => {
    const slug = await on.makeJob();
    const id = await jobId(slug);
    const dead = await on.ended(slug, 'dead_letter');
    let deleting: ReturnType<typeof on.call> | undefined;
    await on.app.db.transaction(async (tx) => {
      // Holds the removal of the history up.
      const hold = 'select id from run_events where run_id = $1 for update';
      await tx.query({ text: hold, values: [dead] });
      deleting = on.call('DELETE', `/v1/jobs/${slug}`);
      await until('the job is gone', async () => {
        return (await on.call('GET', `/v1/jobs/${id}`)).status === 404;
      });
      assert.equal((await on.call('POST', `/v1/jobs/${id}/trigger`, {})).status, 404);
      assert.equal((await on.call('DELETE', `/v1/jobs/${id}`)).status, 404);
      await on.call('POST', '/v1/jobs/batch-enable', { ids: [id] });
      const listed = (await on.call('GET', '/v1/jobs?limit=100')).body.data;
      assert.ok(!listed.some((job: { id: string }) => job.id === id));
      const replay = await on.post(dead, 'dlq-replay');
      assert.equal(replay.status, 409, JSON.stringify(replay.body));
      const made = { name: 'again', slug, endpoint_url: 'http://127.0.0.1:9/x' };
      assert.equal((await on.call('POST', '/v1/jobs', made)).status, 201);
    });
    assert.equal((await deleting)?.status, 204);
    assert.deepEqual(await left(id), []);
    assert.notEqual(await jobId(slug), id);
  });

  it('of a replay and a deletion at the same moment exactly one wins', async () => {
    for (let round = 0; round < 10; round += 1) {
      const slug = await on.makeJob();
      const id = await jobId(slug);
      const dead = await on.ended(slug, 'dead_letter');
      const [deleted, replayed] = await Promise.all([
        on.call('DELETE', `/v1/jobs/${slug}`),
        on.post(dead, 'dlq-replay'),
      ]);
      const places = await on.app.sql('select from run_queue where run_id = $1', dead);
      assert.equal(places.length, replayed.status === 200 ? 1 : 0);
      assert.notEqual(deleted.status === 204, replayed.status === 200, `round ${round}`);
      assert.equal((await left(id)).length, deleted.status === 204 ? 0 : 2);
    }
  });

  it('a trigger that waited for the deletion to be decided creates nothing', async () => {
    const slug = await on.makeJob();
    const id = await jobId(slug);
    const ended = await on.ended(slug, 'dead_letter');
    let trigger: Promise<unknown> | undefined;
    await on.app.db.transaction(async (tx) => {
      const steps = [
        `select id from jobs where id = '${id}' for update`,
        `update jobs set deleting_at = now(), enabled = false, slug = id where id = '${id}'`,
      ];
      await tx.query({ text: steps[0] ?? '', values: [] });
      const run = { job_id: id, project_id: on.project.project_id, payload: '{}', priority: 0 };
      trigger = on.queue.enqueue(run);
      await until('the trigger waits', async () => {
        const text = `select from pg_locks l join pg_stat_activity a using (pid)
                       where not l.granted and a.datname = current_database()`;
        return (await on.app.sql(text)).length > 0;
      });
      await tx.query({ text: steps[1] ?? '', values: [] });
    });
    assert.deepEqual(await trigger, { outcome: 'refused' });
    assert.deepEqual(
      (await left(id)).map((row) => row['id']),
      [id, ended],
    );
  });

  it('what was interrupted is finished by the loop', async () => {
    const slug = await on.makeJob();
    const id = await jobId(slug);
    await on.ended(slug, 'dead_letter');
    await on.ended(slug, 'completed');
    const { jobs } = on.app.composition.modules;
    const signal = new AbortController().signal;
    const mark = (age: string) =>
      on.app.sql(
        `update jobs set deleting_at = now() - $2::interval, enabled = false, slug = id where id = $1`,
        id,
        age,
      );
    await mark('1 second');
    await jobs.finishDeletions(signal);
    assert.equal((await left(id)).length, 3, 'the call that asked for it is still at work');
    await mark('1 minute');
    await jobs.finishDeletions(signal);
    assert.deepEqual(await left(id), []);
  });

  it('a job that was triggered in bulk can be deleted; the bulk operation stays', async () => {
    const slug = await on.makeJob();
    const bulk = await on.call('POST', `/v1/jobs/${slug}/trigger/bulk`, { items: [{}] });
    assert.ok(bulk.status < 300, JSON.stringify(bulk.body));
    const run_ids = bulk.body.results.map(({ id }: { id: string }) => id);
    await on.call('POST', '/v1/runs/bulk-cancel', { run_ids });
    assert.equal((await on.call('DELETE', `/v1/jobs/${slug}`)).status, 204);
    const batches = (await on.call('GET', '/v1/batch-operations')).body.data;
    assert.deepEqual(
      batches.map(({ job_id }: { job_id: string }) => job_id),
      [''],
    );
  });
});
