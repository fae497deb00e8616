import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { everything, secrets, startJobsApi, type ApiBody, type JobsApi } from './jobs-api.test.ts';

describe('changing jobs', () => {
  let api: JobsApi;
  before(async () => {
    api = await startJobsApi();
  });
  after(() => api.stop());

  it('an update changes what it names, keeps the old version whole and bumps the number', async () => {
    const job = await api.create({ ...everything, ...secrets });
    const answer = await api.call('PATCH', `/v1/jobs/${job.slug}`, {
      endpoint_url: 'https://example.com/two',
      description: null,
      payload_schema: null,
      retry_delays_secs: [2],
      tags: {},
    });
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    const { body } = answer;
    assert.equal(body.version, 2);
    assert.notEqual(body.version_id, job.version_id);
    assert.equal('description' in body || 'payload_schema' in body || 'tags' in body, false);
    assert.deepEqual(
      [body['retry_delays_secs'], body['timeout_secs'], body['cron']],
      [[2], 60, everything.cron],
    );
    assert.equal(body['has_webhook_secret'], true);
    const [row] = await api.sql(
      'select payload_schema is null as cleared from jobs where id = $1',
      job.id,
    );
    assert.deepEqual(row, { cleared: true });

    const list = await api.call('GET', `/v1/jobs/${job.id}/versions`);
    assert.equal(list.body.data.length, 1);
    const old = list.body.data[0] ?? assert.fail('no version was kept');
    for (const [name, value] of Object.entries(everything))
      assert.deepEqual(old[name], value, name);
    assert.deepEqual([old.version, old.version_id, old.job_id], [1, job.version_id, job.id]);
    for (const ref of ['1', old.version_id, old.id]) {
      assert.equal(
        (await api.call('GET', `/v1/jobs/${job.id}/versions/${ref}`)).body.id,
        old.id,
        ref,
      );
    }
    for (const ref of ['2', body.version_id]) {
      const current = await api.call('GET', `/v1/jobs/${job.id}/versions/${ref}`);
      assert.deepEqual(
        [current.body.version, current.body['endpoint_url']],
        [2, 'https://example.com/two'],
      );
    }
    const missing = await api.call('GET', `/v1/jobs/${job.id}/versions/9`);
    assert.deepEqual([missing.status, missing.body.code], [404, 'job_version_not_found']);
  });

  it('every column of a job that a version can hold is in its snapshot', async () => {
    const job = await api.create({ ...everything, ...secrets });
    await api.call('PATCH', `/v1/jobs/${job.id}`, { name: 'Other' });
    const [kept] = await api.sql('select * from job_versions where job_id = $1', job.id);
    const [live] = await api.sql('select * from jobs where id = $1', job.id);
    const different = ['id', 'name', 'version', 'version_id', 'created_at'];
    const same = Object.keys(kept ?? {}).filter(
      (name) => Object.hasOwn(live ?? {}, name) && !different.includes(name),
    );
    assert.ok(same.length > 40);
    for (const name of same) assert.deepEqual(kept?.[name], live?.[name], name);
  });

  it('an update made for another version is a conflict, and of parallel ones each makes a version', async () => {
    const job = await api.create();
    const patch = (body: unknown) => api.call('PATCH', `/v1/jobs/${job.id}`, body);
    const stale = await patch({ name: 'x', version_id: 'ver_000000000000' });
    assert.deepEqual([stale.status, stale.body.code], [409, 'job_version_conflict']);
    assert.equal((await patch({ name: 'x', version_id: job.version_id })).status, 200);
    const guarded = await Promise.all(
      Array.from({ length: 5 }, async () => patch({ name: 'y', version_id: job.version_id })),
    );
    assert.deepEqual(
      guarded.map(({ status }) => status),
      [409, 409, 409, 409, 409],
    );
    const open = await Promise.all(
      Array.from({ length: 6 }, (_, index) => patch({ name: `n${index}` })),
    );
    assert.deepEqual(open.map(({ body }) => body.version).sort(), [3, 4, 5, 6, 7, 8]);
    const first = await api.call('GET', `/v1/jobs/${job.id}/versions?limit=3`);
    assert.deepEqual(
      first.body.data.map((one) => one.version),
      [7, 6, 5],
    );
    const next = await api.call(
      'GET',
      `/v1/jobs/${job.id}/versions?limit=10&cursor=${first.body['next_cursor']}`,
    );
    assert.deepEqual(
      next.body.data.map((one) => one.version),
      [4, 3, 2, 1],
    );
  });

  it('0 attempts or seconds are the default, on update as on creation', async () => {
    const zero = { max_attempts: 0, timeout_secs: 0 };
    const made = await api.create(zero);
    const job = await api.create({ max_attempts: 7, timeout_secs: 8 });
    const updated = await api.call('PATCH', `/v1/jobs/${job.id}`, zero);
    for (const { max_attempts, timeout_secs } of [made, updated.body])
      assert.deepEqual([max_attempts, timeout_secs], [3, 300]);
  });

  it('an update is judged by what the job becomes, not by what it says', async () => {
    const job = await api.create({ debounce_window_secs: 5 });
    const answer = await api.call('PATCH', `/v1/jobs/${job.id}`, { batch_window_secs: 5 });
    assert.deepEqual(
      [answer.status, answer.body.details[0]?.path],
      [400, 'body.batch_window_secs'],
    );
    assert.equal(
      (
        await api.call('PATCH', `/v1/jobs/${job.id}`, {
          batch_window_secs: 5,
          debounce_window_secs: 0,
        })
      ).status,
      200,
    );
    assert.equal(
      (await api.call('PATCH', `/v1/jobs/${job.id}`, { endpoint_url: 'http://localhost' })).body[
        'code'
      ],
      'invalid_url',
    );
    assert.equal((await api.call('PATCH', `/v1/jobs/${job.id}`, { name: null })).status, 400);
  });

  it('a clone has all settings and secrets, its own name, and starts afresh', async () => {
    const job = await api.create({ ...everything, ...secrets });
    await api.call('PATCH', `/v1/jobs/${job.id}`, { enabled: false });
    await api.call('POST', `/v1/jobs/${job.id}/pause`);
    const slug = `clone-of-${job.slug}`;
    const { status, body } = await api.call('POST', `/v1/jobs/${job.slug}/clone`, {
      name: 'Copy',
      slug,
    });
    assert.equal(status, 201, JSON.stringify(body));
    for (const [name, value] of Object.entries(everything))
      assert.deepEqual(body[name], value, name);
    assert.deepEqual(
      [body['name'], body.slug, body.version, body.enabled, body['paused']],
      ['Copy', slug, 1, true, false],
    );
    assert.equal(
      (
        await api.jobs.executionConfig({
          job_id: body.id,
          job_version: 1,
          live_version: 1,
          version_policy: 'pin',
          backwards_compatible: false,
        })
      ).signing_secret(),
      secrets.endpoint_signing_secret,
    );
    const again = await api.call('POST', `/v1/jobs/${job.id}/clone`, { name: 'Copy', slug });
    assert.deepEqual([again.status, again.body.code], [409, 'job_slug_taken']);
  });

  it('pausing makes no version, and doing it twice leaves one trace', async () => {
    const job = await api.create();
    for (const step of ['pause', 'pause', 'resume', 'resume']) {
      const { body } = await api.call('POST', `/v1/jobs/${job.slug}/${step}`);
      assert.deepEqual([body['paused'], body.enabled, body.version], [step === 'pause', true, 1]);
    }
    const trace = await api.sql(
      'select action, actor_id from audit_events where resource_id = $1 order by created_at, id',
      job.id,
    );
    assert.deepEqual(
      trace.map(({ action }) => action),
      ['job.created', 'job.paused', 'job.resumed'],
    );
  });

  it('many jobs are enabled and disabled by id or slug, foreign ones left alone', async () => {
    const [a, b, foreign] = [await api.create(), await api.create(), await api.create({}, 'other')];
    const off = await api.call('POST', '/v1/jobs/batch-disable', {
      ids: [a.id, b.slug, foreign.id, 'none'],
    });
    assert.deepEqual([off.status, off.body], [200, { updated: 2 }]);
    const read = async (job: ApiBody) =>
      (await api.callIn(job.project_id, 'GET', `/v1/jobs/${job.id}`)).body;
    assert.deepEqual(
      [(await read(a)).enabled, (await read(b)).enabled, (await read(foreign)).enabled],
      [false, false, true],
    );
    assert.equal((await read(a)).version, 1);
    const listed = await api.call('GET', '/v1/jobs?enabled=false&limit=100');
    assert.ok(listed.body.data.every((job) => !job.enabled));
    assert.deepEqual(
      (await api.call('POST', '/v1/jobs/batch-enable', { job_ids: [a.id, b.id] })).body,
      { updated: 2 },
    );
    assert.equal((await api.call('POST', '/v1/jobs/batch-enable', {})).status, 400);
    assert.equal(
      (await api.call('POST', '/v1/jobs/batch-enable', { ids: ['a'], job_ids: ['b'] })).status,
      400,
    );
  });
});
