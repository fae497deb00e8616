import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { systemClock } from '../../platform/clock.ts';
import { createWaitingVerbs } from '../queue/index.ts';
import { endMeanwhile } from '../../../test/end-meanwhile.ts';
import { inRunTest, type InRunTest } from '../../../test/in-run.ts';
import { createInRun } from './index.ts';

let t: InRunTest;
before(async () => (t = await inRunTest()));
after(() => t.close());

test('a child belongs to its parent and takes its priority and trace', async () => {
  const parent = await t.running(await t.makeJob(), { priority: 7 });
  const job = await t.makeJob({ tags: { of: 'job' } });
  const spawned = await parent.post('spawn', {
    job_slug: job,
    payload: { b: 1, a: 2 },
    tags: { own: 'yes' },
  });
  assert.equal(spawned.status, 201);
  assert.deepEqual(
    [
      spawned.body.parent_run_id,
      spawned.body.triggered_by,
      spawned.body.status,
      spawned.body.await_completion,
    ],
    [parent.id, 'spawn', 'queued', undefined],
  );
  const child = await t.read(spawned.body.id);
  assert.deepEqual(
    [child.parent_run_id, child.priority, child.lineage_depth, child.payload, child.created_by],
    [parent.id, 7, 1, { a: 2, b: 1 }, `run:${parent.id}`],
  );
  assert.deepEqual(child.tags, { of: 'job', own: 'yes' });
  assert.equal((await parent.post('spawn', { job_id: child.job_id, priority: 0 })).status, 201);
  assert.equal(await t.status(parent.id), 'executing');
});

test('a spawn is refused for unknown, disabled and unfitting jobs, and too deep a line', async () => {
  const parent = await t.running(await t.makeJob());
  const disabled = await t.makeJob({ enabled: false });
  const picky = await t.makeJob({ payload_schema: { type: 'object', required: ['n'] } });
  const code = async (body: object) => (await parent.post('spawn', body)).body.code;
  assert.equal(await code({ job_slug: 'nowhere' }), 'job_not_found');
  assert.equal(await code({ job_slug: disabled }), 'job_disabled');
  assert.equal(await code({ job_slug: picky, payload: {} }), 'invalid_payload');
  assert.equal(await code({}), 'invalid_request');
  await t.app.sql('update job_runs set lineage_depth = 10 where id = $1', parent.id);
  assert.equal(await code({ job_slug: picky, payload: { n: 1 } }), 'lineage_too_deep');
  assert.equal((await parent.post('continue')).body.code, 'lineage_too_deep');
});

test('a run spawns at most 1000 runs, also when it asks many times at once', async () => {
  const job = await t.makeJob();
  const parent = await t.running(job);
  await t.app.sql(
    `with made as (
      insert into job_runs (id, created_at, job_id, project_id, status, parent_run_id)
      select n.id, strait_id_time(n.id), r.job_id, r.project_id, 'canceled', r.id
        from job_runs r cross join lateral (select strait_run_id() as id from generate_series(1, 998) where r.id is not null) n
       where r.id = $1 returning 1) select count(*) from made`,
    parent.id,
  );
  const answers = await Promise.all(
    Array.from({ length: 6 }, () => parent.post('spawn', { job_slug: job })),
  );
  assert.deepEqual(answers.map(({ status }) => status).toSorted(), [201, 201, 400, 400, 400, 400]);
});

test('another project is reached only with a key of it that may trigger', async () => {
  const parent = await t.running(await t.makeJob());
  const { other } = t;
  await t.call(
    'POST',
    '/v1/jobs',
    { name: 'there', slug: 'there', endpoint_url: 'http://127.0.0.1:9/x' },
    other.api_key,
  );
  const spawn = (body: object) =>
    parent.post('spawn', { job_slug: 'there', project_id: other.project_id, ...body });
  assert.equal((await spawn({})).status, 401);
  assert.equal((await spawn({ target_api_key: `strait_${'0'.repeat(64)}` })).status, 401);
  assert.equal((await spawn({ target_api_key: 'nonsense' })).status, 401);
  assert.equal((await spawn({ target_api_key: t.project.api_key })).status, 403);
  const weak = await t.call(
    'POST',
    '/v1/api-keys',
    { name: 'weak', scopes: ['jobs:read'] },
    other.api_key,
  );
  assert.equal((await spawn({ target_api_key: weak.body.key })).status, 403);
  const spawned = await spawn({ target_api_key: other.api_key, await_completion: true });
  assert.deepEqual([spawned.status, spawned.body.project_id], [201, other.project_id]);
  assert.equal(await t.status(parent.id), 'waiting');
  await t.call('DELETE', `/v1/runs/${spawned.body.id}`, undefined, other.api_key);
  await t.upkeep.resumeAwaitingParents();
  assert.equal(await t.status(parent.id), 'queued');
});

test('a parent that waits goes on when its child and everything below it has ended, and not before', async () => {
  const job = await t.makeJob();
  const parent = await t.running(job);
  const spawned = await parent.post('spawn', { job_slug: job, await_completion: true });
  assert.deepEqual(
    [spawned.body.await_completion, spawned.body.await_event_key],
    [true, `spawn-await:${spawned.body.id}`],
  );
  assert.equal(await t.status(parent.id), 'waiting');
  assert.equal(
    (await parent.post('spawn', { job_slug: job, await_completion: true })).body.code,
    'run_not_executing',
  );

  const child = await t.start(spawned.body.id);
  const grandchild = (await child.post('spawn', { job_slug: job })).body.id;
  await t.upkeep.resumeAwaitingParents();
  assert.equal(await t.status(parent.id), 'waiting');
  assert.equal((await child.post('complete', { result: { n: 1 } })).status, 200);
  await t.upkeep.resumeAwaitingParents();
  assert.equal(await t.status(parent.id), 'waiting');
  assert.equal((await (await t.start(grandchild)).post('fail', { error: 'e' })).status, 200);
  await Promise.all(Array.from({ length: 4 }, () => t.upkeep.resumeAwaitingParents()));
  assert.equal(await t.status(parent.id), 'queued');
  const trigger = (await t.event('GET', spawned.body.await_event_key)).body;
  assert.deepEqual(
    [trigger.status, trigger.response_payload],
    ['received', { run_id: child.id, status: 'completed', result: { n: 1 }, error: null }],
  );
  const [row] = await t.app.sql(
    `select count(*) as n from run_events where run_id = $1 and data ->> 'reason' = 'child ended'`,
    parent.id,
  );
  assert.deepEqual(row, { n: 1 });
});

test('an awaited dead letter ends the wait, a cancel of the parent ends child and wait', async () => {
  const job = await t.makeJob();
  const [first, second] = [await t.running(job), await t.running(job)];
  const dead = (await first.post('spawn', { job_slug: job, await_completion: true })).body.id;
  const claimed = await t.claim(dead);
  await t.queue.settle([{ ...claimed, to: 'dead_letter', started_at: new Date().toISOString() }]);
  await t.upkeep.resumeAwaitingParents();
  assert.equal(await t.status(first.id), 'queued');

  const spawned = (await second.post('spawn', { job_slug: job, await_completion: true })).body;
  await t.app.db.transaction((tx) =>
    t.operator.cancel(tx, {
      project_id: t.project.project_id,
      run_ids: [second.id],
      reason: 'enough',
      child_reason: 'parent canceled',
    }),
  );
  assert.deepEqual(
    [await t.status(second.id), await t.status(spawned.id)],
    ['canceled', 'canceled'],
  );
  assert.equal((await t.event('GET', spawned.await_event_key)).body.status, 'canceled');
  await t.upkeep.resumeAwaitingParents();
  assert.equal(await t.status(second.id), 'canceled');
});

test('a cancel reaches what an ended child left running', async () => {
  const job = await t.makeJob();
  const parent = await t.running(job);
  const child = await t.start((await parent.post('spawn', { job_slug: job })).body.id);
  const grandchild: string = (await child.post('spawn', { job_slug: job })).body.id;
  await child.post('complete', { result: {} });
  assert.equal((await t.call('DELETE', `/v1/runs/${parent.id}`)).status, 200);
  assert.deepEqual(
    [await t.status(parent.id), await t.status(child.id), await t.status(grandchild)],
    ['canceled', 'completed', 'canceled'],
  );
});

test('an await past its time ends the parent as timed out', async () => {
  const job = await t.makeJob();
  const parent = await t.running(job);
  const spawned = await parent.post('spawn', {
    job_slug: job,
    await_completion: true,
    await_timeout_secs: 1,
  });
  await t.app.sql(
    `update event_triggers set expires_at = now() - interval '1 s' where job_run_id = $1`,
    parent.id,
  );
  await t.upkeep.timeOutWaits();
  assert.equal(await t.status(parent.id), 'timed_out');
  assert.equal((await t.event('GET', spawned.body.await_event_key)).body.status, 'timed_out');
});

test('an awaiting parent and a cancel at the same moment leave no child running', async () => {
  const job = await t.makeJob();
  for (let round = 0; round < 8; round++) {
    const parent = await t.running(job);
    const [spawned] = await Promise.all([
      parent.post('spawn', { job_slug: job, await_completion: true }),
      t.app.db.transaction((tx) =>
        t.operator.cancel(tx, {
          project_id: t.project.project_id,
          run_ids: [parent.id],
          reason: 'r',
          child_reason: 'c',
        }),
      ),
    ]);
    const rows = await t.app.sql(
      `select r.status, (select count(*) from event_triggers e where e.job_run_id = $1 and e.status = 'waiting') as waits
      from job_runs r where r.id = $1 or r.parent_run_id = $1`,
      parent.id,
    );
    assert.equal(rows.length, spawned.status === 201 ? 2 : 1);
    for (const row of rows) assert.deepEqual(row, { status: 'canceled', waits: 0 });
  }
});

test('a continuation is a new run of the same job, the current one goes on', async () => {
  const job = await t.makeJob();
  const run = await t.running(job, {
    payload: { page: 1 },
    priority: 3,
    tags: { k: 'v' },
    metadata: { m: '1' },
  });
  const same = await run.post('continue');
  assert.deepEqual(
    [
      same.status,
      same.body.continuation_of,
      same.body.lineage_depth,
      same.body.payload,
      same.body.priority,
      same.body.tags,
      same.body.metadata,
    ],
    [201, run.id, 1, { page: 1 }, 3, { k: 'v' }, { m: '1' }],
  );
  assert.deepEqual((await run.post('continue', { payload: { page: 2 } })).body.payload, {
    page: 2,
  });
  assert.equal(await t.status(run.id), 'executing');
});

test('a child that its job may not start yet is made all the same, delayed to its turn or to the window', async () => {
  const parent = await t.running(await t.makeJob());
  const rated = await t.makeJob({ rate_limit_max: 1, rate_limit_window_secs: 600 });
  const waits: number[] = [];
  for (let n = 0; n < 3; n++) {
    const { status, body } = await parent.post('spawn', { job_slug: rated });
    assert.equal(status, 201);
    const { scheduled_at, created_at } = await t.read(body.id);
    const wait_ms =
      scheduled_at === undefined ? 0 : Date.parse(scheduled_at) - Date.parse(created_at);
    waits.push(Math.round(wait_ms / 60_000));
  }
  assert.deepEqual(waits, [0, 10, 20]);

  const opens = new Date(Date.now() + 3 * 3_600_000);
  opens.setUTCSeconds(0, 0);
  const cron = `${opens.getUTCMinutes()} ${opens.getUTCHours()} * * *`;
  const windowed = await t.makeJob({ execution_window_cron: cron });
  const child = await parent.post('spawn', { job_slug: windowed });
  assert.equal(child.body.status, 'delayed');
  const { scheduled_at } = await t.read(child.body.id);
  assert.equal(Date.parse(scheduled_at), opens.getTime());
});

test('a parent that spawns and waits does not cross with its own end', async () => {
  const job = await t.makeJob({ max_concurrency: 5 });
  const id = await t.run(job);
  const claim = await t.claim(id);
  const meanwhile = endMeanwhile(t, claim);
  const { modules, db } = t.app.composition;
  const inRun = createInRun({
    db,
    queue: meanwhile.queue,
    waiting: createWaitingVerbs(t.settings),
    jobs: modules.jobs,
    access: modules.access.control,
    clock: systemClock,
    outboundPolicy: { allow_private: 'none', require_tls: true, forbidden_ports: [] },
    settings: { max_result_bytes: 100_000, max_payload_bytes: 100_000 },
    on_error: assert.fail,
  });
  const child = await inRun.spawn(
    { run_id: id, attempt: 1, claim_seq: claim.claim_seq },
    { job, await_completion: true, await_timeout_secs: 60 },
  );
  assert.deepEqual(await meanwhile.result(), { completed: 0, tries: 1, made: 1 });
  assert.deepEqual([await t.status(id), await t.status(child.id)], ['waiting', 'queued']);
});
