import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { inRunTest, type InRunTest } from '../../../test/in-run.ts';

let t: InRunTest;
before(async () => (t = await inRunTest()));
after(() => t.close());

const writes = [
  ['POST', 'log', { message: 'm' }],
  ['POST', 'progress', { message: 'm' }],
  ['POST', 'resources', { memory_mb: 1 }],
  ['POST', 'annotate', { a: 'b' }],
  ['POST', 'checkpoint', { state: {} }],
  ['POST', 'usage', { provider: 'p', model: 'm' }],
  ['POST', 'tool-call', { tool_name: 't' }],
  ['POST', 'output', { output_key: 'o', value: 1 }],
  ['POST', 'state', { key: 'k', value: 1 }],
  ['DELETE', 'state/k', undefined],
  ['POST', 'stream', { chunk: 'c' }],
  ['POST', 'heartbeat', undefined],
  ['POST', 'complete', {}],
  ['POST', 'fail', { error: 'e' }],
  ['POST', 'fail', { error: 'e', retryable: true }],
  ['POST', 'spawn', { job_slug: 'job-1' }],
  ['POST', 'spawn', { job_slug: 'job-1', await_completion: true }],
  ['POST', 'continue', {}],
  ['POST', 'wait-for-event', { event_key: 'never' }],
  ['GET', 'payload', undefined],
  ['GET', 'state', undefined],
  ['GET', 'state/k', undefined],
] as const;

/** Rows a run may have written about itself, and runs that came from it. */
const traces = (id: string) =>
  t.app.sql(
    `select (select count(*) from run_events where run_id = $1 and type <> 'state_change')
          + (select count(*) from run_checkpoints where run_id = $1) + (select count(*) from run_usage where run_id = $1)
          + (select count(*) from run_tool_calls where run_id = $1) + (select count(*) from run_outputs where run_id = $1)
          + (select count(*) from run_state where run_id = $1) + (select count(*) from event_triggers where job_run_id = $1)
          + (select count(*) from job_runs where parent_run_id = $1 or continuation_of = $1) as n,
            status, metadata from job_runs where id = $1`,
    id,
  );

async function refusesEverything(
  call: (
    method: string,
    path: string,
    body?: unknown,
  ) => Promise<{ status: number; body: { code: string } }>,
  code: string,
): Promise<void> {
  for (const [method, path, body] of writes) {
    const refused = await call(method, path, body);
    assert.equal(refused.status, 409, `${method} ${path}`);
    assert.equal(refused.body.code, code, `${method} ${path}`);
  }
}

test('the claim before the current one writes nothing, whatever it asks for', async () => {
  const old = await t.running(await t.makeJob());
  await t.queue.settle([
    {
      id: old.id,
      created_at: createdAt(old.id),
      claim_seq: Number(old.claim.claim_seq),
      to: 'queued',
    },
  ]);
  const current = await t.start(old.id);
  await refusesEverything(old.call, 'run_attempt_superseded');
  const [row] = await traces(old.id);
  assert.deepEqual(row, { n: 0, status: 'executing', metadata: {} });
  assert.equal((await current.post('log', { message: 'still here' })).status, 201);
});

test('a run that has ended takes nothing any more', async () => {
  const run = await t.running(await t.makeJob());
  assert.equal((await t.post(run.id, 'cancel')).status, 404, 'cancel is DELETE');
  assert.equal((await t.call('DELETE', `/v1/runs/${run.id}`)).status, 200);
  await refusesEverything(run.call, 'run_not_active');
  const [row] = await traces(run.id);
  assert.deepEqual(row, { n: 0, status: 'canceled', metadata: {} });
});

test('a retry supersedes the attempt before it', async () => {
  const first = await t.running(await t.makeJob());
  assert.equal(
    (await first.post('fail', { error: 'again', retryable: true })).body.status,
    'queued',
  );
  await refusesEverything(first.call, 'run_attempt_superseded');
});

test('the token of the trigger serves attempt 1 only, and not before it started', async () => {
  const job = await t.makeJob();
  const id = await t.run(job);
  const early = t.as({ run_id: id, attempt: 1, claim_seq: null });
  await refusesEverything(early.call, 'run_not_active');
  assert.match((await early.post('heartbeat')).body.error, /not started/);
  await t.start(id);
  assert.equal((await early.post('log', { message: 'm' })).status, 201);
  assert.equal((await early.post('fail', { error: 'e', retryable: true })).status, 200);
  assert.equal((await early.post('log', { message: 'm' })).body.code, 'run_attempt_superseded');
});

test('the token of the trigger does not outlive a replay, although the run is at attempt 1 again', async () => {
  const id = await t.ended(await t.makeJob(), 'dead_letter');
  const [replayed] = await t.operator.replayDeadLetters(t.app.db, {
    project_id: t.project.project_id,
    run_ids: [id],
    actor_id: 'test',
  });
  assert.equal(replayed, id);
  const current = await t.start(id);
  await refusesEverything(
    t.as({ run_id: id, attempt: 1, claim_seq: null }).call,
    'run_attempt_superseded',
  );
  assert.equal((await current.post('log', { message: 'm' })).status, 201);
});

test('a token opens its own run and no other', async () => {
  const job = await t.makeJob();
  const [one, other] = [await t.running(job), await t.running(job)];
  const refused = await t.request('POST', `/sdk/v1/runs/${other.id}/log`, t.token(one.claim), {
    message: 'm',
  });
  assert.equal(refused.status, 403);
  assert.equal(
    (await t.request('POST', `/sdk/v1/runs/${one.id}/log`, t.project.api_key, { message: 'm' }))
      .status,
    401,
  );
});

test('the token of a run that does not exist finds nothing', async () => {
  const nowhere = t.as({
    run_id: '019a0000-0000-7000-8000-000000000000',
    attempt: 1,
    claim_seq: 1,
  });
  assert.equal((await nowhere.post('log', { message: 'm' })).status, 404);
});

test('writes and a cancel at the same moment: what was answered with success was written before', async () => {
  const job = await t.makeJob();
  for (let round = 0; round < 5; round++) {
    const run = await t.running(job);
    const answers = await Promise.all([
      ...Array.from({ length: 10 }, (_, n) => run.post('state', { key: `k${n}`, value: n })),
      ...Array.from({ length: 5 }, () => run.post('spawn', { job_slug: job })),
      t.call('DELETE', `/v1/runs/${run.id}`),
      ...Array.from({ length: 10 }, (_, n) => run.post('state', { key: `l${n}`, value: n })),
    ]);
    assert.deepEqual(
      [...new Set(answers.map(({ status }) => status))].filter(
        (status) => ![200, 201, 409].includes(status),
      ),
      [],
    );
    const kept = answers.filter(({ status, body }) => status === 201 && 'state_key' in body).length;
    const spawned = answers.filter(({ status, body }) => status === 201 && 'parent_run_id' in body);
    const [row] = await t.app.sql('select count(*) as n from run_state where run_id = $1', run.id);
    assert.deepEqual(row, { n: kept });
    // A child is canceled with its parent or was never made.
    const children = await t.app.sql(
      'select id, status from job_runs where parent_run_id = $1',
      run.id,
    );
    assert.equal(children.length, spawned.length);
    for (const child of children) assert.equal(child['status'], 'canceled');
  }
});

const createdAt = (id: string) =>
  new Date(Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16)).toISOString();
