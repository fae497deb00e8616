import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { inRunTest, type InRunTest } from '../../../test/in-run.ts';

let t: InRunTest;
before(async () => (t = await inRunTest()));
after(() => t.close());

test('a run completes itself with a result, also before its lease was copied into its row', async () => {
  const id = await t.run(await t.makeJob());
  const { claim_seq } = await t.claim(id);
  const completed = await t
    .as({ run_id: id, attempt: 1, claim_seq })
    .post('complete', { result: { answer: 42 } });
  assert.equal(completed.status, 200);
  assert.equal(completed.body.status, 'completed');
  assert.deepEqual(completed.body.result, { answer: 42 });
  assert.ok(completed.body.started_at && completed.body.finished_at);
  const events = await t.app.sql(
    `select data ->> 'to' as to from run_events where run_id = $1 and type = 'state_change' order by id`,
    id,
  );
  assert.deepEqual(
    events.map((event) => event['to']),
    ['queued', 'executing', 'completed'],
  );
});

test('of many completions and failures at once exactly one wins', async () => {
  const job = await t.makeJob();
  for (let round = 0; round < 5; round++) {
    const run = await t.running(job);
    const answers = await Promise.all([
      run.post('complete', { result: 1 }),
      run.post('fail', { error: 'e' }),
      run.post('complete', { result: 2 }),
      run.post('fail', { error: 'e', retryable: true }),
      run.post('wait-for-event', { event_key: run.id }),
    ]);
    const won = answers.filter(({ status }) => status === 200);
    // Completing or failing for good may still follow the wait; nothing follows an end.
    const waited = answers[4]?.status === 200;
    assert.equal(won.length <= (waited ? 2 : 1) && won.length >= 1, true);
    const [row] = await t.app.sql(
      `select (select count(*) from run_events where run_id = $1 and data ->> 'to' in ('completed', 'failed')) as ends,
              (select count(*) from event_triggers where job_run_id = $1 and status = 'waiting') as waits`,
      run.id,
    );
    const status = await t.status(run.id);
    assert.deepEqual(row, {
      ends: ['completed', 'failed'].includes(status) ? 1 : 0,
      waits: status === 'waiting' ? 1 : 0,
    });
  }
});

test('a result that is too large or breaks the schema of the job leaves the run as it was', async () => {
  const result_schema = { type: 'object', required: ['n'], properties: { n: { type: 'number' } } };
  const run = await t.running(await t.makeJob({ result_schema }));
  const large = await run.post('complete', { result: 'x'.repeat(100_000) });
  assert.deepEqual([large.status, large.body.code], [413, 'result_too_large']);
  const wrong = await run.post('complete', { result: { n: 'one' } });
  assert.deepEqual([wrong.status, wrong.body.code], [422, 'result_invalid']);
  assert.equal(wrong.body.details[0].path, 'body.result.n');
  assert.equal((await run.post('complete', {})).status, 422);
  assert.equal(await t.status(run.id), 'executing');
  assert.equal((await run.post('complete', { result: { n: 1 } })).status, 200);
});

test('failing is final unless the run says it may be tried again', async () => {
  const job = await t.makeJob({ max_attempts: 2 });
  const final = await (
    await t.running(job)
  ).post('fail', { error: 'no way', error_class: 'business' });
  assert.deepEqual(
    [final.body.status, final.body.error, final.body.error_class],
    ['failed', 'no way', 'business'],
  );

  const run = await t.running(job);
  const again = await run.post('fail', { error: 'later', retryable: true });
  assert.deepEqual(
    [again.body.status, again.body.attempt, again.body.error],
    ['queued', 2, 'later'],
  );
  assert.ok(again.body.next_retry_at);
  await t.app.sql(
    `with due as (delete from run_delayed where run_id = $1 returning *)
    insert into run_queue (project_id, rank, run_id, run_created_at, job_id, attempt) select project_id, rank, run_id, run_created_at, job_id, attempt from due`,
    run.id,
  );
  const second = await t.start(run.id, 2);
  assert.equal(
    (await second.post('fail', { error: 'later', retryable: true })).body.status,
    'dead_letter',
  );
});

test('a long error is cut, not refused', async () => {
  const failed = await (
    await t.running(await t.makeJob())
  ).post('fail', { error: 'ä'.repeat(10_000) });
  assert.equal(failed.body.error, 'ä'.repeat(4096));
});

test('a run that waits can still end itself; its wait is canceled with it', async () => {
  const job = await t.makeJob();
  for (const [what, body, status] of [
    ['complete', { result: 1 }, 'completed'],
    ['fail', { error: 'e' }, 'failed'],
  ] as const) {
    const run = await t.running(job);
    assert.equal((await run.post('wait-for-event', { event_key: `of ${run.id}` })).status, 200);
    assert.equal(
      (await run.post('fail', { error: 'e', retryable: true })).body.code,
      'run_not_executing',
    );
    assert.equal((await run.post(what, body)).body.status, status);
    assert.equal((await t.event('GET', `of ${run.id}`)).body.status, 'canceled');
    assert.equal((await t.event('POST', `of ${run.id}`, '/send')).status, 409);
  }
});

test('beats of runs that endpoints own are written once a second, those of others only answered', async () => {
  const job = await t.makeJob();
  const [owned, other] = [await t.running(job), await t.running(job)];
  await t.queue.handOver(
    { id: owned.id, created_at: '', claim_seq: Number(owned.claim.claim_seq) },
    60,
  );
  await t.app.sql(
    `update run_active set endpoint_beat_at = '2020-01-01' where run_id = $1`,
    owned.id,
  );
  for (const run of [owned, other]) {
    assert.deepEqual((await run.post('heartbeat')).body, { status: 'ok', cancel_requested: false });
  }
  for (const loop of t.inRun.loops) await loop.runOnce();
  const rows = await t.app.sql(
    `select run_id, endpoint_beat_at > now() - interval '1 minute' as fresh from run_active where run_id = any ($1)`,
    [owned.id, other.id],
  );
  assert.deepEqual(Object.fromEntries(rows.map((row) => [row['run_id'], row['fresh']])), {
    [owned.id]: true,
    [other.id]: null,
  });
});
