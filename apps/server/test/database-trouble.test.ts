// A database that is busy, not away: locks and time-outs must never cost a result or repeat an attempt.

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, it } from 'node:test';
import { testApp, type TestApp, type TestAppOptions } from './app.ts';
import { scriptedEndpoint, type ScriptedEndpoint } from './endpoint.ts';
import { until } from './until.ts';

const SETTINGS = { DB_LOCK_TIMEOUT: '300ms', HEARTBEAT_INTERVAL: '300ms', WORKER_LEASE: '10s' };

async function prepare(endpoint: ScriptedEndpoint, options: TestAppOptions = {}) {
  const app = await testApp({ mode: 'all', start: true, settings: SETTINGS, ...options });
  const { api_key: key } = await app.project();
  const job = { name: 'J', slug: 'j', endpoint_url: endpoint.url, retry_strategy: 'fixed' };
  assert.equal((await app.call('POST', '/v1/jobs', { key, body: job })).status, 201);
  const triggered = await app.call('POST', '/v1/jobs/j/trigger', { key, body: {} });
  const id: string = triggered.body.id;
  const ended = () =>
    until('the run to end', async () => {
      const { body } = await app.call('GET', `/v1/runs/${id}`, { key });
      return body.finished_at ? body : undefined;
    });
  return { app, id, ended };
}

/** As any other transaction may. */
const hold = (app: TestApp, ms: number, text: string, ...values: unknown[]) =>
  app.db.transaction(async (tx) => {
    await tx.query({ text, values });
    await sleep(ms);
  });

describe('while the database is busy', () => {
  it('a result waits for a locked run, however long, and the attempt is not repeated', async () => {
    const answered = Promise.withResolvers<void>();
    const release = Promise.withResolvers<void>();
    await using endpoint = await scriptedEndpoint(async () => {
      answered.resolve();
      await release.promise;
      return { body: { paid: true } };
    });
    const { app, id, ended } = await prepare(endpoint);
    await answered.promise;
    const held = hold(app, 1500, 'select from job_runs where id = $1 for update', id);
    await until('the lock to be held', async () => {
      const free = await app.sql('select from job_runs where id = $1 for update skip locked', id);
      return free.length === 0;
    });
    release.resolve();
    await held;
    const run = await ended();
    assert.deepEqual([run.status, run.result], ['completed', { paid: true }]);
    assert.equal(endpoint.requests.length, 1);
    await app.close();
  });

  it('an attempt that could not be prepared is tried later, as the same attempt', async () => {
    await using endpoint = await scriptedEndpoint([{ status: 500 }, { body: {} }]);
    const { app, ended } = await prepare(endpoint);
    await until('the first attempt', () => endpoint.requests.length === 1);
    await hold(app, 1800, 'lock table run_checkpoints in access exclusive mode');
    const run = await ended();
    assert.deepEqual([run.status, run.attempt], ['completed', 2]);
    await app.close();
  });
});
