// Execution windows on every way in, and when an attempt is retried.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { testApp, type TestApp, type TestProject } from '../../../../test/app.ts';
import { scriptedEndpoint, type ScriptedEndpoint } from '../../../../test/endpoint.ts';
import { until } from '../../../../test/until.ts';

let app: TestApp;
let project: TestProject;
let endpoint: ScriptedEndpoint;

before(async () => {
  app = await testApp({ mode: 'all', start: true });
  project = await app.project();
  endpoint = await scriptedEndpoint(({ path }) => ({ status: path.endsWith('fail') ? 500 : 200 }));
});
after(async () => {
  await app.close();
  await endpoint.close();
});

const call = (method: string, path: string, body?: unknown) =>
  app.call(method, path, { key: project.api_key, ...(body === undefined ? {} : { body }) });

/** A window of one minute that opens in `hours`, and when that is. */
function opensIn(hours: number): { cron: string; opens: string } {
  const at = new Date(Date.now() + hours * 3_600_000);
  at.setUTCSeconds(0, 0);
  return { cron: `${at.getUTCMinutes()} ${at.getUTCHours()} * * *`, opens: at.toISOString() };
}

async function makeJob(slug: string, settings: object): Promise<string> {
  const made = await call('POST', '/v1/jobs', {
    name: slug,
    slug,
    endpoint_url: endpoint.url,
    ...settings,
  });
  assert.equal(made.status, 201, JSON.stringify(made.body));
  return slug;
}
const setZone = (timezone: string) =>
  app.call('PUT', `/v1/projects/${project.project_id}/quotas`, {
    headers: app.internal,
    body: { timezone },
  });
const read = async (id: string) => (await call('GET', `/v1/runs/${id}`)).body;
const startOf = async (id: string) => {
  const { status, scheduled_at } = await read(id);
  return [status, scheduled_at === undefined ? undefined : new Date(scheduled_at).toISOString()];
};

describe('execution windows', () => {
  it('move what comes too early to their beginning: triggers, sets, replays, reschedules, dry runs', async () => {
    const { cron, opens } = opensIn(5);
    const job = await makeJob('later', { execution_window_cron: cron });
    const single = await call('POST', `/v1/jobs/${job}/trigger`, {});
    assert.equal(single.body.status, 'delayed');
    assert.deepEqual(await startOf(single.body.id), ['delayed', opens]);
    const set = await call('POST', `/v1/jobs/${job}/trigger/bulk`, {
      items: [{}, { scheduled_at: new Date(Date.parse(opens) + 60_000).toISOString() }],
    });
    const [first, second] = set.body.results;
    assert.deepEqual(await startOf(first.id), ['delayed', opens]);
    const tomorrow = new Date(Date.parse(opens) + 86_400_000).toISOString();
    assert.deepEqual(
      await startOf(second.id),
      ['delayed', tomorrow],
      'after the window: the next one',
    );
    const dry = await call('POST', `/v1/jobs/${job}/trigger`, { dry_run: true });
    assert.equal(new Date(dry.body.scheduled_at).toISOString(), opens);
    assert.ok(Date.parse(dry.body.expires_at) > Date.parse(opens));

    const moved = await call('POST', `/v1/runs/${single.body.id}/reschedule`, {
      scheduled_at: new Date(Date.now() + 60_000).toISOString(),
    });
    assert.equal(moved.status, 200);
    assert.deepEqual(await startOf(single.body.id), ['delayed', opens]);
    await call('DELETE', `/v1/runs/${single.body.id}`);
    const replay = await call('POST', `/v1/runs/${single.body.id}/replay`);
    assert.equal(replay.status, 201);
    assert.deepEqual(await startOf(replay.body.id), ['delayed', opens]);
    await call('POST', '/v1/runs/bulk-cancel-all', { status: 'delayed' });
  });

  it('move runs that follow another one', async () => {
    const { cron, opens } = opensIn(5);
    const follower = await makeJob('follower', { execution_window_cron: cron });
    const first = await makeJob('first', { on_complete_trigger_job: follower });
    await call('POST', `/v1/jobs/${first}/trigger`, {});
    const followers = async () => (await call('GET', `/v1/runs?status=delayed`)).body.data ?? [];
    const [run] = await until('the run that follows', async () => {
      const runs = await followers();
      return runs.length > 0 && runs;
    });
    assert.deepEqual(await startOf(run.id), ['delayed', opens]);
    await call('DELETE', `/v1/runs/${run.id}`);
  });

  it('let a run inside start at once, and are in the zone of the project when the job has none', async () => {
    const open = await makeJob('open', { execution_window_cron: '* * * * *' });
    const run = await call('POST', `/v1/jobs/${open}/trigger`, {});
    assert.equal(run.body.status, 'queued');
    await until('the run to end', async () => (await read(run.body.id)).status === 'completed');

    await setZone('Asia/Kathmandu');
    const job = await makeJob('kathmandu', { execution_window_cron: '45 5 * * *' });
    const { body } = await call('POST', `/v1/jobs/${job}/trigger`, {});
    const [, at] = await startOf(body.id);
    // 05:45 at UTC+5:45.
    assert.match(at ?? '', /T00:00:\d\d\.\d{3}Z$/);
    await setZone('');
    await call('DELETE', `/v1/runs/${body.id}`);
  });

  it('are waited for again by a retry', async () => {
    const { cron, opens } = opensIn(5);
    const job = await makeJob('retried', {
      execution_window_cron: '* * * * *',
      max_attempts: 2,
      version_policy: 'latest',
      endpoint_url: `${endpoint.url}?fail`,
    });
    const inside = await call('POST', `/v1/jobs/${job}/trigger`, {});
    await until('the retry to be due', async () => (await read(inside.body.id)).attempt === 2);
    const next = await read(inside.body.id);
    assert.ok(
      Date.parse(next.next_retry_at) < Date.now() + 60_000,
      'inside, only the back-off counts',
    );
    await call('DELETE', `/v1/runs/${inside.body.id}`);

    // Comes in while the job has no window; by the time it fails there is one.
    await call('PATCH', `/v1/jobs/${job}`, { execution_window_cron: null });
    await call('POST', `/v1/jobs/${job}/pause`);
    const { body } = await call('POST', `/v1/jobs/${job}/trigger`, {});
    await call('PATCH', `/v1/jobs/${job}`, { execution_window_cron: cron });
    await call('POST', `/v1/jobs/${job}/resume`);
    await until('the retry', async () => (await read(body.id)).attempt === 2);
    // A delay from now on: what the process takes for the database's time is off by milliseconds.
    const off_ms = Date.parse((await read(body.id)).next_retry_at) - Date.parse(opens);
    assert.ok(off_ms > -1_000 && off_ms < 60_000, `${off_ms} ms`);
    const { blockers } = (await call('GET', `/v1/runs/${body.id}/why`)).body;
    const { kind, unblock } = blockers.at(-1);
    assert.deepEqual([kind, unblock], ['execution_window', undefined], 'no retry has another time');
    await call('DELETE', `/v1/runs/${body.id}`);
  });
});
