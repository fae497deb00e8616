import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { testApp, type TestApp, type TestProject } from '../../../../test/app.ts';
import { verifyRunToken } from '../../../platform/crypto/run-token.ts';

let app: TestApp;
let project: TestProject;
let slugs = 0;

const call = (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) =>
  app.call(method, path, {
    key: project.api_key,
    ...(body === undefined ? {} : { body }),
    headers,
  });

async function makeJob(settings: object = {}): Promise<{ id: string; slug: string }> {
  slugs += 1;
  const slug = `job-${slugs}`;
  const made = await call('POST', '/v1/jobs', {
    name: slug,
    slug,
    endpoint_url: 'http://127.0.0.1:9/x',
    ...settings,
  });
  assert.equal(made.status, 201, JSON.stringify(made.body));
  return made.body;
}

const trigger = (job: string, body: object = {}, headers: Record<string, string> = {}) =>
  call('POST', `/v1/jobs/${job}/trigger`, body, headers);
const bulk = (job: string, items: unknown[]) =>
  call('POST', `/v1/jobs/${job}/trigger/bulk`, { items });
const runsOf = async (job_id: string) =>
  Number(
    (await app.sql<{ n: string }>('select count(*) n from job_runs where job_id = $1', job_id))[0]
      ?.n,
  );

before(async () => {
  app = await testApp();
  project = await app.project();
});
after(() => app.close());

describe('triggering one run', () => {
  test('answers with the run, the hash of its canonical payload and a token for its first attempt', async () => {
    const job = await makeJob({
      tags: { team: 'a', env: 'dev' },
      default_run_metadata: { origin: 'job' },
    });
    const made = await trigger(job.slug, {
      payload: { b: 1, a: [2] },
      tags: { env: 'prod' },
      metadata: { who: 'me' },
      priority: 3,
    });
    assert.equal(made.status, 201, JSON.stringify(made.body));
    const { id, status, payload_hash, run_token, idempotency_hit } = made.body;
    assert.deepEqual([status, idempotency_hit], ['queued', false]);
    assert.match(payload_hash, /^[0-9a-f]{64}$/);
    const claims = verifyRunToken(run_token, [app.token_key], Date.now() / 1000);
    assert.deepEqual(claims, { run_id: id, attempt: 1, claim_seq: null });

    const run = (await call('GET', `/v1/runs/${id}`)).body;
    assert.deepEqual(run.payload, { a: [2], b: 1 });
    assert.deepEqual(run.tags, { team: 'a', env: 'prod' });
    assert.deepEqual(run.metadata, { origin: 'job', who: 'me' });
    assert.deepEqual(
      [run.priority, run.triggered_by, run.attempt, run.job_version],
      [3, 'manual', 1, 1],
    );
    assert.match(run.created_by, /^apikey:/);
  });

  test('an absent payload is stored as {}', async () => {
    const job = await makeJob();
    const { id } = (await trigger(job.id)).body;
    assert.deepEqual(
      (await app.sql('select payload from job_runs where id = $1', id))[0]?.payload,
      {},
    );
  });

  test('20 parallel triggers with one key make one run', async () => {
    const job = await makeJob();
    const answers = await Promise.all(
      Array.from({ length: 20 }, () =>
        trigger(job.slug, { payload: { n: 1 } }, { 'idempotency-key': 'same' }),
      ),
    );
    assert.deepEqual([...new Set(answers.map(({ status }) => status))], [201]);
    assert.equal(new Set(answers.map(({ body }) => body.id)).size, 1);
    assert.equal(answers.filter(({ body }) => body.idempotency_hit === false).length, 1);
    assert.equal(await runsOf(job.id), 1);
  });

  test('a key in X-Idempotency-Key goes before Idempotency-Key, and that before the body', async () => {
    const job = await makeJob();
    const first = (
      await trigger(
        job.slug,
        { idempotency_key: 'c' },
        { 'x-idempotency-key': 'a', 'idempotency-key': 'b' },
      )
    ).body.id;
    assert.equal((await trigger(job.slug, { idempotency_key: 'a' })).body.id, first);
    assert.notEqual((await trigger(job.slug, {}, { 'idempotency-key': 'b' })).body.id, first);
    assert.notEqual((await trigger(job.slug, { idempotency_key: 'c' })).body.id, first);
    const empty = await Promise.all([
      trigger(job.slug, { idempotency_key: '' }),
      trigger(job.slug, {}, { 'idempotency-key': '' }),
    ]);
    assert.deepEqual(
      empty.map(({ body }) => body.idempotency_hit),
      [false, false],
    );
  });

  test('the same key with another payload is told so', async () => {
    const job = await makeJob();
    const key = { 'idempotency-key': 'k' };
    const { id } = (await trigger(job.slug, { payload: { n: 1 } }, key)).body;
    const again = (await trigger(job.slug, { payload: { n: 2 } }, key)).body;
    assert.deepEqual(again, {
      id,
      status: 'queued',
      idempotency_hit: true,
      payload_mismatch: true,
    });
  });

  test('a disabled job refuses, but still answers for a key it knows', async () => {
    const job = await makeJob();
    const key = { 'idempotency-key': 'k' };
    const { id } = (await trigger(job.slug, {}, key)).body;
    await app.sql('update jobs set enabled = false where id = $1', job.id);
    assert.equal((await trigger(job.slug, {}, key)).body.id, id);
    for (const headers of [{}, { 'idempotency-key': 'new' }]) {
      const refused = await trigger(job.slug, {}, headers as Record<string, string>);
      assert.deepEqual([refused.status, refused.body.code], [400, 'job_disabled']);
    }
    assert.equal(await runsOf(job.id), 1);
  });

  test('a paused job takes the run and says that it is held', async () => {
    const job = await makeJob();
    await app.sql('update jobs set paused = true where id = $1', job.id);
    const made = await trigger(job.slug);
    assert.deepEqual([made.status, made.body.job_paused], [201, true]);
  });

  test('what is out of bounds is refused with the place', async () => {
    const job = await makeJob({
      payload_schema: { type: 'object', required: ['n'], properties: { n: { type: 'integer' } } },
    });
    const cases: [object, string, string][] = [
      [{ priority: 11 }, 'invalid_request', 'body.priority'],
      [{ ttl_secs: -1 }, 'invalid_request', 'body.ttl_secs'],
      [{ metadata: { _mine: 'x' } }, 'invalid_request', 'body.metadata._mine'],
      [{ tags: { '': 'x' } }, 'invalid_request', 'body.tags.'],
      [{ unknown: 1 }, 'invalid_request', 'body.unknown'],
      [{ scheduled_at: 'tomorrow' }, 'invalid_request', 'body.scheduled_at'],
      [
        { scheduled_at: new Date(Date.now() - 90_000).toISOString() },
        'invalid_schedule',
        'body.scheduled_at',
      ],
      [
        { scheduled_at: new Date(Date.now() + 31 * 86_400_000).toISOString() },
        'invalid_schedule',
        'body.scheduled_at',
      ],
      [{ payload: { n: 'x' } }, 'invalid_payload', 'body.payload.n'],
      [{}, 'invalid_payload', 'body.payload'],
    ];
    for (const [body, code, path] of cases) {
      const refused = await trigger(job.slug, body);
      assert.equal(refused.status, 400, JSON.stringify(body));
      assert.deepEqual(
        [refused.body.code, refused.body.details?.[0]?.path],
        [code, path],
        JSON.stringify(refused.body),
      );
    }
    assert.equal(await runsOf(job.id), 0);
  });

  test('a job of another project does not exist', async () => {
    const job = await makeJob();
    const other = await app.project('other');
    const refused = await app.call('POST', `/v1/jobs/${job.id}/trigger`, {
      key: other.api_key,
      body: {},
    });
    assert.deepEqual([refused.status, refused.body.code], [404, 'job_not_found']);
  });

  test('a later instant makes a delayed run whose time to live starts then', async () => {
    const job = await makeJob();
    const scheduled_at = new Date(Date.now() + 3_600_000).toISOString();
    const made = await trigger(job.slug, { scheduled_at, ttl_secs: 60 });
    assert.equal(made.body.status, 'delayed');
    const run = (await call('GET', `/v1/runs/${made.body.id}`)).body;
    assert.equal(Date.parse(run.expires_at) - Date.parse(run.scheduled_at), 60_000);
  });

  test('one trigger is one look-up and one insert', async () => {
    const job = await makeJob();
    await trigger(job.slug);
    await app.sql('select pg_stat_force_next_flush()');
    const statements = async () =>
      app.sql<{ application_name: string; query: string }>(
        "select application_name, left(query, 40) as query from pg_stat_activity where datname = current_database() and application_name like 'strait-api%' order by query_start desc limit 2",
      );
    await trigger(job.slug);
    assert.deepEqual((await statements()).map((row) => row.application_name).toSorted(), [
      'strait-api',
      'strait-api-hot',
    ]);
  });
});

describe('a dry run', () => {
  test('says what would happen and stores nothing', async () => {
    const job = await makeJob();
    const dry = await trigger(job.slug, { dry_run: true, payload: { b: 1, a: 2 }, ttl_secs: 100 });
    assert.equal(dry.status, 200, JSON.stringify(dry.body));
    const read = await app.call('GET', `/v1/jobs/${job.slug}`, { key: project.api_key });
    assert.deepEqual(dry.body.job, read.body);
    assert.deepEqual(dry.body.payload, { a: 2, b: 1 });
    assert.equal(Math.round((Date.parse(dry.body.expires_at) - Date.now()) / 10_000), 10);
    assert.equal(await runsOf(job.id), 0);
  });

  test('warns of a key that is bound and of a paused job', async () => {
    const job = await makeJob();
    await trigger(job.slug, { idempotency_key: 'k', payload: { n: 1 } });
    await app.sql('update jobs set paused = true where id = $1', job.id);
    const dry = await trigger(job.slug, { dry_run: true, idempotency_key: 'k', payload: { n: 2 } });
    const text = dry.body.validation_warnings.join('\n');
    assert.match(text, /belongs to run/);
    assert.match(text, /another payload/);
    assert.match(text, /paused/);
    assert.equal(await runsOf(job.id), 1);
  });
});

describe('triggering many runs', () => {
  test('500 items make 500 runs in the order given, and a batch operation that counts them', async () => {
    const job = await makeJob();
    const made = await bulk(
      job.slug,
      Array.from({ length: 500 }, (_, n) => ({ payload: { n } })),
    );
    assert.equal(made.status, 201, JSON.stringify(made.body).slice(0, 300));
    assert.deepEqual(
      [made.body.total, made.body.created, made.body.results.length],
      [500, 500, 500],
    );
    const rows = await app.sql<{ id: string; n: number }>(
      "select id, (payload->>'n')::int n from job_runs where batch_id = $1 order by n",
      made.body.batch_id,
    );
    assert.deepEqual(
      rows.map(({ id }) => id),
      made.body.results.map(({ id }: { id: string }) => id),
    );

    const batch = await call('GET', `/v1/batch-operations/${made.body.batch_id}`);
    assert.deepEqual(
      [batch.body.item_count, batch.body.created_count, batch.body.job_id, batch.body.status],
      [500, 500, job.id, 'completed'],
    );
    assert.ok(batch.body.finished_at);
    assert.equal(
      (await call('GET', `/v1/runs?batch_id=${made.body.batch_id}&limit=100`)).body.data.length,
      100,
    );
    assert.equal((await call('GET', '/v1/batch-operations')).body.data[0].id, made.body.batch_id);
  });

  test('equal keys in one request collapse to the first, known keys answer with their run', async () => {
    const job = await makeJob();
    const known = (await trigger(job.slug, { idempotency_key: 'known', payload: { n: 0 } })).body
      .id;
    const items = [
      { idempotency_key: 'a', payload: { n: 1 } },
      { idempotency_key: 'a', payload: { n: 2 } },
      { idempotency_key: 'known', payload: { n: 0 } },
      { payload: { n: 3 } },
    ];
    const { results, created } = (await bulk(job.slug, items)).body;
    assert.equal(created, 2);
    assert.equal(results[0].id, results[1].id);
    assert.deepEqual(
      results.map((result: { idempotency_hit: boolean }) => result.idempotency_hit),
      [false, true, true, false],
    );
    assert.deepEqual(
      [results[2].id, results[1].payload_mismatch, results[1].run_token],
      [known, true, ''],
    );
    assert.equal(await runsOf(job.id), 3);
  });

  test('one bad item refuses all, and every bad one is named', async () => {
    const job = await makeJob();
    const items = [{}, { metadata: { _x: '1' } }, { scheduled_at: '2001-01-01T00:00:00Z' }];
    const refused = await bulk(job.slug, items);
    assert.equal(refused.status, 400);
    assert.deepEqual(
      refused.body.details.map(({ path }: { path: string }) => path),
      ['body.items[1].metadata._x', 'body.items[2].scheduled_at'],
    );
    const priority = await bulk(job.slug, [{}, {}, {}, { priority: 99 }]);
    assert.equal(priority.body.details[0].path, 'body.items[3].priority');
    assert.equal((await bulk(job.slug, [])).status, 400);
    assert.equal(
      (
        await bulk(
          job.slug,
          Array.from({ length: 501 }, () => ({})),
        )
      ).status,
      400,
    );
    assert.equal(await runsOf(job.id), 0);
    assert.equal(
      (await app.sql('select id from batch_operations where job_id = $1', job.id)).length,
      0,
    );
  });

  test('parallel requests that share keys in opposite order make each run once', async () => {
    const job = await makeJob();
    const keys = Array.from({ length: 50 }, (_, n) => ({ idempotency_key: `k${n}` }));
    const answers = await Promise.all([
      bulk(job.slug, keys),
      bulk(job.slug, keys.toReversed()),
      bulk(job.slug, keys),
    ]);
    assert.deepEqual(
      answers.map(({ status }) => status),
      [201, 201, 201],
    );
    assert.equal(
      answers.reduce((sum, { body }) => sum + body.created, 0),
      50,
    );
    assert.equal(await runsOf(job.id), 50);
  });

  test('a disabled job creates nothing', async () => {
    const job = await makeJob({ enabled: false });
    const refused = await bulk(job.slug, [{}, { idempotency_key: 'k' }]);
    assert.deepEqual([refused.status, refused.body.code], [400, 'job_disabled']);
    assert.equal((await bulk(job.slug, [{ idempotency_key: 'k' }])).body.code, 'job_disabled');
    assert.equal(
      (await app.sql('select id from batch_operations where job_id = $1', job.id)).length,
      0,
    );
  });
});
