// Runs that call home while a real worker executes them: the application as it is composed, claims, loops and all.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { testApp, type TestApp, type TestProject } from '../../../test/app.ts';
import { scriptedEndpoint, type ScriptedReply, type SeenRequest } from '../../../test/endpoint.ts';
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
  const body = { name: slug, slug, endpoint_url, retry_strategy: 'fixed', ...settings };
  const made = await call('POST', '/v1/jobs', body);
  assert.equal(made.status, 201, JSON.stringify(made.body));
  return slug;
}

async function trigger(slug: string): Promise<string> {
  const made = await call('POST', `/v1/jobs/${slug}/trigger`, { payload: { a: 1 } });
  assert.equal(made.status, 201, JSON.stringify(made.body));
  return made.body.id;
}

const reaches = (id: string, status: string) =>
  until(`run ${id} to be ${status}`, async () => {
    const { body } = await call('GET', `/v1/runs/${id}`);
    return body.status === status && body;
  });

const header = (request: SeenRequest, name: string): string => String(request.headers[name] ?? '');

/** Calls of the run that this request dispatched. */
function home(request: SeenRequest) {
  const key = header(request, 'x-run-token');
  const run_id = header(request, 'x-run-id');
  return {
    run_id,
    call: (method: string, path: string, body?: unknown) =>
      app.call(method, `/sdk/v1/runs/${run_id}/${path}`, { key, body }),
    async ok(path: string, body: unknown = {}) {
      const answer = await this.call('POST', path, body);
      assert.ok(answer.status < 300, `${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
      return answer.body;
    },
  };
}

test('a run records, waits, is sent its event, and completes; the claim before its wait is over', async () => {
  const event_key = 'approval-1';
  const seen: SeenRequest[] = [];
  await using endpoint = await scriptedEndpoint(async (request): Promise<ScriptedReply> => {
    const run = home(request);
    seen.push(request);
    if (seen.length === 1) {
      await run.ok('log', { message: 'begun' });
      await run.ok('progress', { percent: 50, message: 'half' });
      await run.ok('checkpoint', { state: { step: 1 } });
      await run.ok('state', { key: 'cursor', value: 7 });
      await run.ok('output', { key: 'report', value: { rows: 3 } });
      await run.ok('annotate', { customer: 'x' });
      await run.ok('wait-for-event', { event_key, timeout_secs: 60 });
      return { body: { ignored: true } };
    }
    assert.deepEqual((await run.call('GET', 'state/cursor')).body.value, 7);
    await run.ok('complete', { result: { done: true } });
    return { status: 500, body: 'too late to matter' };
  });
  const id = await trigger(await job(endpoint.url));

  const waiting = await reaches(id, 'waiting');
  assert.equal(waiting.result, undefined);
  assert.equal(waiting.metadata.customer, 'x');
  const sent = await call('POST', `/v1/events/${event_key}/send`, {
    payload: { yes: 'ja, größer' },
  });
  assert.deepEqual([sent.status, sent.body.status], [200, 'received']);

  const run = await reaches(id, 'completed');
  assert.deepEqual([run.result, run.attempt], [{ done: true }, 1]);
  const [first, second] = seen;
  assert.ok(first && second);
  assert.deepEqual(JSON.parse(header(second, 'x-event-payload')), { yes: 'ja, größer' });
  assert.deepEqual(JSON.parse(header(second, 'x-last-checkpoint')), { step: 1 });
  assert.equal(header(second, 'x-attempt'), '1');
  assert.notEqual(header(second, 'idempotency-key'), header(first, 'idempotency-key'));

  const late = await home(first).call('POST', 'state', { key: 'cursor', value: 8 });
  assert.deepEqual([late.status, late.body.code], [409, 'run_not_active']);
  const outputs = await call('GET', `/v1/runs/${id}/outputs`);
  assert.deepEqual(outputs.body.data[0].value, { rows: 3 });
  assert.equal(endpoint.requests.length, 2);
});

test('the token of a claim that was superseded is refused while the next one works', async () => {
  const tokens: SeenRequest[] = [];
  await using endpoint = await scriptedEndpoint(async (request): Promise<ScriptedReply> => {
    const run = home(request);
    tokens.push(request);
    if (tokens.length === 1) {
      const failed = await run.ok('fail', { error: 'not now', retryable: true });
      assert.notEqual(failed.status, 'failed');
      return { body: 'says it went well' };
    }
    const [first] = tokens;
    assert.ok(first);
    const old = await home(first).call('POST', 'complete', { result: 'from the past' });
    await run.ok('complete', { result: [old.status, old.body.code] });
    return {};
  });
  const id = await trigger(await job(endpoint.url, { max_attempts: 2 }));
  const run = await reaches(id, 'completed');
  assert.deepEqual([run.attempt, run.result], [2, [409, 'run_attempt_superseded']]);
});

test('a run that fails itself for good is not tried again', async () => {
  await using endpoint = await scriptedEndpoint(async (request) => {
    await home(request).ok('fail', { error: 'cannot be done', error_class: 'client' });
    return {};
  });
  const run = await reaches(await trigger(await job(endpoint.url)), 'failed');
  assert.deepEqual([run.error, run.error_class, run.attempt], ['cannot be done', 'client', 1]);
  assert.equal(endpoint.requests.length, 1);
});

test('an endpoint that took its run over shows it executing, keeps it alive by beats and ends it', async () => {
  await using endpoint = await scriptedEndpoint({
    status: 202,
    headers: { 'x-strait-async': '1' },
  });
  const id = await trigger(await job(endpoint.url, { timeout_secs: 60 }));
  await reaches(id, 'executing');
  const request = await until('the hand-over', async () => {
    const [place] = await app.sql('select worker_id from run_active where run_id = $1', id);
    return place?.['worker_id'] === null ? endpoint.requests[0] : undefined;
  });
  const beatAt = async () =>
    (await app.sql('select endpoint_beat_at from run_active where run_id = $1', id))[0]?.[
      'endpoint_beat_at'
    ];
  const before_beat = await beatAt();
  const beat = await home(request).ok('heartbeat');
  assert.deepEqual(beat, { status: 'ok', cancel_requested: false });
  await until('the beat to be written', async () => (await beatAt()) !== before_beat);
  await home(request).ok('complete', { result: 'by the endpoint' });
  const run = await reaches(id, 'completed');
  assert.equal(run.result, 'by the endpoint');
  assert.equal(endpoint.requests.length, 1);
});

test('a wait past its time ends the run as timed out, and its trigger with it', async () => {
  await using endpoint = await scriptedEndpoint(async (request) => {
    await home(request).ok('wait-for-event', { event_key: 'never', timeout_secs: 1 });
    return {};
  });
  const run = await reaches(await trigger(await job(endpoint.url)), 'timed_out');
  assert.equal(run.error_class, 'timeout');
  const late = await call('POST', '/v1/events/never/send', {});
  assert.deepEqual([late.status, late.body.code], [409, 'event_not_waiting']);
});

test('a parent awaits its child without a slot and is told how it ended', async () => {
  await using child = await scriptedEndpoint({ body: { from: 'child' } });
  const child_slug = await job(child.url);
  await using endpoint = await scriptedEndpoint(async (request): Promise<ScriptedReply> => {
    const told = header(request, 'x-event-payload');
    if (told !== '') return { body: JSON.parse(told) };
    await home(request).ok('spawn', {
      job_slug: child_slug,
      payload: { n: 1 },
      await_completion: true,
    });
    return {};
  });
  const id = await trigger(await job(endpoint.url));
  const run = await reaches(id, 'completed');
  assert.deepEqual([run.result.status, run.result.result], ['completed', { from: 'child' }]);
  const spawned = await call('GET', `/v1/runs/${run.result.run_id}`);
  assert.deepEqual([spawned.body.parent_run_id, spawned.body.triggered_by], [id, 'spawn']);
});

test('canceling a run that waits ends its wait, and what it then says is refused', async () => {
  const seen: SeenRequest[] = [];
  await using endpoint = await scriptedEndpoint(async (request) => {
    seen.push(request);
    await home(request).ok('wait-for-event', { event_key: 'canceled-wait' });
    return {};
  });
  const id = await trigger(await job(endpoint.url));
  await reaches(id, 'waiting');
  assert.equal((await call('DELETE', `/v1/runs/${id}`)).status < 300, true);
  await reaches(id, 'canceled');
  assert.equal((await call('GET', '/v1/events/canceled-wait')).body.status, 'canceled');
  const [request] = seen;
  assert.ok(request);
  const beat = await home(request).call('POST', 'heartbeat', {});
  assert.deepEqual([beat.status, beat.body.code], [409, 'run_not_active']);
});
