import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { dependencyActions } from '../../../test/dependencies.ts';
import { untilSomebodyWaits } from '../../../test/lock-waits.ts';
import * as endingsStore from '../queue/endings/store.sql.ts';

let on: Awaited<ReturnType<typeof dependencyActions>>;

before(async () => {
  on = await dependencyActions();
});
after(() => on.close());

function mulberry(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

describe('runs that wait for other jobs', () => {
  it('never miss an end that was acted on before the parked run was visible', async () => {
    const [first, second] = await on.pair();
    const { hot } = on.app.composition;
    const [of] = await on.app.sql<{ id: string }>('select id from jobs where slug = $1', second);
    const { project_id } = on.project;
    const id = await hot.transaction(async (tx) => {
      const run = { job_id: of?.id ?? '', project_id, payload: '{}', priority: 0 };
      const [made] = await on.queue.enqueueMany([run], tx);
      assert.ok(made?.outcome === 'created');
      assert.equal(made.status, 'waiting');
      await on.end(first, 'completed');
      await on.settle();
      return made.id;
    });
    assert.equal(await on.status(id), 'waiting');
    await on.settle();
    assert.equal(await on.status(id), 'queued');
  });

  it('never miss an end that comes while the run is judged', async () => {
    const [first, second] = await on.pair();
    const id = await on.run(second);
    const { hot, modules } = on.app.composition;
    let marking: Promise<unknown> | undefined;
    await hot.transaction(async (tx) => {
      await endingsStore.lockUnchecked(tx, { limit: 1000 });
      await endingsStore.judgeDependents(tx, { run_ids: [id], aging_ms: 1 });
      await on.end(first, 'completed');
      marking = modules.chaining.follow();
      await untilSomebodyWaits(on.app, 'the follower to wait for the judge');
    });
    await marking;
    await on.settle();
    assert.equal(await on.status(id), 'queued');
  });

  it('leave nothing waiting that may go, whatever happens in whatever order', async (t) => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    t.diagnostic(`seed ${seed}`);
    const random = mulberry(seed);
    const any = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)] as T;
    const [first, second] = await on.pair('any');
    const [third, fourth] = await on.pair('completed');
    await on.depend(second, third, 'failed');
    const { chaining, endings } = on.app.composition.modules;
    let busy = true;
    const follower = (async () => {
      while (busy) {
        await chaining.follow();
        await endings.judge();
      }
    })();
    const started: string[] = [];
    const body = () =>
      random() < 0.3 ? {} : { payload: { dependency_key: any(['a', 'b', 'c']) } };
    try {
      for (let step = 0; step < 80; step++) {
        const what = random();
        if (what < 0.45) started.push(await on.run(any([second, fourth]), body()));
        else if (what < 0.8)
          await on.end(any([first, third]), any(['completed', 'failed', 'dead_letter']), body());
        else if (what < 0.9 && started.length > 0)
          await on.call('DELETE', `/v1/runs/${any(started)}`);
        else {
          const { body: list } = await on.call('GET', `/v1/jobs/${second}/dependencies`);
          const [one] = list.data;
          if (one) await on.call('DELETE', `/v1/jobs/${second}/dependencies/${one.id}`);
          else await on.depend(second, any([first, third]), any(['any', 'completed', 'failed']));
        }
      }
    } finally {
      busy = false;
    }
    await follower;
    await on.settle();
    const left = await on.app.sql(
      `select run_id from run_waiting where claim_seq = 0 and strait_dependencies_met(job_id, matching)`,
    );
    assert.deepEqual(left, []);
    const lost = await on.app.sql(
      `select r.id from job_runs r where r.id = any ($1) and r.status in ('queued', 'waiting')
          and not exists (select from run_queue q where q.run_id = r.id) and not exists (select from run_waiting w where w.run_id = r.id)`,
      started,
    );
    assert.deepEqual(lost, []);
    const [{ released, held } = { released: 0, held: 0 }] = await on.app.sql<{
      released: number;
      held: number;
    }>(
      `select count(*) filter (where status = 'queued')::int as released, count(*) filter (where status <> 'queued')::int as held
         from job_runs where id = any ($1)`,
      started,
    );
    assert.ok(released > 0 && held > 0, 'the schedule did not decide anything');
  });

  it('never miss an end that comes while a run is parked behind it: 200 times, followers beside', async () => {
    const [first, second] = await on.pair();
    const { chaining, endings } = on.app.composition.modules;
    const rounds = 200;
    const keys = Array.from({ length: rounds }, (_, index) => `race-${index}`);
    const ups: string[] = [];
    const began = performance.now();
    for (const idempotency_key of keys) ups.push(await on.run(first, { idempotency_key }));
    const trigger_ms = (performance.now() - began) / rounds;
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
    try {
      for (const [index, idempotency_key] of keys.entries()) {
        const claim = byId.get(ups[index] ?? '');
        assert.ok(claim);
        const down = on.run(second, { idempotency_key });
        // From the beginning of a trigger to well after it, so that the ends meet each of its moments on any machine.
        await sleep((index / rounds) * 2 * trigger_ms);
        if (index === rounds - 1) await down;
        await on.queue.complete([{ ...claim, started_at: claim.claimed_at }]);
        downs.push(await down);
      }
    } finally {
      racing = false;
    }
    await follower;
    await on.settle();
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
