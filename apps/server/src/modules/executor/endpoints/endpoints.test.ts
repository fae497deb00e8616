// Failing endpoints with the real product: the breaker, health and what both let through. Long times by the database's clock.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { TestApp, TestProject } from '../../../../test/app.ts';
import { shiftClock } from '../../../../test/database.ts';
import { on, started, switchable } from '../../../../test/failing-endpoints.ts';
import { until } from '../../../../test/until.ts';

describe('a circuit breaker', () => {
  let app: TestApp;
  let project: TestProject;
  before(async () => ({ app, project } = await started()));
  after(() => app.close());

  it('opens after five failures in a row, lets exactly one probe go after a minute, and a success restores all', async () => {
    const target = await switchable();
    await using endpoint = target.endpoint;
    const strait = on(app, project);
    const slug = await strait.job(endpoint.url);
    await strait.fail(slug, 4);
    assert.equal((await strait.health(slug)).breaker.state, 'closed');
    await strait.fail(slug, 1);
    const open = await strait.health(slug);
    assert.deepEqual([open.breaker.state, open.admission.state], ['open', 'closed']);
    assert.equal(
      Math.round(Date.parse(open.breaker.reopens_at) - Date.parse(open.breaker.opened_at)),
      60_000,
    );

    const ids: string[] = [];
    for (let n = 0; n < 8; n++) ids.push(await strait.trigger(slug));
    assert.equal(await strait.waiting(slug), 8, 'nothing enters the queue');
    await strait.promote();
    assert.equal(endpoint.requests.length, 5, 'and nothing is sent');

    // The probe is held: whoever else went would be seen beside it.
    const release = Promise.withResolvers<void>();
    target.hold = release.promise;
    target.status = 200;
    await shiftClock(app.db, 60_500);
    try {
      await until('the probe', () => endpoint.requests.length > 5);
      await until(
        'half open',
        async () => (await strait.health(slug)).breaker.state === 'half_open',
      );
      await strait.promote();
      assert.equal(endpoint.requests.length, 6);
      assert.equal(await strait.waiting(slug), 7);
      release.resolve();
      for (const id of ids) await strait.ended(id, 'completed');
      assert.equal(endpoint.requests.length, 13, 'each run once');
      const closed = await strait.health(slug);
      assert.deepEqual(
        [closed.breaker.state, closed.breaker.consecutive_failures, closed.breaker.opened_at],
        ['closed', 0, null],
      );
      for (const id of ids) assert.equal((await strait.read(id)).attempt, 1);
      const metrics = await app.composition.metrics.text();
      for (const to of ['open', 'half_open', 'closed'])
        assert.ok(
          metrics.includes(`strait_endpoint_changes_total{what="breaker",to="${to}"} 1`),
          to,
        );
    } finally {
      release.resolve();
      await shiftClock(app.db, 0);
    }
  });

  it('stays open twice as long when the probe fails, and counts for its own tenant only', async () => {
    const target = await switchable();
    await using endpoint = target.endpoint;
    const mine = on(app, project);
    const other = on(app, await app.project('other'));
    const slug = await mine.job(endpoint.url);
    const theirs = await other.job(endpoint.url);
    await mine.fail(slug, 5);
    assert.equal((await mine.health(slug)).breaker.state, 'open');
    const untouched = await other.health(theirs);
    assert.deepEqual(
      [untouched.breaker.state, untouched.health.score, untouched.health.total_requests],
      ['closed', 100, 0],
    );
    const before = endpoint.requests.length;
    const held = await mine.trigger(slug);
    target.status = 200;
    await other.ended(await other.trigger(theirs), 'completed');
    assert.equal(
      endpoint.requests.length,
      before + 1,
      'the other tenant goes through, this one waits',
    );
    assert.equal((await mine.read(held)).status, 'queued');

    target.status = 503;
    await shiftClock(app.db, 60_500);
    try {
      await mine.ended(held, 'dead_letter');
      await app.composition.engine?.endpoints.flush();
      const again = await mine.health(slug);
      assert.equal(again.breaker.state, 'open');
      assert.equal(
        Math.round(Date.parse(again.breaker.reopens_at) - Date.parse(again.breaker.opened_at)),
        120_000,
      );
    } finally {
      await shiftClock(app.db, 0);
    }
  });

  it('is not tripped by refusals, and not by 429', async () => {
    const target = await switchable();
    await using endpoint = target.endpoint;
    const strait = on(app, project);
    const slug = await strait.job(endpoint.url);
    for (const status of [400, 401, 404, 302]) {
      target.status = status;
      await strait.fail(slug, 3);
    }
    const refused = await strait.health(slug);
    assert.deepEqual([refused.breaker.state, refused.health.score], ['closed', 100]);
    target.status = 429;
    await strait.fail(slug, 6);
    const busy = await strait.health(slug);
    assert.equal(busy.breaker.state, 'closed');
    assert.ok(Math.abs(busy.health.score - 53.1) < 0.5, `score ${busy.health.score}`);
  });

  it('gives a lost probe ten seconds beyond its deadline', async () => {
    const target = await switchable();
    await using endpoint = target.endpoint;
    const strait = on(app, project);
    const slug = await strait.job(endpoint.url, { timeout_secs: 20 });
    await strait.fail(slug, 5);
    const [first, second] = [await strait.trigger(slug), await strait.trigger(slug)];
    target.status = 200;
    target.delay_ms = 60_000;
    await shiftClock(app.db, 60_500);
    try {
      await until('the probe', () => endpoint.requests.length === 6);
      const lost = String(endpoint.requests[5]?.headers['x-run-id']);
      const next = lost === first ? second : first;
      target.delay_ms = 0;
      // As if its worker had died: nobody will report.
      await app.sql(`update endpoint_admission set probe_claim = -1 where probe_run_id = $1`, lost);
      await strait.call('DELETE', `/v1/runs/${lost}`);
      await shiftClock(app.db, 60_500 + 28_000);
      await strait.promote();
      assert.equal(endpoint.requests.length, 6);
      await shiftClock(app.db, 60_500 + 31_500);
      await strait.ended(next, 'completed');
    } finally {
      await shiftClock(app.db, 0);
    }
  });
});

describe('the health of an endpoint', () => {
  let app: TestApp;
  let project: TestProject;
  before(async () => ({ app, project } = await started({ ENDPOINT_BREAKER_FAILURES: '0' })));
  after(() => app.close());

  it('blocks after twelve failures in a row, lets one probe go within 30 s, and a success restores all', async () => {
    const target = await switchable();
    await using endpoint = target.endpoint;
    const strait = on(app, project);
    const slug = await strait.job(endpoint.url);
    await strait.fail(slug, 11);
    const degraded = await strait.health(slug);
    assert.deepEqual([degraded.health.level, degraded.admission.state], ['degraded', 'throttled']);
    await strait.fail(slug, 1);
    const blocked = await strait.health(slug);
    assert.deepEqual(
      [blocked.health.level, blocked.admission.state, blocked.breaker.state],
      ['blocked', 'closed', 'closed'],
    );
    assert.ok(Math.abs(blocked.health.score - 28.2) < 0.3, `score ${blocked.health.score}`);

    const ids = [
      await strait.trigger(slug),
      await strait.trigger(slug),
      await strait.trigger(slug),
    ];
    assert.equal(await strait.waiting(slug), 3);
    const release = Promise.withResolvers<void>();
    target.hold = release.promise;
    target.status = 200;
    await shiftClock(app.db, 30_000);
    try {
      await until('the probe', () => endpoint.requests.length > 12);
      await strait.promote();
      assert.equal(endpoint.requests.length, 13);
      assert.equal(await strait.waiting(slug), 2);
      release.resolve();
      for (const id of ids) await strait.ended(id, 'completed');
      assert.equal(endpoint.requests.length, 15);
      assert.notEqual((await strait.health(slug)).admission.state, 'closed');
    } finally {
      release.resolve();
      await shiftClock(app.db, 0);
    }
  });
});

describe('without breaker and health', () => {
  it('an endpoint may fail as often as it likes', async () => {
    const { app, project } = await started({
      ENDPOINT_BREAKER_FAILURES: '0',
      ENDPOINT_HEALTH: 'false',
    });
    await using _app = app;
    const target = await switchable();
    await using endpoint = target.endpoint;
    const strait = on(app, project);
    const slug = await strait.job(endpoint.url);
    await strait.fail(slug, 14);
    const { admission, health } = await strait.health(slug);
    assert.deepEqual([admission.state, health.level], ['open', 'blocked']);
    assert.equal(endpoint.requests.length, 14);
  });
});

describe('endpoints', () => {
  let app: TestApp;
  let project: TestProject;
  before(async () => ({ app, project } = await started({ ENDPOINT_BREAKER_FAILURES: '0' })));
  after(() => app.close());

  it('that often fail leave their jobs a share of max_concurrency, and the rest when they recover', async () => {
    const target = await switchable();
    await using endpoint = target.endpoint;
    const strait = on(app, project);
    const slug = await strait.job(endpoint.url, { max_concurrency: 8 });
    await strait.fail(slug, 9);
    const { health, admission } = await strait.health(slug);
    // 100 · 0.9^9 = 38.7: a share of 0.25 + 0.75 · 8.7 / 30 = 0.47, four of eight.
    assert.ok(Math.abs(health.score - 38.7) < 0.3, `score ${health.score}`);
    assert.equal(Math.ceil(8 * admission.concurrency_share), 4);
    target.status = 200;
    target.delay_ms = 400;
    const ids = [];
    for (let n = 0; n < 32; n++) ids.push(await strait.trigger(slug));
    await until('four at a time', () => endpoint.busy.now === 4);
    await strait.promote();
    assert.equal(endpoint.busy.most, 4, 'and never more');
    for (const id of ids) await strait.ended(id, 'completed');
    assert.ok(endpoint.busy.most > 4, 'successes gave room');
  });

  it('recover with the time that passes, also when nobody calls them', async () => {
    const target = await switchable();
    await using endpoint = target.endpoint;
    const strait = on(app, project);
    const slug = await strait.job(endpoint.url);
    await strait.fail(slug, 9);
    const before = await strait.health(slug);
    assert.equal(before.admission.state, 'throttled');
    await shiftClock(app.db, 600_000);
    try {
      const later = await strait.health(slug);
      const expected = 100 - (100 - before.health.score) / 2;
      assert.ok(Math.abs(later.health.score - expected) < 0.5, `${later.health.score} ${expected}`);
      await app.composition.engine?.endpoints.relax();
      assert.equal((await strait.health(slug)).admission.state, 'open');
      const kept = await app.sql('select * from endpoint_admission where not closed');
      assert.deepEqual(kept, []);
    } finally {
      await shiftClock(app.db, 0);
    }
  });

  it('are told apart by scheme, host, port and path alone', async () => {
    const spellings = await app.sql<{ url: string; endpoint: string }>(
      'select url, strait_endpoint(url) as endpoint from unnest($1::text[]) url',
      [
        'https://Example.COM/a?token=1#x',
        'HTTPS://example.com:443/a',
        'http://example.com',
        'http://example.com:80/?q',
        'http://example.com:8080/A',
        'http://[2001:DB8::1]:80/x',
      ],
    );
    assert.deepEqual(
      spellings.map(({ endpoint }) => endpoint),
      [
        'https://example.com/a',
        'https://example.com/a',
        'http://example.com/',
        'http://example.com/',
        'http://example.com:8080/A',
        'http://[2001:db8::1]/x',
      ],
    );
  });

  it('are forgotten when nobody has called them for long', async () => {
    const target = await switchable();
    await using endpoint = target.endpoint;
    const strait = on(app, project);
    const slug = await strait.job(endpoint.url);
    await strait.fail(slug, 12);
    assert.equal((await strait.health(slug)).admission.state, 'closed');
    await shiftClock(app.db, 8 * 86_400_000);
    try {
      await app.composition.engine?.endpoints.forget();
      const { admission, health } = await strait.health(slug);
      assert.deepEqual([admission.state, health.total_requests], ['open', 0]);
    } finally {
      await shiftClock(app.db, 0);
    }
  });
});
