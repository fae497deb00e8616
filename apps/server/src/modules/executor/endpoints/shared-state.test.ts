// What several workers, a version of a job that leads elsewhere, and a store that does not answer make of an endpoint's state.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { TestApp, TestProject } from '../../../../test/app.ts';
import { shiftClock } from '../../../../test/database.ts';
import { on, started, switchable } from '../../../../test/failing-endpoints.ts';
import { until } from '../../../../test/until.ts';
import { createDatabase } from '../../../platform/db/database.ts';
import { createEndpointAdmission } from '../../queue/index.ts';
import { createEndpoints, type EndpointChange } from './endpoints.ts';

let app: TestApp;
let project: TestProject;
before(async () => ({ app, project } = await started()));
after(() => app.close());

const project_id = 'shared';
const result = (endpoint: string, finding: 'success' | 'failure') => ({
  project_id,
  endpoint,
  finding,
  latency_ms: 0,
  timeout_ms: 1000,
});

/** As many workers as wanted, each with its own memory. */
function workers(count: number, breaker_failures = 5) {
  const changes: EndpointChange[] = [];
  const errors: unknown[] = [];
  const db = app.composition.hot;
  const all = Array.from({ length: count }, () =>
    createEndpoints({
      db,
      admission: createEndpointAdmission({ db }),
      breaker_failures,
      health_counts: true,
      onError: (error) => void errors.push(error),
      onChange: (change) => void changes.push(change),
    }),
  );
  return {
    all,
    changes,
    errors,
    flush: () => Promise.all(all.map((worker) => worker.flush())),
    stop: () => Promise.all(all.map(({ service }) => service.stop(AbortSignal.timeout(1000)))),
  };
}

const stateOf = async (endpoint: string) => {
  const [row] = await app.sql<{
    state: string;
    failures: number;
    health_score: number;
    total_requests: number;
  }>(
    `select c.state, c.failures, h.health_score, h.total_requests from endpoint_health_scores h
       left join endpoint_circuit_state c on c.project_id = h.project_id and c.endpoint_url = h.endpoint_url
      where h.project_id = $1 and h.endpoint_url = $2`,
    project_id,
    endpoint,
  );
  return row;
};

describe('workers', () => {
  it('lose no result of each other, and open a breaker once', async () => {
    const endpoint = 'http://e/together';
    const team = workers(4);
    // Twelve failures of four workers, flushed at the same moments over one row.
    for (let round = 0; round < 3; round++)
      for (const worker of team.all) worker.note(result(endpoint, 'failure'));
    await team.flush();
    const state = await stateOf(endpoint);
    assert.deepEqual([state?.total_requests, state?.state], [12, 'open']);
    assert.ok(Math.abs((state?.health_score ?? 0) - 28.2) < 0.1, `score ${state?.health_score}`);
    assert.equal(team.changes.filter(({ to }) => to === 'open').length, 1);
    assert.deepEqual(team.errors, []);
    await team.stop();
  });

  it('write nothing to a closed breaker that counts no failure, and reset one that does', async () => {
    const endpoint = 'http://e/sound';
    const team = workers(2);
    const [first, second] = team.all;
    assert.ok(first && second);
    first.note(result(endpoint, 'success'));
    await team.flush();
    assert.equal((await stateOf(endpoint))?.state, null, 'no row');
    for (let n = 0; n < 4; n++) first.note(result(endpoint, 'failure'));
    await team.flush();
    assert.equal((await stateOf(endpoint))?.failures, 4);
    second.note(result(endpoint, 'success'));
    await team.flush();
    assert.deepEqual(
      [(await stateOf(endpoint))?.state, (await stateOf(endpoint))?.failures],
      ['closed', 0],
    );
    const version = () =>
      app.sql(
        'select xmin::text, updated_at from endpoint_circuit_state where endpoint_url = $1',
        endpoint,
      );
    const before = await version();
    second.note(result(endpoint, 'success'));
    await team.flush();
    assert.deepEqual(await version(), before);
    await team.stop();
  });

  it('of whom many ask get one probe between them, and one that is lost does not come back', async () => {
    const endpoint = 'http://e/probe';
    const team = workers(6);
    const [one] = team.all;
    assert.ok(one);
    for (let n = 0; n < 5; n++) one.note(result(endpoint, 'failure'));
    await team.flush();
    const ask = () =>
      Promise.all(
        team.all.map((worker, n) =>
          worker.enter({ project_id, endpoint, run_id: `r${n}`, claim_seq: n }, 5_000),
        ),
      );
    assert.deepEqual(
      (await ask()).map(({ verdict }) => verdict),
      Array.from({ length: 6 }, () => 'closed'),
    );
    try {
      await shiftClock(app.db, 60_100);
      const entries = await ask();
      const probes = entries.flatMap(({ verdict }, n) => (verdict === 'probe' ? [n] : []));
      assert.equal(probes.length, 1);
      assert.equal((await stateOf(endpoint))?.state, 'half_open');
      const [lost = -1] = probes;
      await shiftClock(app.db, 60_100 + 15_100);
      const next = (await ask()).flatMap(({ verdict }, n) => (verdict === 'probe' ? [n] : []));
      assert.equal(next.length, 1, 'after its deadline and ten seconds the next');
      const [now = -1] = next;
      one.note({
        ...result(endpoint, 'success'),
        probe: { run_id: `r${lost}`, claim_seq: lost === now ? -1 : lost },
      });
      await team.flush();
      assert.equal((await stateOf(endpoint))?.state, 'half_open', 'what was lost decides nothing');
      one.note({ ...result(endpoint, 'success'), probe: { run_id: `r${now}`, claim_seq: now } });
      await team.flush();
      assert.equal((await stateOf(endpoint))?.state, 'closed');
      assert.deepEqual(
        (await ask()).map(({ verdict }) => verdict),
        Array.from({ length: 6 }, () => 'open'),
      );
    } finally {
      await shiftClock(app.db, 0);
      await team.stop();
    }
  });
});

describe('a store that does not answer', () => {
  it('lets attempts through, and says so', async () => {
    const nowhere = createDatabase({
      url: 'postgres://nobody@127.0.0.1:1/none',
      application_name: 'strait-test',
      max: 1,
    });
    const errors: string[] = [];
    const endpoints = createEndpoints({
      db: nowhere,
      admission: createEndpointAdmission({ db: nowhere }),
      breaker_failures: 5,
      health_counts: true,
      onError: (_error, what) => void errors.push(what),
      onChange: () => {},
    });
    const claim = { project_id, endpoint: 'http://e/x', run_id: 'r', claim_seq: 1 };
    assert.deepEqual(await endpoints.enter(claim, 1000), { verdict: 'open' });
    endpoints.note(result('http://e/x', 'failure'));
    await endpoints.flush();
    assert.deepEqual(errors, ['state of an endpoint', 'what is known of endpoints']);
    await endpoints.service.stop(AbortSignal.timeout(1000));
    await nowhere.close();
  });
});

describe('a run of an older version', () => {
  it('waits for the endpoint that it leads to, not for that of the job now', async () => {
    const old = await switchable();
    const live = await switchable();
    await using first = old.endpoint;
    await using second = live.endpoint;
    live.status = 200;
    const strait = on(app, project);
    const slug = await strait.job(first.url);
    await strait.fail(slug, 5);
    const pinned = await strait.trigger(slug);
    assert.equal(await strait.waiting(slug), 1);
    const { status } = await strait.call('PATCH', `/v1/jobs/${slug}`, { endpoint_url: second.url });
    assert.equal(status, 200);
    await strait.ended(await strait.trigger(slug), 'completed');
    await strait.promote();
    const [delayed] = await until('the pinned run to be put off', () =>
      app
        .sql<{ in_ms: number }>(
          `select (extract(epoch from due_at - strait_now()) * 1000)::float8 as in_ms from run_delayed where run_id = $1`,
          pinned,
        )
        .then((rows) => rows.length > 0 && rows),
    );
    assert.ok(delayed && delayed.in_ms > 50_000 && delayed.in_ms < 61_500, `${delayed?.in_ms}`);
    assert.equal(first.requests.length, 5, 'nothing was sent');
    old.status = 200;
    await shiftClock(app.db, 62_000);
    try {
      const run = await strait.ended(pinned, 'completed');
      assert.equal(run.attempt, 1);
      assert.equal(first.requests.length, 6);
    } finally {
      await shiftClock(app.db, 0);
    }
  });
});
