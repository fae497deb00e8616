import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { testApp, type TestApp, type TestProject } from '../../../../test/app.ts';

let app: TestApp;
let project: TestProject;
let other: TestProject;
let worker_id: number;
let slugs = 0;

const call = (method: string, path: string, body?: unknown, key = project.api_key) =>
  app.call(method, path, { key, ...(body === undefined ? {} : { body }) });
const read = async (id: string) => (await call('GET', `/v1/runs/${id}`)).body;
const post = (id: string, action: string, body?: unknown) => call('POST', `/v1/runs/${id}/${action}`, body);
const later = () => new Date(Date.now() + 3_600_000).toISOString();

async function makeJob(settings: object = {}): Promise<string> {
  slugs += 1;
  const slug = `job-${slugs}`;
  const made = await call('POST', '/v1/jobs', { name: slug, slug, endpoint_url: 'http://127.0.0.1:9/x', ...settings });
  assert.equal(made.status, 201, JSON.stringify(made.body));
  return slug;
}

async function run(job: string, body: object = {}): Promise<string> {
  const made = await call('POST', `/v1/jobs/${job}/trigger`, body);
  assert.equal(made.status, 201, JSON.stringify(made.body));
  return made.body.id;
}

/** Claims until this run is leased; returns what identifies the claim. */
async function claim(id: string) {
  const { queue } = app.composition.modules;
  for (;;) {
    const claims = await queue.claim({ worker_id, limit: 100, cursor: '' });
    assert.ok(claims.length > 0, 'nothing to claim');
    const mine = claims.find((found) => found.id === id);
    for (const found of claims) if (found !== mine) await queue.settle([{ ...found, to: 'queued', unstarted: true }]);
    if (mine) return { id, created_at: mine.created_at, claim_seq: mine.claim_seq };
  }
}

/** Takes a fresh run to an end. */
async function ended(job: string, to: string, body: object = {}): Promise<string> {
  const id = await run(job, body);
  await app.composition.modules.queue.settle([{ ...(await claim(id)), to, started_at: new Date().toISOString(), error: 'it broke', error_class: 'server' }]);
  assert.equal((await read(id)).status, to);
  return id;
}

const audits = async (action: string, resource_id?: string) =>
  app.sql<{ details: Record<string, unknown> }>('select details from audit_events where action = $1 and ($2::text is null or resource_id = $2) order by id', action, resource_id ?? null);

before(async () => {
  app = await testApp();
  project = await app.project();
  other = await app.project('other');
  worker_id = await app.composition.modules.queue.registerWorker({ hostname: 'test', pid: 1 });
});
after(async () => {
  // Leases nobody works on are violations by the time the queue is checked.
  const held = await app.sql<{ run_id: string }>('select run_id from run_active');
  await call('POST', '/v1/runs/bulk-cancel', { run_ids: held.map(({ run_id }) => run_id) });
  await app.close();
});

describe('canceling', () => {
  test('takes a run out of any place it can be in', async () => {
    const job = await makeJob();
    const queued = await run(job);
    const delayed = await run(job, { scheduled_at: later() });
    const held = await run(job);
    await post(held, 'pause');
    const executing = await run(job);
    await claim(executing);
    for (const id of [queued, delayed, held, executing]) {
      const canceled = await call('DELETE', `/v1/runs/${id}`);
      assert.deepEqual([canceled.status, canceled.body.status, canceled.body.error], [200, 'canceled', 'canceled by user']);
      assert.equal((await audits('run.cancelled', id)).length, 1);
      const again = await call('DELETE', `/v1/runs/${id}`);
      assert.deepEqual([again.status, again.body.code, again.body.error], [409, 'run_not_cancelable', 'the run is canceled: it cannot become canceled']);
    }
  });

  test('takes what the run spawned with it, level by level', async () => {
    const job = await makeJob();
    const chain = [await run(job)];
    for (let level = 0; level < 5; level++) {
      const id = await run(job);
      await app.sql('update job_runs set parent_run_id = $2 where id = $1', id, chain[level]);
      chain.push(id);
    }
    const stranger = await run(job);
    assert.equal((await call('DELETE', `/v1/runs/${chain[0]}`)).status, 200);
    for (const id of chain) assert.equal((await read(id)).status, 'canceled');
    assert.equal((await read(chain[3] ?? '')).error, 'parent run canceled');
    assert.equal((await read(stranger)).status, 'queued');
  });

  test('a run that had ended keeps its children', async () => {
    const job = await makeJob();
    const parent = await ended(job, 'completed');
    const child = await run(job);
    await app.sql('update job_runs set parent_run_id = $2 where id = $1', child, parent);
    const answer = await call('POST', '/v1/runs/bulk-cancel', { run_ids: [parent] });
    assert.deepEqual(answer.body.results, [{ id: parent, status: 'failed', error: 'the run is completed: it cannot become canceled' }]);
    assert.equal((await read(child)).status, 'queued');
  });

  test('in bulk answers for each id', async () => {
    const job = await makeJob();
    const [a, b] = [await run(job), await run(job)];
    const foreign = await app.call('GET', `/v1/runs/${a}`, { key: other.api_key });
    assert.equal(foreign.status, 404);
    const theirs = await call('POST', '/v1/runs/bulk-cancel', { run_ids: [a, 'nonsense'] }, other.api_key);
    assert.deepEqual([theirs.body.canceled, theirs.body.failed], [0, 2]);
    const mine = await call('POST', '/v1/runs/bulk-cancel', { run_ids: [a, b, 'nonsense'] });
    assert.deepEqual([mine.body.total, mine.body.canceled, mine.body.failed], [3, 2, 1]);
    assert.equal((await call('POST', '/v1/runs/bulk-cancel', { run_ids: Array.from({ length: 101 }, () => a) })).status, 400);
  });

  test('all: only pending runs that match and never started', async () => {
    const job = await makeJob();
    const elsewhere = await run(await makeJob());
    const executing = await run(job);
    await claim(executing);
    const retried = await run(job);
    await app.composition.modules.queue.settle([{ ...(await claim(retried)), to: 'queued', attempt: 2, delay_ms: 3_600_000 }]);
    const items = Array.from({ length: 400 }, (_, n) => (n % 2 ? {} : { scheduled_at: later() }));
    await call('POST', `/v1/jobs/${job}/trigger/bulk`, { items });
    await call('POST', `/v1/jobs/${job}/trigger/bulk`, { items });
    assert.equal((await call('POST', '/v1/runs/bulk-cancel-all', {})).body.code, 'filter_required');
    assert.equal((await call('POST', '/v1/runs/bulk-cancel-all', { status: 'executing' })).status, 400);
    assert.equal((await call('POST', '/v1/runs/bulk-cancel-all', { job_id: job, status: 'delayed' })).body.canceled, 400);
    const rest = await call('POST', '/v1/runs/bulk-cancel-all', { job_id: job });
    assert.deepEqual([rest.body.canceled, rest.body.run_ids.length], [400, 400]);
    assert.deepEqual([(await read(elsewhere)).status, (await read(retried)).status], ['queued', 'queued']);
    assert.equal((await app.sql('select run_id from run_active where run_id = $1', executing)).length, 1);
  });
});

describe('replaying', () => {
  test('makes a new run with the same payload, priority, tags and metadata, but no key', async () => {
    const job = await makeJob();
    const original = await ended(job, 'failed', { payload: { n: 1 }, priority: 7, tags: { a: 'b' }, metadata: { m: '1' }, concurrency_key: 'c', idempotency_key: 'k' });
    const made = await post(original, 'replay');
    assert.equal(made.status, 201, JSON.stringify(made.body));
    const { id, payload, priority, tags, metadata, concurrency_key, idempotency_key, attempt, status } = made.body;
    assert.notEqual(id, original);
    assert.deepEqual({ payload, priority, tags, metadata, concurrency_key, idempotency_key, attempt, status }, {
      payload: { n: 1 }, priority: 7, tags: { a: 'b' }, metadata: { m: '1', replay_of: original }, concurrency_key: 'c',
      idempotency_key: undefined, attempt: 1, status: 'queued',
    });
    assert.deepEqual((await audits('run.replayed', original))[0]?.details, { new_run_id: id });
  });

  test('a pinned job repeats the version of the run, others the live one', async () => {
    for (const [version_policy, expected] of [['pin', 1], ['latest', 2]] as const) {
      const job = await makeJob({ version_policy });
      const original = await ended(job, 'failed');
      assert.equal((await call('PATCH', `/v1/jobs/${job}`, { description: 'new' })).status, 200);
      assert.equal((await post(original, 'replay')).body.job_version, expected);
    }
  });

  test('is refused in states that have nothing to repeat', async () => {
    const job = await makeJob();
    for (const id of [await run(job), await ended(job, 'completed'), await ended(job, 'dead_letter')]) {
      const refused = await post(id, 'replay');
      assert.deepEqual([refused.status, refused.body.code], [400, 'run_not_replayable']);
    }
  });

  test('from a checkpoint starts with its state, in debug mode', async () => {
    const job = await makeJob();
    const original = await ended(job, 'timed_out');
    await app.sql('insert into run_checkpoints (run_id, sequence, state) values ($1, 1, $2)', original, { step: 4 });
    const made = await call('POST', `/v1/runs/${original}/replay?from_checkpoint=1`);
    assert.deepEqual([made.body.payload, made.body.debug_mode], [{ step: 4 }, true]);
    assert.equal((await call('POST', `/v1/runs/${original}/replay?from_checkpoint=2`)).body.code, 'checkpoint_not_found');
  });

  test('in bulk answers for each id and repeats none twice', async () => {
    const job = await makeJob();
    const [failed, completed] = [await ended(job, 'crashed'), await ended(job, 'completed')];
    const { body } = await call('POST', '/v1/runs/bulk-replay', { run_ids: [failed, completed, failed, 'x'] });
    assert.deepEqual(body.results.map(({ status }: { status: string }) => status), ['replayed', 'skipped', 'skipped', 'failed']);
    assert.deepEqual([body.total, body.replayed], [4, 1]);
    assert.equal((await read(body.results[0].new_run_id)).metadata.replay_of, failed);
  });

  test('a dead letter is the same run again, once', async () => {
    const job = await makeJob();
    const id = await ended(job, 'dead_letter');
    const [first, second] = await Promise.all([post(id, 'dlq-replay'), post(id, 'dlq-replay')]);
    assert.deepEqual([first.status, second.status].toSorted(), [200, 409]);
    const replayed = await read(id);
    assert.deepEqual([replayed.status, replayed.attempt, replayed.error, replayed.finished_at], ['queued', 1, undefined, undefined]);
    assert.equal((await audits('run.replayed_deadletter', id)).length, 1);
  });

  test('dead letters in bulk: by id, or the oldest of the project', async () => {
    const job = await makeJob();
    const letters = [await ended(job, 'dead_letter'), await ended(job, 'dead_letter'), await ended(job, 'dead_letter')];
    assert.deepEqual((await call('GET', `/v1/runs/dlq?job_id=${job}`)).body.data.map(({ id }: { id: string }) => id), letters.toReversed());
    for (const body of [{}, { run_ids: letters, project_id: project.project_id }, { limit: 5 }]) {
      assert.equal((await call('POST', '/v1/runs/bulk-dlq-replay', body)).status, 400, JSON.stringify(body));
    }
    const named = await call('POST', '/v1/runs/bulk-dlq-replay', { run_ids: [letters[2], 'x'] });
    assert.deepEqual([named.body.count, named.body.replayed[0].id], [1, letters[2]]);
    assert.equal((await call('POST', '/v1/runs/bulk-dlq-replay', { run_ids: [letters[2]] })).status, 409);
    assert.equal((await call('POST', '/v1/runs/bulk-dlq-replay', { project_id: project.project_id, limit: 50 })).body.count >= 2, true);
    assert.equal((await call('GET', '/v1/runs/dlq')).body.data.length, 0);
    assert.equal((await call('POST', '/v1/runs/bulk-dlq-replay', { project_id: other.project_id })).status, 403);
  });
});

describe('other actions', () => {
  test('a held run is not claimed until it is resumed', async () => {
    const job = await makeJob();
    const id = await run(job);
    assert.equal((await post(id, 'pause')).body.status, 'queued');
    assert.equal((await post(id, 'pause')).status, 200);
    assert.equal((await app.sql('select run_id from run_queue where run_id = $1', id)).length, 0);
    assert.equal((await post(id, 'resume')).status, 200);
    assert.equal((await post(id, 'resume')).body.code, 'run_not_resumable');
    await claim(id);
    const refused = await post(id, 'pause');
    assert.deepEqual([refused.status, refused.body.error], [409, 'the run is executing: it cannot be held; only a run that waits to start can']);
  });

  test('rescheduling moves a run that never started, with another payload', async () => {
    const job = await makeJob({ payload_schema: { type: 'object', properties: { n: { type: 'integer' } } } });
    const id = await run(job, { ttl_secs: 600, payload: { n: 1 } });
    const scheduled_at = later();
    const moved = await post(id, 'reschedule', { scheduled_at, payload: { n: 2 } });
    assert.deepEqual([moved.status, moved.body.status, moved.body.payload], [200, 'delayed', { n: 2 }]);
    assert.equal(Math.round((Date.parse(moved.body.expires_at) - Date.parse(scheduled_at)) / 1000), 600);
    assert.equal((await post(id, 'reschedule', { scheduled_at, payload: { n: 'x' } })).body.code, 'invalid_payload');
    assert.equal((await post(id, 'reschedule', { scheduled_at: '2001-01-01T00:00:00Z' })).body.code, 'invalid_schedule');
    assert.equal((await post(id, 'reschedule', { scheduled_at: new Date().toISOString() })).body.status, 'queued');
    await claim(id);
    assert.deepEqual((await post(id, 'reschedule', { scheduled_at })).body.code, 'run_not_reschedulable');
  });

  test('restarting aborts the attempt and queues the next one while attempts are left', async () => {
    const job = await makeJob({ max_attempts: 2 });
    const id = await run(job);
    assert.equal((await post(id, 'restart')).status, 409);
    await claim(id);
    const restarted = await post(id, 'restart', { machine_preset: 'micro' });
    assert.deepEqual([restarted.status, restarted.body.status, restarted.body.attempt], [200, 'queued', 2]);
    await claim(id);
    const refused = await post(id, 'restart');
    assert.deepEqual([refused.status, refused.body.code], [409, 'run_not_restartable']);
    assert.match(refused.body.error, /no attempt is left/);
  });

  test('a freed idempotency key makes a new run', async () => {
    const job = await makeJob();
    const id = await run(job, { idempotency_key: 'k' });
    assert.deepEqual((await call('DELETE', `/v1/runs/${id}/idempotency-key`)).body, { status: 'reset', run_id: id });
    const next = await run(job, { idempotency_key: 'k' });
    assert.notEqual(next, id);
    await claim(next);
    assert.equal((await call('DELETE', `/v1/runs/${next}/idempotency-key`)).body.code, 'idempotency_key_in_use');
  });

  test('debug mode goes on and off', async () => {
    const id = await run(await makeJob());
    assert.deepEqual((await post(id, 'debug', { debug_mode: true })).body, { status: 'ok' });
    assert.equal((await read(id)).debug_mode, true);
    await post(id, 'debug', {});
    assert.equal((await read(id)).debug_mode, false);
  });

  test('a foreign run is not found and not touched', async () => {
    const id = await run(await makeJob());
    for (const [method, path, body] of [
      ['DELETE', ''], ['POST', '/replay'], ['POST', '/dlq-replay'], ['POST', '/restart'], ['POST', '/pause'], ['POST', '/resume'],
      ['POST', '/reschedule', { scheduled_at: later() }], ['POST', '/debug', { debug_mode: true }], ['DELETE', '/idempotency-key'],
    ] as [string, string, object?][]) {
      const answer = await call(method, `/v1/runs/${id}${path}`, body, other.api_key);
      assert.deepEqual([answer.status, answer.body.code], [404, 'run_not_found'], path);
    }
    const { status, debug_mode } = await read(id);
    assert.deepEqual([status, debug_mode], ['queued', false]);
  });
});
