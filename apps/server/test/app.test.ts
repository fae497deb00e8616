import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { testApp } from './app.ts';
import { scriptedEndpoint } from './endpoint.ts';
import { until } from './until.ts';

describe('the application as tests start it', () => {
  it('answers calls without a socket, on a database of its own', async () => {
    await using app = await testApp();
    const { api_key, project_id } = await app.project('Mine');
    const seen = await app.call<{ data: { id: string; name: string }[] }>('GET', '/v1/projects', {
      key: api_key,
    });
    assert.equal(seen.status, 200);
    assert.deepEqual(
      seen.body.data.map(({ id, name }) => [id, name]),
      [[project_id, 'Mine']],
    );
    assert.equal((await app.call('GET', '/v1/projects')).status, 401);
  });

  it('gives jobs that do not say the defaults of the installation', async () => {
    const settings = { DEFAULT_JOB_MAX_ATTEMPTS: '7', DEFAULT_JOB_TIMEOUT_SECS: '11s' };
    await using app = await testApp({ settings });
    const { api_key: key } = await app.project();
    const job = { name: 'J', slug: 'j', endpoint_url: 'http://127.0.0.1:9/' };
    const made = await app.call('POST', '/v1/jobs', { key, body: job });
    assert.deepEqual([made.body.max_attempts, made.body.timeout_secs], [7, 11]);
  });

  it('with its engine, takes a run from trigger to end against a scripted endpoint', async () => {
    await using endpoint = await scriptedEndpoint([
      { status: 503, body: { error: 'not yet' } },
      { body: { answer: 42 } },
    ]);
    await using app = await testApp({ mode: 'all', start: true });
    const { api_key: key } = await app.project();
    const job = await app.call('POST', '/v1/jobs', {
      key,
      body: {
        name: 'Work',
        slug: 'work',
        endpoint_url: endpoint.url,
        retry_strategy: 'custom',
        retry_delays_secs: [1],
      },
    });
    assert.equal(job.status, 201, JSON.stringify(job.body));
    const run = await app.call<{ id: string }>('POST', '/v1/jobs/work/trigger', {
      key,
      body: { payload: { a: 1 } },
    });
    assert.equal(run.status, 201, JSON.stringify(run.body));
    const ended = await until('the run to end', async () => {
      const { body } = await app.call('GET', `/v1/runs/${run.body.id}`, { key });
      return body['finished_at'] ? body : undefined;
    });
    assert.deepEqual(
      [ended['status'], ended['attempt'], ended['result']],
      ['completed', 2, { answer: 42 }],
    );
    assert.deepEqual(
      endpoint.requests.map(({ headers, body }) => [headers['x-attempt'], body]),
      [
        ['1', { a: 1 }],
        ['2', { a: 1 }],
      ],
    );
  });
});
