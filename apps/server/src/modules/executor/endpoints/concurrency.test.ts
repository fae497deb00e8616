// Concurrency that adapts, with the real product: several workers, an endpoint that takes so many at once and counts.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { testConfig, type TestApp } from '../../../../test/app.ts';
import { shiftClock } from '../../../../test/database.ts';
import { scriptedEndpoint } from '../../../../test/endpoint.ts';
import { on, started } from '../../../../test/failing-endpoints.ts';
import { untilSomebodyWaits } from '../../../../test/lock-waits.ts';
import { until } from '../../../../test/until.ts';
import { compose } from '../../../app/compose.ts';
import { createLog } from '../../../platform/telemetry/log.ts';
import { createEndpointAdmission } from '../../queue/index.ts';
import { createEndpoints, type EndpointChange, type EndpointResult } from './endpoints.ts';

/** `npm run test:crash`: longer, for figures. */
const full = process.env['STRAIT_SCENARIOS'] === 'full';
const RUNS = full ? 1_500 : 200;
const CAPACITY = 5;
const TAKES_MS = 100;
/** Only the limit: the first burst is refused so often that breaker or health may leave the endpoint alone for half a minute. */
const SETTINGS = {
  WORKER_CONCURRENCY: '25',
  WORKER_LEASE: '30m',
  ENDPOINT_BREAKER_FAILURES: '0',
  ENDPOINT_HEALTH: 'false',
};

/** Another worker process, but in this one. */
async function anotherWorker(app: TestApp) {
  const { services, ...worker } = compose({
    config: testConfig(app.url, { MODE: 'worker', ...SETTINGS }),
    url: app.url,
    log: createLog({ level: 'silent', format: 'text' }),
    tenantRole: process.env['STRAIT_TEST_TENANT_ROLE'] || undefined,
    version: 'test',
    check_replies: false,
  });
  for (const service of services) await service.start();
  return {
    async [Symbol.asyncDispose]() {
      for (const service of services.toReversed()) await service.stop(AbortSignal.timeout(10_000));
      await Promise.all([worker.db.close(), worker.hot.close(), worker.beats.close()]);
    },
  };
}

/** Answers 429 to what comes beyond its capacity. */
async function smallEndpoint() {
  const seen = { working: 0, done: 0, refused: 0 };
  const endpoint = await scriptedEndpoint(async () => {
    if (seen.working >= CAPACITY) {
      seen.refused += 1;
      return { status: 429 };
    }
    seen.working += 1;
    await sleep(TAKES_MS);
    seen.working -= 1;
    seen.done += 1;
    return {};
  });
  return { endpoint, seen };
}

describe('an endpoint that takes five at once', () => {
  it(`gets about as many from three workers, who need few tries and leave it little idle (${RUNS} runs)`, async (test) => {
    const { app, project } = await started(SETTINGS);
    await using _app = app;
    const { endpoint, seen } = await smallEndpoint();
    await using _endpoint = endpoint;
    const strait = on(app, project);
    const retries = { max_attempts: 100, retry_strategy: 'fixed' };
    const jobs = [
      await strait.job(endpoint.url, retries),
      await strait.job(`${endpoint.url}?other`, retries),
    ];
    await using _second = await anotherWorker(app);
    await using _third = await anotherWorker(app);
    for (let n = 0; n < RUNS; n += 100)
      for (const job of jobs) {
        const items = Array.from({ length: 50 }, () => ({ payload: {} }));
        const made = await strait.call('POST', `/v1/jobs/${job}/trigger/bulk`, { items });
        assert.equal(made.status, 201, JSON.stringify(made.body));
      }
    const limitNow = async (): Promise<number | null> =>
      (await app.sql<{ max_in_flight: number }>('select max_in_flight from endpoint_admission'))[0]
        ?.max_in_flight ?? null;
    await until('the limit to come near', async () => {
      const limit = await limitNow();
      return limit !== null && limit <= 2 * CAPACITY;
    });
    const began = { ...seen, at: performance.now() };
    const limits: number[] = [];
    // Not the tail, when there is not enough to do.
    while (seen.done < RUNS - 20) {
      limits.push((await limitNow()) ?? 100);
      await sleep(20);
    }
    const secs = (performance.now() - began.at) / 1000;
    const done = seen.done - began.done;
    const refused = seen.refused - began.refused;
    const use = (done * TAKES_MS) / 1000 / secs / CAPACITY;
    const mean = limits.reduce((sum, limit) => sum + limit, 0) / limits.length;
    test.diagnostic(
      `limit ${mean.toFixed(1)} on average, ${Math.round(done / secs)}/s, ${Math.round(100 * use)} % of capacity, ${refused} refused of ${done + refused}; before: ${began.refused} refused`,
    );
    // How well is for the long form, on a machine of its own. That there is a limit and it came near shows on a busy one, too.
    if (full) {
      assert.ok(done >= 30, `${done} in the measured time`);
      assert.ok(mean >= 3 && mean <= 8, `limit ${mean} on average`);
      assert.ok(use >= 0.3, `${use} of its capacity is used`);
      assert.ok(refused < 1.5 * done, `${refused} refused for ${done} that went through`);
    }
    await until(
      'everything to end',
      async () =>
        (await app.sql(`select id from job_runs where status <> 'completed' limit 1`)).length === 0,
      { deadline_ms: 30_000 },
    );
    assert.equal(seen.done, RUNS);
    const [job = ''] = jobs;
    const shown = await strait.health(job);
    assert.equal(shown.admission.state, 'throttled');
  });
});

describe('the usual latency', () => {
  it('is the mean at first, follows slowly later, and does not change without successes', async () => {
    const { app } = await started({ MODE: 'api' });
    await using _app = app;
    const usual = async (before: number | null, samples: number, mean_ms: number, secs: number) => {
      const [row] = await app.sql<{ ms: number | null }>(
        'select strait_baseline($1, $2, 10, $3, $4) as ms',
        before,
        samples,
        10 * Math.log(mean_ms),
        secs,
      );
      return Math.round(row?.ms ?? -1);
    };
    assert.equal(await usual(null, 0, 20, 1), 20);
    assert.equal(await usual(20, 10, 80, 1), 40, 'as many again: half way, in logarithms');
    assert.equal(await usual(1_000, 100, 100_000, 1), 1_011);
    assert.equal(await usual(1_000, 100, 100_000, 600), 1_585, 'a tenth of the way at most');
    const [none] = await app.sql('select strait_baseline(20, 100, 0, 0, 9) as ms');
    assert.deepEqual(none, { ms: 20 });
  });
});

describe('several workers', () => {
  it('judge the results of all of them once per window, for one tenant at a time, and forget what is switched off or silent', async () => {
    const { app, project } = await started({ MODE: 'api' });
    await using _app = app;
    const endpoint = 'http://127.0.0.1:9/shared';
    const [mine, theirs] = [project, await app.project('theirs')];
    await on(app, theirs).job(endpoint);
    const strait = on(app, mine);
    const job = await strait.job(endpoint);
    const db = app.composition.hot;
    const changes: EndpointChange[] = [];
    const worker = (adapts = true) =>
      createEndpoints({
        db,
        admission: createEndpointAdmission({ db }),
        breaker_failures: 0,
        health_counts: false,
        concurrency: adapts ? { min: 2, max: 100 } : undefined,
        onError: (error) => assert.fail(String(error)),
        onChange: (change) => void changes.push(change),
      });
    const team = [worker(), worker(), worker()];
    const rows = () =>
      app.sql<{ project_id: string; max_in_flight: number }>(
        'select project_id, max_in_flight from endpoint_admission order by 1',
      );
    const noteAll = async (of: string, what: Partial<EndpointResult>, times: number) => {
      for (let n = 0; n < times; n++)
        for (const each of team)
          each.note({
            project_id: of,
            endpoint,
            finding: 'success',
            latency_ms: 10,
            timeout_ms: 1_000,
            concurrent: 20,
            ...what,
          });
      await Promise.all(team.map((each) => each.flush()));
    };
    let passed_ms = 0;
    const nextWindow = async (): Promise<void> => shiftClock(app.db, (passed_ms += 1_500));
    try {
      // As usual, then five times as slow: trouble without an error.
      await noteAll(mine.project_id, { latency_ms: 40 }, 20);
      await nextWindow();
      await noteAll(mine.project_id, { latency_ms: 40 }, 20);
      await nextWindow();
      await noteAll(mine.project_id, { latency_ms: 60 }, 5);
      assert.deepEqual(await rows(), []);
      const items = Array.from({ length: 20 }, () => ({ payload: {} }));
      await strait.call('POST', `/v1/jobs/${job}/trigger/bulk`, { items });
      const { queue } = app.composition.modules;
      const worker_id = await queue.registerWorker({ hostname: 'test', pid: 1 });
      const held = await queue.claim({ worker_id, limit: 100, cursor: '' });
      assert.equal(held.length, 20);
      await nextWindow();
      await noteAll(mine.project_id, { latency_ms: 200 }, 10);
      assert.equal((await rows())[0]?.max_in_flight, 10);
      await worker(false).relax();
      assert.deepEqual(await rows(), []);
      await strait.call('POST', '/v1/runs/bulk-cancel', { run_ids: held.map(({ id }) => id) });
      await nextWindow();
      changes.length = 0;
      const busy = { finding: 'busy', overloaded: true } as const;
      await noteAll(theirs.project_id, {}, 2);
      // A limit waits for the promotion that is under way; what is learned of others does not.
      const [locked, released] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
      const promotion = app.db.transaction(async (tx) => {
        const text = 'select from lanes where project_id = $1 and job_id is null for update';
        await tx.query({ text, values: [mine.project_id] });
        locked.resolve();
        await released.promise;
      });
      await locked.promise;
      const result = { endpoint, latency_ms: 10, timeout_ms: 1_000, concurrent: 20 };
      team[0]?.note({ ...result, ...busy, project_id: mine.project_id });
      const flushed = team[0]?.flush();
      await untilSomebodyWaits(app, 'the limit to wait');
      team[0]?.note({ ...result, finding: 'failure', project_id: theirs.project_id });
      await until(
        'what is learned of another endpoint',
        async () =>
          (
            await app.sql(
              'select from endpoint_health_scores where project_id = $1 and success_rate < 1',
              theirs.project_id,
            )
          ).length > 0,
      );
      assert.deepEqual(await rows(), []);
      released.resolve();
      await Promise.all([promotion, flushed]);
      const first = await rows();
      assert.deepEqual(first, [{ project_id: mine.project_id, max_in_flight: 10 }]);
      assert.deepEqual(
        changes.filter(({ what }) => what === 'concurrency').map(({ to }) => to),
        ['limited'],
      );
      // Three flushes within a second are one judgement.
      await noteAll(mine.project_id, busy, 2);
      await noteAll(mine.project_id, busy, 2);
      assert.deepEqual(await rows(), first);
      await nextWindow();
      await noteAll(mine.project_id, busy, 1);
      assert.equal((await rows())[0]?.max_in_flight, 5);
      for (let n = 0; n < 3; n++) {
        await nextWindow();
        await noteAll(mine.project_id, busy, 1);
      }
      assert.equal((await rows())[0]?.max_in_flight, 2, 'not below the least');
      await nextWindow();
      await noteAll(mine.project_id, {}, 1);
      await nextWindow();
      await noteAll(mine.project_id, {}, 1);
      assert.ok(((await rows())[0]?.max_in_flight ?? 0) > 2, 'it grows');
      assert.equal((await rows()).length, 1);
      // Trouble, and days later a success: that is no news of trouble.
      const limit = async () => (await rows())[0]?.max_in_flight ?? 0;
      await noteAll(mine.project_id, busy, 5);
      const grown = await limit();
      await shiftClock(app.db, (passed_ms += 31_000));
      await noteAll(mine.project_id, {}, 1);
      assert.ok((await limit()) >= grown, 'thrown away');
      await noteAll(mine.project_id, busy, 5);
      await shiftClock(app.db, (passed_ms += 29_000));
      await noteAll(mine.project_id, {}, 1);
      assert.ok((await limit()) < grown, 'not old yet');
      // Silence: after ten minutes nobody knows any more what it takes.
      await team[0]?.relax();
      assert.equal((await rows()).length, 1);
      await shiftClock(app.db, passed_ms + 601_000);
      // As many as one look takes, that stay as they are, stand before it.
      await app.sql(
        `insert into endpoint_concurrency (project_id, endpoint_url, observed, used, calm, changed_at, judged_at)
         select '!', n, 2, 2, 0, '2000-01-01', '2000-01-01' from generate_series(1, 500) n`,
      );
      assert.deepEqual(await team[0]?.relax(), { again: true });
      assert.deepEqual(await team[0]?.relax(), { again: false });
      assert.deepEqual(await rows(), []);
      await app.sql(`delete from endpoint_concurrency where project_id = '!'`);
      assert.deepEqual(await app.sql('select * from endpoint_concurrency'), []);
    } finally {
      await shiftClock(app.db, 0);
      await Promise.all(team.map(({ service }) => service.stop(AbortSignal.timeout(1_000))));
    }
  });
});
