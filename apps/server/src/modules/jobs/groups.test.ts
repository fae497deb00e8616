import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { runActions } from '../../../test/run-actions.ts';

let on: Awaited<ReturnType<typeof runActions>>;

before(async () => {
  on = await runActions();
});
after(() => on.close());

let made = 0;
async function makeGroup(): Promise<{ id: string; slug: string }> {
  const slug = `group-${++made}`;
  const { status, body } = await on.call('POST', '/v1/job-groups', { name: slug, slug });
  assert.equal(status, 201, JSON.stringify(body));
  return body;
}

const claimed = async (): Promise<[id: string, verdict: string][]> => {
  const worker_id = await on.queue.registerWorker({ hostname: 'groups', pid: 1 });
  const runs = await on.queue.claim({ worker_id, limit: 100, cursor: '' });
  await on.queue.park(runs.filter(({ verdict }) => verdict === 'park'));
  return runs.map(({ id, verdict }) => [id, verdict]);
};

describe('groups of jobs', () => {
  it('are made, read, changed and removed, by id or slug', async () => {
    const group = await makeGroup();
    const path = `/v1/job-groups/${group.slug}`;
    assert.equal((await on.call('GET', path)).body.id, group.id);
    assert.equal((await on.call('GET', path, undefined, on.other.api_key)).status, 404);
    const taken = await on.call('POST', '/v1/job-groups', { name: 'x', slug: group.slug });
    assert.deepEqual([taken.status, taken.body.code], [409, 'job_group_slug_taken']);
    const idLike = { name: 'x', slug: group.id };
    assert.equal((await on.call('POST', '/v1/job-groups', idLike)).status, 400);
    const other = await makeGroup();
    assert.equal((await on.call('PATCH', path, { slug: other.slug })).status, 409);
    const { body: changed } = await on.call('PATCH', path, { name: 'new', description: 'why' });
    assert.deepEqual([changed.name, changed.slug, changed.description], ['new', group.slug, 'why']);
    const { body: cleared } = await on.call('PATCH', path, { description: '' });
    assert.equal(cleared.description, undefined);
    const { body: list } = await on.call('GET', '/v1/job-groups?limit=1');
    assert.deepEqual(
      [list.data.map(({ id }: { id: string }) => id), list.has_more],
      [[other.id], true],
    );
    const { body: rest } = await on.call('GET', `/v1/job-groups?cursor=${list.next_cursor}`);
    assert.deepEqual(
      rest.data.map(({ id }: { id: string }) => id),
      [group.id],
    );
    assert.equal((await on.call('DELETE', path)).status, 204);
    assert.equal((await on.call('GET', path)).status, 404);
    assert.equal((await on.audits('job_group.deleted', group.id)).length, 1);
  });

  it('cannot go while they have jobs; a job that was deleted does not count', async () => {
    const { id: group_id } = await makeGroup();
    const job = await on.makeJob({ group_id });
    const path = `/v1/job-groups/${group_id}`;
    const { body: jobs } = await on.call('GET', `${path}/jobs`);
    assert.deepEqual(
      jobs.data.map(({ slug }: { slug: string }) => slug),
      [job],
    );
    const refused = await on.call('DELETE', path);
    assert.deepEqual([refused.status, refused.body.code], [409, 'job_group_not_empty']);
    await on.app.sql(
      `update jobs set deleting_at = now(), enabled = false, slug = id where slug = $1`,
      job,
    );
    assert.equal((await on.call('DELETE', path)).status, 204);
  });

  it('hold every job at once and let it go as it was, without touching what the jobs say themselves', async () => {
    const { id: group_id } = await makeGroup();
    const [job, disabled] = [await on.makeJob({ group_id }), await on.makeJob({ group_id })];
    await on.call('POST', '/v1/jobs/batch-disable', { ids: [disabled] });
    const before_ = await on.run(job);
    const path = `/v1/job-groups/${group_id}`;
    const paused = await on.call('POST', `${path}/pause-all`);
    assert.deepEqual([paused.status, paused.body], [200, { status: 'paused' }]);
    await on.call('POST', `${path}/pause-all`);
    assert.equal((await on.audits('job_group.paused', group_id)).length, 1);
    const during = await on.run(job);
    assert.deepEqual(
      await claimed(),
      [[before_, 'park']],
      'a run let in before is held at its claim',
    );
    assert.deepEqual(await claimed(), []);
    const { body: said } = await on.call('GET', `/v1/jobs/${job}`);
    assert.deepEqual([said.paused, said.enabled], [false, true]);

    const resumed = await on.call('POST', `${path}/resume-all`);
    assert.deepEqual([resumed.status, resumed.body], [200, { status: 'resumed' }]);
    assert.equal((await on.call('GET', `/v1/jobs/${disabled}`)).body.enabled, false);
    await on.app.composition.modules.engineNeeds.limits.sweep();
    assert.deepEqual((await claimed()).toSorted(), [
      [before_, 'go'],
      [during, 'go'],
    ]);
  });

  it('count the runs of their jobs by state', async () => {
    const { id: group_id } = await makeGroup();
    const [one, two] = [await on.makeJob({ group_id }), await on.makeJob({ group_id })];
    await on.ended(one, 'dead_letter');
    await on.ended(two, 'completed');
    await on.run(one);
    await on.run(two);
    const { status, body } = await on.call('GET', `/v1/job-groups/${group_id}/stats`);
    assert.equal(status, 200);
    assert.deepEqual(body, {
      group_id,
      run_counts: { completed: 1, dead_letter: 1, queued: 2 },
      truncated: false,
    });
    const job_ids = (
      await on.app.sql<{ id: string }>('select id from jobs where slug = $1', one)
    ).map(({ id }) => id);
    const { project_id } = on.project;
    const history = on.app.composition.modules.history;
    const cut = await history.countByState(on.app.db, { project_id, job_ids, per_job: 1 });
    assert.equal(cut.truncated, true);
  });
});
