import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { runActions } from '../../../../test/run-actions.ts';
import { createBackground } from './background.ts';

let on: Awaited<ReturnType<typeof runActions>>;

before(async () => {
  on = await runActions();
});
after(() => on.close());

type Queue = Parameters<typeof createBackground>[0]['queue'];

/** A worker of its own, with chunks of three. */
function worker(queue: Queue = on.queue) {
  const { db, hot, modules } = on.app.composition;
  const errors: unknown[] = [];
  const { operator } = modules;
  const { clock } = modules.engineNeeds;
  const onError = (error: unknown): void => void errors.push(error);
  const background = createBackground({
    db,
    hot,
    operator,
    queue,
    clock,
    onError,
    max_chunk: 3,
  });
  return { ...background, errors };
}

const operation = async (id: string) => (await on.call('GET', `/v1/batch-operations/${id}`)).body;

const replays = async (originals: readonly string[]): Promise<string[]> =>
  (
    await on.app.sql<{ of: string }>(
      `select metadata ->> 'replay_of' as of from job_runs where metadata ->> 'replay_of' = any ($1) order by 1`,
      originals,
    )
  ).map(({ of }) => of);

describe('bulk operations in the background', () => {
  it('replay what matches, each run once, however many work on it', async () => {
    const job = await on.makeJob();
    const originals: string[] = [];
    for (const to of ['failed', 'timed_out', 'crashed', 'system_failed', 'failed', 'failed'])
      originals.push(await on.ended(job, to));
    const dead = await on.ended(job, 'dead_letter');
    const fine = await on.ended(job, 'completed');
    const elsewhere = await on.ended(await on.makeJob(), 'failed');
    assert.equal(
      (await on.call('POST', '/v1/runs/bulk-replay-all', {})).body.code,
      'filter_required',
    );
    const asked = await on.call('POST', '/v1/runs/bulk-replay-all', { job_id: job });
    assert.equal(asked.status, 202, JSON.stringify(asked.body));
    assert.deepEqual([asked.body.kind, asked.body.status], ['replay', 'running']);
    const late = await on.ended(job, 'failed');

    const workers = [worker(), worker(), worker()];
    await Promise.all(
      workers.map(async ({ work }) => {
        for (let rounds = 0; rounds < 6; rounds++) await work();
      }),
    );
    const done = await operation(asked.body.id);
    assert.deepEqual([done.status, done.item_count, done.created_count], ['completed', 7, 7]);
    assert.ok(done.finished_at);
    assert.deepEqual(
      await replays([...originals, dead, fine, elsewhere, late]),
      originals.toSorted(),
    );
    assert.equal((await on.read(dead)).status, 'queued');
    assert.deepEqual(await worker().work(), { again: false });
  });

  it('a crash undoes its chunk whole; the next worker does that chunk and the rest', async () => {
    const job = await on.makeJob();
    const originals: string[] = [];
    for (let n = 0; n < 5; n++) originals.push(await on.ended(job, 'failed'));
    const { body } = await on.call('POST', '/v1/runs/bulk-replay-all', {
      job_id: job,
      status: 'failed',
    });
    let chunks = 0;
    const crashing = worker({
      enqueueMany: async (runs, target) => {
        const made = await on.queue.enqueueMany(runs, target);
        if (++chunks === 2) throw new Error('crash');
        return made;
      },
    });
    await crashing.work();
    await crashing.work();
    assert.equal(crashing.errors.length, 1);
    assert.equal((await replays(originals)).length, 3, 'the first chunk stays');
    assert.equal((await operation(body.id)).item_count, 3);
    assert.deepEqual(
      await worker().work(),
      { again: false },
      'it is tried again later, not at once',
    );
    await on.app.sql('update batch_operations set due_at = now()');
    while ((await worker().work()).again);
    assert.deepEqual(await replays(originals), originals.toSorted());
    const done = await operation(body.id);
    assert.deepEqual([done.status, done.created_count], ['completed', 5]);
  });

  it('are given up after a dozen chunks that failed', async () => {
    const job = await on.makeJob();
    await on.ended(job, 'failed');
    const { body } = await on.call('POST', '/v1/runs/bulk-replay-all', { job_id: job });
    const failing = worker({
      enqueueMany: () => Promise.reject(new Error('never')),
    });
    for (let tries = 0; tries < 12; tries++) {
      assert.equal((await operation(body.id)).status, 'running');
      await failing.work();
      await on.app.sql('update batch_operations set due_at = now()');
    }
    assert.equal((await operation(body.id)).status, 'failed');
    assert.deepEqual(await failing.work(), { again: false });
  });

  it('cancel what one call could not, and nothing that came later', async () => {
    const job = await on.makeJob();
    const [of] = await on.app.sql<{ id: string }>('select id from jobs where slug = $1', job);
    const { project_id } = on.project;
    const run = { job_id: of?.id ?? '', project_id, payload: '{}', priority: 0 };
    for (let n = 0; n < 11; n++) await on.queue.enqueueMany(Array.from({ length: 500 }, () => run));
    const { status, body } = await on.call('POST', '/v1/runs/bulk-cancel-all', { job_id: job });
    assert.equal(status, 202, JSON.stringify(body).slice(0, 200));
    assert.deepEqual([body.canceled, body.has_more], [5_000, true]);
    const late = await on.run(job);
    const { background } = on.app.composition.modules.runs;
    while ((await background.work()).again);
    const done = await operation(body.batch_id);
    assert.deepEqual([done.kind, done.status, done.created_count], ['cancel', 'completed', 5_500]);
    const [left] = await on.app.sql<{ ids: string[] }>(
      `select array_agg(id) as ids from job_runs where job_id = $1 and status = 'queued'`,
      of?.id,
    );
    assert.deepEqual(left?.ids, [late]);
  });
});
