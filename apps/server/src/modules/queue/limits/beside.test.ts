// Whoever changes limits or lanes, beside whoever enqueues.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import pg from 'pg';
import { promoteAll } from '../../../../test/promote.ts';
import { runActions } from '../../../../test/run-actions.ts';
import { untilSomebodyWaits } from '../../../../test/lock-waits.ts';
import { until } from '../../../../test/until.ts';
import { createLimits } from './limits.ts';

let on: Awaited<ReturnType<typeof runActions>>;
let limits: ReturnType<typeof createLimits>;

before(async () => {
  on = await runActions();
  limits = createLimits({ db: on.app.composition.hot });
});
after(() => on.close());

/** How many of the job's runs are ready, leased and waiting. */
async function standing(job: string): Promise<[ready: number, leased: number, waiting: number]> {
  const [row] = await on.app.sql<{ ready: number; leased: number; waiting: number }>(
    `select (select count(*)::int from run_queue q where q.job_id = j.id) as ready,
            (select count(*)::int from run_parked p where p.job_id = j.id) as waiting,
            (select count(*)::int from run_active a join job_runs r on r.id = a.run_id where r.job_id = j.id) as leased
       from jobs j where j.slug = $1`,
    job,
  );
  assert.ok(row);
  return [row.ready, row.leased, row.waiting];
}

describe('beside a transaction that enqueues', () => {
  /** A project with both limits, a job of it with one run that was counted, and what makes the next. */
  async function limitedProject(name: string) {
    const project = await on.app.project(name);
    const quotas = (max: number) =>
      on.app.call('PUT', `/v1/projects/${project.project_id}/quotas`, {
        headers: on.app.internal,
        body: { max_queued_runs: max, max_executing_runs: max, timezone: 'UTC' },
      });
    assert.equal((await quotas(50)).status, 200);
    const made = await on.app.call('POST', '/v1/jobs', {
      headers: { ...on.app.internal, 'x-project-id': project.project_id },
      body: { name, slug: name, endpoint_url: 'http://127.0.0.1:9/x', max_concurrency_per_key: 5 },
    });
    assert.equal(made.status, 201, JSON.stringify(made.body));
    const { project_id } = project;
    const run = { job_id: made.body.id as string, project_id, payload: '{}', priority: 0 };
    const call = (method: string, path: string, body?: object) =>
      on.call(method, path, body, project.api_key);
    const first = await call('POST', `/v1/jobs/${name}/trigger`, { concurrency_key: 'a' });
    assert.equal(first.status, 201);
    const end = async () =>
      assert.equal(
        (await call('POST', '/v1/runs/bulk-cancel-all', { status: 'queued' })).status,
        200,
      );
    return { name, run, quotas, end };
  }

  it('limits of a project change beside a transaction that has its root and enqueues', async () => {
    const { name, run, quotas, end } = await limitedProject('both');
    let tries = 0;
    let changed: ReturnType<typeof quotas> | undefined;
    await on.app.db.transaction(async (tx) => {
      tries += 1;
      const text = 'select from lanes where project_id = $1 and job_id is null for no key update';
      await tx.query({ text, values: [run.project_id] });
      changed ??= quotas(40);
      await untilSomebodyWaits(on.app);
      const room = 'select from queued_room where project_id = $1 for no key update skip locked';
      const { rows } = await tx.query({ text: room, values: [run.project_id] });
      assert.equal(rows.length, 1, 'who waits for the root does not have the room');
      const [made] = await on.queue.enqueueMany([run], tx);
      assert.equal(made?.outcome, 'created');
    });
    assert.deepEqual([(await changed)?.status, tries], [200, 1]);
    await promoteAll(on.app);
    assert.deepEqual(await standing(name), [2, 0, 0]);
    await end();
  });

  it('a lane that is removed as idle while a run comes to wait in it is made again', async () => {
    const { name, run, end } = await limitedProject('idle');
    await end();
    await on.app.sql(`update lanes set used_at = strait_now() - interval '2 h'`);
    const lanes = () =>
      on.app.sql(
        'select lane_id from lanes where job_id = $1 and concurrency_key is not null',
        run.job_id,
      );
    const before = await lanes();
    let made: ReturnType<typeof on.queue.enqueue> | undefined;
    await on.app.db.transaction(async (tx) => {
      const hold = (text: string) => tx.query({ text, values: [run.project_id] });
      // So the run waits in the lane of its key, which it found, for the room.
      await hold('select from lanes where project_id = $1 and job_id is null for no key update');
      await hold('select from queued_room where project_id = $1 for no key update');
      made ??= on.queue.enqueue({ ...run, extra: { concurrency_key: 'a' } });
      await untilSomebodyWaits(on.app);
      await limits.removeIdle();
      assert.deepEqual(await lanes(), []);
    });
    assert.equal((await made)?.outcome, 'created');
    assert.notDeepEqual(await lanes(), before);
    await promoteAll(on.app);
    assert.deepEqual(await standing(name), [1, 0, 0]);
    await end();
  });
});

describe('beside an end', () => {
  it('a first limit counts the lease that ends meanwhile, and its slot comes back', async () => {
    const job = await on.makeJob();
    const { body: made } = await on.call('POST', `/v1/jobs/${job}/trigger`, {});
    const worker_id = await on.queue.registerWorker({ hostname: 'beside', pid: 1 });
    const [run] = await on.queue.claim({ worker_id, limit: 1, cursor: '' });
    assert.ok(run);
    assert.equal(run.id, made.id);
    const told: string[] = [];
    const client = new pg.Client({ connectionString: on.app.url });
    await client.connect();
    client.on('notification', ({ payload = '' }) => told.push(payload));
    await client.query('listen run_recount');

    const [{ job_id, project_id } = { job_id: '', project_id: '' }] = await on.app.sql<{
      job_id: string;
      project_id: string;
    }>('select id as job_id, project_id from jobs where slug = $1', job);
    let ended: Promise<unknown> = Promise.resolve();
    await on.app.composition.hot.transaction(async (tx) => {
      await tx.query({
        text: 'update jobs set max_concurrency = 1 where id = $1',
        values: [job_id],
      });
      await limits.changed(tx, { project_id, job_id });
      ended = on.queue.complete([{ ...run, started_at: run.claimed_at }]);
      await untilSomebodyWaits(on.app, 'the end to wait for its lease');
    });
    await ended;
    const [lane] = await on.app.sql<{ lane_id: string; in_flight: number }>(
      'select lane_id, in_flight from lanes where job_id = $1',
      job_id,
    );
    assert.equal(lane?.in_flight, 1, 'the statement that ended it was older than the lane');
    await until('that to be told', async () => told.length > 0);
    assert.deepEqual(told, [String(lane.lane_id)]);
    await client.end();
    await limits.recount(Number(told[0]));
    const slots = await on.app.sql('select lane_id from lanes where in_flight <> 0');
    assert.deepEqual(slots, []);
  });
});
