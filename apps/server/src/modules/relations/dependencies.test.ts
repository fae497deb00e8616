import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { runActions } from '../../../test/run-actions.ts';
import { until } from '../../../test/until.ts';
import { upkeepOf } from '../../../test/upkeep.ts';
import * as endingsStore from '../queue/endings/store.sql.ts';

let on: Awaited<ReturnType<typeof runActions>>;

before(async () => {
  on = await runActions();
});
after(async () => {
  const open = await on.app.sql<{ run_id: string }>('select run_id from run_waiting');
  for (const { run_id } of open) await on.call('DELETE', `/v1/runs/${run_id}`);
  await on.close();
});

/** What the loop does: acts on ends and judges until nothing is left. */
async function settle(): Promise<void> {
  const { chaining, endings } = on.app.composition.modules;
  while ((await chaining.follow()).again);
  while ((await endings.judge()).again);
}

const depend = (job: string, depends_on_job_id: string, condition?: string) =>
  on.call('POST', `/v1/jobs/${job}/dependencies`, { depends_on_job_id, condition });

async function pair(condition = 'completed'): Promise<[first: string, second: string]> {
  const [first, second] = [await on.makeJob(), await on.makeJob()];
  const { status, body } = await depend(second, first, condition);
  assert.equal(status, 201, JSON.stringify(body));
  assert.equal(body.condition, condition);
  return [first, second];
}

async function end(job: string, to: string, body: object = {}): Promise<string> {
  const id = await on.run(job, body);
  const claim = { ...(await on.claim(id)), started_at: new Date().toISOString() };
  if (to === 'completed') await on.queue.complete([claim]);
  else await on.queue.settle([{ ...claim, to, error: 'it broke', error_class: 'server' }]);
  return id;
}

const status = async (id: string): Promise<string> => (await on.read(id)).status;
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
    assert.equal((await depend(b, a)).status, 201);
    assert.equal((await depend(c, b)).status, 201);
    const refused = async (job: string, other: string): Promise<[number, string]> => {
      const { status: code, body } = await depend(job, other);
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
    assert.equal((await depend(a, c)).status, 201);
  });

  it('close no cycle together when made at the same time', async () => {
    const jobs = [await on.makeJob(), await on.makeJob(), await on.makeJob(), await on.makeJob()];
    const [a, b, c, d] = jobs as [string, string, string, string];
    const made = await Promise.all([depend(b, a), depend(c, b), depend(d, c), depend(a, d)]);
    assert.deepEqual(made.map((reply) => reply.status).toSorted(), [201, 201, 201, 400]);
  });

  it('hold a run until the other job ended as asked, whoever ended it', async () => {
    const [first, second] = await pair();
    const id = await on.run(second);
    assert.equal(await status(id), 'waiting');
    await settle();
    assert.deepEqual(await place(id), ['waiting']);
    await end(first, 'dead_letter');
    await settle();
    assert.equal(await status(id), 'waiting', 'it ended, but not as asked');
    await end(first, 'completed');
    await settle();
    assert.equal(await status(id), 'queued');
    assert.deepEqual(await place(id), ['queue']);
    const straight = await on.run(second);
    assert.equal(await status(straight), 'queued', 'met already');
    await end(first, 'failed');
    assert.equal(await status(await on.run(second)), 'waiting', 'the newest end counts');
  });

  it('ask for success, failure or any end', async () => {
    const ends = ['completed', 'failed', 'timed_out', 'crashed', 'system_failed', 'dead_letter'];
    for (const [condition, releases] of [
      ['completed', ['completed']],
      ['failed', ends.slice(1)],
      ['any', ends],
    ] as const) {
      const [first, second] = await pair(condition);
      for (const to of ends) {
        const id = await on.run(second, { idempotency_key: to });
        await end(first, to, { idempotency_key: to });
        await settle();
        const expected = (releases as readonly string[]).includes(to) ? 'queued' : 'waiting';
        assert.equal(await status(id), expected, `${condition} after ${to}`);
      }
    }
    const [first, second] = await pair('any');
    const id = await on.run(second);
    await on.call('DELETE', `/v1/runs/${await on.run(first)}`);
    await settle();
    assert.equal(await status(id), 'queued', 'a cancel is an end');
  });

  it('of several jobs, all have to end', async () => {
    const [first, second] = await pair();
    const third = await on.makeJob();
    await depend(second, third);
    const id = await on.run(second);
    await end(first, 'completed');
    await settle();
    assert.equal(await status(id), 'waiting');
    const { body } = await on.call('GET', `/v1/runs/${id}/dependency-status`);
    assert.deepEqual(
      [
        body.dependencies_satisfied,
        body.dependencies.map((one: { satisfied: boolean }) => one.satisfied),
      ],
      [false, [false, true]],
    );
    await end(third, 'completed');
    await settle();
    assert.equal(await status(id), 'queued');
    const { body: now } = await on.call('GET', `/v1/runs/${id}/dependency-status`);
    assert.equal(now.dependencies_satisfied, true);
  });

  it('look at what belongs together: the same idempotency key, else the same dependency key', async () => {
    const [first, second] = await pair();
    const keyed = await on.run(second, { idempotency_key: 'k1' });
    const marked = await on.run(second, { payload: { dependency_key: 'd1' } });
    await end(first, 'completed');
    await end(first, 'completed', { idempotency_key: 'k2' });
    await end(first, 'completed', { payload: { dependency_key: 'd2' } });
    await settle();
    assert.deepEqual([await status(keyed), await status(marked)], ['waiting', 'waiting']);
    await end(first, 'completed', { idempotency_key: 'k1' });
    await end(first, 'completed', { payload: { dependency_key: 'd1' } });
    await settle();
    assert.deepEqual([await status(keyed), await status(marked)], ['queued', 'queued']);
    const met = await on.run(second, { payload: { dependency_key: 'd1' } });
    assert.equal(await status(met), 'queued');
  });

  it('are looked at when a delayed run is due, not before', async () => {
    const [first, second] = await pair();
    const scheduled_at = new Date(Date.now() + 3_600_000).toISOString();
    const [kept, free] = [
      await on.run(second, { scheduled_at, idempotency_key: 'kept' }),
      await on.run(second, { scheduled_at, idempotency_key: 'free', ttl_secs: 600 }),
    ];
    assert.equal(await status(kept), 'delayed');
    await end(first, 'completed', { idempotency_key: 'free' });
    const upkeep = upkeepOf(on.app.composition);
    await on.app.sql('update run_delayed set due_at = now()');
    await upkeep.moveDue();
    assert.deepEqual([await status(kept), await status(free)], ['waiting', 'queued']);
    await end(first, 'completed', { idempotency_key: 'kept' });
    await settle();
    assert.equal(await status(kept), 'queued');
    // Called to start now, it is still judged by the mover.
    const early = await on.run(second, { scheduled_at, idempotency_key: 'early' });
    await on.post(early, 'reschedule', { scheduled_at: new Date().toISOString() });
    await upkeep.moveDue();
    assert.equal(await status(early), 'waiting');
  });

  it('end with the time to live, or after 24 hours; a released run has its time to live from then on', async () => {
    const [first, second] = await pair();
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
    assert.equal(await status(brief), 'expired');
    assert.deepEqual(await place(brief), []);
    const other = await on.run(second, { ttl_secs: 600 });
    await on.app.sql(
      `update job_runs set expires_at = now() + interval '5 s' where id = $1`,
      other,
    );
    await end(first, 'completed');
    await settle();
    assert.equal(await secs(endless), null, 'it waits no longer, and has no time to live');
    assert.ok(Math.abs(((await secs(other)) ?? 0) - 600) < 10);
  });

  it('hold runs that nobody can act on as if they had started', async () => {
    const [, second] = await pair();
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
    assert.deepEqual([await status(id), await place(id)], ['canceled', []]);
  });

  it('let go when they are removed, and when the job they name is', async () => {
    const [first, second] = await pair();
    const id = await on.run(second);
    await settle();
    const { body } = await on.call('GET', `/v1/jobs/${second}/dependencies`);
    await on.call('DELETE', `/v1/jobs/${second}/dependencies/${body.data[0].id}`);
    await settle();
    assert.equal(await status(id), 'queued');
    await depend(second, first);
    const again = await on.run(second);
    await settle();
    assert.equal(await status(again), 'waiting');
    assert.equal((await on.call('DELETE', `/v1/jobs/${first}`)).status, 204);
    await settle();
    assert.equal(await status(again), 'queued');
  });

  it('hold runs of every route: bulk, and those that follow another run', async () => {
    const [first, second] = await pair();
    const bulk = await on.call('POST', `/v1/jobs/${second}/trigger/bulk`, { items: [{}, {}] });
    assert.deepEqual(
      bulk.body.results.map((one: { status: string }) => one.status),
      ['waiting', 'waiting'],
    );
    const source = await on.makeJob({ on_complete_trigger_job: second });
    await end(source, 'completed');
    await settle();
    const runs = await on.app.sql<{ status: string }>(
      `select r.status from job_runs r join jobs j on j.id = r.job_id where j.slug = $1`,
      second,
    );
    assert.deepEqual(
      runs.map((run) => run.status),
      ['waiting', 'waiting', 'waiting'],
    );
    await end(first, 'completed');
    await settle();
    const [{ open } = { open: -1 }] = await on.app.sql<{ open: number }>(
      `select count(*)::int as open from job_runs r join jobs j on j.id = r.job_id where j.slug = $1 and r.status = 'waiting'`,
      second,
    );
    assert.equal(open, 0, 'keys the engine gave say nothing about what belongs together');
  });

  it('never miss an end that was acted on before the parked run was visible', async () => {
    const [first, second] = await pair();
    const { hot } = on.app.composition;
    const [of] = await on.app.sql<{ id: string }>('select id from jobs where slug = $1', second);
    const { project_id } = on.project;
    const id = await hot.transaction(async (tx) => {
      const run = { job_id: of?.id ?? '', project_id, payload: '{}', priority: 0 };
      const [made] = await on.queue.enqueueMany([run], tx);
      assert.ok(made?.outcome === 'created');
      assert.equal(made.status, 'waiting');
      await end(first, 'completed');
      await settle();
      return made.id;
    });
    assert.equal(await status(id), 'waiting');
    await settle();
    assert.equal(await status(id), 'queued');
  });

  it('never miss an end that comes while the run is judged', async () => {
    const [first, second] = await pair();
    const id = await on.run(second);
    const { hot, modules } = on.app.composition;
    let marking: Promise<unknown> | undefined;
    await hot.transaction(async (tx) => {
      await endingsStore.lockUnchecked(tx, { limit: 1000 });
      await endingsStore.judgeDependents(tx, { run_ids: [id], aging_ms: 1 });
      await end(first, 'completed');
      marking = modules.chaining.follow();
      await until(
        'the follower to wait for the judge',
        async () =>
          (
            await on.app.sql(
              `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
            )
          ).length > 0,
      );
    });
    await marking;
    await settle();
    assert.equal(await status(id), 'queued');
  });

  it('never miss an end that comes while a run is parked behind it: 200 times, followers beside', async () => {
    const [first, second] = await pair();
    const { chaining, endings } = on.app.composition.modules;
    const rounds = 200;
    const keys = Array.from({ length: rounds }, (_, index) => `race-${index}`);
    const ups: string[] = [];
    for (const idempotency_key of keys) ups.push(await on.run(first, { idempotency_key }));
    const worker_id = await on.queue.registerWorker({ hostname: 'race', pid: 1 });
    const claims = await on.queue.claim({ worker_id, limit: 5 * rounds, cursor: '' });
    const byId = new Map(claims.map((claim) => [claim.id, claim]));
    let racing = true;
    const follower = (async () => {
      while (racing) {
        await chaining.follow();
        await endings.judge();
      }
    })();
    const downs: string[] = [];
    for (const [index, idempotency_key] of keys.entries()) {
      const claim = byId.get(ups[index] ?? '');
      assert.ok(claim);
      const [, down] = await Promise.all([
        on.queue.complete([{ ...claim, started_at: claim.claimed_at }]),
        on.run(second, { idempotency_key }),
      ]);
      downs.push(down);
    }
    racing = false;
    await follower;
    await settle();
    const stuck = await on.app.sql<{ id: string }>(
      `select id from job_runs where id = any ($1) and status <> 'queued'`,
      downs,
    );
    assert.deepEqual(stuck, []);
    const parked = await on.app.sql(
      `select distinct run_id from run_events where run_id = any ($1) and message = 'waiting'`,
      downs,
    );
    assert.ok(parked.length > 0, 'no run was parked: nothing raced');
  });
});
