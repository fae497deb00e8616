import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { workflowApp } from '../../../test/workflow-runs.ts';

let on: Awaited<ReturnType<typeof workflowApp>>;

before(async () => {
  on = await workflowApp({ log_level: 'warn' });
  await on.job('after');
  await on.workflow('one', [wait('wait', '{{payload.key}}'), after_('wait')]);
  await on.workflow('both', [
    wait('first', '{{payload.key}}/1'),
    wait('second', '{{payload.key}}/2'),
  ]);
});
after(() => on.close());

const wait = (step_ref: string, event_key: string, more: object = {}) => ({
  step_ref,
  step_type: 'wait_for_event',
  event_key,
  ...more,
});
const after_ = (step: string) => ({ step_ref: 'after', job_slug: 'after', depends_on: [step] });

const event = (method: string, key: string, what = '', body?: unknown, of = on.project.api_key) =>
  on.call(method, `/v1/events/${encodeURIComponent(key)}${what}`, body, of);
const send = (key: string, payload?: unknown, of?: string) =>
  event('POST', key, '/send', payload === undefined ? undefined : { payload }, of);

/** A run of `one` that waits for this key. */
async function waiting(key: string, slug = 'one'): Promise<string> {
  const id = await on.trigger(slug, { payload: { key } });
  await on.stepReaches(id, slug === 'one' ? 'wait' : 'second', 'event');
  return id;
}

async function keyWith(scopes: readonly string[], project_id = on.project.project_id) {
  const { status, body } = await on.app.call('POST', '/v1/api-keys', {
    headers: { ...on.app.internal, 'x-project-id': project_id },
    body: { name: 'some', scopes },
  });
  assert.equal(status, 201);
  return body.key as string;
}

describe('events sent to steps', () => {
  it('complete the step, whose output they are, and the run goes on', async () => {
    const id = await waiting('paid:1/ü %');
    const read = (await event('GET', 'paid:1/ü %')).body;
    assert.deepEqual(
      [read.source_type, read.workflow_run_id, read.trigger_type, read.status, read.timeout_secs],
      ['workflow_step', id, 'event', 'waiting', 3600],
    );
    const sent = await send('paid:1/ü %', { b: 1, a: [{ y: null, x: 2 }] });
    assert.equal(sent.status, 200, JSON.stringify(sent.body));
    assert.deepEqual([sent.body.id, sent.body.status], [read.id, 'received']);
    assert.match(sent.body.sent_by, /^apikey:/);
    await on.reaches(id, 'completed');
    assert.deepEqual((await on.steps(id))['wait'].output, { b: 1, a: [{ y: null, x: 2 }] });

    const same = await send('paid:1/ü %', { a: [{ x: 2, y: null }], b: 1 });
    assert.deepEqual([same.status, same.body.id], [200, read.id]);
    const other = await send('paid:1/ü %', { b: 2 });
    assert.deepEqual([other.status, other.body.code], [409, 'event_already_received']);
    assert.equal((await event('DELETE', 'paid:1/ü %')).body.code, 'event_not_waiting');
  });

  it('are an empty object when they say nothing', async () => {
    const id = await waiting('bare');
    assert.deepEqual((await send('bare')).body.response_payload, {});
    await on.reaches(id, 'completed');
    assert.deepEqual((await on.steps(id))['wait'].output, {});
  });

  it('say who sent them', async () => {
    await on.app.sql(
      `insert into project_member_roles (project_id, user_id, role_id)
       select $1::text, 'ann', id from project_roles where project_id = $1 and name = 'triggerer'`,
      on.project.project_id,
    );
    for (const [actor, sender] of [
      [{ 'x-actor-id': 'ann' }, 'user:ann'],
      [{}, 'internal'],
    ] as const) {
      await waiting('whose');
      const sent = await on.app.call('POST', '/v1/events/whose/send', {
        headers: { ...on.app.internal, 'x-project-id': on.project.project_id, ...actor },
        body: { payload: sender },
      });
      assert.deepEqual([sent.status, sent.body.sent_by], [200, sender]);
    }
  });

  it('leave a paused run paused: what depends on the step waits for resume', async () => {
    const id = await waiting('paused');
    await on.internal('POST', `/v1/workflow-runs/${id}/pause`);
    assert.equal((await send('paused', 1)).status, 200);
    assert.deepEqual(
      [(await on.read(id)).status, (await on.steps(id))['wait'].status],
      ['paused', 'completed'],
    );
    assert.notEqual((await on.steps(id))['after'].status, 'running');
    await on.internal('POST', `/v1/workflow-runs/${id}/resume`);
    await on.reaches(id, 'completed');
  });

  it('come too late for waits that were given up or timed out', async () => {
    const canceled = await waiting('unwanted');
    const gone = await event('DELETE', 'unwanted');
    assert.deepEqual([gone.status, gone.body.status], [200, 'canceled']);
    await on.reaches(canceled, 'failed');
    assert.equal((await on.steps(canceled))['wait'].error, 'event trigger canceled by user');
    assert.equal((await send('unwanted', 1)).body.code, 'event_not_waiting');

    await on.workflow('brief', [wait('wait', 'brief', { event_timeout_secs: 1 })]);
    await on.reaches(await on.trigger('brief'), 'failed');
    assert.equal((await event('GET', 'brief')).body.status, 'timed_out');
    assert.equal((await send('brief', 1)).body.code, 'event_not_waiting');
  });

  it('do not end sleeps, nor approvals', async () => {
    await on.workflow('rests', [
      { step_ref: 'nap', step_type: 'sleep', sleep_duration_secs: 3600 },
      { step_ref: 'ask', step_type: 'approval', approvers: ['*'] },
    ]);
    const id = await on.trigger('rests');
    await on.stepReaches(id, 'nap', 'sleep');
    const [nap] = (await on.call('GET', `/v1/events?workflow_run_id=${id}`)).body.data;
    assert.equal(nap.trigger_type, 'sleep');
    for (const [method, what] of [
      ['POST', '/send'],
      ['DELETE', ''],
    ] as const) {
      const refused = await event(method, nap.event_key, what);
      assert.deepEqual([refused.status, refused.body.code], [409, 'event_is_sleep']);
    }
    const under = await event('POST', 'prefix', `/${nap.event_key.slice(0, 7)}/send`);
    assert.deepEqual([under.status, under.body.resolved], [200, 0]);
    const [approval] = await on.app.sql<{ id: string }>(
      'select id from workflow_step_approvals where workflow_run_id = $1',
      id,
    );
    assert.equal((await send(approval?.id ?? '')).status, 404);
    assert.equal((await send(`approval:${id}:ask`)).status, 404);
    assert.equal((await on.read(id)).status, 'running');
    await on.internal('DELETE', `/v1/workflow-runs/${id}`);
  });

  it('have a limit of size, and keys have rules', async () => {
    await waiting('large');
    assert.equal((await send('large', 'x'.repeat(1_048_577))).status, 413);
    assert.equal((await event('GET', 'large')).body.status, 'waiting');
    assert.equal((await send('large', 1)).status, 200);
    assert.equal((await send('k'.repeat(512))).status, 404);
    for (const key of ['k'.repeat(513), 'a\u0007b', 'a\nb']) {
      const refused = await send(key);
      assert.deepEqual([refused.status, refused.body.details[0].path], [400, 'path.eventKey']);
    }
  });

  it('belong to a project: two of them wait for one key, and neither sees the other', async () => {
    const other = await on.app.project('other');
    const theirs = (method: string, path: string, body?: unknown) =>
      on.call(method, path, body, other.api_key);
    const made = await theirs('POST', '/v1/workflows', {
      name: 'one',
      slug: 'one',
      steps: [wait('wait', '{{payload.key}}')],
    });
    assert.equal(made.status, 201, JSON.stringify(made.body));
    const mine = await waiting('shared');
    assert.equal((await event('GET', 'shared', '', undefined, other.api_key)).status, 404);
    assert.equal((await send('shared', 1, other.api_key)).status, 404);
    assert.equal((await event('DELETE', 'shared', '', undefined, other.api_key)).status, 404);
    const run = await theirs('POST', '/v1/workflows/one/trigger', { payload: { key: 'shared' } });
    assert.equal((await send('shared', 'theirs', other.api_key)).body.workflow_run_id, run.body.id);
    assert.equal((await event('GET', 'shared')).body.status, 'waiting');
    const under = await event('POST', 'prefix', '/sha/send', {}, other.api_key);
    assert.equal(under.body.resolved, 0);
    assert.equal((await theirs('GET', '/v1/events')).body.data.length, 1);
    assert.equal((await theirs('GET', '/v1/events/stats')).body.total_count, 1);
    await on.app.sql(`update event_triggers set updated_at = now() - interval '9 days'`);
    const purged = await theirs('POST', '/v1/events/purge', { older_than_days: 1 });
    assert.deepEqual([purged.status, purged.body], [200, { deleted: 1 }]);
    assert.equal((await send('shared', 'mine')).body.workflow_run_id, mine);
    await on.reaches(mine, 'completed');
  });

  it('can be sent to one key again and again, but to one waiter at a time', async () => {
    for (const n of [1, 2]) {
      const id = await waiting('again');
      assert.equal((await send('again', n)).body.workflow_run_id, id);
      await on.reaches(id, 'completed');
    }
    const first = await waiting('again');
    const second = await on.trigger('one', { payload: { key: 'again' } });
    await on.reaches(second, 'failed');
    assert.equal((await on.steps(second))['wait'].error, 'event key is already waited for');
    assert.equal((await send('again', 3)).body.workflow_run_id, first);
  });

  it('need the permission of whoever waits', async () => {
    const id = await waiting('guarded');
    const ofJobs = await keyWith(['jobs:read', 'jobs:trigger', 'runs:write']);
    for (const [method, what, permission] of [
      ['GET', '', 'workflows:read'],
      ['GET', '/stream', 'workflows:read'],
      ['POST', '/send', 'workflows:trigger'],
      ['DELETE', '', 'workflows:write'],
    ] as const) {
      const refused = await event(method, 'guarded', what, undefined, ofJobs);
      assert.equal(refused.status, 403, `${method} ${what}`);
      assert.match(refused.body.error, new RegExp(permission));
    }
    const under = await event('POST', 'prefix', '/guarded/send', {}, ofJobs);
    assert.deepEqual([under.status, (await on.read(id)).status], [403, 'running']);
    assert.deepEqual((await on.call('GET', '/v1/events', undefined, ofJobs)).body.data, []);
    const asked = await on.call('GET', '/v1/events?source_type=workflow_step', undefined, ofJobs);
    assert.equal(asked.status, 403);
    const ofSteps = await keyWith(['workflows:trigger']);
    assert.equal((await send('guarded', 1, ofSteps)).status, 200);
    await on.reaches(id, 'completed');
  });
});

describe('events sent to a prefix', () => {
  it('reach every wait under it, as it is written, oldest first, and no other', async () => {
    const ids = [await waiting('a%_\\b:1'), await waiting('a%_\\b:2'), await waiting('aXX\\b:3')];
    const both = await waiting('a%_\\b', 'both');
    const sent = await event('POST', 'prefix', `/${encodeURIComponent('a%_\\b')}/send`, {
      payload: { all: true },
    });
    assert.equal(sent.status, 200, JSON.stringify(sent.body));
    assert.equal(sent.body.resolved, 4);
    assert.deepEqual(
      sent.body.triggers.map((one: { event_key: string }) => one.event_key).slice(0, 2),
      ['a%_\\b:1', 'a%_\\b:2'],
    );
    for (const id of [ids[0] ?? '', ids[1] ?? '', both]) await on.reaches(id, 'completed');
    assert.deepEqual((await on.steps(both))['second'].output, { all: true });
    assert.equal((await event('GET', 'aXX\\b:3')).body.status, 'waiting');
    assert.equal(
      (await event('POST', 'prefix', `/${encodeURIComponent('a%_\\b')}/send`)).body.resolved,
      0,
    );
    assert.equal((await on.call('POST', '/v1/events/prefix//send', {})).status, 400);
  });

  it('end none of the waits that are over by their turn', async () => {
    // The first event starts a step that cannot wait for a key somebody else waits for: the run fails around the second.
    await on.workflow('frail', [
      wait('first', 'frail/1'),
      wait('second', 'frail/2'),
      wait('third', 'frail/2', { depends_on: ['first'] }),
    ]);
    const id = await on.trigger('frail');
    await on.stepReaches(id, 'second', 'event');
    const sent = await event('POST', 'prefix', '/frail/send', { payload: { x: 1 } });
    assert.deepEqual([sent.status, sent.body.resolved], [200, 1], JSON.stringify(sent.body));
    assert.equal(sent.body.triggers[0].event_key, 'frail/1');
    assert.equal((await event('GET', 'frail/2')).body.status, 'canceled');
    await on.reaches(id, 'failed');
  });
});

describe('waits of a project', () => {
  it('are listed page by page, counted, and removed once they are old', async () => {
    const project = await on.app.project('lists');
    const insert = (status: string, n: number, source = 'workflow_step') =>
      on.app.sql(
        `insert into event_triggers (event_key, project_id, source_type, workflow_run_id, status, requested_at, received_at, expires_at, updated_at)
         select $1 || i, $2, $3, $4, $1, now() - interval '10 s', case when $1 = 'received' then now() end, now() + interval '1 h',
                now() - interval '3 days' from generate_series(1, $5::int) i`,
        status,
        project.project_id,
        source,
        `run-${status}`,
        n,
      );
    await insert('received', 3);
    await insert('timed_out', 2);
    await insert('waiting', 1, 'job_run');
    const list = async (query: string) => {
      const { status, body } = await on.call(
        'GET',
        `/v1/events?${query}`,
        undefined,
        project.api_key,
      );
      assert.equal(status, 200, JSON.stringify(body));
      return body;
    };
    const seen: string[] = [];
    for (let cursor: string | undefined = ''; cursor !== undefined;) {
      const found = await list(`limit=2${cursor && `&cursor=${cursor}`}`);
      seen.push(...found.data.map((one: { id: string }) => one.id));
      cursor = found.next_cursor;
    }
    assert.equal(new Set(seen).size, 6);
    assert.equal(seen.length, 6);
    for (const [query, n] of [
      ['status=timed_out', 2],
      ['source_type=job_run', 1],
      ['workflow_run_id=run-received&status=received', 3],
      ['workflow_run_id=run-received&status=waiting', 0],
      [`project_id=${project.project_id}`, 6],
    ] as const)
      assert.equal((await list(query)).data.length, n, query);
    const wrong = await on.call('GET', '/v1/events?status=no', undefined, project.api_key);
    assert.deepEqual([wrong.status, wrong.body.details[0].path], [400, 'query.status']);

    const stats = await on.call('GET', '/v1/events/stats', undefined, project.api_key);
    const { avg_wait_duration_secs, ...counts } = stats.body;
    assert.deepEqual(counts, {
      total_count: 6,
      waiting_count: 1,
      received_count: 3,
      timed_out_count: 2,
      canceled_count: 0,
    });
    assert.ok(Math.abs(avg_wait_duration_secs - 10) < 1);

    const purge = (body: unknown) => on.call('POST', '/v1/events/purge', body, project.api_key);
    assert.equal((await purge({ older_than_days: 0 })).status, 400);
    assert.deepEqual((await purge({ older_than_days: 4 })).body, { deleted: 0 });
    assert.deepEqual((await purge({ older_than_days: 2, dry_run: true, more: 1 })).body, {
      dry_run: true,
      would_delete: 5,
    });
    assert.deepEqual((await purge({ older_than_days: 2 })).body, { deleted: 5 });
    assert.equal((await list('')).data[0].status, 'waiting');
    const empty = await on.app.project('empty');
    const none = await on.call('GET', '/v1/events/stats', undefined, empty.api_key);
    assert.equal(none.body.avg_wait_duration_secs, 0);
  });

  it('end when their step does not wait, and are kept for as long as all others', async () => {
    const id = await waiting('kept');
    const [step] = await on.app.sql<{ id: string }>(
      `select workflow_step_run_id as id from event_triggers where event_key = 'kept'`,
    );
    const insert = (key: string, run: string, of: string, status: string) =>
      on.app.sql(
        `insert into event_triggers (event_key, project_id, source_type, workflow_run_id, workflow_step_run_id, status, expires_at, updated_at)
         values ($1, $2, 'workflow_step', $3, $4, $5, now() + interval '1 h', now() - interval '31 days')`,
        key,
        on.project.project_id,
        run,
        of,
        status,
      );
    await insert('of nobody', 'gone', 'gone', 'waiting');
    await insert('of another wait', id, step?.id ?? '', 'waiting');
    await insert('old', id, step?.id ?? '', 'received');
    const { workflowRuns, eventUpkeep } = on.app.composition.modules;
    await eventUpkeep.reconcileWaits();
    assert.equal((await send('of nobody', 1)).body.code, 'event_not_waiting');
    await workflowRuns.callbacks.timers.dropForsakenWaits();
    await eventUpkeep.removeOldTriggers();
    const found = async (key: string) => (await event('GET', key)).body;
    assert.equal((await found('of nobody')).status, 'canceled');
    assert.equal((await found('of another wait')).error, 'the step no longer waits');
    assert.equal((await found('old')).code, 'event_not_found');
    assert.equal((await found('kept')).status, 'waiting');
    assert.equal((await send('kept', 1)).status, 200);
  });

  it('are watched until they end', async () => {
    const id = await waiting('watched');
    const key = on.project.api_key;
    const response = await fetch(
      `${on.app.composition.http.url}/v1/events/watched/stream?token=${key}`,
    );
    const whole = response.text();
    await send('watched', 1);
    const events = (await whole).split('\n\n').filter((text) => text.includes('data: '));
    const [first, last, ...more] = events.map((text) =>
      JSON.parse(/^data: (.*)$/m.exec(text)?.[1] ?? ''),
    );
    assert.deepEqual([first.status, first.workflow_run_id], ['waiting', id]);
    assert.deepEqual(
      [last.status, last.source_type, more.length],
      ['received', 'workflow_step', 0],
    );
  });
});
