// Debounce and batches, through the API and the loops.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { runActions } from '../../../../test/run-actions.ts';

let on: Awaited<ReturnType<typeof runActions>>;

before(async () => {
  on = await runActions();
});
after(() => on.close());

const trigger = (job: string, body: object = {}, headers: Record<string, string> = {}) =>
  on.app.call('POST', `/v1/jobs/${job}/trigger`, { key: on.project.api_key, body, headers });
const many = <T>(count: number, make: (n: number) => Promise<T>) =>
  Promise.all(Array.from({ length: count }, (_, n) => make(n)));
const firing = () => on.app.composition.modules.runs.firing;
const due = () => on.app.sql(`update debounce_pending set fire_at = fire_at - interval '1 hour'`);
const over = () =>
  on.app.sql(`update batch_buffer set created_at = created_at - interval '1 hour'`);

interface Made {
  readonly id: string;
  readonly payload: unknown;
  readonly priority: number;
  readonly triggered_by: string;
  readonly status: string;
  readonly tags: unknown;
  readonly metadata: unknown;
  readonly concurrency_key: string | null;
  readonly created_by: string;
}
const runsOf = (job: string) =>
  on.app.sql<Made>(
    `select r.* from job_runs r join jobs j on j.id = r.job_id where j.slug = $1 order by r.id`,
    job,
  );

describe('debounce', () => {
  it('takes any window that a job may have', async () => {
    const job = await on.makeJob({ debounce_window_secs: 2_147_483_647 });
    for (let n = 0; n < 2; n++) {
      const { status, body } = await trigger(job, { payload: n });
      assert.equal(status, 202, JSON.stringify(body));
    }
    await on.app.sql('delete from debounce_pending');
  });

  it('makes one run of many triggers, from the last of each key, after the window', async () => {
    const job = await on.makeJob({ debounce_window_secs: 60, tags: { of: 'job' } });
    const first = await trigger(job, { payload: { n: 1 } });
    assert.equal(first.status, 202);
    assert.equal(first.body.debounced, true);
    const wait = Date.parse(first.body.fire_at) - Date.now();
    assert.ok(wait > 55_000 && wait <= 60_500, `${wait} ms`);
    await trigger(job, { payload: { n: 'other' }, debounce_key: 'b' });
    await trigger(job, {
      payload: { n: 2 },
      priority: 7,
      tags: { mine: 'yes' },
      metadata: { why: 'test' },
      concurrency_key: 'c',
      ttl_secs: 100,
    });
    await firing().fire();
    assert.deepEqual(await runsOf(job), [], 'not before its time');
    await due();
    await firing().fire();
    const runs = await runsOf(job);
    assert.deepEqual(
      runs
        .map(({ payload }) => payload)
        .sort((a, b) => JSON.stringify(a).localeCompare(JSON.stringify(b))),
      [{ n: 'other' }, { n: 2 }],
    );
    const run = runs.find(({ priority }) => priority === 7);
    assert.ok(run);
    assert.deepEqual(
      [run.triggered_by, run.status, run.tags, run.metadata, run.concurrency_key],
      ['debounce', 'queued', { of: 'job', mine: 'yes' }, { why: 'test' }, 'c'],
    );
    assert.match(run.created_by, /^apikey:/);
    await firing().fire();
    assert.equal((await runsOf(job)).length, 2, 'once');
  });

  it('is pushed by every trigger, but fires ten windows after the first', async () => {
    const job = await on.makeJob({ debounce_window_secs: 60 });
    await trigger(job);
    await on.app.sql(`update debounce_pending set created_at = created_at - interval '590 s'`);
    const late = await trigger(job);
    const wait = Date.parse(late.body.fire_at) - Date.now();
    assert.ok(wait > 5_000 && wait < 11_000, `600 s after the first: in ${wait} ms`);
    await due();
    await firing().fire();
  });

  it('loses and doubles nothing when triggers and several loops come at once', async () => {
    const job = await on.makeJob({ debounce_window_secs: 60 });
    const seen = new Set<string>();
    for (let round = 0; round < 10; round++) {
      await trigger(job, { payload: { round, early: true } });
      await due();
      // A trigger that comes while its row fires begins a new one, with its own payload.
      await Promise.all([
        firing().fire(),
        trigger(job, { payload: { round, late: true } }),
        firing().fire(),
      ]);
      await due();
      await Promise.all([firing().fire(), firing().fire()]);
      const runs = await runsOf(job);
      for (const { payload } of runs) seen.add(JSON.stringify(payload));
      assert.equal(runs.length, seen.size, 'no trigger made two runs');
      const last = runs.filter(({ payload }) => (payload as { round: number }).round === round);
      assert.ok(
        last.some(({ payload }) => (payload as { late?: boolean }).late),
        'the last one won',
      );
    }
    const left = await on.app.sql(`select * from debounce_pending`);
    assert.deepEqual(left, []);
  });

  it('keeps what is due while the job is paused or disabled, and what was not made', async () => {
    const job = await on.makeJob({ debounce_window_secs: 60 });
    for (const [stop, go] of [
      ['pause', 'resume'],
      ['batch/disable', 'batch/enable'],
    ] as const) {
      await trigger(job, { payload: stop });
      const ids = { ids: [job] };
      const path = (verb: string) =>
        verb.startsWith('batch')
          ? `/v1/jobs/${verb.replace('batch/', 'batch-')}`
          : `/v1/jobs/${job}/${verb}`;
      const [{ status }] = [await on.call('POST', path(stop), ids)];
      assert.ok(status < 300, `${stop}: ${status}`);
      await due();
      await firing().fire();
      const [kept] = await on.app.sql<{ later: boolean }>(
        `select fire_at > strait_now() + interval '20 s' as later from debounce_pending`,
      );
      assert.deepEqual(kept, { later: true }, 'looked at again later');
      await on.call('POST', path(go), ids);
      await due();
      await firing().fire();
    }
    assert.deepEqual(
      (await runsOf(job)).map(({ payload }) => payload),
      ['pause', 'batch/disable'],
    );
  });

  it('refuses an instant, answers a bound key with its run, and obeys the rate when it fires', async () => {
    const job = await on.makeJob({ rate_limit_max: 1, rate_limit_window_secs: 600 });
    const bound = await trigger(job, {}, { 'idempotency-key': 'k' });
    await on.call('PATCH', `/v1/jobs/${job}`, { debounce_window_secs: 60 });
    const again = await trigger(job, {}, { 'idempotency-key': 'k' });
    assert.deepEqual([again.status, again.body.id], [201, bound.body.id]);
    const scheduled = await trigger(job, {
      scheduled_at: new Date(Date.now() + 60_000).toISOString(),
    });
    assert.deepEqual([scheduled.status, scheduled.body.code], [400, 'invalid_schedule']);
    assert.equal(scheduled.body.details[0].path, 'body.scheduled_at');
    assert.equal((await trigger(job)).status, 429, 'checked before it waits');

    await on.app.sql(`update rate_limit_levels set level = 0`);
    await trigger(job, { payload: 'a' });
    await trigger(job, { payload: 'b', debounce_key: '2' });
    await due();
    await firing().fire();
    const [, one, two] = await runsOf(job);
    assert.deepEqual(
      [one?.status, two?.status],
      ['queued', 'delayed'],
      'counted when the run is made',
    );
    const dry = await trigger(job, { dry_run: true });
    assert.match(dry.body.validation_warnings.join(), /debounced/);
  });
});

describe('batches', () => {
  const itemsOf = (run: Made) => (run.payload as { items: unknown[] }).items;

  it('the trigger that fills a batch is answered with its run, in the order of arrival', async () => {
    const job = await on.makeJob({ batch_window_secs: 60, batch_max_size: 3 });
    for (const n of [1, 2]) {
      const { status, body } = await trigger(job, {
        payload: { n },
        priority: n,
        tags: { n: `${n}` },
      });
      assert.deepEqual([status, body], [202, { buffered: true }]);
    }
    assert.equal((await trigger(job, { payload: 'other', batch_key: 'b' })).status, 202);
    const { status, body } = await trigger(job, { payload: { n: 3 } });
    assert.deepEqual([status, body.batch, body.status], [201, true, 'queued']);
    const [run] = await runsOf(job);
    assert.ok(run);
    assert.equal(run.id, body.id);
    assert.deepEqual(run.payload, { items: [{ n: 1 }, { n: 2 }, { n: 3 }] });
    assert.deepEqual([run.triggered_by, run.priority, run.tags], ['batch', 2, { n: '1' }]);
    await over();
    await firing().flush();
    const [, rest] = await runsOf(job);
    assert.deepEqual(rest?.payload, { items: ['other'] });
  });

  it('every item is in exactly one run, however many come at once and whoever flushes', async () => {
    const job = await on.makeJob({ batch_window_secs: 60, batch_max_size: 7 });
    const [answers] = await Promise.all([
      many(60, (n) => trigger(job, { payload: n })),
      (async () => {
        for (let n = 0; n < 5; n++)
          await Promise.all([over().then(firing().flush), firing().flush()]);
      })(),
    ]);
    assert.ok(answers.every(({ status }) => status === 201 || status === 202));
    await over();
    await firing().flush();
    const runs = await runsOf(job);
    const items = runs.flatMap(itemsOf) as number[];
    assert.deepEqual(
      items.toSorted((a, b) => a - b),
      Array.from({ length: 60 }, (_, n) => n),
    );
    assert.ok(runs.every((run) => itemsOf(run).length <= 7));
    const filled = answers.filter(({ body }) => body.batch).map(({ body }) => body.id);
    assert.equal(new Set(filled).size, filled.length);
    assert.ok(filled.every((id) => runs.some((run) => run.id === id && itemsOf(run).length === 7)));
  });

  it('goes when its window is over, not before; a big one in several runs; kept while disabled', async () => {
    const job = await on.makeJob({ batch_window_secs: 60 });
    await many(5, (n) => trigger(job, { payload: n }));
    await firing().flush();
    assert.deepEqual(await runsOf(job), []);
    await on.call('POST', '/v1/jobs/batch-disable', { ids: [job] });
    await over();
    await firing().flush();
    assert.deepEqual(await runsOf(job), []);
    await on.call('POST', '/v1/jobs/batch-enable', { ids: [job] });
    await firing().flush();
    assert.deepEqual(
      (await runsOf(job)).map((run) => itemsOf(run).length),
      [5],
    );

    const large = 'x'.repeat(400_000);
    await many(4, () => trigger(job, { payload: large }));
    await over();
    await firing().flush();
    const [, ...runs] = await runsOf(job);
    assert.deepEqual(
      runs.map((run) => itemsOf(run).length),
      [3, 1],
      'as much as one payload should hold',
    );
  });

  it('an item is lost neither by a run that cannot be made nor by a transaction that fails', async () => {
    const job = await on.makeJob({ batch_window_secs: 60, batch_max_size: 2 });
    await trigger(job, { payload: 1 });
    await on.app.sql(
      `create function fail_once() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$`,
    );
    await on.app.sql(
      `create trigger fail before insert on run_queue for each row execute function fail_once()`,
    );
    assert.equal((await trigger(job, { payload: 2 })).status, 500);
    await over();
    await assert.rejects(firing().flush());
    await on.app.sql(`drop trigger fail on run_queue`);
    await firing().flush();
    assert.deepEqual(
      (await runsOf(job)).map(({ payload }) => payload),
      [{ items: [1] }],
    );
    assert.equal((await on.app.sql(`select * from batch_buffer`)).length, 0);
  });
});
