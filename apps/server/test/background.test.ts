// Background work as operators see it: what is there at the start, and what metrics and readiness say about loops.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { testApp, type TestApp } from './app.ts';
import { until } from './until.ts';

const metricsOf = async (app: TestApp): Promise<string> =>
  (await app.call('GET', '/metrics')).body as string;

describe('background work', () => {
  it('a process that only answers the API makes the months it writes into, before it answers', async () => {
    await using app = await testApp({ mode: 'api' });
    const leaves = () => app.sql<{ leaf: string }>('select leaf from strait_run_partitions()');
    const before = await leaves();
    for (const { leaf } of before) await app.sql('select strait_retire_run_partition($1)', leaf);
    for (const service of app.composition.services) {
      if (service === app.composition.http) break;
      await service.start();
    }
    assert.deepEqual(await leaves(), before);
  });

  it('loops are measured, and one that keeps failing shows in the readiness', async () => {
    await using app = await testApp({ mode: 'all', start: true });
    const ready = async () => (await app.call('GET', '/health/ready')).body;
    const component = async () =>
      (await ready()).components.find(({ name }: { name: string }) => name === 'background work');
    const measured = ['expire runs', 'time out waits', 'write endpoint heartbeats'];
    await until('all modules measure their loops', async () => {
      const text = await metricsOf(app);
      return measured.every((name) =>
        new RegExp(`loop_round_duration_seconds_count\\{loop="${name}"\\} [1-9]`).test(text),
      );
    });
    assert.equal((await component()).status, 'up');
    await app.sql('alter table event_triggers rename to elsewhere');
    await until('degraded', async () => (await component()).status === 'degraded');
    assert.equal((await ready()).status, 'degraded');
    assert.match(await metricsOf(app), /loop_round_failures_total\{loop="time out waits"\} [1-9]/);
    await app.sql('alter table elsewhere rename to event_triggers');
    await until('up again', async () => (await component()).status === 'up');
  });

  it('findings of the checker end with the leadership of the process that made them', async () => {
    await using app = await testApp({ mode: 'all' });
    const { api_key: key } = await app.project();
    const job = { name: 'j', slug: 'j', endpoint_url: 'http://127.0.0.1:9/x' };
    await app.call('POST', '/v1/jobs', { key, body: job });
    const run = await app.call('POST', '/v1/jobs/j/trigger', { key, body: {} });
    const { engine } = app.composition;
    const leader = engine?.services.find(({ name }) => name === 'leader:upkeep');
    const checker = engine?.loops.find(({ name }) => name === 'check the queue');
    assert.ok(leader && checker);
    await leader.start();
    await app.sql('create table kept as select * from run_queue');
    await app.sql('delete from run_queue');
    await checker.runOnce();
    assert.match(await metricsOf(app), /queue_violations\{check="lost"\} 1/);
    await leader.stop(AbortSignal.timeout(1_000));
    assert.doesNotMatch(await metricsOf(app), /queue_violations\{check="lost"\} 1/);
    await app.sql(`update job_runs set status = 'canceled' where id = $1`, run.body.id);
  });
});
