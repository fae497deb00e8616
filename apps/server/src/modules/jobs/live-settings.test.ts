import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { everything, secrets, startJobsApi, type JobsApi } from './jobs-api.test.ts';

/** A run that stays with its version. */
const pinned = (job_id: string, job_version: number, live_version: number) => ({
  job_id,
  job_version,
  live_version,
  version_policy: 'pin',
  backwards_compatible: false,
});

describe('jobs as the engine reads them', () => {
  let api: JobsApi;
  before(async () => {
    api = await startJobsApi();
  });
  after(() => api.stop());

  it('the executor gets the settings of the version it asks for, and the live signing secret', async () => {
    const job = await api.create({ ...everything, ...secrets });
    await api.call('PATCH', `/v1/jobs/${job.id}`, {
      timeout_secs: 90,
      endpoint_signing_secret: 'hush-2',
    });
    const [first, second, unknown] = await Promise.all([
      api.jobs.executionConfig(pinned(job.id, 1, 2)),
      api.jobs.executionConfig(pinned(job.id, 2, 2)),
      api.jobs.executionConfig(pinned(job.id, 77, 2)),
    ]);
    assert.deepEqual(
      [first.version, first.version_id, first.timeout_secs, first.signing_secret()],
      [1, job.version_id, 60, 'hush-2'],
    );
    assert.deepEqual(
      [second.version, second.timeout_secs, unknown.version, unknown.timeout_secs],
      [2, 90, 2, 90],
    );
    assert.deepEqual(
      [first.retry_delays_secs, first.poison_pill_threshold, first.result_schema],
      [[1, 5, 30], 4, everything.result_schema],
    );
    api.statements.length = 0;
    assert.equal(await api.jobs.executionConfig(pinned(job.id, 1, 2)), first);
    assert.equal(api.statements.length, 0, 'cached');
    await assert.rejects(api.jobs.executionConfig(pinned('none', 1, 1)), { code: 'job_not_found' });
  });

  it('look-ups of one turn share a statement; none is answered from memory', async () => {
    const [a, b] = [await api.create({ tags: { a: '1' } }), await api.create()];
    api.statements.length = 0;
    const [byId, bySlug, other, foreign, missing] = await Promise.all([
      api.jobs.findForTrigger('p', a.id),
      api.jobs.findForTrigger('p', a.slug),
      api.jobs.findForTrigger('p', b.id.toUpperCase()),
      api.jobs.findForTrigger('other', a.id),
      api.jobs.findForTrigger('p', 'missing'),
    ]);
    assert.equal(api.statements.length, 1);
    assert.deepEqual(byId, bySlug);
    assert.deepEqual(
      [byId?.id, byId?.tags, other?.id, foreign, missing],
      [a.id, { a: '1' }, b.id, undefined, undefined],
    );
    await api.call('POST', '/v1/jobs/batch-disable', { ids: [a.id] });
    assert.equal((await api.jobs.findForTrigger('p', a.id))?.enabled, false);
    const [group] = await api.sql(
      `insert into job_groups (project_id, name, slug, paused) values ('p', 'G', 'g', true) returning id`,
    );
    const grouped = await api.create({ group_id: group?.id });
    assert.equal((await api.jobs.findForTrigger('p', grouped.id))?.paused, true);
  });
});
