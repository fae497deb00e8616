import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { everything, secrets, startJobsApi, type ApiBody, type JobsApi } from './jobs-api.test.ts';

describe('creating and listing jobs', () => {
  let api: JobsApi;
  before(async () => {
    api = await startJobsApi();
  });
  after(() => api.stop());

  it('a job has the documented defaults', async () => {
    const job = await api.create({ project_id: 'p' });
    assert.match(job.version_id, /^ver_[0-9a-z]{12}$/);
    assert.match(String(job['created_at']), /^\d{4}-.*\.\d{6}Z$/);
    const { id: _id, slug: _slug, version_id: _v, created_at, updated_at, ...rest } = job;
    assert.equal(created_at, updated_at);
    assert.deepEqual(rest, {
      project_id: 'p',
      name: 'Job',
      endpoint_url: 'https://example.com/run',
      max_attempts: 3,
      timeout_secs: 300,
      enabled: true,
      paused: false,
      has_webhook_secret: false,
      has_endpoint_signing_secret: false,
      retry_strategy: 'exponential',
      retry_priority_boost: 1,
      version: 1,
      version_policy: 'pin',
      cron_catchup: 'latest',
      cron_overlap_policy: 'allow',
      execution_mode: 'http',
      created_by: 'internal',
      updated_by: 'internal',
    });
  });

  it('every field comes back as it was sent, secrets never', async () => {
    const job = await api.create({ ...everything, ...secrets });
    for (const [name, value] of Object.entries(everything))
      assert.deepEqual(job[name], value, name);
    assert.equal(job['has_webhook_secret'], true);
    assert.equal(job['has_endpoint_signing_secret'], true);
    const updated = await api.call('PATCH', `/v1/jobs/${job.id}`, {
      endpoint_signing_secret: 'hush-new',
    });
    const versions = await api.call('GET', `/v1/jobs/${job.id}/versions`);
    const list = await api.call('GET', '/v1/jobs');
    assert.doesNotMatch(
      JSON.stringify([job, updated, versions, list]),
      /hush|_enc|"webhook_secret"/,
    );
    const [row] = await api.sql('select * from jobs where id = $1', job.id);
    assert.doesNotMatch(JSON.stringify(row) + String(row?.['endpoint_signing_secret_enc']), /hush/);
    assert.doesNotMatch(JSON.stringify(await api.sql('select * from audit_events')), /hush/);
  });

  it('a job is found by id and slug, and only in its project', async () => {
    const job = await api.create();
    for (const ref of [job.id, job.slug]) {
      assert.equal((await api.call('GET', `/v1/jobs/${ref}`)).body.id, job.id);
      const foreign = await api.callIn('other', 'GET', `/v1/jobs/${ref}`);
      assert.deepEqual([foreign.status, foreign.body.code], [404, 'job_not_found']);
    }
    assert.equal(
      (await api.callIn('other', 'PATCH', `/v1/jobs/${job.id}`, { name: 'x' })).status,
      404,
    );
    assert.equal((await api.callIn('other', 'POST', `/v1/jobs/${job.id}/pause`)).status, 404);
    assert.equal((await api.callIn('other', 'GET', `/v1/jobs/${job.id}/versions`)).status, 404);
  });

  it('what breaks a rule is refused with the path of the field', async () => {
    await api.refuse({ name: '' }, 'invalid_request', 'body.name');
    await api.refuse({ color: 1 }, 'invalid_request', 'body.color');
    await api.refuse({ max_attempts: 101 }, 'invalid_request', 'body.max_attempts');
    await api.refuse({ timeout_secs: 86_401 }, 'invalid_request', 'body.timeout_secs');
    await api.refuse({ run_ttl_secs: 2_592_001 }, 'invalid_request', 'body.run_ttl_secs');
    await api.refuse({ max_concurrency: 3_000_000_000 }, 'invalid_request', 'body.max_concurrency');
    await api.refuse(
      { tags: { [`k${'x'.repeat(64)}`]: 'v' } },
      'invalid_request',
      `body.tags.k${'x'.repeat(64)}`,
    );
    await api.refuse(
      { cron: '@daily', timezone: 'Mars' },
      'invalid_job',
      'body.cron',
      'body.timezone',
    );
    await api.refuse({ slug: '0199f0a2-7f2a-7c3e-9a39-3f1c4a5b6c7d' }, 'invalid_job', 'body.slug');
    await api.refuse(
      { execution_mode: 'managed', image_uri: 'x' },
      'invalid_job',
      'body.execution_mode',
      'body.image_uri',
    );
    await api.refuse({ preferred_regions: ['iad'] }, 'invalid_job', 'body.preferred_regions');
    await api.refuse(
      { group_id: 'nope', environment_id: 'nope' },
      'invalid_job',
      'body.group_id',
      'body.environment_id',
    );
    await api.refuse(
      { payload_schema: { type: 'strnig' } },
      'invalid_schema',
      'body.payload_schema',
    );
    await api.refuse({ result_schema: 5 }, 'invalid_schema', 'body.result_schema');
    assert.deepEqual(await api.sql(`select id from jobs where slug = 'refused'`), []);
  });

  it('refusals say the rule in plain words', async () => {
    const job = { name: 'Job', slug: 'worded', endpoint_url: 'https://example.com' };
    const key_rule = /^a key has 1 to 64 characters$/;
    const is_private = /private .*ALLOW_PRIVATE_ENDPOINTS/;
    for (const [fields, path, message] of [
      [{ slug: '..' }, 'body.slug', /^must not be \. or \.\.$/],
      [{ slug: 'a/b' }, 'body.slug', /white space/],
      [{ name: undefined }, 'body.name', /^is required$/],
      [
        { rate_limit_keys: [{ max: 1, window_secs: 1 }] },
        'body.rate_limit_keys[0].name',
        /^is required$/,
      ],
      [{ max_attempts: 1.5 }, 'body.max_attempts', /^must be a whole number$/],
      [{ tags: { ['k'.repeat(65)]: 'v' } }, `body.tags.${'k'.repeat(65)}`, key_rule],
      [{ tags: { '': 'v' } }, 'body.tags.', key_rule],
      [
        { default_run_metadata: { _x: '1' } },
        'body.default_run_metadata._x',
        /^keys starting with _ are reserved$/,
      ],
      [{ endpoint_url: 'http://127.0.0.1/' }, 'body.endpoint_url', is_private],
      [{ endpoint_url: 'http://localhost/' }, 'body.endpoint_url', is_private],
      [{ endpoint_url: 'https://inside.example.com/' }, 'body.endpoint_url', is_private],
      [
        { endpoint_url: 'https://example.com:22/' },
        'body.endpoint_url',
        /^port 22 is not allowed$/,
      ],
    ] as const) {
      const { status, body } = await api.call('POST', '/v1/jobs', { ...job, ...fields });
      assert.equal(status, 400);
      assert.deepEqual(
        body.details.map((detail) => detail.path),
        [path],
      );
      assert.match(body.details[0]?.message ?? '', message);
    }
    const batch = await api.call('POST', '/v1/jobs/batch', { jobs: [{ ...job, name: undefined }] });
    assert.match(JSON.stringify(batch.body), /body\.jobs\[0\]\.name: is required/);
  });

  it('URLs that point inside are refused, by name, address and what the name resolves to', async () => {
    for (const url of [
      'http://127.0.0.1/',
      'ftp://example.com/',
      'http://localhost/',
      'https://example.com:22/',
      'https://inside.example.com/',
      'https://nowhere.invalid/',
      'nonsense',
      'http://[::1]/',
      'https://u:p@example.com/',
    ]) {
      await api.refuse({ endpoint_url: url }, 'invalid_url', 'body.endpoint_url');
    }
    await api.refuse(
      { fallback_endpoint_url: 'http://10.1.1.1' },
      'invalid_url',
      'body.fallback_endpoint_url',
    );
    await api.refuse({ webhook_url: 'http://169.254.169.254/' }, 'invalid_url', 'body.webhook_url');
  });

  it('a slug is taken once per project', async () => {
    const { slug } = await api.create();
    await api.refuse({ slug }, 'job_slug_taken', 'body.slug');
    await api.create({ slug }, 'other');
    const second = await api.create();
    const moved = await api.call('PATCH', `/v1/jobs/${second.id}`, { slug });
    assert.deepEqual([moved.status, moved.body.code], [409, 'job_slug_taken']);
  });

  it('a project with a limit never gets more jobs than it may, however many ask at once', async () => {
    await api.sql(`insert into project_quotas (project_id, max_jobs) values ('small', 3)`);
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, index) =>
        api.callIn('small', 'POST', '/v1/jobs', {
          name: 'Job',
          slug: `s${index}`,
          endpoint_url: 'https://example.com',
        }),
      ),
    );
    const codes = answers.map(({ status, body }) => body.code ?? status).sort();
    assert.deepEqual(codes, [201, 201, 201, ...Array(5).fill('job_limit_reached')]);
  });

  it('a batch creates what it can and says what it could not', async () => {
    const good = (slug: string) => ({ name: 'B', slug, endpoint_url: 'https://example.com' });
    const items = [
      good('b1'),
      { ...good('b2'), cron: 'x' },
      { slug: 'b3' },
      good('b1'),
      { ...good('b4'), project_id: 'other' },
      good('b5'),
    ];
    const { status, body } = await api.call('POST', '/v1/jobs/batch', { jobs: items });
    assert.equal(status, 201, JSON.stringify(body));
    assert.deepEqual(
      body.created.map((job) => job.slug),
      ['b1', 'b5'],
    );
    assert.deepEqual(
      body.errors.map(({ index, code }) => [index, code]),
      [
        [1, 'invalid_job'],
        [2, 'invalid_request'],
        [3, 'job_slug_taken'],
        [4, 'project_mismatch'],
      ],
    );
    assert.equal(body.errors[0]?.details[0]?.path, 'body.jobs[1].cron');

    const array = await api.call('POST', '/v1/jobs/batch', [good('b6'), good('b1')]);
    const list = array.body as unknown as readonly ApiBody[];
    assert.deepEqual([array.status, list.map(({ slug }) => slug)], [201, ['b6']]);
    assert.equal(JSON.parse(String(array.headers['x-batch-errors']))[0].code, 'job_slug_taken');

    const none = await api.call('POST', '/v1/jobs/batch', {
      jobs: [good('b1'), { ...good('b9'), cron: 'x' }],
    });
    assert.deepEqual(
      [none.status, none.body.code, none.body.created, none.body.errors.length],
      [400, 'job_slug_taken', [], 2],
    );
    assert.equal(typeof none.body['request_id'], 'string');
    assert.equal((await api.call('POST', '/v1/jobs/batch', { jobs: [] })).status, 400);
    assert.equal(
      (await api.call('POST', '/v1/jobs/batch', { jobs: Array(51).fill(good('x')) })).status,
      400,
    );
  });

  it('lists page newest first without a gap, and filter by tag', async () => {
    for (let index = 0; index < 5; index += 1)
      await api.create({ tags: { tier: `t${index % 2}`, list: 'yes' } }, 'lists');
    await api.callIn('lists', 'POST', '/v1/jobs/batch', {
      jobs: Array.from({ length: 7 }, (_, index) => ({
        name: 'L',
        slug: `l${index}`,
        endpoint_url: 'https://example.com',
      })),
    });
    const seen: string[] = [];
    for (let cursor = ''; ;) {
      const { body } = await api.callIn('lists', 'GET', `/v1/jobs?limit=4${cursor}`);
      seen.push(...body.data.map((job) => job.id));
      if (!body['has_more']) break;
      cursor = `&cursor=${body['next_cursor']}`;
    }
    const all = await api.sql(
      `select id from jobs where project_id = 'lists' order by created_at desc, id desc`,
    );
    assert.deepEqual(
      seen,
      all.map(({ id }) => id),
    );
    const count = async (query: string) =>
      (await api.callIn('lists', 'GET', `/v1/jobs?${query}`)).body.data.length;
    assert.deepEqual(
      [
        await count('tag_key=list'),
        await count('tag_key=tier&tag_value=t1'),
        await count('tag_key=none'),
      ],
      [5, 2, 0],
    );
    assert.equal((await api.callIn('lists', 'GET', '/v1/jobs?tag_value=t1')).status, 400);
    assert.equal((await api.callIn('lists', 'GET', '/v1/jobs?cursor=nonsense')).status, 400);
  });
});
