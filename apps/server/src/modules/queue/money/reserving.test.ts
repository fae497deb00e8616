import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { budgetSums } from '../../../../test/budget.ts';
import { moneyTest } from '../../../../test/money.ts';

let t: Awaited<ReturnType<typeof moneyTest>>;
before(async () => (t = await moneyTest()));
afterEach(() => t.clear());
after(() => t.close());

describe('money is reserved before a run starts', () => {
  it('what is left over comes back when the run ends, and lets the next one go', async () => {
    await t.setProject({ max_daily_cost_microusd: 100 });
    const job = await t.makeJob({ cost_estimate_microusd: 40 });
    await t.trigger(job, 4);
    assert.deepEqual(await t.standing(job), [0, 4], 'nothing starts without its money');
    await t.promote();
    assert.deepEqual(await t.standing(job), [2, 2]);
    const [first, second] = await t.executing();
    assert.deepEqual((await t.ofProject()).reserved_microusd, 80);
    assert.equal(await t.spend(first, 15), 201);
    assert.deepEqual(
      await t.ofProject().then((now) => [now.spent_microusd, now.reserved_microusd]),
      [15, 65],
      'what is spent was reserved',
    );
    await t.promote();
    assert.deepEqual(await t.standing(job), [0, 2]);
    assert.ok(first && second);
    await t.on.queue.complete([first]);
    await t.promote();
    assert.deepEqual(await t.standing(job), [1, 1], '25 came back');
    assert.deepEqual(
      await t.ofProject().then((now) => [now.spent_microusd, now.reserved_microusd]),
      [15, 80],
    );
  });

  it('without an estimate a run reserves the most it may cost', async () => {
    await t.setProject({ max_daily_cost_microusd: 100, max_cost_per_run_microusd: 34 });
    const job = await t.on.makeJob();
    await t.trigger(job, 4);
    await t.promote();
    assert.deepEqual(await t.standing(job), [2, 2]);
    const [run] = await t.executing();
    assert.equal(await t.spend(run, 33), 201);
    assert.equal(await t.spend(run, 1), 429, 'the limit per run is never reached');
  });

  it('with neither it starts while anything is left, and what it reports must fit', async () => {
    await t.setProject({ max_daily_cost_microusd: 100 });
    const job = await t.on.makeJob();
    await t.trigger(job, 3);
    await t.promote();
    const [first, second] = await t.executing(2);
    assert.equal(await t.spend(first, 99), 201);
    const refused = await second?.home.post('usage', {
      provider: 'p',
      model: 'm',
      cost_microusd: 2,
    });
    assert.deepEqual([refused?.status, refused?.body.code], [429, 'daily_cost_exceeded']);
    assert.deepEqual(
      await t.on.app.sql(
        'select count(*)::int as records from run_usage where run_id = $1',
        second?.id,
      ),
      [{ records: 0 }],
    );
    assert.equal(await t.spend(second, 1), 201);
    await t.trigger(job, 1);
    await t.promote();
    assert.deepEqual(await t.standing(job), [1, 1], 'nothing is left: what came later waits');
  });

  it('a retry reserves only what the run may still spend', async () => {
    await t.setProject({ max_daily_cost_microusd: 100 });
    const job = await t.makeJob({ cost_estimate_microusd: 80 });
    await t.trigger(job, 1);
    await t.promote();
    const [run] = await t.executing();
    assert.equal(await t.spend(run, 50), 201);
    assert.ok(run);
    await t.on.queue.settle([{ ...run, to: 'queued', attempt: 2, error: 'e' }]);
    await t.promote();
    assert.deepEqual(await t.standing(job), [1, 0]);
    assert.equal((await t.ofProject()).reserved_microusd, 30);
  });

  it('beyond its estimate a run spends what no budget misses', async () => {
    await t.setProject({ max_daily_cost_microusd: 100 });
    const job = await t.makeJob({ cost_estimate_microusd: 40, max_daily_cost_microusd: 90 });
    await t.trigger(job, 2);
    await t.promote();
    const [first, second] = await t.executing();
    assert.equal(await t.spend(first, 51), 429, '40 of it reserved, 10 free');
    assert.equal(await t.spend(first, 50), 201);
    assert.equal(await t.spend(first, 1), 429);
    assert.equal(await t.spend(second, 40), 201, 'what others reserved is theirs');
    assert.deepEqual(
      await budgetSums(t.on.app.db, t.project_id).then((all) => all.map((one) => one.spent)),
      [90, 90],
    );
  });

  it('a run too dear for today does not keep cheaper jobs waiting', async () => {
    await t.setProject({ max_daily_cost_microusd: 100 });
    const dear = await t.makeJob({ cost_estimate_microusd: 101 });
    const cheap = await t.makeJob({ cost_estimate_microusd: 50 });
    await t.trigger(dear, 1);
    await t.trigger(cheap, 3);
    await t.promote();
    assert.deepEqual(
      [await t.standing(dear), await t.standing(cheap)],
      [
        [0, 1],
        [2, 1],
      ],
    );
  });
});
