import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { inRunTest, type InRunTest } from '../../../test/in-run.ts';
import { until } from '../../../test/until.ts';
import { createListener } from '../../platform/db/listen.ts';

let t: InRunTest;
before(async () => (t = await inRunTest({ max_events: 20 })));
after(() => t.close());

const running = async (body?: object) => t.running(await t.makeJob(), body);

test('a run reads its payload as it was sent', async () => {
  const run = await running({ payload: { b: [1, null], a: 'ü' } });
  assert.deepEqual((await run.get('payload')).body, { b: [1, null], a: 'ü' });
});

test('log, progress and resources become events, and replies name the SDK version', async () => {
  const run = await running();
  const logged = await run.call(
    'POST',
    'log',
    { message: 'hello', level: 'warn', data: { n: 1 } },
    { 'x-sdk-version': '2.1.0' },
  );
  assert.equal(logged.status, 201);
  assert.deepEqual(
    [logged.body.type, logged.body.level, logged.body.message, logged.body.data],
    ['log', 'warn', 'hello', { n: 1 }],
  );
  assert.deepEqual(
    [logged.headers['x-sdk-version-accepted'], logged.headers['x-sdk-capabilities']],
    ['2.1.0', 'progress,checkpoint,usage'],
  );
  const progress = await run.post('progress', { message: 'half', percent: 50, eta_secs: 3 });
  assert.deepEqual(
    [progress.body.type, progress.body.data],
    ['progress', { percent: 50, eta_seconds: 3 }],
  );
  assert.deepEqual(
    [progress.headers['x-sdk-version-accepted'], progress.headers['x-sdk-capabilities']],
    ['legacy', 'none'],
  );
  for (const [memory_percent, level] of [
    [79, 'info'],
    [80, 'warn'],
    [90, 'error'],
  ] as const) {
    assert.deepEqual((await run.post('resources', { memory_percent })).body, { status: 'ok' });
    const [row] = await t.app.sql(
      `select level from run_events where run_id = $1 and type = 'resource_sample' order by id desc limit 1`,
      run.id,
    );
    assert.deepEqual(row, { level });
  }
});

test('every answer says what SDKs may rely on: raw payloads, empty ones and refusals too', async () => {
  const run = await running();
  for (const [method, path, status] of [
    ['GET', 'payload', 200],
    ['DELETE', 'state/k', 204],
    ['GET', 'state/k', 404],
    ['POST', 'log', 400],
  ] as const) {
    const answer = await run.call(method, path, undefined, { 'x-sdk-version': 'v3.1' });
    assert.deepEqual(
      [
        answer.status,
        answer.headers['x-sdk-version-accepted'],
        answer.headers['x-sdk-capabilities'],
      ],
      [status, 'v3.1', 'progress,checkpoint,usage'],
    );
  }
  const stranger = await t.request('GET', `/sdk/v1/runs/${run.id}/payload`, 'nonsense');
  assert.deepEqual([stranger.status, stranger.headers['x-sdk-version-accepted']], [401, 'legacy']);
});

test('a chunk or a sample with nothing in it is refused', async () => {
  const run = await running();
  for (const [path, body] of [
    ['stream', {}],
    ['stream', { stream_id: 'x', done: false }],
    ['resources', {}],
  ] as const) {
    const refused = await run.post(path, body);
    assert.deepEqual([refused.status, refused.body.code], [400, 'invalid_request'], path);
  }
  for (const body of [{ done: true }, { chunk: '' }])
    assert.equal((await run.post('stream', body)).status, 200);
});

test('messages and data have limits, unknown members and forged state changes are refused', async () => {
  const run = await running();
  for (const body of [
    { message: '' },
    { message: 'ä'.repeat(4097) },
    { message: 'm', data: 'x'.repeat(65_536) },
    { message: 'm', more: 1 },
    { message: 'm', level: 'loud' },
    { message: 'm', type: 'state_change', data: { to: 'completed' } },
    {},
  ]) {
    assert.equal((await run.post('log', body)).status, 400, JSON.stringify(body).slice(0, 60));
  }
  assert.equal(
    (await run.post('log', { message: 'ä'.repeat(4096), data: 'x'.repeat(65_534) })).status,
    201,
  );
  assert.equal((await run.post('progress', { message: 'm', percent: 101 })).status, 400);
});

test('events beyond the limit are dropped with exactly one event that says so', async () => {
  const run = await running();
  const answers = await Promise.all(
    Array.from({ length: 40 }, (_, n) => run.post('log', { message: `line ${n}` })),
  );
  assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([201]));
  const [row] = await t.app.sql(
    `select count(*) filter (where data ? '_dropped') as markers, count(*) as events from run_events where run_id = $1`,
    run.id,
  );
  assert.deepEqual(row, { markers: 1, events: 21 });
  assert.match((await run.post('progress', { message: 'm' })).body.message, /dropped/);
});

test('annotations merge into the metadata, bare or wrapped, within their limits', async () => {
  const run = await running({ metadata: { kept: 'yes' } });
  assert.deepEqual((await run.post('annotate', { a: '1' })).body.metadata, { kept: 'yes', a: '1' });
  assert.deepEqual(
    (await run.post('annotate', { annotations: { a: '2', b: '3' } })).body.metadata,
    { kept: 'yes', a: '2', b: '3' },
  );
  const keys = (n: number, prefix: string) =>
    Object.fromEntries(Array.from({ length: n }, (_, i) => [`${prefix}${i}`, 'v']));
  for (const body of [
    { _own: 'x' },
    { a: 'x'.repeat(1025) },
    { ['k'.repeat(129)]: 'v' },
    keys(51, 'k'),
    {},
    { a: 1 },
  ]) {
    assert.equal((await run.post('annotate', body)).status, 400, JSON.stringify(body).slice(0, 60));
  }
  for (const prefix of ['a', 'b', 'c'])
    assert.equal((await run.post('annotate', keys(50, prefix))).status, 200);
  const full = await run.post('annotate', keys(50, 'd'));
  assert.deepEqual([full.status, full.body.code], [400, 'annotations_limit']);
});

test('checkpoints of one run are numbered without gaps, whoever writes at the same time', async () => {
  const run = await running();
  const answers = await Promise.all(
    Array.from({ length: 12 }, (_, n) => run.post('checkpoint', { state: { n } })),
  );
  assert.deepEqual(
    answers.map(({ body }) => body.sequence).toSorted((a, b) => a - b),
    Array.from({ length: 12 }, (_, n) => n + 1),
  );
  assert.equal(answers[0]?.body.source, 'sdk');
  assert.equal((await run.post('checkpoint', {})).status, 400);
});

test('state is a small store of the run', async () => {
  const run = await running();
  assert.deepEqual((await run.get('state')).body, []);
  assert.equal((await run.post('state', { key: 'b', value: { n: 1 } })).status, 201);
  assert.equal((await run.post('state', { key: 'a/x', value: null })).status, 201);
  assert.equal((await run.post('state', { key: 'b', value: 2 })).body.value, 2);
  assert.deepEqual(
    (await run.get('state')).body.map((row: { state_key: string }) => row.state_key),
    ['a/x', 'b'],
  );
  assert.equal((await run.get('state/a%2Fx')).body.value, null);
  assert.equal((await run.call('DELETE', 'state/b')).status, 204);
  assert.equal((await run.call('DELETE', 'state/b')).status, 204);
  assert.deepEqual(
    [(await run.get('state/b')).status, (await run.get('state/b')).body.code],
    [404, 'state_key_not_found'],
  );
  assert.equal((await run.post('state', { key: 'k'.repeat(257), value: 1 })).status, 400);
  assert.equal((await run.post('state', { key: 'k', value: 'x'.repeat(65_535) })).status, 400);
  assert.equal((await run.post('state', { key: 'k' })).status, 400);

  await t.app.sql(
    `insert into run_state (run_id, state_key, value) select $1, 'k' || n, '1' from generate_series(1, 998) n`,
    run.id,
  );
  const last = await Promise.all(
    Array.from({ length: 4 }, (_, n) => run.post('state', { key: `new${n}`, value: 1 })),
  );
  assert.deepEqual(last.map(({ status }) => status).toSorted(), [201, 400, 400, 400]);
  assert.equal(
    (await run.post('state', { key: 'a/x', value: 'known keys can change' })).status,
    201,
  );
});

test('outputs replace each other by key and are checked against the schema sent with them', async () => {
  const run = await running();
  const schema = {
    type: 'array',
    items: { type: 'object', required: ['id'], properties: { id: { type: 'integer' } } },
  };
  const refused = await run.post('output', {
    output_key: 'rows',
    schema,
    value: [{ id: 1 }, { id: 1.5 }, {}],
  });
  assert.deepEqual([refused.status, refused.body.code], [400, 'output_invalid']);
  assert.deepEqual(
    refused.body.details.map((detail: { path: string }) => detail.path),
    ['body.value[1].id', 'body.value[2].id'],
  );
  const first = await run.post('output', { output_key: 'rows', schema, value: [{ id: 1 }] });
  assert.deepEqual([first.status, first.body.schema], [201, schema]);
  const second = await run.post('output', { key: 'rows', value: 0 });
  assert.deepEqual(
    [second.body.id, second.body.value, second.body.schema],
    [first.body.id, 0, undefined],
  );
});

test('tool calls are kept as reported', async () => {
  const { body, status } = await (
    await running()
  ).post('tool-call', { tool_name: 'search', input: { q: 'x' }, output: [1], duration_ms: 5 });
  assert.equal(status, 201);
  assert.deepEqual(
    [body.tool_name, body.input, body.output, body.duration_ms, body.status],
    ['search', { q: 'x' }, [1], 5, 'completed'],
  );
});

test('usage without a cost is priced from the newest active price, rounded half-up once', async () => {
  await t.app
    .sql(`insert into pricing_catalog (provider, model, input_cost_microusd, output_cost_microusd, active, effective_from) values
    ('acme', 'one', 999999999, 0, true, now() - interval '2 days'), ('acme', 'one', 250000, 1000000, true, now() - interval '1 day'),
    ('acme', 'one', 7, 7, false, now()), ('acme', 'one', 7, 7, true, now() + interval '1 day')`);
  const run = await running();
  const cost = async (body: object) =>
    (await run.post('usage', { provider: 'acme', model: 'one', ...body })).body.cost_microusd;
  assert.equal(await cost({ prompt_tokens: 1 }), 0);
  assert.equal(await cost({ prompt_tokens: 2 }), 1);
  assert.equal(await cost({ prompt_tokens: 2, completion_tokens: 3 }), 4);
  assert.equal(await cost({ prompt_tokens: 2, cost_microusd: 77 }), 77);
  const unknown = await run.post('usage', {
    provider: 'acme',
    model: 'other',
    prompt_tokens: 2,
    completion_tokens: 5,
  });
  assert.deepEqual([unknown.body.cost_microusd, unknown.body.total_tokens], [0, 7]);
});

test('the cost limit of a run holds exactly, also for reports at the same moment', async () => {
  await t.app.sql(
    `insert into project_quotas (project_id, max_cost_per_run_microusd) values ($1, 1000)
    on conflict (project_id) do update set max_cost_per_run_microusd = 1000`,
    t.project.project_id,
  );
  try {
    const run = await running();
    const answers = await Promise.all(
      Array.from({ length: 12 }, () =>
        run.post('usage', { provider: 'p', model: 'm', cost_microusd: 300 }),
      ),
    );
    assert.deepEqual(answers.map(({ status }) => status).toSorted(), [
      201,
      201,
      201,
      ...Array.from({ length: 9 }, () => 429),
    ]);
    assert.equal(answers.find(({ status }) => status === 429)?.body.code, 'run_cost_exceeded');
    const [row] = await t.app.sql(
      'select sum(cost_microusd)::int as total from run_usage where run_id = $1',
      run.id,
    );
    assert.deepEqual(row, { total: 900 });
  } finally {
    await t.app.sql('update project_quotas set max_cost_per_run_microusd = null');
  }
});

test('chunks reach whoever listens, in order and whole, however long they are', async () => {
  const listener = createListener({ url: t.app.url, application_name: 'test-chunks' });
  const heard: { run_id: string; stream_id: string; chunk: string; done: boolean }[] = [];
  listener.on('run_chunks', (payload) => void (payload !== '' && heard.push(JSON.parse(payload))));
  await listener.start();
  try {
    const run = await running();
    const long = 'a'.repeat(30_000);
    for (const body of [{ chunk: 'one' }, { chunk: long, stream_id: 'x', done: true }])
      assert.deepEqual((await run.post('stream', body)).body, { status: 'ok' });
    await until('the last chunk is heard', () => heard.at(-1)?.done === true);
    assert.deepEqual(new Set(heard.map(({ run_id }) => run_id)), new Set([run.id]));
    assert.deepEqual(
      [heard[0]?.chunk, heard[0]?.stream_id, heard[0]?.done],
      ['one', 'default', false],
    );
    assert.equal(
      heard
        .slice(1)
        .map(({ chunk }) => chunk)
        .join(''),
      long,
    );
    assert.ok(heard.slice(1, -1).every(({ done }) => !done));
  } finally {
    await listener.stop();
  }
});
