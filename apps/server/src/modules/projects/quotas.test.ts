import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { promoteAll } from '../../../test/promote.ts';
import { runActions } from '../../../test/run-actions.ts';

let on: Awaited<ReturnType<typeof runActions>>;

before(async () => {
  on = await runActions();
});
after(() => on.close());

const path = () => `/v1/projects/${on.project.project_id}/quotas`;
const get = () => on.call('GET', path());
const put = (body: object) => on.app.call('PUT', path(), { headers: on.app.internal, body });

async function set(body: object) {
  const { status, body: answer } = await put(body);
  assert.equal(status, 200, JSON.stringify(answer));
  return answer;
}

async function standing(): Promise<[ready: number, leased: number, waiting: number]> {
  await promoteAll(on.app);
  const [row] = await on.app.sql<{ ready: number; leased: number; waiting: number }>(
    `select (select count(*)::int from run_queue) as ready, (select count(*)::int from run_parked) as waiting,
            (select count(*)::int from run_active) as leased`,
  );
  assert.ok(row);
  return [row.ready, row.leased, row.waiting];
}

async function claim(limit: number) {
  const worker_id = await on.queue.registerWorker({ hostname: 'quotas', pid: 1 });
  const found = await on.queue.claim({ worker_id, limit, cursor: '' });
  return found.map((run) => {
    const { id, created_at, claim_seq, verdict } = run;
    return { id, created_at, claim_seq, verdict, started_at: run.claimed_at };
  });
}

describe('quotas of a project', () => {
  it('are none at first, are replaced whole, and say what they were in the audit trail', async () => {
    const none = await get();
    assert.equal(none.status, 200);
    assert.equal(none.body.max_queued_runs, null);
    const set_first = await set({ max_jobs: 5, timezone: 'Europe/Berlin', max_queued_runs: 0 });
    assert.equal(set_first.max_jobs, 5);
    assert.equal(set_first.max_queued_runs, null, '0 is no limit');
    assert.equal((await get()).body.timezone, 'Europe/Berlin');
    await set({ max_active_event_triggers: 2 });
    const { max_jobs, max_active_event_triggers, timezone } = (await get()).body;
    assert.deepEqual([max_jobs, max_active_event_triggers, timezone], [null, 2, null]);
    const [, second] = await on.app.sql<{ changes: unknown }>(
      `select changes from audit_events where action = 'project.quotas_updated' order by id`,
    );
    assert.deepEqual(second?.changes, {
      max_jobs: { before: 5, after: null },
      timezone: { before: 'Europe/Berlin', after: null },
      max_active_event_triggers: { before: null, after: 2 },
    });
  });

  it('are set by the operator, and read by who may read jobs of the project', async () => {
    const own = await on.app.call('PUT', path(), { key: on.project.api_key, body: {} });
    assert.equal(own.status, 403, 'a tenant does not raise its own limits');
    const foreign = await on.app.call('GET', path(), { key: on.other.api_key });
    assert.equal(foreign.status, 404);
    const unknown = await on.app.call('PUT', '/v1/projects/nobody/quotas', {
      headers: on.app.internal,
      body: {},
    });
    assert.equal(unknown.status, 404);
    const zone = await put({ timezone: 'Mars/Olympus' });
    assert.equal(zone.status, 400);
    assert.equal(zone.body.details[0].path, 'body.timezone');
    assert.equal((await put({ max_jobs: -1 })).status, 400);
  });

  it('max_jobs refuses one job more', async () => {
    const [{ jobs } = { jobs: 0 }] = await on.app.sql<{ jobs: number }>(
      'select count(*)::int as jobs from jobs where project_id = $1',
      on.project.project_id,
    );
    await set({ max_jobs: jobs + 1 });
    await on.makeJob();
    const { status, body } = await on.call('POST', '/v1/jobs', {
      name: 'over',
      slug: 'over',
      endpoint_url: 'http://127.0.0.1:9/x',
    });
    assert.deepEqual([status, body.code], [409, 'job_limit_reached']);
    await set({});
  });

  it('max_executing_runs counts when it is set, raised, lowered and removed, for what is queued and what runs', async () => {
    const job = await on.makeJob();
    const other = await on.makeJob({ max_concurrency: 3 });
    for (let n = 0; n < 4; n++) await on.run(job);
    for (let n = 0; n < 4; n++) await on.run(other);
    assert.deepEqual(await standing(), [7, 0, 1], 'only the limit of the second job counts');
    const running = await claim(2);
    assert.deepEqual(await standing(), [5, 2, 1]);

    await set({ max_executing_runs: 4 });
    assert.deepEqual(await standing(), [2, 2, 4], 'what did not start yet goes back to wait');
    await set({ max_executing_runs: 1 });
    assert.deepEqual(await standing(), [0, 2, 6], 'attempts that run finish');
    const [first, second] = running;
    assert.ok(first && second);
    await on.queue.complete([first]);
    assert.deepEqual(await standing(), [0, 1, 6], 'no slot comes free below the limit');
    await on.queue.complete([second]);
    assert.deepEqual(await standing(), [1, 0, 5]);
    await set({ max_executing_runs: 3 });
    assert.deepEqual(await standing(), [3, 0, 3]);
    assert.equal((await claim(10)).length, 3);
    await set({});
    const [ready, leased, waiting] = await standing();
    assert.equal(leased, 3);
    assert.equal(ready + waiting, 3);
    assert.ok(waiting <= 1, `only the job's own limit holds runs back, ${waiting} wait`);
    const open = await on.app.sql<{ id: string }>(
      `select id from job_runs where status in ('queued', 'executing')`,
    );
    await on.call('POST', '/v1/runs/bulk-cancel', { run_ids: open.map(({ id }) => id) });
    assert.deepEqual(
      await on.app.sql('select in_flight from lanes where in_flight <> 0'),
      [],
      'every slot came back',
    );
  });
});
