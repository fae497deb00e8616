import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { until } from '../../../../test/until.ts';
import { workflowApp } from '../../../../test/workflow-runs.ts';

let on: Awaited<ReturnType<typeof workflowApp>>;

before(async () => {
  on = await workflowApp({ log_level: 'warn' });
  await on.job('make');
  on.answers['make'] = (request) => ({ body: { made: request.body } });
  await on.workflow('first', [
    { step_ref: 'make', job_slug: 'make', event_emit_key: 'made:{{payload.key}}' },
  ]);
  await on.workflow('second', [
    wait('wait', 'made:{{payload.key}}', { event_emit_key: 'passed:{{payload.key}}' }),
  ]);
  await on.workflow('third', [
    wait('wait', 'passed:{{payload.key}}', { event_emit_key: 'done:{{payload.key}}' }),
  ]);
});
beforeEach(() => buffer(null));
after(() => on.close());

const wait = (step_ref: string, event_key: string, more: object = {}) => ({
  step_ref,
  step_type: 'wait_for_event',
  event_key,
  ...more,
});
const trigger = (slug: string, key: string) => on.trigger(slug, { payload: { key } });
const event = (method: string, key: string, what = '', body?: unknown, of = on.project.api_key) =>
  on.call(method, `/v1/events/${encodeURIComponent(key)}${what}`, body, of);

async function buffer(event_buffer_secs: number | null, project_id = on.project.project_id) {
  const { status, body } = await on.app.call('PUT', `/v1/projects/${project_id}/quotas`, {
    headers: on.app.internal,
    body: { event_buffer_secs },
  });
  assert.deepEqual([status, body.event_buffer_secs], [200, event_buffer_secs]);
}

const count = async (table: string): Promise<number> =>
  (await on.app.sql<{ n: number }>(`select count(*)::int as n from ${table}`))[0]?.n ?? -1;
const emitted = () =>
  until('all emits to be delivered', async () => (await count('event_emits')) === 0);

/** A run that calls wait-for-event in its first attempt and answers with what came in the next. */
function waits(job: string, body: object): { came: unknown } {
  const seen = { came: undefined as unknown };
  on.answers[job] = async (request) => {
    const payload = request.headers['x-event-payload'];
    if (payload !== undefined) {
      seen.came = JSON.parse(String(payload));
      return { body: {} };
    }
    const run = String(request.headers['x-run-id']);
    const asked = await on.app.call('POST', `/sdk/v1/runs/${run}/wait-for-event`, {
      key: String(request.headers['x-run-token']),
      body,
    });
    assert.equal(asked.status, 200, JSON.stringify(asked.body));
    return { body: {} };
  };
  return seen;
}

async function run(job: string): Promise<string> {
  const made = await on.call('POST', `/v1/jobs/${job}/trigger`, {});
  assert.equal(made.status, 201, JSON.stringify(made.body));
  return made.body.id;
}

const runReaches = (id: string, status: string) =>
  until(`run ${id} to be ${status}`, async () => {
    const { body } = await on.call('GET', `/v1/runs/${id}`);
    return body.status === status;
  });

describe('events that steps emit', () => {
  it('go from workflow to workflow and end in the wait of a run', async () => {
    await on.job('last');
    const seen = waits('last', { event_key: 'done:chain' });
    const last = await run('last');
    await runReaches(last, 'waiting');
    const third = await trigger('third', 'chain');
    const second = await trigger('second', 'chain');
    await on.stepReaches(third, 'wait', 'event');
    await on.stepReaches(second, 'wait', 'event');
    const first = await trigger('first', 'chain');
    for (const id of [first, second, third]) await on.reaches(id, 'completed');
    await runReaches(last, 'completed');
    const output = (await on.steps(first))['make'].output;
    assert.deepEqual((await on.steps(third))['wait'].output, output);
    assert.deepEqual(seen.came, output);
    assert.equal((await event('GET', 'passed:chain')).body.sent_by, 'auto-emit');
    await emitted();
  });

  it('reach nobody in another project, and are forgotten when nobody waits', async () => {
    const other = await on.app.project('other');
    const theirs = await on.call(
      'POST',
      '/v1/workflows',
      { name: 'w', slug: 'w', steps: [wait('wait', 'made:alone')] },
      other.api_key,
    );
    assert.equal(theirs.status, 201);
    await on.call('POST', '/v1/workflows/w/trigger', {}, other.api_key);
    await on.reaches(await trigger('first', 'alone'), 'completed');
    await emitted();
    const wait_ = await event('GET', 'made:alone', '', undefined, other.api_key);
    assert.equal(wait_.body.status, 'waiting');
    assert.equal(await count('early_events'), 0);
  });

  it('that cannot be delivered wait their turn, and hold up no other', async () => {
    const broken = await trigger('second', 'broken');
    await on.stepReaches(broken, 'wait', 'event');
    const fine = await trigger('second', 'fine');
    await on.stepReaches(fine, 'wait', 'event');
    await on.app.sql(
      `alter table event_triggers add constraint broken check (event_key <> 'made:broken' or status <> 'received')`,
    );
    await on.reaches(await trigger('first', 'broken'), 'completed');
    await on.reaches(await trigger('first', 'fine'), 'completed');
    await on.reaches(fine, 'completed');
    await until('a second try', async () => {
      const [row] = await on.app.sql<{ tries: number }>(
        `select tries from event_emits where event_key = 'made:broken'`,
      );
      return (row?.tries ?? 0) > 0;
    });
    await on.app.sql('alter table event_triggers drop constraint broken');
    await on.app.sql('update event_emits set due_at = now()');
    await on.reaches(broken, 'completed');
    await emitted();
  });
});

describe('early events', () => {
  it('are kept where the project wants it, for the next step that waits', async () => {
    assert.equal((await event('POST', 'early', '/send', { payload: 1 })).status, 404);
    await buffer(60);
    const kept = await event('POST', 'early', '/send', { payload: { n: 1 } });
    assert.deepEqual(
      [kept.status, kept.body.status, kept.body.event_key],
      [202, 'buffered', 'early'],
    );
    assert.ok(new Date(kept.body.expires_at) > new Date());
    const again = await event('POST', 'early', '/send', { payload: { n: 1 } });
    assert.deepEqual([again.status, again.body], [202, kept.body]);
    await event('POST', 'early', '/send', { payload: { n: 2 } });

    const ofJobs = await keyWith(['jobs:trigger']);
    const refused = await event('POST', 'never', '/send', {}, ofJobs);
    assert.equal(refused.status, 403, 'a step may be who waits next');

    await on.workflow('loop', [wait('a', 'early'), wait('b', 'early', { depends_on: ['a'] })]);
    const id = await on.trigger('loop');
    await on.reaches(id, 'completed');
    const steps = await on.steps(id);
    assert.deepEqual([steps['a'].output, steps['b'].output], [{ n: 1 }, { n: 2 }]);
    const { body } = await event('GET', 'early');
    assert.deepEqual([body.status, body.source_type], ['received', 'workflow_step']);
    assert.match(body.sent_by, /^apikey:/);
    assert.equal(await count('early_events'), 0);
  });

  it('are consumed by runs as well, and come from steps as well', async () => {
    await buffer(60);
    await on.reaches(await trigger('first', 'soon'), 'completed');
    await until('the event to be kept', async () => (await count('early_events')) === 1);
    await on.job('later');
    const seen = waits('later', { event_key: 'made:soon' });
    const id = await run('later');
    await runReaches(id, 'completed');
    assert.deepEqual(Object.keys(seen.came as object), ['made']);
    assert.equal((await event('GET', 'made:soon')).body.sent_by, 'auto-emit');
    assert.equal(await count('early_events'), 0);
  });

  it('are gone after their time', async () => {
    await buffer(60);
    await event('POST', 'stale', '/send', { payload: 1 });
    await on.app.sql(`update early_events set expires_at = now()`);
    await on.workflow('stale', [wait('wait', 'stale')]);
    const id = await on.trigger('stale');
    await on.stepReaches(id, 'wait', 'event');
    await on.app.composition.modules.eventUpkeep.tidyEarly();
    assert.equal(await count('early_events'), 0);
    assert.equal((await event('GET', 'stale')).body.status, 'waiting');
  });

  it('reach the second of two steps that begin to wait at once', async () => {
    await buffer(60);
    for (const n of [1, 2]) await event('POST', 'twin', '/send', { payload: n });
    await on.workflow('twins', [wait('a', 'twin'), wait('b', 'twin')]);
    const id = await on.trigger('twins');
    await on.reaches(id, 'completed');
    const { a, b } = await on.steps(id);
    assert.deepEqual([a.output, b.output].toSorted(), [1, 2]);
  });

  it('that lie beside a wait for their key are found by the net', async () => {
    await on.workflow('net', [wait('wait', 'net')]);
    const id = await on.trigger('net');
    await on.stepReaches(id, 'wait', 'event');
    await on.app.sql(
      `insert into early_events (project_id, event_key, payload, sent_by, expires_at) values ($1, 'net', '{"n": 1}', 'user:u', now() + interval '1 h')`,
      on.project.project_id,
    );
    await on.app.composition.modules.eventUpkeep.tidyEarly();
    await on.reaches(id, 'completed');
    assert.equal((await event('GET', 'net')).body.sent_by, 'user:u');
  });

  it('and their waiter do not miss each other', async () => {
    await buffer(60);
    await on.workflow('meets', [wait('wait', 'meet:{{payload.key}}')]);
    const rounds = Array.from({ length: 20 }, (_, n) => String(n));
    const met = await Promise.all(
      rounds.map(async (key) => {
        const [id, sent] = await Promise.all([
          trigger('meets', key),
          event('POST', `meet:${key}`, '/send', { payload: key }),
        ]);
        assert.ok([200, 202].includes(sent.status), JSON.stringify(sent.body));
        return id;
      }),
    );
    for (const id of met) await on.reaches(id, 'completed');
    assert.equal(await count('early_events'), 0);
  });
});

async function keyWith(scopes: readonly string[]): Promise<string> {
  const { status, body } = await on.app.call('POST', '/v1/api-keys', {
    headers: { ...on.app.internal, 'x-project-id': on.project.project_id },
    body: { name: 'some', scopes },
  });
  assert.equal(status, 201);
  return body.key;
}
