import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { testApp, type TestApp, type TestProject } from '../../../../test/app.ts';

let app: TestApp;
let project: TestProject;
let other: TestProject;

const get = (path: string, key = project.api_key) => app.call('GET', path, { key });
const ids = (answer: { body: { data: { id: string }[] } }) => answer.body.data.map(({ id }) => id);

async function makeJob(slug: string, key = project.api_key): Promise<string> {
  const made = await app.call('POST', '/v1/jobs', {
    key,
    body: { name: slug, slug, endpoint_url: 'http://127.0.0.1:9/x' },
  });
  assert.equal(made.status, 201, JSON.stringify(made.body));
  return made.body.id;
}

async function run(job: string, body: object = {}, key = project.api_key): Promise<string> {
  const made = await app.call('POST', `/v1/jobs/${job}/trigger`, { key, body });
  assert.equal(made.status, 201, JSON.stringify(made.body));
  return made.body.id;
}

/** A run written directly: relations that only the in-run API makes. */
async function related(
  job_id: string,
  links: { parent?: string; continues?: string; depth?: number },
): Promise<string> {
  const [row] = await app.sql<{ id: string }>(
    `insert into job_runs (id, created_at, job_id, project_id, status, finished_at, parent_run_id, continuation_of, lineage_depth)
     select i.id, strait_id_time(i.id), $1, $2, 'completed', now(), $3, $4, $5 from (select strait_run_id() as id) i returning id`,
    job_id,
    project.project_id,
    links.parent ?? null,
    links.continues ?? null,
    links.depth ?? 0,
  );
  return row?.id ?? '';
}

async function pages(path: string, limit: number): Promise<string[]> {
  const all: string[] = [];
  let cursor = '';
  for (let n = 0; n < 50; n++) {
    const answer = await get(
      `${path}${path.includes('?') ? '&' : '?'}limit=${limit}${cursor && `&cursor=${encodeURIComponent(cursor)}`}`,
    );
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    all.push(...ids(answer));
    if (!answer.body.has_more) return all;
    cursor = answer.body.next_cursor;
  }
  throw new Error('the list never ends');
}

before(async () => {
  app = await testApp();
  project = await app.project();
  other = await app.project('other');
});
after(() => app.close());

describe('the list of runs', () => {
  test('pages through everything newest first, across states, and skips nothing', async () => {
    await makeJob('paged');
    const items = Array.from({ length: 25 }, (_, n) =>
      n % 3 === 0 ? { scheduled_at: new Date(Date.now() + 3_600_000).toISOString() } : {},
    );
    const made = await app.call('POST', '/v1/jobs/paged/trigger/bulk', {
      key: project.api_key,
      body: { items },
    });
    const expected = made.body.results.map(({ id }: { id: string }) => id).toReversed();
    assert.deepEqual(await pages('/v1/runs?job_id=paged', 7), expected);
    assert.deepEqual(
      (await pages('/v1/runs', 4)).filter((id) => expected.includes(id)),
      expected,
    );
    assert.deepEqual(await pages(`/v1/runs?batch_id=${made.body.batch_id}`, 10), expected);
    assert.equal(
      (await pages(`/v1/runs?batch_id=${made.body.batch_id}&status=delayed`, 10)).length,
      9,
    );
    assert.equal((await pages('/v1/runs?job_id=paged&status=delayed,queued', 10)).length, 25);
  });

  test('every filter keeps what it names and nothing else', async () => {
    const job_id = await makeJob('filtered');
    await makeJob('elsewhere');
    const wanted = await run('filtered', {
      tags: { env: 'prod', team: 'a' },
      metadata: { customer: '7' },
      payload: { order: { id: 12, lines: [1, 2] } },
    });
    await run('filtered', {
      tags: { env: 'dev' },
      metadata: { customer: '8' },
      payload: { order: { id: 13 } },
    });
    await run('elsewhere', { tags: { env: 'prod' }, metadata: { customer: '7' } });
    const json = (value: unknown) => encodeURIComponent(JSON.stringify(value));
    for (const filter of [
      'tag_key=env&tag_value=prod',
      'tag_key=team',
      `tags=${json({ env: 'prod', team: 'a' })}`,
      'metadata_key=customer&metadata_value=7',
      `metadata=${json({ customer: '7' })}`,
      `payload_contains=${json({ order: { id: 12 } })}`,
      `payload_contains=${json({ order: { lines: [2] } })}&status=queued`,
    ]) {
      assert.deepEqual(ids(await get(`/v1/runs?job_id=filtered&${filter}`)), [wanted], filter);
    }
    assert.deepEqual(ids(await get(`/v1/runs?job_id=${job_id}&metadata_key=customer`)).length, 2);
    assert.equal(ids(await get('/v1/runs?metadata_key=customer&metadata_value=7')).length, 2);
    assert.deepEqual(ids(await get('/v1/runs?job_id=filtered&triggered_by=cron')), []);
    for (const query of ['triggered_by=magic', 'status=odd', 'stauts=failed', 'limit=abc']) {
      const refused = await get(`/v1/runs?${query}`);
      assert.deepEqual([refused.status, refused.body.code], [400, 'invalid_request'], query);
    }
    assert.equal(
      (await get('/v1/runs?limit=abc')).body.error,
      'query.limit: must be a whole number',
    );
    assert.deepEqual(ids(await get('/v1/runs?job_id=filtered&error_class=timeout')), []);
    assert.deepEqual(ids(await get('/v1/runs?job_id=unknown')), []);
    const { created_at } = (await get(`/v1/runs/${wanted}`)).body;
    const after = new Date(Date.parse(created_at) + 1).toISOString();
    assert.deepEqual(
      ids(await get(`/v1/runs?job_id=filtered&from=${created_at}&to=${after}`)).includes(wanted),
      true,
    );
    assert.deepEqual(
      ids(await get(`/v1/runs?job_id=filtered&to=${created_at}`)).includes(wanted),
      false,
    );
    assert.equal(
      (await get(`/v1/runs?job_id=filtered&cursor=${after}`)).body.data.at(0)?.id !== undefined,
      true,
    );
  });

  test('filters that mean nothing are refused', async () => {
    for (const query of [
      'status=unknown',
      'limit=0',
      'cursor=x',
      'payload_contains={',
      'tags=[1]',
      'metadata={"a":1}',
      'from=yesterday',
      'payload_contains="%00"',
    ]) {
      const refused = await get(`/v1/runs?${query}`);
      assert.equal(refused.status, 400, query);
    }
  });

  test('no list shows a run of another project', async () => {
    await makeJob('foreign', other.api_key);
    const foreign = await run(
      'foreign',
      { metadata: { secret: 'x' }, tags: { secret: 'x' } },
      other.api_key,
    );
    for (const query of [
      '',
      '?metadata_key=secret&metadata_value=x',
      '?tag_key=secret',
      '?job_id=foreign',
      '?payload_contains={}',
    ]) {
      assert.equal(ids(await get(`/v1/runs${query}`)).includes(foreign), false, query);
    }
    assert.equal((await get(`/v1/runs?project_id=${other.project_id}`)).status, 403);
  });
});

describe('one run and what hangs off it', () => {
  test('a missing, foreign or malformed id is 404 everywhere', async () => {
    await makeJob('theirs', other.api_key);
    const foreign = await run('theirs', {}, other.api_key);
    const never = foreign.replace(/.$/, (digit) => (digit === '0' ? '1' : '0'));
    for (const id of [foreign, never, 'nonsense', '6f1c1c8e-0000-4000-8000-000000000000']) {
      for (const part of [
        '',
        '/events',
        '/outputs',
        '/checkpoints',
        '/lineage',
        '/children',
        '/usage',
        '/tool-calls',
        '/state',
        '/debug-bundle',
      ]) {
        const answer = await get(`/v1/runs/${id}${part}`);
        assert.deepEqual([answer.status, answer.body.code], [404, 'run_not_found'], `${id}${part}`);
      }
    }
  });

  test('events come oldest first and can be narrowed', async () => {
    await makeJob('evented');
    const id = await run('evented');
    for (const [level, type] of [
      ['info', 'log'],
      ['error', 'log'],
      ['info', 'progress'],
    ]) {
      await app.sql(
        'insert into run_events (run_id, type, level, message) values ($1, $2, $3, $4)',
        id,
        type,
        level,
        `${level} ${type}`,
      );
    }
    const all = (await get(`/v1/runs/${id}/events`)).body.data;
    assert.deepEqual(
      all.map(({ message }: { message: string }) => message),
      ['queued', 'info log', 'error log', 'info progress'],
    );
    assert.equal((await get(`/v1/runs/${id}/events?level=error`)).body.data.length, 1);
    for (const query of ['level=loud', 'type=gossip'])
      assert.equal((await get(`/v1/runs/${id}/events?${query}`)).status, 400, query);
    assert.equal((await get(`/v1/runs/${id}/events?type=log`)).body.data.length, 2);
    assert.deepEqual(
      await pages(`/v1/runs/${id}/events`, 1),
      all.map(({ id: event }: { id: string }) => event),
    );
  });

  test('checkpoints, usage, tool calls, outputs and state page in their own orders', async () => {
    await makeJob('detailed');
    const id = await run('detailed');
    for (let n = 1; n <= 5; n++) {
      await app.sql(
        'insert into run_checkpoints (run_id, sequence, state) values ($1, $2, $3)',
        id,
        n,
        { n },
      );
      await app.sql(
        "insert into run_usage (run_id, provider, model) values ($1, 'p', $2)",
        id,
        `m${n}`,
      );
      await app.sql('insert into run_tool_calls (run_id, tool_name) values ($1, $2)', id, `t${n}`);
      await app.sql(
        'insert into run_outputs (run_id, output_key, value) values ($1, $2, $3)',
        id,
        `schlüssel ${n}`,
        n === 5 ? 'null' : `${n}`,
      );
      await app.sql(
        'insert into run_state (run_id, state_key, value) values ($1, $2, $3)',
        id,
        `s${6 - n}`,
        'true',
      );
    }
    const column = async (part: string, name: string) => {
      const whole = (await get(`/v1/runs/${id}/${part}`)).body.data as Record<string, unknown>[];
      assert.deepEqual(
        await pages(`/v1/runs/${id}/${part}`, 2),
        whole.map((row) => row.id),
        part,
      );
      return whole.map((row) => row[name]);
    };
    assert.deepEqual(await column('checkpoints', 'sequence'), [5, 4, 3, 2, 1]);
    assert.deepEqual(await column('usage', 'model'), ['m5', 'm4', 'm3', 'm2', 'm1']);
    assert.deepEqual(await column('tool-calls', 'tool_name'), ['t5', 't4', 't3', 't2', 't1']);
    assert.deepEqual(await column('outputs', 'value'), [1, 2, 3, 4, null]);
    const state = (await get(`/v1/runs/${id}/state`)).body;
    assert.deepEqual(
      state.map((row: { state_key: string }) => row.state_key),
      ['s1', 's2', 's3', 's4', 's5'],
    );

    const bundle = (await get(`/v1/runs/${id}/debug-bundle`)).body;
    assert.equal(bundle.run.id, id);
    assert.deepEqual(
      [
        bundle.checkpoints.length,
        bundle.usage.length,
        bundle.tool_calls.length,
        bundle.outputs.length,
        bundle.truncated,
      ],
      [5, 5, 5, 5, false],
    );
  });

  test('a debug bundle ends after 10,000 events and says so', async () => {
    await makeJob('chatty');
    const id = await run('chatty');
    await app.sql(
      "insert into run_events (run_id, type, level, message) select $1, 'log', 'info', n::text from generate_series(1, 10100) n",
      id,
    );
    const bundle = (await get(`/v1/runs/${id}/debug-bundle`)).body;
    assert.deepEqual([bundle.events.length, bundle.truncated], [10_000, true]);
  });

  test('lineage holds the whole family of continuations from any of its members', async () => {
    const job_id = await makeJob('continued');
    const first = await related(job_id, {});
    const second = await related(job_id, { continues: first, depth: 1 });
    const third = await related(job_id, { continues: second, depth: 2 });
    const branch = await related(job_id, { continues: first, depth: 1 });
    await related(job_id, {});
    for (const member of [first, second, third, branch]) {
      assert.deepEqual(await pages(`/v1/runs/${member}/lineage`, 1), [
        first,
        second,
        branch,
        third,
      ]);
    }
  });

  test('children are those of the run alone, oldest first', async () => {
    const job_id = await makeJob('spawned');
    const parent = await related(job_id, {});
    const children = [
      await related(job_id, { parent }),
      await related(job_id, { parent }),
      await related(job_id, { parent }),
    ];
    await related(job_id, { parent: children[0] ?? '' });
    assert.deepEqual(await pages(`/v1/runs/${parent}/children`, 2), children);
    assert.deepEqual(ids(await get(`/v1/runs?parent_run_id=${parent}`)), children.toReversed());
  });
});

test('stats count the live runs of the caller alone', async () => {
  const mine = await app.project('counted');
  await makeJob('counted', mine.api_key);
  await run('counted', {}, mine.api_key);
  await run(
    'counted',
    { scheduled_at: new Date(Date.now() + 3_600_000).toISOString() },
    mine.api_key,
  );
  assert.deepEqual((await get('/v1/stats', mine.api_key)).body, {
    queued: 1,
    executing: 0,
    delayed: 1,
    waiting: 0,
  });
});
