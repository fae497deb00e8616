// Attempts as an endpoint sees them and as a user reads them afterwards: the real product, a real endpoint.

import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { testApp, type TestApp, type TestProject } from '../../../test/app.ts';
import { scriptedEndpoint, type ScriptedReply } from '../../../test/endpoint.ts';
import { until } from '../../../test/until.ts';

let app: TestApp;
let project: TestProject;
let slugs = 0;

before(async () => {
  app = await testApp({
    mode: 'all',
    start: true,
    settings: { HEARTBEAT_INTERVAL: '200ms', WORKER_LEASE: '1s', WORKER_DRAIN_TIMEOUT: '1s' },
  });
  project = await app.project();
});
after(() => app.close());

const call = (method: string, path: string, body?: unknown) =>
  app.call(method, path, { key: project.api_key, body });

async function job(endpoint_url: string, settings: object = {}): Promise<string> {
  const slug = `job-${++slugs}`;
  const made = await call('POST', '/v1/jobs', {
    name: slug,
    slug,
    endpoint_url,
    retry_strategy: 'fixed',
    ...settings,
  });
  assert.equal(made.status, 201, JSON.stringify(made.body));
  return slug;
}

async function trigger(slug: string, body: object = {}): Promise<string> {
  const made = await call('POST', `/v1/jobs/${slug}/trigger`, body);
  assert.equal(made.status, 201, JSON.stringify(made.body));
  return made.body.id;
}

const ended = (id: string, status: string) =>
  until(`run ${id} to be ${status}`, async () => {
    const { body } = await call('GET', `/v1/runs/${id}`);
    return body.status === status && body;
  });

const changes = async (id: string): Promise<string[]> => {
  const { body } = await call('GET', `/v1/runs/${id}/events?type=state_change`);
  return body.data
    .map(
      (event: { data: { from: string | null; to: string } }) =>
        `${event.data.from} → ${event.data.to}`,
    )
    .toSorted();
};

describe('an attempt', () => {
  test('carries the payload, the identity of the run, a token and a deadline; the reply is the result', async () => {
    await using endpoint = await scriptedEndpoint({ body: { answer: 42 } });
    const id = await trigger(await job(endpoint.url, { timeout_secs: 30 }), {
      payload: { b: 1, a: [true, null] },
      metadata: { tenant: 'x' },
    });
    const run = await ended(id, 'completed');
    assert.deepEqual(run.result, { answer: 42 });
    assert.equal(run.attempt, 1);
    assert.ok(run.started_at && run.finished_at);
    const [seen] = endpoint.requests;
    assert.ok(seen);
    assert.deepEqual(seen.body, { a: [true, null], b: 1 });
    const { headers } = seen;
    assert.equal(headers['x-run-id'], id);
    assert.equal(headers['x-attempt'], '1');
    assert.equal(headers['x-strait-project-id'], project.project_id);
    assert.match(String(headers['idempotency-key']), new RegExp(`^${id}:1:\\d+$`));
    assert.match(String(headers['x-run-token']), /^[\w-]+\.[\w-]+\.[\w-]+$/);
    const left = Date.parse(String(headers['x-strait-deadline'])) - Date.now();
    assert.ok(left > 20_000 && left <= 30_000, `deadline in ${left} ms`);
    assert.equal(headers['x-strait-signature'], undefined);
    assert.deepEqual(await changes(id), [
      'executing → completed',
      'null → queued',
      'queued → executing',
    ]);
  });

  test('is signed over the exact bytes when the job has a signing secret', async () => {
    await using endpoint = await scriptedEndpoint();
    const slug = await job(endpoint.url, {
      endpoint_signing_secret: 'a-secret-of-sixteen-and-more',
    });
    await ended(await trigger(slug, { payload: { text: 'ü' } }), 'completed');
    const [seen] = endpoint.requests;
    assert.ok(seen);
    const message = `${String(seen.headers['x-strait-timestamp'])}.${seen.text}`;
    const expected = createHmac('sha256', 'a-secret-of-sixteen-and-more')
      .update(message)
      .digest('hex');
    assert.equal(seen.headers['x-strait-signature'], `v1=${expected}`);
  });

  const results: readonly (readonly [string, ScriptedReply, unknown])[] = [
    ['text', { body: 'plain', headers: { 'content-type': 'text/plain' } }, 'plain'],
    ['nothing', { status: 204, body: '' }, undefined],
    ['what PostgreSQL cannot store', { body: '{"a":"\\u0000\\ud800"}' }, { a: '\uFFFD\uFFFD' }],
  ];
  for (const [what, reply, result] of results) {
    test(`may be answered with ${what}`, async () => {
      await using endpoint = await scriptedEndpoint(reply);
      const run = await ended(await trigger(await job(endpoint.url)), 'completed');
      assert.deepEqual(run.result, result);
    });
  }

  test('in debug mode shows its headers, without secrets, on its event and in the bundle', async () => {
    await using endpoint = await scriptedEndpoint({
      status: 404,
      headers: { 'x-served-by': 'b7', 'set-cookie': 'session=1', 'x-long': 'y'.repeat(3000) },
    });
    const slug = await job(endpoint.url, { endpoint_signing_secret: 'a-secret-of-sixteen-bytes' });
    const at = new Date(Date.now() + 1000).toISOString();
    const id = await trigger(slug, { scheduled_at: at });
    await call('POST', `/v1/runs/${id}/debug`, { debug_mode: true });
    await ended(id, 'dead_letter');
    const { body } = await call('GET', `/v1/runs/${id}/debug-bundle`);
    const { data } = body.events.find((event: { level: string }) => event.level === 'error');
    assert.equal(data.request_headers['x-run-id'], id);
    assert.equal(data.response_headers['x-served-by'], 'b7');
    assert.equal(data.response_headers['x-long'].length, 1024);
    assert.equal(data.headers_truncated, true);
    const names = Object.keys({ ...data.request_headers, ...data.response_headers });
    for (const secret of ['x-run-token', 'x-strait-signature', 'set-cookie'])
      assert.ok(!names.includes(secret), secret);
    assert.ok(Buffer.byteLength(JSON.stringify(data)) <= 8_192);
    assert.equal(body.run.debug_mode, true);
  });

  test('shows as executing while it lasts', async () => {
    await using endpoint = await scriptedEndpoint({ delay_ms: 400 });
    const id = await trigger(await job(endpoint.url));
    const run = await ended(id, 'executing');
    assert.ok(run.started_at);
    const done = await ended(id, 'completed');
    assert.equal(done.started_at, run.started_at);
  });
});

describe('a failing attempt', () => {
  test('is repeated until it succeeds, with the error in hand and a little more priority', async () => {
    await using endpoint = await scriptedEndpoint([{ status: 500, body: 'boom' }, { status: 200 }]);
    const id = await trigger(await job(endpoint.url));
    const run = await ended(id, 'completed');
    assert.deepEqual(
      [run.attempt, run.priority, run.error, endpoint.requests.length],
      [2, 1, undefined, 2],
    );
    const [first, second] = endpoint.requests;
    assert.equal(second?.headers['x-previous-error'], 'endpoint returned 500: boom');
    const waited = (second?.at ?? 0) - (first?.at ?? 0);
    const { body } = await call('GET', `/v1/runs/${id}/events?level=warn`);
    const asked = body.data[0].data.retry_in_ms;
    assert.ok(asked >= 800 && asked <= 1_200 && waited > asked - 10, `${waited} of ${asked} ms`);
    assert.equal(body.data[0].data.error_class, 'server');
    assert.equal(body.data[0].data.status_code, 500);
  });

  test('ends in the dead letter queue after the last attempt, and a replay starts again from attempt 1', async () => {
    await using endpoint = await scriptedEndpoint([
      { status: 502 },
      { status: 200, body: { ok: true } },
    ]);
    const id = await trigger(await job(endpoint.url, { max_attempts: 1 }));
    const dead = await ended(id, 'dead_letter');
    assert.deepEqual([dead.error_class, dead.error], ['server', 'endpoint returned 502: {}']);
    assert.ok(
      (await call('GET', '/v1/runs/dlq')).body.data.some((run: { id: string }) => run.id === id),
    );
    assert.equal((await call('POST', `/v1/runs/${id}/dlq-replay`)).status, 200);
    const run = await ended(id, 'completed');
    assert.deepEqual([run.attempt, run.result, run.error], [1, { ok: true }, undefined]);
  });

  test('raises the priority of its retries, not that of a replay, and leaves no trace behind', async () => {
    await using endpoint = await scriptedEndpoint([
      { status: 500 },
      { status: 500 },
      { status: 500 },
      { status: 200 },
      { status: 200 },
    ]);
    const settings = { max_attempts: 2, retry_priority_boost: 3 };
    const slug = await job(endpoint.url, settings);
    const id = await trigger(slug, { priority: 4 });
    const dead = await ended(id, 'dead_letter');
    assert.equal(dead.priority, 7);
    assert.ok(dead.execution_trace, 'the last attempt failed');
    await call('POST', `/v1/jobs/${slug}/pause`);
    const { body: replayed } = await call('POST', `/v1/runs/${id}/dlq-replay`);
    assert.deepEqual(
      [replayed.priority, replayed.execution_trace, replayed.metadata],
      [4, undefined, { _replays: '1' }],
    );
    await call('POST', `/v1/jobs/${slug}/resume`);
    const run = await ended(id, 'completed');
    assert.deepEqual([run.attempt, run.priority, run.execution_trace], [2, 7, undefined]);
  });

  test('is not repeated when repeating is useless', async () => {
    await using endpoint = await scriptedEndpoint({ status: 404 });
    const run = await ended(await trigger(await job(endpoint.url)), 'dead_letter');
    assert.deepEqual([run.error_class, run.attempt, endpoint.requests.length], ['client', 1, 1]);
  });

  test('times out at the deadline of the job', async () => {
    await using endpoint = await scriptedEndpoint({ delay_ms: 5_000 });
    const run = await ended(
      await trigger(await job(endpoint.url, { timeout_secs: 1, max_attempts: 1 })),
      'timed_out',
    );
    assert.equal(run.error_class, 'timeout');
    assert.ok(run.execution_trace.total_ms >= 1_000);
  });

  test('of an endpoint nobody listens at is a connection error', async () => {
    const endpoint = await scriptedEndpoint();
    await endpoint.close();
    const run = await ended(
      await trigger(await job(endpoint.url, { max_attempts: 1 })),
      'dead_letter',
    );
    assert.equal(run.error_class, 'connection');
  });

  test('breaks the promise of the result schema', async () => {
    await using endpoint = await scriptedEndpoint({ body: { count: 'many' } });
    const result_schema = { type: 'object', properties: { count: { type: 'integer' } } };
    const run = await ended(
      await trigger(await job(endpoint.url, { result_schema })),
      'dead_letter',
    );
    assert.match(run.error, /result does not match the schema of the job: .*count/);
  });
});

describe('taking a run away from its attempt', () => {
  test('a cancel aborts the request long before its reply', async () => {
    let aborted = 0;
    await using endpoint = await scriptedEndpoint(async (request) => {
      request.signal.addEventListener('abort', () => (aborted = performance.now()));
      return { delay_ms: 5_000 };
    });
    const id = await trigger(await job(endpoint.url));
    await ended(id, 'executing');
    assert.equal((await call('DELETE', `/v1/runs/${id}`)).body.status, 'canceled');
    await until('the request to be aborted', () => aborted);
    assert.equal((await call('GET', `/v1/runs/${id}`)).body.status, 'canceled');
  });

  test('a restart aborts the attempt and makes the next', async () => {
    await using endpoint = await scriptedEndpoint([
      { delay_ms: 10_000 },
      { body: { again: true } },
    ]);
    const id = await trigger(await job(endpoint.url));
    await ended(id, 'executing');
    assert.equal((await call('POST', `/v1/runs/${id}/restart`)).status, 200);
    const run = await ended(id, 'completed');
    assert.deepEqual([run.attempt, run.result], [2, { again: true }]);
  });

  test('an endpoint that answers 202 with X-Strait-Async owns the run; silence is a lost attempt', async () => {
    await using endpoint = await scriptedEndpoint([
      { status: 202, headers: { 'x-strait-async': '1' } },
      { status: 200 },
    ]);
    const id = await trigger(await job(endpoint.url, { timeout_secs: 1 }));
    const run = await ended(id, 'executing');
    assert.equal(run.attempt, 1);
    const done = await ended(id, 'completed');
    assert.equal(done.attempt, 2);
  });

  test('a disabled job keeps its queued runs until it is enabled again', async () => {
    await using endpoint = await scriptedEndpoint();
    const slug = await job(endpoint.url);
    const at = new Date(Date.now() + 600).toISOString();
    const id = await trigger(slug, { scheduled_at: at });
    assert.equal((await call('POST', '/v1/jobs/batch-disable', { ids: [slug] })).status, 200);
    await until(
      'the run to be parked',
      async () => (await app.sql('select 1 from run_parked where run_id = $1', id)).length,
    );
    assert.equal(endpoint.requests.length, 0);
    assert.equal((await call('GET', `/v1/runs/${id}`)).body.status, 'queued');
    assert.equal((await call('POST', '/v1/jobs/batch-enable', { ids: [slug] })).status, 200);
    await ended(id, 'completed');
  });

  test('a run that was not started in its time to live expires', async () => {
    const slug = await job('http://127.0.0.1:9/x');
    assert.equal((await call('POST', `/v1/jobs/${slug}/pause`)).status, 200);
    const id = await trigger(slug, { ttl_secs: 1 });
    const run = await ended(id, 'expired');
    assert.equal(run.error, 'run expired');
  });
});

describe('versions', () => {
  test('a pinned run is dispatched as it was triggered, a latest one as the job is now', async () => {
    await using old = await scriptedEndpoint({ body: { endpoint: 'old' } });
    await using live = await scriptedEndpoint({ body: { endpoint: 'new' } });
    for (const [version_policy, expected, version] of [
      ['pin', 'old', 1],
      ['latest', 'new', 2],
    ] as const) {
      const slug = await job(old.url, { version_policy });
      const id = await trigger(slug, { scheduled_at: new Date(Date.now() + 400).toISOString() });
      assert.equal(
        (await call('PATCH', `/v1/jobs/${slug}`, { endpoint_url: live.url })).status,
        200,
      );
      const run = await ended(id, 'completed');
      assert.deepEqual([run.result.endpoint, run.job_version], [expected, version], version_policy);
    }
  });
});
