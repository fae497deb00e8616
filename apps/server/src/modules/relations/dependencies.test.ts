import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { dependencyActions } from '../../../test/dependencies.ts';
import { upkeepOf } from '../../../test/upkeep.ts';

let on: Awaited<ReturnType<typeof dependencyActions>>;

before(async () => {
  on = await dependencyActions();
});
after(() => on.close());

const place = async (id: string): Promise<string[]> =>
  (
    await on.app.sql<{ t: string }>(
      `select 'queue' as t from run_queue where run_id = $1 union all select 'parked' from run_parked where run_id = $1
       union all select 'delayed' from run_delayed where run_id = $1 union all select 'waiting' from run_waiting where run_id = $1`,
      id,
    )
  ).map(({ t }) => t);

describe('dependencies between jobs', () => {
  it('are made, listed and removed, by id or slug, with their reasons refused', async () => {
    const [a, b, c] = [await on.makeJob(), await on.makeJob(), await on.makeJob()];
    assert.equal((await on.depend(b, a)).status, 201);
    assert.equal((await on.depend(c, b)).status, 201);
    const refused = async (job: string, other: string): Promise<[number, string]> => {
      const { status: code, body } = await on.depend(job, other);
      return [code, body.code];
    };
    assert.deepEqual(await refused(b, a), [409, 'dependency_exists']);
    assert.deepEqual(await refused(a, a), [400, 'invalid_job']);
    assert.deepEqual(await refused(a, b), [400, 'dependency_cycle']);
    assert.deepEqual(await refused(a, c), [400, 'dependency_cycle']);
    assert.deepEqual(await refused(a, 'nothing'), [400, 'invalid_job']);
    assert.deepEqual(await refused('nothing', a), [404, 'job_not_found']);
    const { body: theirs } = await on.call(
      'POST',
      '/v1/jobs',
      { name: 'x', slug: 'theirs', endpoint_url: 'http://127.0.0.1:9/x' },
      on.other.api_key,
    );
    assert.deepEqual(await refused(a, theirs.id), [400, 'invalid_job']);
    const { body: list } = await on.call('GET', `/v1/jobs/${c}/dependencies`);
    assert.equal(list.data.length, 1);
    const path = `/v1/jobs/${c}/dependencies/${list.data[0].id}`;
    assert.equal((await on.call('DELETE', path)).status, 204);
    assert.equal((await on.call('DELETE', path)).status, 404);
    assert.equal((await on.depend(a, c)).status, 201);
  });

  it('close no cycle together when made at the same time', async () => {
    const jobs = [await on.makeJob(), await on.makeJob(), await on.makeJob(), await on.makeJob()];
    const [a, b, c, d] = jobs as [string, string, string, string];
    const made = await Promise.all([
      on.depend(b, a),
      on.depend(c, b),
      on.depend(d, c),
      on.depend(a, d),
    ]);
    assert.deepEqual(made.map((reply) => reply.status).toSorted(), [201, 201, 201, 400]);
  });

  it('hold a run until the other job ended as asked, whoever ended it', async () => {
    const [first, second] = await on.pair();
    const id = await on.run(second);
    assert.equal(await on.status(id), 'waiting');
    await on.settle();
    assert.deepEqual(await place(id), ['waiting']);
    await on.end(first, 'dead_letter');
    await on.settle();
    assert.equal(await on.status(id), 'waiting', 'it ended, but not as asked');
    await on.end(first, 'completed');
    await on.settle();
    assert.equal(await on.status(id), 'queued');
    assert.deepEqual(await place(id), ['queue']);
    const straight = await on.run(second);
    assert.equal(await on.status(straight), 'queued', 'met already');
    await on.end(first, 'failed');
    assert.equal(await on.status(await on.run(second)), 'waiting', 'the newest end counts');
  });

  it('ask for success, failure or any end', async () => {
    const ends = ['completed', 'failed', 'timed_out', 'crashed', 'system_failed', 'dead_letter'];
    for (const [condition, releases] of [
      ['completed', ['completed']],
      ['failed', ends.slice(1)],
      ['any', ends],
    ] as const) {
      const [first, second] = await on.pair(condition);
      for (const to of ends) {
        const id = await on.run(second, { idempotency_key: to });
        await on.end(first, to, { idempotency_key: to });
        await on.settle();
        const expected = (releases as readonly string[]).includes(to) ? 'queued' : 'waiting';
        assert.equal(await on.status(id), expected, `${condition} after ${to}`);
      }
    }
    const [first, second] = await on.pair('any');
    const id = await on.run(second);
    await on.call('DELETE', `/v1/runs/${await on.run(first)}`);
    await on.settle();
    assert.equal(await on.status(id), 'queued', 'a cancel is an end');
  });

  it('of several jobs, all have to end', async () => {
    const [first, second] = await on.pair();
    const third = await on.makeJob();
    await on.depend(second, third);
    const id = await on.run(second);
    await on.end(first, 'completed');
    await on.settle();
    assert.equal(await on.status(id), 'waiting');
    const { body } = await on.call('GET', `/v1/runs/${id}/dependency-status`);
    assert.deepEqual(
      [
        body.dependencies_satisfied,
        body.dependencies.map((one: { satisfied: boolean }) => one.satisfied),
      ],
      [false, [false, true]],
    );
    await on.end(third, 'completed');
    await on.settle();
    assert.equal(await on.status(id), 'queued');
    const { body: now } = await on.call('GET', `/v1/runs/${id}/dependency-status`);
    assert.equal(now.dependencies_satisfied, true);
  });

  it('look at what belongs together: the same idempotency key, else the same dependency key', async () => {
    const [first, second] = await on.pair();
    const keyed = await on.run(second, { idempotency_key: 'k1' });
    const marked = await on.run(second, { payload: { dependency_key: 'd1' } });
    await on.end(first, 'completed');
    await on.end(first, 'completed', { idempotency_key: 'k2' });
    await on.end(first, 'completed', { payload: { dependency_key: 'd2' } });
    await on.settle();
    assert.deepEqual([await on.status(keyed), await on.status(marked)], ['waiting', 'waiting']);
    await on.end(first, 'completed', { idempotency_key: 'k1' });
    await on.end(first, 'completed', { payload: { dependency_key: 'd1' } });
    await on.settle();
    assert.deepEqual([await on.status(keyed), await on.status(marked)], ['queued', 'queued']);
    const met = await on.run(second, { payload: { dependency_key: 'd1' } });
    assert.equal(await on.status(met), 'queued');
  });

  it('are looked at when a delayed run is due, not before', async () => {
    const [first, second] = await on.pair();
    const scheduled_at = new Date(Date.now() + 3_600_000).toISOString();
    const [kept, free] = [
      await on.run(second, { scheduled_at, idempotency_key: 'kept' }),
      await on.run(second, { scheduled_at, idempotency_key: 'free', ttl_secs: 600 }),
    ];
    assert.equal(await on.status(kept), 'delayed');
    await on.end(first, 'completed', { idempotency_key: 'free' });
    const upkeep = upkeepOf(on.app.composition);
    await on.app.sql('update run_delayed set due_at = now()');
    await upkeep.moveDue();
    assert.deepEqual([await on.status(kept), await on.status(free)], ['waiting', 'queued']);
    await on.end(first, 'completed', { idempotency_key: 'kept' });
    await on.settle();
    assert.equal(await on.status(kept), 'queued');
    // Called to start now, it is still judged by the mover.
    const early = await on.run(second, { scheduled_at, idempotency_key: 'early' });
    await on.post(early, 'reschedule', { scheduled_at: new Date().toISOString() });
    await upkeep.moveDue();
    assert.equal(await on.status(early), 'waiting');
  });

  it('end with the time to live, or after 24 hours; a released run has its time to live from then on', async () => {
    const [first, second] = await on.pair();
    const upkeep = upkeepOf(on.app.composition);
    const [endless, brief] = [await on.run(second), await on.run(second, { ttl_secs: 60 })];
    const secs = async (id: string): Promise<number | null> =>
      (
        await on.app.sql<{ secs: number | null }>(
          'select extract(epoch from expires_at - now())::int as secs from job_runs where id = $1',
          id,
        )
      )[0]?.secs ?? null;
    assert.ok(Math.abs(((await secs(endless)) ?? 0) - 86_400) < 10);
    assert.ok(Math.abs(((await secs(brief)) ?? 0) - 60) < 10);
    await on.app.sql(
      `with w as (update run_waiting set expires_at = now() where run_id = $1 returning run_id)
       update job_runs r set expires_at = now() from w where r.id = w.run_id`,
      brief,
    );
    await upkeep.expire();
    assert.equal(await on.status(brief), 'expired');
    assert.deepEqual(await place(brief), []);
    const other = await on.run(second, { ttl_secs: 600 });
    await on.app.sql(
      `update job_runs set expires_at = now() + interval '5 s' where id = $1`,
      other,
    );
    await on.end(first, 'completed');
    await on.settle();
    assert.equal(await secs(endless), null, 'it waits no longer, and has no time to live');
    assert.ok(Math.abs(((await secs(other)) ?? 0) - 600) < 10);
  });

  it('hold runs that nobody can act on as if they had started', async () => {
    const [, second] = await on.pair();
    const made = await on.call('POST', `/v1/jobs/${second}/trigger`, {});
    const { id, run_token, status: said } = made.body;
    assert.equal(said, 'waiting');
    const inRun = async (action: string, body: object) =>
      (await on.call('POST', `/sdk/v1/runs/${id}/${action}`, body, run_token)).status;
    assert.equal(await inRun('complete', { result: 1 }), 409);
    assert.equal(await inRun('fail', { error: 'e' }), 409);
    assert.equal(await inRun('heartbeat', {}), 409);
    assert.equal(await inRun('log', { message: 'm' }), 409);
    assert.equal((await on.post(id, 'restart', {})).status, 409);
    assert.equal((await on.post(id, 'pause')).status, 409);
    assert.equal((await on.call('DELETE', `/v1/jobs/${second}`)).status, 409);
    assert.equal((await on.call('DELETE', `/v1/runs/${id}`)).status, 200);
    assert.deepEqual([await on.status(id), await place(id)], ['canceled', []]);
  });

  it('let go when they are removed, and when the job they name is', async () => {
    const [first, second] = await on.pair();
    const id = await on.run(second);
    await on.settle();
    const { body } = await on.call('GET', `/v1/jobs/${second}/dependencies`);
    await on.call('DELETE', `/v1/jobs/${second}/dependencies/${body.data[0].id}`);
    await on.settle();
    assert.equal(await on.status(id), 'queued');
    await on.depend(second, first);
    const again = await on.run(second);
    await on.settle();
    assert.equal(await on.status(again), 'waiting');
    assert.equal((await on.call('DELETE', `/v1/jobs/${first}`)).status, 204);
    await on.settle();
    assert.equal(await on.status(again), 'queued');
  });

  it('hold runs of every route: bulk, and those that follow another run', async () => {
    const [first, second] = await on.pair();
    const bulk = await on.call('POST', `/v1/jobs/${second}/trigger/bulk`, { items: [{}, {}] });
    assert.deepEqual(
      bulk.body.results.map((one: { status: string }) => one.status),
      ['waiting', 'waiting'],
    );
    const source = await on.makeJob({ on_complete_trigger_job: second });
    await on.end(source, 'completed');
    await on.settle();
    const runs = await on.app.sql<{ status: string }>(
      `select r.status from job_runs r join jobs j on j.id = r.job_id where j.slug = $1`,
      second,
    );
    assert.deepEqual(
      runs.map((run) => run.status),
      ['waiting', 'waiting', 'waiting'],
    );
    await on.end(first, 'completed');
    await on.settle();
    const [{ open } = { open: -1 }] = await on.app.sql<{ open: number }>(
      `select count(*)::int as open from job_runs r join jobs j on j.id = r.job_id where j.slug = $1 and r.status = 'waiting'`,
      second,
    );
    assert.equal(open, 0, 'keys the engine gave say nothing about what belongs together');
  });
});
