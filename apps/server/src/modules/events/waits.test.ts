import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { shiftClock } from '../../../test/database.ts';
import { inRunTest, type InRunTest } from '../../../test/in-run.ts';
import { resumeFacts } from './index.ts';

let t: InRunTest;
before(async () => (t = await inRunTest()));
after(() => t.close());

const waitingFor = async (event_key: string, body: object = {}) => {
  const run = await t.running(await t.makeJob());
  const waited = await run.post('wait-for-event', { event_key, ...body });
  assert.equal(waited.status, 200, JSON.stringify(waited.body));
  return { ...run, wait: waited.body };
};

test('a run waits without a slot, goes on when its event comes, and is told what came', async () => {
  const run = await waitingFor('order:1/ü', { timeout_secs: 60 });
  assert.deepEqual([run.wait.status, run.wait.event_key], ['waiting', 'order:1/ü']);
  assert.equal(await t.status(run.id), 'waiting');
  assert.deepEqual(await t.app.sql('select run_id from run_active where run_id = $1', run.id), []);
  assert.equal((await t.event('GET', 'order:1/ü')).body.job_run_id, run.id);
  assert.equal((await run.post('checkpoint', { state: { step: 2 } })).status, 201);
  assert.equal(
    (await run.post('wait-for-event', { event_key: 'other' })).body.code,
    'run_not_executing',
  );

  const sent = await t.event('POST', 'order:1/ü', '/send', { payload: { paid: true } });
  assert.equal(sent.status, 200);
  assert.deepEqual([sent.body.status, sent.body.response_payload], ['received', { paid: true }]);
  assert.match(sent.body.sent_by, /^apikey:/);
  assert.equal(await t.status(run.id), 'queued');
  const facts = await resumeFacts(t.app.db, run.id);
  assert.deepEqual(
    [JSON.parse(facts?.event_payload ?? ''), JSON.parse(facts?.checkpoint?.state ?? '')],
    [{ paid: true }, { step: 2 }],
  );

  const again = await t.start(run.id);
  assert.equal((await run.post('log', { message: 'm' })).body.code, 'run_attempt_superseded');
  assert.equal((await again.post('complete', {})).status, 200);
});

test('nothing is told to a run that has nothing behind it', async () => {
  assert.equal(await resumeFacts(t.app.db, (await t.running(await t.makeJob())).id), undefined);
});

test('an event without a body arrives as an empty object', async () => {
  const run = await waitingFor('bare');
  assert.deepEqual((await t.event('POST', 'bare', '/send')).body.response_payload, {});
  assert.equal((await resumeFacts(t.app.db, run.id))?.event_payload, '{}');
});

test('an event is taken once, and nobody sends to keys unknown in the project', async () => {
  await waitingFor('once');
  assert.equal((await t.event('POST', 'once', '/send', {}, t.other.api_key)).status, 404);
  assert.equal((await t.event('GET', 'once', '', undefined, t.other.api_key)).status, 404);
  assert.equal((await t.event('DELETE', 'once', '', undefined, t.other.api_key)).status, 404);
  const sent = await Promise.all(
    Array.from({ length: 6 }, (_, n) => t.event('POST', 'once', '/send', { payload: { n } })),
  );
  assert.deepEqual(sent.map(({ status }) => status).toSorted(), [200, 409, 409, 409, 409, 409]);
  assert.equal(sent.find(({ status }) => status === 409)?.body.code, 'event_already_received');
  assert.equal((await t.event('POST', 'never', '/send')).body.code, 'event_not_found');
});

test('the same event once more changes nothing, whoever sends it and however its members are ordered', async () => {
  const run = await waitingFor('repeated');
  const payload = { a: 1, b: [{ c: null, d: 'x' }] };
  const sent = await Promise.all(
    Array.from({ length: 4 }, () => t.event('POST', 'repeated', '/send', { payload })),
  );
  assert.deepEqual(
    sent.map(({ status }) => status),
    [200, 200, 200, 200],
  );
  assert.equal(new Set(sent.map(({ body }) => body.received_at)).size, 1);
  const again = { b: [{ d: 'x', c: null }], a: 1 };
  assert.equal((await t.event('POST', 'repeated', '/send', { payload: again })).status, 200);
  const [row] = await t.app.sql(
    `select count(*)::int as n from run_events where run_id = $1 and data ->> 'from' = 'waiting'`,
    run.id,
  );
  assert.deepEqual(row, { n: 1 });
});

test('a prefix reaches runs that wait for events, and no parent that waits for its child', async () => {
  const [one, two] = [await waitingFor('batch/1'), await waitingFor('batch/2')];
  const parent = await t.running(await t.makeJob());
  const child = await parent.post('spawn', { job_slug: await t.makeJob(), await_completion: true });
  const key = child.body.await_event_key as string;
  const sent = await t.event('POST', 'prefix', '/batch%2F/send', { payload: { n: 1 } });
  assert.deepEqual([sent.status, sent.body.resolved], [200, 2]);
  assert.deepEqual([await t.status(one.id), await t.status(two.id)], ['queued', 'queued']);
  assert.equal((await t.event('POST', 'prefix', '/spawn-await/send')).body.resolved, 0);
  assert.equal((await t.event('POST', key, '/send')).body.code, 'event_is_child');
  assert.equal(await t.status(parent.id), 'waiting');
  assert.equal((await t.event('DELETE', key)).status, 200);
  assert.equal(await t.status(parent.id), 'canceled');
});

test('several who wait at once, in one prefix, are all ended or none', async () => {
  await waitingFor('whole/1');
  const bad = await waitingFor('whole/2');
  await t.app.sql(
    `alter table event_triggers add constraint broken check (event_key <> 'whole/2' or status <> 'received')`,
  );
  const failed = await t.event('POST', 'prefix', '/whole/send').catch((error: unknown) => error);
  assert.match(String(failed), /constraint \\"broken\\"/);
  t.unexpected.length = 0;
  await t.app.sql('alter table event_triggers drop constraint broken');
  assert.equal((await t.event('GET', 'whole/1')).body.status, 'waiting');
  assert.equal(await t.status(bad.id), 'waiting');
  assert.equal((await t.event('POST', 'prefix', '/whole/send')).body.resolved, 2);
});

test('who may not send to runs sends nothing to them', async () => {
  const run = await waitingFor('of a run');
  const { body } = await t.app.call('POST', '/v1/api-keys', {
    headers: { ...t.app.internal, 'x-project-id': t.project.project_id },
    body: { name: 'steps', scopes: ['workflows:read', 'workflows:trigger', 'workflows:write'] },
  });
  const as = (method: string, what = '') => t.event(method, 'of a run', what, {}, body.key);
  for (const answer of [await as('GET'), await as('POST', '/send'), await as('DELETE')])
    assert.equal(answer.status, 403);
  assert.equal((await t.event('POST', 'prefix', '/of%20a/send', {}, body.key)).status, 403);
  assert.equal(await t.status(run.id), 'waiting');
  assert.equal((await t.event('POST', 'of a run', '/send')).status, 200);
});

test('a key is waited for once per project at a time; the loser goes on executing', async () => {
  const first = await waitingFor('shared');
  const second = await t.running(await t.makeJob());
  const refused = await second.post('wait-for-event', { event_key: 'shared' });
  assert.deepEqual([refused.status, refused.body.code], [409, 'event_key_waiting']);
  assert.equal(await t.status(second.id), 'executing');
  assert.equal((await t.event('POST', 'shared', '/send')).body.job_run_id, first.id);
  assert.equal((await second.post('wait-for-event', { event_key: 'shared' })).status, 200);
  assert.equal((await t.event('GET', 'shared')).body.job_run_id, second.id);
});

test('what cannot be a wait is refused by name', async () => {
  const run = await t.running(await t.makeJob());
  for (const [body, path] of [
    [{ event_key: '' }, 'body.event_key'],
    [{ event_key: 'k'.repeat(513) }, 'body.event_key'],
    [{ event_key: 'a\u0007b' }, 'body.event_key'],
    [{ event_key: 'spawn-await:x' }, 'body.event_key'],
    [{ event_key: 'k', timeout_secs: 0 }, 'body.timeout_secs'],
    [{ event_key: 'k', timeout_secs: 30 * 86_400 + 1 }, 'body.timeout_secs'],
    [{ event_key: 'k', notify_url: 'http://10.0.0.1/inside' }, 'body.notify_url'],
  ] as const) {
    const refused = await run.post('wait-for-event', body);
    assert.deepEqual([refused.status, refused.body.details[0].path], [400, path]);
  }
  assert.equal((await run.post('wait-for-event', { event_key: 'k', notify_url: '' })).status, 200);
});

test('a wait past its time ends the run as timed out, once', async () => {
  const run = await waitingFor('late', { timeout_secs: 60 });
  await t.upkeep.timeOutWaits();
  assert.equal(await t.status(run.id), 'waiting');
  await shiftClock(t.app.db, 61_000);
  try {
    await Promise.all(Array.from({ length: 3 }, () => t.upkeep.timeOutWaits()));
  } finally {
    await shiftClock(t.app.db, 0);
  }
  const ended = await t.read(run.id);
  assert.deepEqual([ended.status, ended.error_class], ['timed_out', 'timeout']);
  assert.equal((await t.event('GET', 'late')).body.status, 'timed_out');
  assert.equal((await t.event('POST', 'late', '/send')).body.code, 'event_not_waiting');
  const [row] = await t.app.sql(
    `select count(*) as n from run_events where run_id = $1 and data ->> 'to' = 'timed_out'`,
    run.id,
  );
  assert.deepEqual(row, { n: 1 });
});

test('send, cancel, deadline and completion at the same moment: the wait ends once', async () => {
  for (let round = 0; round < 8; round++) {
    const key = `race ${round}`;
    const run = await waitingFor(key);
    await t.app.sql(
      `update event_triggers set expires_at = now() - interval '1 s' where job_run_id = $1`,
      run.id,
    );
    const [sent, canceled, , completed] = await Promise.all([
      t.event('POST', key, '/send'),
      t.event('DELETE', key),
      t.upkeep.timeOutWaits(),
      run.post('complete', {}),
    ]);
    const trigger = (await t.event('GET', key)).body.status;
    const status = await t.status(run.id);
    const expected =
      sent.status === 200
        ? ['received', 'queued']
        : canceled.status === 200
          ? ['canceled', 'canceled']
          : completed.status === 200
            ? ['canceled', 'completed']
            : ['timed_out', 'timed_out'];
    assert.deepEqual([trigger, status], expected);
    assert.ok([sent, canceled, completed].filter((answer) => answer.status === 200).length <= 1);
  }
});

test('canceling a wait cancels its run', async () => {
  const run = await waitingFor('unwanted');
  const canceled = await t.event('DELETE', 'unwanted');
  assert.deepEqual([canceled.status, canceled.body.status], [200, 'canceled']);
  assert.equal(await t.status(run.id), 'canceled');
  assert.deepEqual(
    [(await t.event('DELETE', 'unwanted')).status, (await t.event('DELETE', 'unknown')).status],
    [409, 404],
  );
});

test('canceling or restarting a run closes what it waited for', async () => {
  const { project_id } = t.project;
  const [canceled, restarted] = [await waitingFor('of canceled'), await waitingFor('of restarted')];
  await t.app.db.transaction(async (tx) => {
    await t.operator.cancel(tx, {
      project_id,
      run_ids: [canceled.id],
      reason: 'r',
      child_reason: 'c',
    });
    const restart = {
      project_id,
      run_id: restarted.id,
      reason: 'r',
      actor_id: 'a',
      max_attempts: 3,
    };
    await t.operator.restart(tx, restart);
  });
  for (const key of ['of canceled', 'of restarted']) {
    assert.equal((await t.event('GET', key)).body.status, 'canceled');
    assert.equal((await t.event('POST', key, '/send')).status, 409);
  }
  assert.equal(await t.status(restarted.id), 'queued');
});

test('the reconciler closes triggers nobody waits for and frees runs whose event came, and touches nothing else', async () => {
  const [orphan, forgotten, fine] = [
    await waitingFor('orphan'),
    await waitingFor('forgotten'),
    await waitingFor('fine'),
  ];
  await t.app.sql(
    `update event_triggers set status = 'received', received_at = now() - interval '31 s' where job_run_id = $1`,
    forgotten.id,
  );
  const job = (await t.read(orphan.id)).job_id;
  await t.app.sql(
    `insert into event_triggers (event_key, project_id, source_type, job_run_id, expires_at) values ('left over', $1, 'job_run', $2, now() + interval '1 hour')`,
    t.project.project_id,
    await t.ended(job, 'failed'),
  );
  await t.upkeep.reconcileWaits();
  assert.equal((await t.event('GET', 'left over')).body.status, 'canceled');
  assert.deepEqual(
    [await t.status(orphan.id), await t.status(forgotten.id), await t.status(fine.id)],
    ['waiting', 'queued', 'waiting'],
  );
  assert.equal((await t.event('GET', 'fine')).body.status, 'waiting');
});

test('a watcher sees the wait and its end, then the stream closes; a wait that ended gives one event', async () => {
  await t.http.start();
  const run = await waitingFor('watched');
  const watch = () => fetch(`${t.http.url}/v1/events/watched/stream?token=${t.project.api_key}`);
  const response = await watch();
  assert.equal(response.headers.get('content-type'), 'text/event-stream; charset=utf-8');
  const whole = response.text();
  const read = await t.event('GET', 'watched');
  assert.equal((await t.event('POST', 'watched', '/send', { payload: 1 })).status, 200);
  t.wake();
  const events = (await whole).split('\n\n').filter((text) => text.includes('data: '));
  assert.deepEqual(
    events.map((text) => /^event: (.*)$/m.exec(text)?.[1]),
    ['status', 'status'],
  );
  const [first, last] = events.map((text) => JSON.parse(/^data: (.*)$/m.exec(text)?.[1] ?? ''));
  assert.deepEqual([first.status, first.job_run_id], ['waiting', run.id]);
  assert.deepEqual(first, read.body);
  assert.equal(last.status, 'received');
  assert.deepEqual(Object.keys(last).toSorted(), [
    'error',
    'event_key',
    'id',
    'project_id',
    'received_at',
    'source_type',
    'status',
    'timestamp',
  ]);
  assert.equal((await (await watch()).text()).match(/^data: /gm)?.length, 1);
  assert.equal((await fetch(`${t.http.url}/v1/events/watched/stream`)).status, 401);
});

test('a limit on waits holds however many ask at once; waits for children do not count', async () => {
  const most = (await t.app.sql(`select from event_triggers where status = 'waiting'`)).length + 3;
  await t.app.sql(
    'insert into project_quotas (project_id, max_active_event_triggers) values ($1, $2)',
    t.project.project_id,
    most,
  );
  const job = await t.makeJob();
  const parent = await t.running(job);
  const spawned = await parent.post('spawn', { job_slug: job, await_completion: true });
  assert.equal(spawned.status, 201, JSON.stringify(spawned.body));
  const runs = await Promise.all(Array.from({ length: 8 }, () => t.run(job)));
  const asking = [];
  for (const id of runs) asking.push(await t.start(id));
  const answers = await Promise.all(
    asking.map((run) => run.post('wait-for-event', { event_key: `limited-${run.id}` })),
  );
  const codes = answers.map(({ status, body }) => body.code ?? status).toSorted();
  assert.deepEqual(codes, [
    ...Array(3).fill(200),
    ...Array(5).fill('event_trigger_quota_exceeded'),
  ]);
  const refused = asking.find((_run, index) => answers[index]?.status === 429);
  const waits = asking.find((_run, index) => answers[index]?.status === 200);
  assert.ok(refused && waits);
  assert.equal(await t.status(refused.id), 'executing', 'who is refused goes on');
  assert.equal((await t.event('POST', `limited-${waits.id}`, '/send')).status, 200);
  const again = await refused.post('wait-for-event', { event_key: 'room' });
  assert.equal(again.status, 200, JSON.stringify(again.body));
  await t.app.sql('delete from project_quotas where project_id = $1', t.project.project_id);
});

test('what came is told to the attempt that waited, to what follows it, and not to a replay', async () => {
  const told = async (id: string) => (await resumeFacts(t.app.db, id))?.event_payload;
  const run = await waitingFor('mine');
  assert.equal((await t.event('POST', 'mine', '/send', { payload: 1 })).status, 200);
  assert.equal(await told(run.id), '1');
  const handed = await t.claim(run.id);
  await t.queue.settle([{ ...handed, to: 'queued', unstarted: true }]);
  assert.equal(await told(run.id), '1');
  await t.start(run.id);
  assert.equal((await t.post(run.id, 'restart')).status, 200);
  assert.equal(await told(run.id), '1', 'the attempt that heard it may be lost with it');
  const second = await t.start(run.id, 2);
  await second.post('wait-for-event', { event_key: 'mine' });
  await t.event('POST', 'mine', '/send', { payload: 2 });
  assert.equal(await told(run.id), '2');

  const dead = await waitingFor('dead');
  await t.event('POST', 'dead', '/send', { payload: 3 });
  const claim = await t.claim(dead.id);
  await t.queue.settle([{ ...claim, to: 'dead_letter', error: 'e', error_class: 'server' }]);
  assert.equal((await t.post(dead.id, 'dlq-replay')).status, 200);
  assert.equal(await told(dead.id), undefined, 'attempt 1 of a replay is another one');
});

test('ended waits go after their time, but not what a live run was told', async () => {
  const [old, live, young] = [
    await waitingFor('old'),
    await waitingFor('live'),
    await waitingFor('young'),
  ];
  for (const key of ['old', 'live', 'young']) await t.event('POST', key, '/send');
  await t.call('POST', '/v1/runs/bulk-cancel', { run_ids: [old.id, young.id] });
  await t.app.sql(
    `update event_triggers set updated_at = now() - interval '31 days' where job_run_id = any ($1)`,
    [old.id, live.id],
  );
  await t.upkeep.removeOldTriggers();
  const found = async (key: string) => (await t.event('GET', key)).status;
  assert.deepEqual(
    [await found('old'), await found('live'), await found('young')],
    [404, 200, 200],
  );
});
