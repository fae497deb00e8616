import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { inOneHour, runActions } from '../../../../test/run-actions.ts';

let on: Awaited<ReturnType<typeof runActions>>;

before(async () => {
  on = await runActions();
});
after(() => on.close());

describe('other actions', () => {
  test('a held run that is rescheduled stays held, and its release knows the new instant', async () => {
    const job = await on.makeJob();
    const id = await on.run(job, { scheduled_at: inOneHour() });
    assert.equal((await on.post(id, 'pause')).status, 200);
    const now = new Date().toISOString();
    const moved = await on.post(id, 'reschedule', { scheduled_at: now });
    assert.deepEqual([moved.status, moved.body.status], [200, 'queued']);
    const places = await on.app.sql(
      `select 'parked' as place from run_parked where run_id = $1 and lane_id = 0
       union all select 'queue' from run_queue where run_id = $1`,
      id,
    );
    assert.deepEqual(places, [{ place: 'parked' }]);
    assert.equal((await on.post(id, 'resume')).status, 200);
    await on.claim(id);
  });

  test('a held run is not claimed until it is resumed', async () => {
    const job = await on.makeJob();
    const id = await on.run(job);
    const paused = await on.post(id, 'pause');
    assert.deepEqual([paused.body.status, paused.body.held], ['queued', true]);
    assert.equal((await on.post(id, 'pause')).status, 200);
    assert.equal((await on.read(id)).held, true);
    assert.equal(
      (await on.app.sql('select run_id from run_queue where run_id = $1', id)).length,
      0,
    );
    const resumed = await on.post(id, 'resume');
    assert.deepEqual([resumed.status, 'held' in resumed.body], [200, false]);
    assert.equal((await on.post(id, 'resume')).body.code, 'run_not_resumable');
    await on.claim(id);
    const refused = await on.post(id, 'pause');
    assert.deepEqual(
      [refused.status, refused.body.error],
      [409, 'the run is executing: it cannot be held; only a run that waits to start can'],
    );
  });

  test('rescheduling moves a run that never started, with another payload', async () => {
    const job = await on.makeJob({
      payload_schema: { type: 'object', properties: { n: { type: 'integer' } } },
    });
    const id = await on.run(job, { ttl_secs: 600, payload: { n: 1 } });
    const scheduled_at = inOneHour();
    const moved = await on.post(id, 'reschedule', { scheduled_at, payload: { n: 2 } });
    assert.deepEqual(
      [moved.status, moved.body.status, moved.body.payload],
      [200, 'delayed', { n: 2 }],
    );
    assert.equal(
      Math.round((Date.parse(moved.body.expires_at) - Date.parse(scheduled_at)) / 1000),
      600,
    );
    assert.equal(
      (await on.post(id, 'reschedule', { scheduled_at, payload: { n: 'x' } })).body.code,
      'invalid_payload',
    );
    assert.equal(
      (await on.post(id, 'reschedule', { scheduled_at: '2001-01-01T00:00:00Z' })).body.code,
      'invalid_schedule',
    );
    assert.equal(
      (await on.post(id, 'reschedule', { scheduled_at: new Date().toISOString() })).body.status,
      'queued',
    );
    await on.claim(id);
    assert.deepEqual(
      (await on.post(id, 'reschedule', { scheduled_at })).body.code,
      'run_not_reschedulable',
    );
  });

  test('restarting aborts the attempt and queues the next one while attempts are left', async () => {
    const job = await on.makeJob({ max_attempts: 2 });
    const id = await on.run(job);
    assert.equal((await on.post(id, 'restart')).status, 409);
    await on.claim(id);
    const restarted = await on.post(id, 'restart', { machine_preset: 'micro' });
    assert.deepEqual(
      [restarted.status, restarted.body.status, restarted.body.attempt],
      [200, 'queued', 2],
    );
    await on.claim(id);
    const refused = await on.post(id, 'restart');
    assert.deepEqual([refused.status, refused.body.code], [409, 'run_not_restartable']);
    assert.match(refused.body.error, /no attempt is left/);
  });

  test('restarting counts the attempts of the version the run runs', async () => {
    for (const [mine, live, status] of [
      [1, 5, 409],
      [5, 1, 200],
    ] as const) {
      const job = await on.makeJob({ max_attempts: mine });
      const id = await on.run(job);
      assert.equal((await on.call('PATCH', `/v1/jobs/${job}`, { max_attempts: live })).status, 200);
      await on.claim(id);
      assert.equal((await on.post(id, 'restart')).status, status);
    }
  });

  test('a freed idempotency key makes a new run', async () => {
    const job = await on.makeJob();
    const id = await on.run(job, { idempotency_key: 'k' });
    assert.deepEqual((await on.call('DELETE', `/v1/runs/${id}/idempotency-key`)).body, {
      status: 'reset',
      run_id: id,
      had_key: true,
    });
    const again = await on.call('DELETE', `/v1/runs/${id}/idempotency-key`);
    assert.deepEqual([again.status, again.body.had_key], [200, false]);
    const next = await on.run(job, { idempotency_key: 'k' });
    assert.notEqual(next, id);
    await on.claim(next);
    assert.equal(
      (await on.call('DELETE', `/v1/runs/${next}/idempotency-key`)).body.code,
      'idempotency_key_in_use',
    );
  });

  test('debug mode goes on and off', async () => {
    const id = await on.run(await on.makeJob());
    assert.deepEqual((await on.post(id, 'debug', { debug_mode: true })).body, { status: 'ok' });
    assert.equal((await on.read(id)).debug_mode, true);
    await on.post(id, 'debug', {});
    assert.equal((await on.read(id)).debug_mode, false);
  });

  test('a foreign run is not found and not touched', async () => {
    const id = await on.run(await on.makeJob());
    for (const [method, path, body] of [
      ['DELETE', ''],
      ['POST', '/replay'],
      ['POST', '/dlq-replay'],
      ['POST', '/restart'],
      ['POST', '/pause'],
      ['POST', '/resume'],
      ['POST', '/reschedule', { scheduled_at: inOneHour() }],
      ['POST', '/debug', { debug_mode: true }],
      ['DELETE', '/idempotency-key'],
    ] as [string, string, object?][]) {
      const answer = await on.call(method, `/v1/runs/${id}${path}`, body, on.other.api_key);
      assert.deepEqual([answer.status, answer.body.code], [404, 'run_not_found'], path);
    }
    const { status, debug_mode } = await on.read(id);
    assert.deepEqual([status, debug_mode], ['queued', false]);
  });
});
