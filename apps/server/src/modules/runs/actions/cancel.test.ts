import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { inOneHour, runActions } from '../../../../test/run-actions.ts';
import { untilSomebodyWaits } from '../../../../test/lock-waits.ts';

let on: Awaited<ReturnType<typeof runActions>>;

before(async () => {
  on = await runActions();
});
after(() => on.close());

describe('canceling', () => {
  test('takes a run out of any place it can be in', async () => {
    const job = await on.makeJob();
    const queued = await on.run(job);
    const delayed = await on.run(job, { scheduled_at: inOneHour() });
    const held = await on.run(job);
    await on.post(held, 'pause');
    const executing = await on.run(job);
    await on.claim(executing);
    for (const id of [queued, delayed, held, executing]) {
      const canceled = await on.call('DELETE', `/v1/runs/${id}`);
      assert.deepEqual(
        [canceled.status, canceled.body.status, canceled.body.error],
        [200, 'canceled', 'canceled by user'],
      );
      assert.equal((await on.audits('run.cancelled', id)).length, 1);
      const again = await on.call('DELETE', `/v1/runs/${id}`);
      assert.deepEqual(
        [again.status, again.body.code, again.body.error],
        [409, 'run_not_cancelable', 'the run is canceled: it cannot become canceled'],
      );
    }
  });

  test('takes what the run spawned with it, level by level', async () => {
    const job = await on.makeJob();
    const chain = [await on.run(job)];
    for (let level = 0; level < 5; level++) {
      const id = await on.run(job);
      await on.app.sql('update job_runs set parent_run_id = $2 where id = $1', id, chain[level]);
      chain.push(id);
    }
    const stranger = await on.run(job);
    assert.equal((await on.call('DELETE', `/v1/runs/${chain[0]}`)).status, 200);
    for (const id of chain) assert.equal((await on.read(id)).status, 'canceled');
    assert.equal((await on.read(chain[3] ?? '')).error, 'parent run canceled');
    assert.equal((await on.read(stranger)).status, 'queued');
  });

  test('a run that had ended keeps its children', async () => {
    const job = await on.makeJob();
    const parent = await on.ended(job, 'completed');
    const child = await on.run(job);
    await on.app.sql('update job_runs set parent_run_id = $2 where id = $1', child, parent);
    const answer = await on.call('POST', '/v1/runs/bulk-cancel', { run_ids: [parent] });
    assert.deepEqual(answer.body.results, [
      { id: parent, status: 'failed', error: 'the run is completed: it cannot become canceled' },
    ]);
    assert.equal((await on.read(child)).status, 'queued');
  });

  test('in bulk answers once for each id', async () => {
    const job = await on.makeJob();
    const [a, b] = [await on.run(job), await on.run(job)];
    const foreign = await on.app.call('GET', `/v1/runs/${a}`, { key: on.other.api_key });
    assert.equal(foreign.status, 404);
    const theirs = await on.call(
      'POST',
      '/v1/runs/bulk-cancel',
      { run_ids: [a, 'nonsense'] },
      on.other.api_key,
    );
    assert.deepEqual([theirs.body.canceled, theirs.body.failed], [0, 2]);
    const mine = await on.call('POST', '/v1/runs/bulk-cancel', { run_ids: [a, b, a, 'nonsense'] });
    assert.deepEqual([mine.body.total, mine.body.canceled, mine.body.failed], [3, 2, 1]);
    assert.equal(
      (
        await on.call('POST', '/v1/runs/bulk-cancel', {
          run_ids: Array.from({ length: 101 }, () => a),
        })
      ).status,
      400,
    );
  });

  test('all: only pending runs that match and never started', async () => {
    const job = await on.makeJob();
    const elsewhere = await on.run(await on.makeJob());
    const executing = await on.run(job);
    await on.claim(executing);
    const retried = await on.run(job);
    await on.queue.settle([
      { ...(await on.claim(retried)), to: 'queued', attempt: 2, delay_ms: 3_600_000 },
    ]);
    const items = Array.from({ length: 400 }, (_, n) =>
      n % 2 ? {} : { scheduled_at: inOneHour() },
    );
    await on.call('POST', `/v1/jobs/${job}/trigger/bulk`, { items });
    await on.call('POST', `/v1/jobs/${job}/trigger/bulk`, { items });
    assert.equal(
      (await on.call('POST', '/v1/runs/bulk-cancel-all', {})).body.code,
      'filter_required',
    );
    assert.equal(
      (await on.call('POST', '/v1/runs/bulk-cancel-all', { status: 'executing' })).status,
      400,
    );
    assert.equal(
      (await on.call('POST', '/v1/runs/bulk-cancel-all', { job_id: job, status: 'delayed' })).body
        .canceled,
      400,
    );
    const rest = await on.call('POST', '/v1/runs/bulk-cancel-all', { job_id: job });
    assert.deepEqual([rest.body.canceled, rest.body.run_ids.length], [400, 400]);
    assert.deepEqual(
      [(await on.read(elsewhere)).status, (await on.read(retried)).status],
      ['queued', 'queued'],
    );
    assert.equal(
      (await on.app.sql('select run_id from run_active where run_id = $1', executing)).length,
      1,
    );
  });

  test('all that match includes what somebody else moves just now', async () => {
    const job = await on.makeJob();
    const ids = [await on.run(job), await on.run(job), await on.run(job)];
    const { hot, modules } = on.app.composition;
    const { project_id } = on.project;
    const { answer } = await hot.transaction(async (tx) => {
      await modules.operator.hold(tx, { project_id, run_id: ids[1] ?? '', actor_id: 'somebody' });
      const asked = on.call('POST', '/v1/runs/bulk-cancel-all', { job_id: job });
      // Not the promise itself: it ends after this transaction.
      const looked = untilSomebodyWaits(on.app, 'the call to wait');
      await Promise.race([looked, asked]);
      return { answer: asked };
    });
    const { body } = await answer;
    assert.deepEqual(body.run_ids.toSorted(), ids);
    for (const id of ids) assert.equal((await on.read(id)).status, 'canceled');
  });
});
