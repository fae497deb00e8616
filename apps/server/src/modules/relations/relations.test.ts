import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testApp } from '../../../test/app.ts';
import { scriptedEndpoint } from '../../../test/endpoint.ts';
import { until } from '../../../test/until.ts';

test('with workers and loops: what follows runs, what waited goes on, with a limit on the way', async () => {
  await using endpoint = await scriptedEndpoint(({ path }) =>
    path.endsWith('/order')
      ? { body: { order: { id: 7 } } }
      : path.endsWith('/broken')
        ? { status: 400, body: 'no' }
        : { body: { done: true } },
  );
  await using app = await testApp({ mode: 'all', start: true });
  const { api_key: key } = await app.project();
  const call = (method: string, path: string, body: object = {}) =>
    app.call(method, path, { key, ...(method === 'GET' ? {} : { body }) });
  const job = async (slug: string, settings: object = {}): Promise<void> => {
    const endpoint_url = endpoint.url.replace('/work', `/${slug}`);
    const made = await call('POST', '/v1/jobs', { name: slug, slug, endpoint_url, ...settings });
    assert.equal(made.status, 201, JSON.stringify(made.body));
  };
  await job('order', {
    on_complete_trigger_job: 'invoice',
    on_complete_payload_mapping: { id: 'order.id' },
  });
  await job('invoice');
  await job('ship', { max_concurrency: 1 });
  await job('broken', { on_failure_trigger_job: 'repair' });
  await job('repair');
  await call('POST', '/v1/jobs/ship/dependencies', { depends_on_job_id: 'invoice' });

  const waiting = await Promise.all(
    [1, 2, 3].map(async () => (await call('POST', '/v1/jobs/ship/trigger')).body),
  );
  assert.deepEqual(
    waiting.map(({ status }) => status),
    ['waiting', 'waiting', 'waiting'],
  );
  await call('POST', '/v1/jobs/order/trigger', { payload: { order: 7 } });
  await call('POST', '/v1/jobs/broken/trigger', { payload: { x: 1 } });
  for (const { id } of waiting)
    await until(`run ${id} to be completed`, async () => {
      const { body } = await call('GET', `/v1/runs/${id}`);
      return body.status === 'completed';
    });
  const repaired = await until('the repair', () =>
    endpoint.requests.find(({ path }) => path.endsWith('/repair')),
  );
  const { error_class, original_input } = repaired.body as Record<string, unknown>;
  assert.deepEqual([error_class, original_input], ['client', { x: 1 }]);
  const seen = endpoint.requests.filter(({ path }) => /invoice|ship/.test(path));
  assert.deepEqual(
    seen.map(({ path }) => path.slice(1)),
    ['invoice', 'ship', 'ship', 'ship'],
    'each once, and nothing before its turn',
  );
  assert.deepEqual(seen[0]?.body, { id: 7 });
});
