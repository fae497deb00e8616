import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import {
  scriptedEndpoint,
  type ScriptedEndpoint,
  type ScriptedReply,
} from '../../../../test/endpoint.ts';
import { until } from '../../../../test/until.ts';
import { workflowApp } from '../../../../test/workflow-runs.ts';

let on: Awaited<ReturnType<typeof workflowApp>>;
let receiver: ScriptedEndpoint;
const answers: Record<string, ScriptedReply[]> = {};

before(async () => {
  on = await workflowApp({ log_level: 'error' });
  receiver = await scriptedEndpoint(({ path }) => answers[path.slice(1)]?.shift() ?? { body: {} });
});
after(async () => {
  await on.close();
  await receiver.close();
});

const urlOf = (name: string) => receiver.url.replace(/work$/, name);
const told = (name: string) => receiver.requests.filter(({ path }) => path === `/${name}`);
const trigger = async (key: string) =>
  (await on.call('GET', `/v1/events/${encodeURIComponent(key)}`)).body;
const status = async (key: string): Promise<string> => (await trigger(key)).notify_status;
const queued = () =>
  on.app.sql<{ attempts: number; pause: number }>(
    `select attempts, extract(epoch from due_at - now())::float8 as pause from event_notifications`,
  );
/** The pause after this attempt is over; the first ones may be over by themselves, on a slow machine. */
async function hurry(attempts = 0): Promise<void> {
  await on.app.sql(
    `update event_notifications set due_at = now() where attempts = $1 or $1 = 0`,
    attempts,
  );
  await on.app.sql(`select pg_notify('event_notify', '')`);
}

/** This attempt has failed, and the next is to come. */
const failed = (attempt: number) =>
  until(`attempt ${attempt} to fail`, async () => {
    const [row] = await queued();
    // While it is made, the row is held for half a minute.
    const pause = Math.min(5 ** attempt, 1_800);
    if (row?.attempts === attempt) return row.pause > pause * 0.8 && row.pause <= pause;
    return (row?.attempts ?? 0) > attempt;
  });

async function waits(name: string, key = name): Promise<string> {
  await on.workflow(name, [
    {
      step_ref: 'wait',
      step_type: 'wait_for_event',
      event_key: key,
      event_notify_url: urlOf(name),
    },
  ]);
  return on.trigger(name);
}

describe('notify URLs', () => {
  it('are told once that a step waits, and where to send the event', async () => {
    const id = await waits('plain', 'plain/1');
    await until('the wait to be told', async () => (await status('plain/1')) === 'sent');
    const [request, ...more] = told('plain');
    assert.equal(more.length, 0);
    const row = await trigger('plain/1');
    assert.deepEqual(request?.body, {
      event_key: 'plain/1',
      trigger_id: row.id,
      project_id: on.project.project_id,
      expires_at: row.expires_at,
      callback_url: '/v1/events/plain%2F1/send',
    });
    const { headers } = request ?? assert.fail();
    const delivery = String(headers['x-strait-delivery-id']);
    assert.deepEqual(
      [
        headers['content-type'],
        headers['x-strait-attempt'],
        headers['x-strait-idempotency-key'],
        headers['x-strait-trigger-id'],
        headers['x-run-id'],
      ],
      ['application/json', '1/5', `${delivery}:1`, row.id, undefined],
    );
    assert.deepEqual(await queued(), []);
    const callback = (request.body as { callback_url: string }).callback_url;
    assert.equal((await on.call('POST', callback, { payload: 1 })).status, 200);
    await on.reaches(id, 'completed');
    assert.equal(await status('plain/1'), 'sent');
  });

  it('are told of runs that wait', async () => {
    await on.job('asks');
    on.answers['asks'] = async (request) => {
      const run = String(request.headers['x-run-id']);
      const asked = await on.app.call('POST', `/sdk/v1/runs/${run}/wait-for-event`, {
        key: String(request.headers['x-run-token']),
        body: { event_key: 'sdk', notify_url: urlOf('sdk') },
      });
      assert.equal(asked.status, 200, JSON.stringify(asked.body));
      return { body: {} };
    };
    const made = await on.call('POST', '/v1/jobs/asks/trigger', {});
    await until('the wait to be told', () => told('sdk').length === 1);
    await until('its status', async () => (await status('sdk')) === 'sent');
    const { headers } = told('sdk')[0] ?? assert.fail();
    assert.equal(headers['x-run-id'], made.body.id);
    assert.ok(headers['x-job-id']);
    await on.call('DELETE', '/v1/events/sdk');
  });

  it('are told again while they are out of order, at most five times', async () => {
    answers['flaky'] = [{ status: 503 }, { status: 429 }, { hang_up: true }, { body: {} }];
    answers['dead'] = Array.from({ length: 9 }, () => ({ status: 500 }));
    await waits('flaky');
    for (const attempt of [1, 2, 3]) {
      await failed(attempt);
      assert.equal(await status('flaky'), 'pending');
      await hurry(attempt);
    }
    await until('it to be told', async () => (await status('flaky')) === 'sent');
    assert.deepEqual(
      told('flaky').map(({ headers }) => headers['x-strait-attempt']),
      ['1/5', '2/5', '3/5', '4/5'],
    );

    await waits('dead');
    for (const attempt of [1, 2, 3, 4]) {
      await failed(attempt);
      await hurry(attempt);
    }
    await until('it to be given up', async () => (await status('dead')) === 'failed');
    assert.equal(told('dead').length, 5);
    assert.deepEqual(await queued(), []);
  });

  it('that refuse are not asked again', async () => {
    answers['refuses'] = [{ status: 404 }];
    await waits('refuses');
    await until('it to be given up', async () => (await status('refuses')) === 'failed');
    assert.equal(told('refuses').length, 1);
    assert.equal((await trigger('refuses')).status, 'waiting');
  });

  it('whose sender died are told by the next one, and those that point inside by nobody', async () => {
    await on.app.sql(
      `insert into event_triggers (id, event_key, project_id, source_type, status, expires_at, notify_url, notify_status)
      select n, n, $1, 'workflow_step', 'canceled', now() + interval '1 h', u, 'pending'
        from (values ('lost', $2), ('inside', 'http://metadata.google.internal/')) v(n, u)`,
      on.project.project_id,
      urlOf('lost'),
    );
    // It had four attempts, the fourth without an end; the other one is new.
    await on.app.sql(
      `insert into event_notifications (trigger_id, project_id, attempts) values ('lost', $1, 4), ('inside', $1, 0)`,
      on.project.project_id,
    );
    await hurry();
    await until('both to have an end', async () => (await queued()).length === 0);
    assert.deepEqual([await status('lost'), await status('inside')], ['sent', 'failed']);
    assert.equal(told('lost')[0]?.headers['x-strait-attempt'], '5/5');
    await on.app.sql(
      `insert into event_notifications (trigger_id, project_id, attempts) values ('lost', $1, 5)`,
      on.project.project_id,
    );
    await hurry();
    await until('it to be given up', async () => (await status('lost')) === 'failed');
    assert.equal(told('lost').length, 1);
  });

  it('must be fit to be told', async () => {
    const made = await on.internal('POST', '/v1/workflows', {
      project_id: on.project.project_id,
      name: 'n',
      slug: 'n',
      steps: [
        {
          step_ref: 'wait',
          step_type: 'wait_for_event',
          event_key: 'k',
          event_notify_url: 'http://metadata.google.internal/',
        },
      ],
    });
    assert.equal(made.status, 400);
    assert.match(JSON.stringify(made.body), /event_notify_url/);
  });
});
