import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { until } from '../../../test/until.ts';
import { assertQueueHealthy } from '../../../test/queue-health.ts';
import { createListener } from '../../platform/db/listen.ts';
import { createQueue, type NewRun, type Queue } from '../queue/index.ts';
import { startJobsApi, type ApiBody, type JobsApi } from './jobs-api.test.ts';

describe('jobs and their runs', () => {
  let api: JobsApi;
  let queue: Queue;
  before(async () => {
    api = await startJobsApi();
    queue = createQueue({
      db: api.db,
      settings: { aging_ms: 0, default_ttl_secs: 0, idempotency_retention_secs: 60 },
    });
  });
  after(async () => {
    await assertQueueHealthy(api.db, { patience_ms: 10 });
    await api.stop();
  });

  const run = (job: ApiBody, more: Partial<NewRun> = {}): NewRun => ({
    job_id: job.id,
    project_id: job.project_id,
    payload: '{}',
    priority: 0,
    ...more,
  });

  /** Runs that ended: `seconds` after they started, or without ever starting. */
  const ended = (job: ApiBody, status: string, seconds: number | null, age = '1 minute') =>
    api.sql(
      `with run as (
         insert into job_runs (id, created_at, job_id, project_id, status, started_at, finished_at)
         select id, strait_id_time(id), $1, $2, $3, strait_id_time(id), strait_id_time(id) + make_interval(secs => $4::float8)
           from uuidv7(-$5::interval) as made, cast(made as text) as id
         returning id, started_at
       ), event as (
         insert into run_events (run_id, type) select id, 'log' from run
       )
       insert into run_outputs (run_id, output_key, value) select id, 'k', '1' from run returning run_id`,
      job.id,
      job.project_id,
      status,
      seconds,
      age,
    );

  it('a job with a live run stays, whatever the run waits for', async () => {
    const queued = await api.create();
    const delayed = await api.create();
    await queue.enqueue(run(queued));
    const scheduled_at = new Date(Date.now() + 3_600_000).toISOString();
    await queue.enqueue(run(delayed, { extra: { scheduled_at } }));
    for (const job of [queued, delayed]) {
      const answer = await api.call('DELETE', `/v1/jobs/${job.slug}`);
      assert.deepEqual([answer.status, answer.body.code], [409, 'job_has_active_runs']);
      assert.equal((await api.call('GET', `/v1/jobs/${job.id}`)).status, 200);
    }
  });

  it('a deleted job takes everything with it that belongs to it, and nothing else', async () => {
    const [job, other] = [await api.create(), await api.create()];
    await api.call('PATCH', `/v1/jobs/${job.id}`, { name: 'New' });
    for (const one of [job, other]) {
      const [{ run_id } = { run_id: '' }] = await ended(one, 'completed', 1);
      await api.sql(
        `insert into job_run_idempotency (job_id, idempotency_key, run_id) values ($1, 'key', $2)`,
        one.id,
        run_id,
      );
      await ended(one, 'dead_letter', 1);
    }
    assert.equal((await api.callIn('other', 'DELETE', `/v1/jobs/${job.id}`)).status, 404);
    assert.equal((await api.call('DELETE', `/v1/jobs/${job.slug}`)).status, 204);
    assert.equal((await api.call('DELETE', `/v1/jobs/${job.id}`)).status, 404);
    const count = (id: string) =>
      api.sql(
        `select (select count(*) from jobs where id = $1)::int as jobs,
                (select count(*) from job_versions where job_id = $1)::int as versions,
                (select count(*) from job_run_idempotency where job_id = $1)::int as keys,
                (select count(*) from job_runs where job_id = $1)::int as runs`,
        id,
      );
    assert.deepEqual(await count(job.id), [{ jobs: 0, versions: 0, keys: 0, runs: 0 }]);
    assert.deepEqual(await count(other.id), [{ jobs: 1, versions: 0, keys: 1, runs: 2 }]);
    const [trace] = await api.sql(
      `select details from audit_events where resource_id = $1 and action = 'job.delete'`,
      job.id,
    );
    assert.deepEqual(trace?.['details'], { name: 'New', slug: job.slug, version: 2 });
  });

  it('of a trigger and a deletion at the same moment exactly one wins', async () => {
    for (let round = 0; round < 10; round += 1) {
      const job = await api.create();
      const [deleted, triggered] = await Promise.allSettled([
        api.call('DELETE', `/v1/jobs/${job.id}`),
        queue.enqueue(run(job)),
      ]);
      const gone = deleted.status === 'fulfilled' && deleted.value.status === 204;
      const made = triggered.status === 'fulfilled' && triggered.value.outcome === 'created';
      assert.notEqual(gone, made, `round ${round}: ${JSON.stringify([deleted, triggered])}`);
    }
  });

  it('health counts how runs ended inside the window, dead letters included', async () => {
    const job = await api.create();
    const empty = await api.call('GET', `/v1/jobs/${job.id}/health`);
    assert.deepEqual([empty.body['total_runs'], empty.body['health_score']], [0, -1]);
    for (const seconds of [1, 1, 1]) await ended(job, 'completed', seconds);
    await ended(job, 'dead_letter', 1);
    await ended(job, 'canceled', null);
    await ended(job, 'completed', 1, '2 hours');
    await queue.enqueue(run(job));
    const { body } = await api.call('GET', `/v1/jobs/${job.slug}/health?window=1h`);
    const { since, ...facts } = body;
    assert.ok(Math.abs(Date.parse(String(since)) - (Date.now() - 3_600_000)) < 60_000);
    assert.deepEqual(facts, {
      job_id: job.id,
      window: '1h',
      total_runs: 5,
      completed_runs: 3,
      failed_runs: 0,
      timed_out_runs: 0,
      crashed_runs: 0,
      system_failed_runs: 0,
      canceled_runs: 1,
      expired_runs: 0,
      dead_letter_runs: 1,
      success_rate: 60,
      avg_duration_secs: 1,
      p95_duration_secs: 1,
      health_score: 72,
    });
    assert.equal((await api.call('GET', `/v1/jobs/${job.id}/health`)).body['completed_runs'], 4);
    assert.equal((await api.call('GET', `/v1/jobs/${job.id}/health?window=2d`)).status, 400);
    assert.equal((await api.callIn('other', 'GET', `/v1/jobs/${job.id}/health`)).status, 404);
  });

  it('enabling and resuming wake the promoter, and only when something changed', async () => {
    const heard: string[] = [];
    const listener = createListener({ url: api.url, application_name: 'test' });
    listener.on('run_wake', (payload) => heard.push(payload));
    await listener.start();
    const job = await api.create();
    const steps = ['pause', 'resume', 'resume'];
    for (const step of steps) await api.call('POST', `/v1/jobs/${job.id}/${step}`);
    for (const step of ['batch-disable', 'batch-enable', 'batch-enable']) {
      await api.call('POST', `/v1/jobs/${step}`, { ids: [job.id] });
    }
    for (const enabled of [false, true, true]) {
      await api.call('PATCH', `/v1/jobs/${job.id}`, { enabled });
    }
    await api.sql(`select pg_notify('run_wake', 'last')`);
    await until('the last notification', () => heard.at(-1) === 'last');
    await listener.stop();
    assert.deepEqual(
      heard.filter((payload) => payload !== ''),
      ['resume', 'resume', 'resume', 'last'],
    );
  });
});
