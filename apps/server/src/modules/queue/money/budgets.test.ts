import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { shiftClock } from '../../../../test/database.ts';
import { moneyTest } from '../../../../test/money.ts';

let t: Awaited<ReturnType<typeof moneyTest>>;
before(async () => (t = await moneyTest()));
afterEach(() => t.clear());
after(() => t.close());

describe('budgets of jobs and keys', () => {
  it('each holds by itself, and all together', async () => {
    await t.setProject({ max_daily_cost_microusd: 70 });
    const job = await t.makeJob({
      cost_estimate_microusd: 10,
      max_daily_cost_microusd: 60,
      max_daily_cost_per_key_microusd: 20,
    });
    for (const concurrency_key of ['a', 'b', 'c']) await t.trigger(job, 3, { concurrency_key });
    await t.trigger(job, 3);
    await t.promote();
    const keys = await t.on.app.sql(
      `select coalesce(r.concurrency_key, '') as key, count(*)::int as runs from run_queue q join job_runs r on r.id = q.run_id group by 1 order by 1`,
    );
    assert.deepEqual(keys, [
      { key: 'a', runs: 2 },
      { key: 'b', runs: 2 },
      { key: 'c', runs: 2 },
    ]);
    const runs = await t.executing();
    for (const run of runs) assert.equal(await t.spend(run, 10), 201);
    await t.on.queue.complete(runs);
    await t.promote();
    assert.deepEqual(await t.standing(job), [0, 6]);
    const { body } = await t.on.call('GET', `/v1/jobs/${job}/budget`);
    assert.deepEqual(
      [body.spent_microusd, body.reserved_microusd, body.remaining_microusd, body.keys.length],
      [60, 0, 0, 3],
    );
  });

  it('one for keys that comes later holds for what waits already', async () => {
    const job = await t.makeJob({ cost_estimate_microusd: 10, max_daily_cost_microusd: 1 });
    await t.trigger(job, 4, { concurrency_key: 'a' });
    await t.trigger(job, 1);
    const keys = { cost_estimate_microusd: 10, max_daily_cost_per_key_microusd: 20 };
    await t.setJob(job, keys);
    await t.promote();
    assert.deepEqual(await t.standing(job), [3, 2], 'two of the key, and the one without');
    // As if one had come by while the budget was set, and was promoted where keys are not looked at.
    await t.on.app.sql(
      `update run_queue q set lane_id = l.parent_lane_id from lanes l where l.lane_id = q.lane_id and l.concurrency_key = 'a'`,
    );
    await t.on.app.sql(`update lanes set in_flight = 0 where concurrency_key = 'a'`);
    const claimed = await t.executing();
    assert.deepEqual(claimed.map(({ verdict }) => verdict).toSorted(), ['go', 'park', 'park']);
    await t.on.queue.park(claimed.filter(({ verdict }) => verdict === 'park'));
    await t.promote();
    assert.deepEqual(await t.standing(job), [2, 2]);
  });

  it('one that refuses counts what waits already, for its own key only', async () => {
    const job = await t.makeJob({
      cost_estimate_microusd: 10,
      max_daily_cost_per_key_microusd: 25,
      breach_policy: 'reject',
    });
    const post = async (concurrency_key: string, more: object = {}) =>
      (await t.on.call('POST', `/v1/jobs/${job}/trigger`, { concurrency_key, ...more })).status;
    assert.deepEqual([await post('a'), await post('a')], [201, 201]);
    assert.equal(await post('a', { dry_run: true }), 429);
    assert.equal(await post('b', { dry_run: true }), 200);
    assert.deepEqual([await post('a'), await post('b')], [429, 201]);
    const scheduled_at = new Date(Date.now() + 3_600_000).toISOString();
    assert.equal(await post('a', { scheduled_at }), 201, 'its budget is that of another instant');
    const bulk = await t.on.call('POST', `/v1/jobs/${job}/trigger/bulk`, {
      items: ['b', 'b'].map((concurrency_key) => ({ concurrency_key })),
    });
    assert.deepEqual([bulk.status, bulk.body.code], [429, 'daily_cost_exceeded']);
    assert.deepEqual(await t.standing(job), [0, 3], 'a refused bulk leaves nothing');
    assert.deepEqual(await t.events(), [
      'spending.limit_reached of a job',
      'spending.limit_reached of a job',
    ]);
  });

  it('a trigger whose key is known is answered whatever is left', async () => {
    const job = await t.makeJob({
      cost_estimate_microusd: 10,
      max_daily_cost_microusd: 10,
      breach_policy: 'reject',
    });
    const post = () => t.on.call('POST', `/v1/jobs/${job}/trigger`, { idempotency_key: 'once' });
    const [first, again] = [await post(), await post()];
    assert.deepEqual([first.status, again.status, again.body.id], [201, 201, first.body.id]);
    const other = await t.on.call('POST', `/v1/jobs/${job}/trigger`, { idempotency_key: 'twice' });
    assert.equal(other.status, 429);
    assert.deepEqual(
      await t.on.app.sql(
        'select idempotency_key from job_run_idempotency where idempotency_key = $1',
        'twice',
      ),
      [],
      'a refused trigger holds no key',
    );
  });

  it('one that pauses pauses its job when the money is spent, not while it is only reserved', async () => {
    const job = await t.makeJob({
      cost_estimate_microusd: 10,
      max_daily_cost_microusd: 10,
      breach_policy: 'pause',
    });
    const paused = async () => (await t.on.call('GET', `/v1/jobs/${job}`)).body.paused as boolean;
    await t.trigger(job, 2);
    await t.promote();
    assert.deepEqual([await t.standing(job), await paused()], [[1, 1], false]);
    const [run] = await t.executing();
    assert.ok(run);
    assert.equal(await t.spend(run, 10), 201);
    await t.on.queue.complete([run]);
    await t.promote();
    assert.deepEqual([await t.standing(job), await paused()], [[0, 1], true]);
    const [audit] = await t.on.app.sql(
      `select actor_id from audit_events where action = 'job.paused' and resource_id = $1`,
      run.job_id,
    );
    assert.deepEqual(audit, { actor_id: 'system:budget' });
    await t.setJob(job, { cost_estimate_microusd: 10, max_daily_cost_microusd: 20 });
    await t.on.call('POST', `/v1/jobs/${job}/resume`);
    await t.promote();
    assert.deepEqual([await t.standing(job), await paused()], [[1, 0], false]);
  });
});

describe('the day and the books', () => {
  it('the day turns at midnight of the zone, and with it the money', async () => {
    // Where it is an hour before midnight.
    const hour = new Date().getUTCHours();
    const offset = (23 - hour + 24) % 24;
    const timezone = offset <= 14 ? `Etc/GMT-${offset}` : `Etc/GMT+${24 - offset}`;
    await t.setProject({ max_daily_cost_microusd: 10, timezone });
    const job = await t.makeJob({ cost_estimate_microusd: 10 });
    await t.trigger(job, 2);
    await t.promote();
    const [run] = await t.executing();
    assert.ok(run);
    assert.equal(await t.spend(run, 10), 201);
    await t.on.queue.complete([run]);
    await t.promote();
    assert.deepEqual(await t.standing(job), [0, 1]);
    const { body } = await t.on.call('GET', '/v1/project-budget');
    const turns_ms = Date.parse(body.resets_at) - Date.now();
    assert.ok(turns_ms > 0 && turns_ms <= 3_600_000, `${body.resets_at} of ${timezone}`);
    try {
      await shiftClock(t.on.app.db, turns_ms + 1_000);
      await t.promote();
      assert.deepEqual(await t.standing(job), [1, 0]);
      assert.equal((await t.ofProject()).spent_microusd, 0);
    } finally {
      await shiftClock(t.on.app.db, 0);
      await t.setProject({ timezone: 'UTC' });
    }
  });

  it('a zone nobody knows counts as UTC, and stops nothing', async () => {
    await t.setProject({ max_daily_cost_microusd: 10 });
    await t.on.app.sql(
      `update project_quotas set timezone = 'Mars/Base' where project_id = $1`,
      t.project_id,
    );
    try {
      const job = await t.makeJob({ cost_estimate_microusd: 10 });
      await t.trigger(job, 2);
      await t.promote();
      assert.deepEqual(await t.standing(job), [1, 1]);
      const { body } = await t.on.call('GET', '/v1/project-budget');
      assert.match(body.resets_at, /T00:00:00/);
    } finally {
      await t.setProject({ timezone: 'UTC' });
    }
  });

  it('what other runs make is never refused, it waits', async () => {
    const job = await t.makeJob({
      cost_estimate_microusd: 10,
      max_daily_cost_microusd: 10,
      breach_policy: 'reject',
    });
    await t.trigger(job, 1);
    await t.promote();
    const [run] = await t.executing();
    const spawned = await run?.home.post('spawn', { job_slug: job });
    assert.equal(spawned?.status, 201, JSON.stringify(spawned?.body));
    await t.promote();
    assert.deepEqual(await t.standing(job), [0, 1]);
  });

  it('warnings come once per budget and day, however they are reached', async () => {
    await t.setProject({ max_daily_cost_microusd: 100 });
    const job = await t.makeJob({ cost_estimate_microusd: 50, max_daily_cost_microusd: 100 });
    await t.trigger(job, 2);
    await t.promote();
    const [first, second] = await t.executing();
    assert.equal(await t.spend(first, 50), 201);
    assert.equal(await t.spend(second, 29), 201);
    assert.deepEqual(await t.events(), []);
    assert.equal(await t.spend(second, 1), 201);
    const warned = ['budget.threshold_reached', 'budget.threshold_reached of a job'];
    assert.deepEqual(await t.events(), warned);
    assert.equal(await t.spend(second, 1), 201);
    assert.equal(await t.upkeep.tell(), 0);
    assert.deepEqual(await t.events(), warned);
    await t.setProject({ max_daily_cost_microusd: 60 });
    assert.equal(await t.upkeep.tell(), 1, 'a limit that fell below what is spent');
    assert.deepEqual(await t.events(), [...warned, 'spending.limit_reached']);
  });

  it('a budget set in the middle of the day counts what was spent, and what is queued', async () => {
    const job = await t.on.makeJob();
    await t.trigger(job, 3);
    const [run] = await t.executing(1);
    assert.equal(await t.spend(run, 60), 201);
    await t.setProject({ max_daily_cost_microusd: 100, max_cost_per_run_microusd: 41 });
    assert.equal((await t.ofProject()).spent_microusd, 60);
    await t.promote();
    assert.deepEqual(await t.standing(job), [0, 2]);
    await t.setProject({ max_daily_cost_microusd: 101, max_cost_per_run_microusd: 41 });
    await t.promote();
    assert.deepEqual(await t.standing(job), [1, 1]);
  });

  it('a claim without a reservation is sent back by its verdict', async () => {
    const job = await t.on.makeJob({ max_concurrency: 5 });
    await t.trigger(job, 1);
    await t.promote();
    // As if the change of the budget had not seen the row.
    await t.on.app.sql(
      'update project_quotas set max_daily_cost_microusd = 100 where project_id = $1',
      t.project_id,
    );
    const claimed = await t.executing();
    assert.deepEqual(
      claimed.map(({ verdict }) => verdict),
      ['park'],
    );
    await t.on.queue.park(claimed);
    await t.promote();
    assert.deepEqual(
      (await t.executing()).map(({ verdict }) => verdict),
      ['go'],
    );
  });

  it('upkeep settles what no promotion came by for, and adds what is missing', async () => {
    await t.setProject({ max_daily_cost_microusd: 100 });
    const job = await t.makeJob({ cost_estimate_microusd: 40 });
    await t.trigger(job, 1, { concurrency_key: 'k' });
    await t.promote();
    const [run] = await t.executing();
    assert.ok(run);
    assert.equal(await t.spend(run, 30), 201);
    assert.equal(await t.upkeep.settle(), 0, 'it still runs');
    await t.on.queue.complete([run]);
    assert.equal(await t.upkeep.settle(), 1);
    assert.equal((await t.ofProject()).reserved_microusd, 0);
    assert.deepEqual(await t.upkeep.mend(), []);
    await t.on.app.sql(
      `update cost_days set spent_microusd = spent_microusd - 7 where concurrency_key = 'k' or job_id = ''`,
    );
    assert.deepEqual(
      (await t.upkeep.mend()).map(({ was, counted }) => [was, counted]),
      [
        [23, 30],
        [23, 30],
      ],
    );
    assert.deepEqual(await t.upkeep.mend(), []);
    await t.on.app.sql(`update cost_days set day = day - 4`);
    await t.upkeep.removeOld();
    assert.deepEqual(
      await t.on.app.sql('select concurrency_key from cost_days order by job_id'),
      [{ concurrency_key: '' }, { concurrency_key: '' }],
      'days of keys are of no use any more',
    );
  });
});
