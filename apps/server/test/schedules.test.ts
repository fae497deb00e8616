// Schedules with everything that comes after them: the real engine, and an endpoint that is called.

import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { testApp, type TestApp, type TestProject } from './app.ts';
import { scriptedEndpoint, type ScriptedEndpoint, type ScriptedReply } from './endpoint.ts';
import { until } from './until.ts';

let app: TestApp;
let project: TestProject;
before(async () => {
  app = await testApp({ mode: 'all', start: true });
  project = await app.project();
});
after(() => app.close());

const call = (method: string, path: string, body?: object) =>
  app.call(method, path, { key: project.api_key, ...(body && { body }) });

async function makeJob(endpoint: ScriptedEndpoint, settings: object): Promise<string> {
  const body = { name: 'Job', slug: `job-${Math.random()}`, endpoint_url: endpoint.url };
  // Far from firing by itself while the test runs.
  const made = await call('POST', '/v1/jobs', { ...body, cron: '* * 1 1 *', ...settings });
  assert.equal(made.status, 201, JSON.stringify(made.body));
  return made.body.id;
}

/** As if the last look at the schedule had been so many minutes ago, with an instant in each. */
async function missed(job: string, minutes: number): Promise<void> {
  await app.sql(
    `update job_schedules set cron = '* * * * *',
            next_fire_at = date_trunc('minute', strait_now()) - make_interval(mins => $2::int) where job_id = $1`,
    job,
    minutes,
  );
  await app.sql(`select pg_notify('schedule_wake', '')`);
}

const runsOf = async (job: string) => (await call('GET', `/v1/runs?job_id=${job}`)).body.data;
const outcomes = async (job: string): Promise<string[]> =>
  (await call('GET', `/v1/jobs/${job}/schedule`)).body.recent_fires.map(
    ({ outcome }: { outcome: string }) => outcome,
  );
const stop = (job: string) => call('PATCH', `/v1/jobs/${job}`, { cron: null });

it('an outage is made up for at the endpoint: once with latest, ten times with all', async () => {
  await using endpoint = await scriptedEndpoint();
  await using other = await scriptedEndpoint();
  const latest = await makeJob(endpoint, { max_concurrency: 1 });
  const all = await makeJob(other, { cron_catchup: 'all', max_concurrency: 2 });
  for (const job of [latest, all]) await missed(job, 20);
  await until('ten runs of all', async () => {
    const done = (await runsOf(all)).filter(
      (run: { status: string }) => run.status === 'completed',
    );
    return done.length >= 10;
  });
  await until('the run of latest', async () => (await runsOf(latest))[0]?.status === 'completed');
  for (const job of [latest, all]) await stop(job);
  assert.ok(other.busy.most <= 2, 'made up for within the limits of the job');
  // A minute may have passed meanwhile.
  assert.ok([1, 2].includes(endpoint.requests.length), `${endpoint.requests.length} calls`);
  assert.ok([10, 11].includes(other.requests.length), `${other.requests.length} calls`);
  assert.deepEqual(endpoint.requests[0]?.body, {});
});

it('runs overlap as the job says: the other is left alone, or its request ended', async () => {
  const hold = Promise.withResolvers<ScriptedReply>();
  await using endpoint = await scriptedEndpoint(() => hold.promise);
  const skips = await makeJob(endpoint, { cron_overlap_policy: 'skip' });
  await missed(skips, 0);
  await until('the first request', () => endpoint.requests.length === 1);
  await until('the first fire', async () => (await outcomes(skips)).includes('created'));
  await app.sql('delete from schedule_fires where job_id = $1', skips);
  await missed(skips, 0);
  await until('a skipped fire', async () => (await outcomes(skips)).includes('skipped'));
  await stop(skips);
  assert.equal(endpoint.requests.length, 1);
  assert.equal(endpoint.requests[0]?.signal.aborted, false);
  hold.resolve({});
  await until('its end', async () => (await runsOf(skips))[0]?.status === 'completed');

  const forever = Promise.withResolvers<ScriptedReply>();
  await using slow = await scriptedEndpoint([() => forever.promise, {}]);
  const cancels = await makeJob(slow, { cron_overlap_policy: 'cancel_running' });
  const first = (await call('POST', `/v1/jobs/${cancels}/trigger`, {})).body.id;
  await until('the request of the first', () => slow.requests.length === 1);
  await missed(cancels, 0);
  await until('the end of the first', async () => {
    const { body } = await call('GET', `/v1/runs/${first}`);
    return body.status === 'canceled' && /next scheduled run/.test(body.error);
  });
  await until('its request to be ended', () => slow.requests[0]?.signal.aborted === true);
  await until('the scheduled run', async () => {
    const [run] = (await runsOf(cancels)).filter((one: { id: string }) => one.id !== first);
    return run?.status === 'completed' && run.triggered_by === 'cron';
  });
  await stop(cancels);
  forever.resolve({});
});
