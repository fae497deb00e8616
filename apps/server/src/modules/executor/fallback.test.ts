// The fallback endpoint: the same attempt, the same headers, a result of its own.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { TestApp, TestProject } from '../../../test/app.ts';
import { scriptedEndpoint } from '../../../test/endpoint.ts';
import { on, started } from '../../../test/failing-endpoints.ts';

let app: TestApp;
let project: TestProject;
before(async () => ({ app, project } = await started()));
after(() => app.close());

const endpointsOf = async (slug: string) => {
  await app.composition.engine?.endpoints.flush();
  const { body } = await on(app, project).call('GET', `/v1/jobs/${slug}/endpoint-health`);
  const [primary, fallback] = body.endpoints;
  return { primary, fallback };
};

describe('a fallback endpoint', () => {
  it('serves when the primary fails, in the same attempt; the primary has failed all the same', async () => {
    await using primary = await scriptedEndpoint({ status: 503 });
    await using fallback = await scriptedEndpoint({ body: { by: 'fallback' } });
    const strait = on(app, project);
    const slug = await strait.job(primary.url, {
      fallback_endpoint_url: fallback.url,
      endpoint_signing_secret: 'a-secret-of-sixteen-bytes',
    });
    const id = await strait.trigger(slug, { payload: { n: 1 } });
    const run = await strait.ended(id, 'completed');
    assert.deepEqual([run.result, run.attempt, run.error], [{ by: 'fallback' }, 1, undefined]);
    const [first] = primary.requests;
    const [second] = fallback.requests;
    assert.ok(first && second);
    const { host: _a, connection: _b, ...same } = first.headers;
    const { host: _c, connection: _d, ...seen } = second.headers;
    assert.deepEqual(seen, same);
    assert.equal(second.text, first.text);
    const { body } = await strait.call('GET', `/v1/runs/${id}/events?type=state_change`);
    const { data } = body.data.find(
      (event: { data: { to: string } }) => event.data.to === 'completed',
    );
    assert.deepEqual(
      [data.fallback, data.primary_error_class, data.primary_status_code, data.status_code],
      ['succeeded', 'server', 503, 200],
    );
    const known = await endpointsOf(slug);
    assert.equal(known.primary.breaker.consecutive_failures, 1);
    assert.ok(known.primary.health.score < 91, `primary ${known.primary.health.score}`);
    assert.equal(known.fallback.breaker.consecutive_failures, 0);
    assert.ok(known.fallback.health.score > 99, `fallback ${known.fallback.health.score}`);
  });

  it('that fails too leaves both errors and the class of the primary', async () => {
    await using primary = await scriptedEndpoint({ status: 429, body: 'slow down' });
    await using fallback = await scriptedEndpoint({ status: 404, body: 'who?' });
    const strait = on(app, project);
    const slug = await strait.job(primary.url, { fallback_endpoint_url: fallback.url });
    const run = await strait.ended(await strait.trigger(slug), 'dead_letter');
    assert.deepEqual(
      [run.error, run.error_class, run.attempt],
      [
        'endpoint returned 429: slow down; fallback: endpoint returned 404: who?',
        'rate_limited',
        1,
      ],
    );
  });

  it('serves when the connection breaks, is not asked about refusals, nor when less than a second is left', async () => {
    await using fallback = await scriptedEndpoint({ body: 'ok' });
    const strait = on(app, project);
    await using broken = await scriptedEndpoint({ hang_up: true });
    const cut = await strait.job(broken.url, { fallback_endpoint_url: fallback.url });
    await strait.ended(await strait.trigger(cut), 'completed');
    assert.equal(fallback.requests.length, 1);

    for (const status of [400, 401, 301]) {
      await using refusing = await scriptedEndpoint({ status });
      const slug = await strait.job(refusing.url, { fallback_endpoint_url: fallback.url });
      await strait.ended(await strait.trigger(slug), 'dead_letter');
    }
    await using slow = await scriptedEndpoint({ status: 500, delay_ms: 300 });
    const late = await strait.job(slow.url, {
      fallback_endpoint_url: fallback.url,
      timeout_secs: 1,
    });
    await strait.ended(await strait.trigger(late), 'dead_letter');
    assert.equal(fallback.requests.length, 1);
  });

  it('whose breaker is open is left alone', async () => {
    await using primary = await scriptedEndpoint({ status: 500 });
    await using fallback = await scriptedEndpoint({ status: 500 });
    const strait = on(app, project);
    const other = await strait.job(fallback.url);
    await strait.fail(other, 5);
    const slug = await strait.job(primary.url, { fallback_endpoint_url: fallback.url });
    const run = await strait.ended(await strait.trigger(slug), 'dead_letter');
    assert.equal(run.error, 'endpoint returned 500: {}');
    assert.equal(fallback.requests.length, 5);
  });
});
