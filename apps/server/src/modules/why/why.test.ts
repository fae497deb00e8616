import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { seededRandom, type Random } from '../../../test/contract/nasty.ts';
import { inRunTest, type InRunTest } from '../../../test/in-run.ts';
import { inOneHour } from '../../../test/run-actions.ts';
import { createEndpointAdmission, createLimits } from '../queue/index.ts';

const seed = Number(process.env['STRAIT_TEST_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
/** States set up in the database, about 15 waiting runs in each. */
const STATES = process.env['STRAIT_SCENARIOS'] === 'full' ? 10_000 : 60;

let on: InRunTest;
let limits: ReturnType<typeof createLimits>;

before(async () => {
  on = await inRunTest();
  limits = createLimits({ db: on.app.composition.hot });
});
after(() => on.close());

interface Answer {
  readonly status: string;
  readonly blockers: readonly {
    readonly kind: string;
    readonly message: string;
    readonly until?: string;
    readonly holders?: readonly string[];
    readonly unblock?: { readonly method: string; readonly path: string; readonly body?: object };
  }[];
  readonly position?: number;
}

const why = async (id: string): Promise<Answer> => {
  // No worker process runs here, and this file may have waited long for its turn.
  await on.app.sql('update workers set heartbeat_at = now()');
  const { status, body } = await on.call('GET', `/v1/runs/${id}/why`);
  assert.equal(status, 200, JSON.stringify(body));
  return body;
};
const kinds = async (id: string): Promise<string[]> =>
  (await why(id)).blockers.map(({ kind }) => kind);

async function promote(): Promise<void> {
  const roots = await on.app.sql<{ root_lane_id: number }>(
    'select distinct root_lane_id from run_parked where root_lane_id <> 0',
  );
  for (const { root_lane_id } of roots) while ((await limits.promote(root_lane_id)).more);
}

/** Does what the answer says would help; the last call of a chain of blockers starts the run. */
async function unblock(id: string): Promise<void> {
  const [first] = (await why(id)).blockers;
  assert.ok(first?.unblock, `no way out of ${JSON.stringify(first)}`);
  const { method, path, body } = first.unblock;
  const done = await on.call(method, path, body);
  assert.ok(done.status < 300, `${method} ${path}: ${done.status} ${JSON.stringify(done.body)}`);
}

describe('why', () => {
  it('names each blocker, and the call that takes it away', async () => {
    const job = await on.makeJob();
    const delayed = await on.run(job, { scheduled_at: inOneHour() });
    assert.deepEqual(await kinds(delayed), ['delayed']);
    assert.ok((await why(delayed)).blockers[0]?.until);
    await unblock(delayed);
    assert.deepEqual(await kinds(delayed), []);

    const held = await on.run(job);
    await on.post(held, 'pause');
    assert.deepEqual(await kinds(held), ['held']);
    await unblock(held);
    assert.deepEqual(await kinds(held), []);

    await on.call('POST', `/v1/jobs/${job}/pause`);
    const paused = await on.run(job);
    assert.deepEqual(await kinds(paused), ['job_paused']);
    assert.deepEqual(await kinds(held), ['job_paused'], 'also for what is in the queue already');
    await unblock(paused);
    await promote();
    assert.deepEqual(await kinds(paused), []);

    const waiting = await on.running(job);
    await waiting.post('wait-for-event', { event_key: 'why not' });
    assert.deepEqual(await kinds(waiting.id), ['waiting_event']);
    const [wait] = (await why(waiting.id)).blockers;
    assert.ok(wait?.until);
    assert.deepEqual(wait?.unblock, { method: 'POST', path: '/v1/events/why%20not/send' });
    assert.equal((await on.event('POST', 'why not', '/send')).status, 200);

    const parent = await on.running(job);
    const spawned = await parent.post('spawn', { job_slug: job, await_completion: true });
    assert.deepEqual(await kinds(parent.id), ['waiting_child']);
    assert.deepEqual((await why(parent.id)).blockers[0]?.holders, [spawned.body.id]);

    const after = await on.makeJob();
    const { body: upstream } = await on.call('GET', `/v1/jobs/${job}`);
    const depends = await on.call('POST', `/v1/jobs/${after}/dependencies`, {
      depends_on_job_id: upstream.id,
      condition: 'failed',
    });
    assert.equal(depends.status, 201, JSON.stringify(depends.body));
    const dependent = await on.run(after);
    assert.deepEqual(await kinds(dependent), ['dependency']);
    await on.call('DELETE', `/v1/runs/${dependent}`);

    const ended = await on.ended(job, 'dead_letter');
    assert.deepEqual(await kinds(ended), ['ended']);
    await unblock(ended);
    assert.deepEqual(await kinds(ended), []);
    const executing = await on.running(job);
    assert.deepEqual(await why(executing.id), {
      run_id: executing.id,
      status: 'executing',
      blockers: [],
    });
    assert.equal((await on.call('GET', `/v1/runs/${ended.replace('-7', '-8')}/why`)).status, 404);
    await on.app.sql(`update workers set heartbeat_at = now() - interval '1 h'`);
    const alone = await on.call('GET', `/v1/runs/${ended}/why`);
    assert.equal(alone.body.blockers[0]?.kind, 'no_worker');
    await on.app.sql('update workers set heartbeat_at = now()');
  });

  it('names the limits with who holds them, and the way out', async () => {
    const job = await on.makeJob({ max_concurrency: 3, max_concurrency_per_key: 1 });
    const ids: string[] = [];
    for (let n = 0; n < 2; n++) ids.push(await on.run(job, { concurrency_key: 'k' }));
    await promote();
    const [first = '', second = ''] = ids;
    await on.start(first);
    assert.deepEqual(await kinds(second), ['key_limit']);
    const [blocker] = (await why(second)).blockers;
    assert.equal(blocker?.message, 'key k: 1 of 1 in flight');
    assert.deepEqual(blocker?.holders, [first]);
    await unblock(second);
    await promote();
    assert.deepEqual(await kinds(second), []);
    await on.call('PATCH', `/v1/jobs/${job}`, { max_concurrency: 2, max_concurrency_per_key: 0 });
    const third = await on.run(job);
    assert.deepEqual(await kinds(third), ['job_limit']);
    await unblock(third);
    await promote();
    assert.deepEqual(await kinds(third), []);
  });

  it('says how many an endpoint takes at a time, and who they are', async () => {
    const endpoint_url = 'http://127.0.0.1:9/adapts';
    const [job, beside] = [await on.makeJob({ endpoint_url }), await on.makeJob({ endpoint_url })];
    const admission = createEndpointAdmission({ db: on.app.composition.hot });
    const key = { project_id: on.project.project_id, endpoint: endpoint_url };
    await on.app.composition.hot.transaction((tx) => admission.limit(tx, key, 2));
    const holders = [await on.run(job), await on.run(beside)];
    for (const id of holders) {
      // Looking for the one gives the other back.
      await promote();
      await on.start(id);
    }
    const next = await on.run(job);
    const [blocker, ...others] = (await why(next)).blockers;
    assert.deepEqual(others, []);
    assert.deepEqual(blocker, {
      kind: 'endpoint_concurrency',
      message: `endpoint ${endpoint_url} takes 2 at a time now (adaptive), 2 in flight`,
      holders,
      unblock: { method: 'GET', path: `/v1/jobs/${job}/endpoint-health` },
    });
    const { body: health } = await on.call('GET', blocker.unblock?.path ?? '');
    assert.equal(health.endpoints[0].admission.max_in_flight, 2);
    assert.equal(health.endpoints[0].admission.state, 'throttled');
    await on.call('DELETE', `/v1/runs/${holders[0]}`);
    assert.deepEqual(await kinds(next), []);
    await on.app.composition.hot.transaction((tx) => admission.ease(tx, key, null));
    await promote();
  });

  it(`says "nothing is in the way" exactly of what promotion then promotes (seed ${seed})`, async (test) => {
    const random = seededRandom(seed);
    let asked = 0;
    let free = 0;
    for (let state = 0; state < STATES; state++) {
      const project_id = `why-${state}`;
      const runs = await randomState(random, project_id);
      const [root] = await on.app.sql<{ lane_id: number }>(
        'select lane_id from lanes where project_id = $1 and job_id is null',
        project_id,
      );
      assert.ok(root);
      const says = new Map<string, readonly string[]>();
      for (const id of runs) {
        const answer = await on.app.composition.modules.why.explain({ project_id } as never, id);
        says.set(
          id,
          answer.blockers.map(({ kind }) => kind).filter((kind) => kind !== 'no_worker'),
        );
      }
      while ((await limits.promote(root.lane_id)).more);
      const ready = await on.app.sql<{ run_id: string }>(
        'select run_id from run_queue where run_id = any ($1)',
        runs,
      );
      const promoted = new Set(ready.map(({ run_id }) => run_id));
      for (const id of runs) {
        const blockers = says.get(id) ?? [];
        assert.equal(
          promoted.has(id),
          blockers.length === 0,
          `state ${state}, seed ${seed}: promoted ${promoted.has(id)}, but ${blockers.join(', ')}`,
        );
        asked += 1;
        free += blockers.length === 0 ? 1 : 0;
      }
      await remove(project_id);
    }
    test.diagnostic(`${STATES} states, ${asked} runs, ${free} of them free`);
    assert.ok(free > asked / 20 && free < asked * 0.95, 'both answers are given often');
  });
});

/** A project with random limits, pauses, slots in use and waiting runs; ids of the waiting ones. */
async function randomState(random: Random, project_id: string): Promise<string[]> {
  const cap = (): number | null => random.pick([null, null, 1, 2, 3, 5]);
  const quota = cap();
  await on.app.sql('insert into projects (id, name) values ($1, $1)', project_id);
  if (quota !== null) {
    await on.app.sql(
      'insert into project_quotas (project_id, max_executing_runs) values ($1, $2)',
      project_id,
      quota,
    );
  }
  const endpoints = ['http://127.0.0.1:9/a', 'http://127.0.0.1:9/b'];
  for (const endpoint of endpoints)
    await on.app.sql(
      `insert into endpoint_admission (project_id, endpoint, closed, probe_at, max_in_flight)
       values ($1, $2, false, now(), $3)`,
      project_id,
      endpoint,
      cap(),
    );
  const rows: { job: string; key: string | null; active: boolean; priority: number }[] = [];
  const jobs = 1 + random.below(3);
  for (let job = 0; job < jobs; job++) {
    await on.app.sql(
      `insert into jobs (project_id, name, slug, endpoint_url, max_concurrency, max_concurrency_per_key, paused, enabled)
       values ($1, $2, $2, $7, $3, $4, $5, $6)`,
      project_id,
      `j${job}`,
      cap(),
      cap(),
      random.below(8) === 0,
      random.below(12) !== 0,
      random.pick([...endpoints, 'http://127.0.0.1:9/free']),
    );
    const keys = 1 + random.below(3);
    for (let n = 2 + random.below(6); n > 0; n--) {
      rows.push({
        job: `j${job}`,
        key: random.below(4) === 0 ? null : `k${random.below(keys)}`,
        active: random.below(4) === 0,
        priority: random.below(11),
      });
    }
  }
  // Everything has its lane; some of it its slot already, counted as promotion counts (also beyond a limit that fell).
  const made = await on.app.sql<{ id: string; active: boolean }>(
    `with input as (
       select strait_run_id() as id, j.id as job_id, n.key, n.active, n.priority,
              coalesce(strait_place($1, j.id, n.key), strait_lane($1, j.id, null)) as place
         from jsonb_to_recordset($2::jsonb) as n(job text, key text, active bool, priority int)
         join jobs j on j.project_id = $1 and j.slug = n.job
     ), runs as (
       insert into job_runs (id, created_at, job_id, project_id, status, concurrency_key)
       select id, strait_id_time(id), job_id, $1, 'queued', key from input
     ), queued as (
       insert into run_queue (project_id, rank, run_id, run_created_at, job_id, attempt, lane_id)
       select $1, 0, id, strait_id_time(id), job_id, 1, place[1] from input where active
     ), parked as (
       insert into run_parked (project_id, rank, run_id, run_created_at, job_id, attempt, lane_id, root_lane_id)
       select $1, 100 - priority, id, strait_id_time(id), job_id, 1, place[1], place[2] from input where not active
     )
     select id, active from input`,
    project_id,
    JSON.stringify(rows),
  );
  await on.app.sql(
    `update lanes l set in_flight = (select count(*) from run_queue q join lanes k on k.lane_id = q.lane_id
                                      where l.lane_id in (k.lane_id, k.parent_lane_id, k.root_lane_id))
      where project_id = $1`,
    project_id,
  );
  return made.filter(({ active }) => !active).map(({ id }) => id);
}

async function remove(project_id: string): Promise<void> {
  for (const table of [
    'run_queue',
    'run_parked',
    'job_runs',
    'lanes',
    'jobs',
    'project_quotas',
    'endpoint_admission',
  ]) {
    await on.app.sql(`delete from ${table} where project_id = $1`, project_id);
  }
  await on.app.sql('delete from projects where id = $1', project_id);
}
