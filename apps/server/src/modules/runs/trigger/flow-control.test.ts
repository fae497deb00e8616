// Quotas, rate limits and the dedup window, through the API and under real concurrency.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { runActions } from '../../../../test/run-actions.ts';

let on: Awaited<ReturnType<typeof runActions>>;

before(async () => {
  on = await runActions();
});
after(() => on.close());

const AT_ONCE = 50;
const LIMIT = 20;

const setQuotas = async (body: object) => {
  const { status } = await on.app.call('PUT', `/v1/projects/${on.project.project_id}/quotas`, {
    headers: on.app.internal,
    body,
  });
  assert.equal(status, 200);
};
const trigger = (job: string, body: object = {}, headers: Record<string, string> = {}) =>
  on.app.call('POST', `/v1/jobs/${job}/trigger`, { key: on.project.api_key, body, headers });
const bulk = (job: string, items: readonly object[]) =>
  on.call('POST', `/v1/jobs/${job}/trigger/bulk`, { items });
const many = <T>(count: number, make: (n: number) => Promise<T>) =>
  Promise.all(Array.from({ length: count }, (_, n) => make(n)));
const statuses = (answers: readonly { status: number }[]) => {
  const counts: Record<number, number> = {};
  for (const { status } of answers) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
};
async function count(where: string, ...values: unknown[]): Promise<number> {
  const [row] = await on.app.sql<{ n: number }>(
    `select count(*)::int as n from ${where}`,
    ...values,
  );
  return row?.n ?? -1;
}
const runsOf = (job: string) =>
  count('job_runs r join jobs j on j.id = r.job_id where j.slug = $1', job);

async function cancelAll(): Promise<void> {
  for (;;) {
    const open = await on.app.sql<{ id: string }>(
      `select id from job_runs where status in ('delayed','queued','executing','waiting') limit 100`,
    );
    if (open.length === 0) return;
    await on.call('POST', '/v1/runs/bulk-cancel', { run_ids: open.map(({ id }) => id) });
  }
}

describe('max_queued_runs', () => {
  it('lets in exactly as many as it says, however many ask at once', async () => {
    const job = await on.makeJob();
    await setQuotas({ max_queued_runs: LIMIT });
    const answers = await many(AT_ONCE, () => trigger(job));
    assert.deepEqual(statuses(answers), { 201: LIMIT, 429: AT_ONCE - LIMIT });
    const refused = answers.find(({ status }) => status === 429);
    assert.equal(refused?.body.code, 'queue_quota_exceeded');
    assert.equal(await runsOf(job), LIMIT);
    await cancelAll();
    await setQuotas({});
  });

  it('counts what is queued, delayed, parked and held, and nothing that left', async () => {
    const job = await on.makeJob();
    const limited = await on.makeJob({ max_concurrency: 1 });
    await setQuotas({ max_queued_runs: 5 });
    const held = await on.run(job);
    await on.post(held, 'pause');
    const queued = await on.run(job);
    await on.run(limited);
    await on.run(job, { scheduled_at: new Date(Date.now() + 3_600_000).toISOString() });
    const waiting_retry = await on.run(job);
    assert.equal((await trigger(job)).status, 429);
    const claim = await on.claim(waiting_retry);
    assert.equal((await trigger(job)).status, 201, 'what executes does not wait');
    assert.equal((await trigger(job)).status, 429);
    await on.queue.settle([{ ...claim, to: 'queued', attempt: 2, delay_ms: 60_000, error: 'e' }]);
    await on.call('DELETE', `/v1/runs/${queued}`);
    assert.equal((await trigger(job)).status, 429, 'a retry came back and took its place');
    await on.call('DELETE', `/v1/runs/${held}`);
    assert.equal((await trigger(job)).status, 201);
    assert.equal((await trigger(job)).status, 429);
    await cancelAll();
    assert.equal((await trigger(job)).status, 201);
    await cancelAll();
    await setQuotas({});
  });

  it('stays exact while runs are claimed, retried and replayed between triggers', async () => {
    const job = await on.makeJob();
    const most = 60;
    await setQuotas({ max_queued_runs: most });
    const worker_id = await on.queue.registerWorker({ hostname: 'quota', pid: 1 });
    const waiting = () =>
      count(`job_runs r where status in ('queued', 'delayed')
      and not exists (select from run_active a where a.run_id = r.id)`);
    let accepted = 0;
    for (let round = 0; round < 6; round++) {
      const retry = async () => {
        const claims = await on.queue.claim({ worker_id, limit: 15, cursor: '' });
        const retries = claims.slice(0, 5);
        const ended = { error: 'e', error_class: 'server' };
        await on.queue.settle(
          claims.map((run) => ({
            ...run,
            ...ended,
            ...(retries.includes(run)
              ? { to: 'queued', attempt: run.attempt + 1, delay_ms: 60_000 }
              : { to: 'dead_letter' }),
            started_at: run.claimed_at,
          })),
        );
        return retries.length;
      };
      const [answers, retried] = await Promise.all([many(30, () => trigger(job)), retry()]);
      accepted += statuses(answers)[201] ?? 0;
      // A retry needs no leave; whoever came while it executed may have its place.
      const now = await waiting();
      assert.ok(now <= most + retried, `round ${round}: ${now}`);
    }
    assert.ok(accepted > most, `places that came free are given again: ${accepted}`);
    const room = Math.max(0, most - (await waiting()));
    assert.equal(statuses(await many(room + 5, () => trigger(job)))[201] ?? 0, room);

    const dead = await on.app.sql<{ id: string }>(
      `select id from job_runs where status = 'dead_letter' limit 5`,
    );
    await on.call('POST', '/v1/runs/bulk-dlq-replay', { run_ids: dead.map(({ id }) => id) });
    const over = (await waiting()) - most;
    assert.ok(over >= dead.length, 'a replay is the will of an operator');
    const open = await on.app.sql<{ id: string }>(
      'select run_id as id from run_queue limit $1',
      over,
    );
    await on.call('POST', '/v1/runs/bulk-cancel', { run_ids: open.map(({ id }) => id) });
    assert.equal((await trigger(job)).status, 429, 'and counts');
    await cancelAll();
    await setQuotas({});
  });

  it('takes a set whole or not at all, and an idempotent repetition always', async () => {
    const job = await on.makeJob();
    await setQuotas({ max_queued_runs: 5 });
    const first = await trigger(job, {}, { 'idempotency-key': 'k' });
    assert.equal(first.status, 201);
    const keyed = { idempotency_key: 'k' };
    const over = await bulk(job, [keyed, {}, {}, {}, {}, {}]);
    assert.deepEqual([over.status, over.body.code], [429, 'queue_quota_exceeded']);
    assert.equal(
      await count('batch_operations b join jobs j on j.id = b.job_id where j.slug = $1', job),
      0,
    );
    const whole = await bulk(job, [keyed, {}, {}, {}, {}]);
    assert.equal(whole.status, 201, 'the repetition needs no place');
    assert.equal(whole.body.created, 4);
    const again = await trigger(job, {}, { 'idempotency-key': 'k' });
    assert.deepEqual(
      [again.status, again.body.id, again.body.idempotency_hit],
      [201, first.body.id, true],
    );
    assert.equal((await trigger(job)).status, 429);
    await cancelAll();
    await setQuotas({});
  });

  it('gives parallel repetitions of one trigger one answer when one place is left', async () => {
    const job = await on.makeJob();
    await setQuotas({ max_queued_runs: 1 });
    const answers = await many(10, () => trigger(job, {}, { 'idempotency-key': 'same' }));
    assert.deepEqual(statuses(answers), { 201: 10 });
    assert.equal(new Set(answers.map(({ body }) => body.id)).size, 1);
    await cancelAll();
    await setQuotas({});
  });

  it('raised, lowered and removed it counts at once; a dry run says what would happen', async () => {
    const job = await on.makeJob();
    await setQuotas({ max_queued_runs: 2 });
    assert.equal(statuses(await many(4, () => trigger(job)))[201], 2);
    const dry = await trigger(job, { dry_run: true });
    assert.equal(dry.status, 200);
    assert.match(dry.body.validation_warnings.join(), /would be refused/);
    await setQuotas({ max_queued_runs: 4 });
    assert.equal(statuses(await many(4, () => trigger(job)))[201], 2);
    await setQuotas({ max_queued_runs: 3 });
    assert.equal((await trigger(job)).status, 429);
    await setQuotas({});
    assert.equal((await trigger(job)).status, 201);
    await cancelAll();
    assert.deepEqual(await on.app.composition.modules.runs.tidyAdmission(), { again: false });
    assert.equal(await count('queued_room'), 0);
  });
});

describe('rate limits of jobs', () => {
  it('lets in exactly as many as fit, and says when the next one does', async () => {
    const job = await on.makeJob({ rate_limit_max: LIMIT, rate_limit_window_secs: 7200 });
    const answers = await many(AT_ONCE, () => trigger(job));
    assert.deepEqual(statuses(answers), { 201: LIMIT, 429: AT_ONCE - LIMIT });
    const refused = answers.find(({ status }) => status === 429);
    assert.equal(refused?.body.code, 'job_rate_limited');
    const wait = Number(refused?.headers['retry-after']);
    assert.ok(wait > 300 && wait <= 360, `one token in 360 s, said ${wait}`);
    assert.match(
      (await trigger(job, { dry_run: true })).body.validation_warnings.join(),
      /rate limit/,
    );
    assert.equal(await runsOf(job), LIMIT);
    await cancelAll();
  });

  it('lets the next one in when its time has come', async () => {
    const job = await on.makeJob({ rate_limit_max: 2, rate_limit_window_secs: 3600 });
    await many(2, () => trigger(job));
    assert.equal((await trigger(job)).status, 429);
    await on.app.sql(
      `update rate_limit_levels set at = at - interval '1795 s' where bucket like 'job:%'`,
    );
    assert.equal((await trigger(job)).status, 429);
    await on.app.sql(
      `update rate_limit_levels set at = at - interval '10 s' where bucket like 'job:%'`,
    );
    assert.equal((await trigger(job)).status, 201);
    assert.equal((await trigger(job)).status, 429);
    await cancelAll();
  });

  it('named limits are shared by the jobs of a project; nothing is charged where one refuses', async () => {
    const shared = { name: 'api', max: 10, window_secs: 3600 };
    const a = await on.makeJob({
      rate_limit_keys: [shared, { name: 'b', max: 4, window_secs: 3600 }],
    });
    const b = await on.makeJob({ rate_limit_keys: [shared] });
    assert.deepEqual(statuses(await many(12, () => trigger(a))), { 201: 4, 429: 8 });
    // The eight that were refused left the shared six alone.
    assert.deepEqual(statuses(await many(12, () => trigger(b))), { 201: 6, 429: 6 });
    const levels = await on.app.sql<{ level: number }>(
      `select round(level::numeric, 1)::float8 as level from rate_limit_levels where bucket like 'key:%' order by bucket`,
    );
    assert.deepEqual(
      levels.map(({ level }) => Math.round(level)),
      [10, 4],
    );
    const made = await on.app.call('POST', '/v1/jobs', {
      key: on.other.api_key,
      body: {
        name: 'o',
        slug: 'o',
        endpoint_url: 'http://127.0.0.1:9/x',
        rate_limit_keys: [shared],
      },
    });
    assert.equal(made.status, 201);
    const foreign = await on.app.call('POST', '/v1/jobs/o/trigger', {
      key: on.other.api_key,
      body: {},
    });
    assert.equal(foreign.status, 201, 'another project has a bucket of its own');
    await on.app.call('DELETE', `/v1/runs/${foreign.body.id}`, { key: on.other.api_key });
    await cancelAll();
  });

  it('takes a set whole or not at all; repetitions and refusals cost nothing', async () => {
    const job = await on.makeJob({ rate_limit_max: 4, rate_limit_window_secs: 3600 });
    assert.equal((await bulk(job, [{}, {}, {}, {}, {}])).status, 429);
    const first = await trigger(job, {}, { 'idempotency-key': 'r' });
    await many(5, () => trigger(job, {}, { 'idempotency-key': 'r' }));
    assert.equal((await trigger(job, { scheduled_at: 'yesterday' })).status, 400);
    const whole = await bulk(job, [{ idempotency_key: 'r' }, {}, {}, {}]);
    assert.deepEqual([whole.status, whole.body.created], [201, 3]);
    assert.equal(whole.body.results[0].id, first.body.id);
    assert.equal((await trigger(job)).status, 429);
    await cancelAll();
  });

  it('runs nobody asks for are delayed to the instant the limit allows', async () => {
    const job = await on.makeJob({ rate_limit_max: 1, rate_limit_window_secs: 600 });
    const id = await on.ended(job, 'failed');
    const replays = [];
    for (let n = 0; n < 2; n++) {
      const { status, body } = await on.post(id, 'replay');
      assert.equal(status, 201, JSON.stringify(body));
      replays.push(body);
    }
    const waits = replays.map((run) =>
      Math.round((Date.parse(run.scheduled_at) - Date.parse(run.created_at)) / 60_000),
    );
    assert.deepEqual(
      replays.map(({ status }) => status),
      ['delayed', 'delayed'],
    );
    assert.deepEqual(waits, [10, 20], 'one after the other');
    assert.equal((await trigger(job)).status, 429);
    await cancelAll();
  });
});

describe('dedup window', () => {
  it('answers equal payloads with the first run, also when all come at once', async () => {
    const job = await on.makeJob({ dedup_window_secs: 600 });
    const answers = await many(20, (n) =>
      trigger(job, { payload: n % 2 === 0 ? { a: 1, b: 2 } : { b: 2, a: 1 } }),
    );
    assert.deepEqual(statuses(answers), { 201: 20 });
    assert.equal(new Set(answers.map(({ body }) => body.id)).size, 1);
    assert.equal(answers.filter(({ body }) => body.dedup_hit).length, 19);
    assert.equal(answers.filter(({ body }) => body.run_token).length, 1);
    assert.equal((await trigger(job, { payload: { a: 2 } })).body.dedup_hit, undefined);
    assert.equal(await runsOf(job), 2);
    const dry = await trigger(job, { payload: { a: 2 }, dry_run: true });
    assert.match(dry.body.validation_warnings.join(), /same payload/);
    await cancelAll();
    assert.equal((await trigger(job, { payload: { a: 2 } })).body.dedup_hit, true, 'in any status');
  });

  it('ends with the window; a run that any route made counts', async () => {
    const job = await on.makeJob({ dedup_window_secs: 60 });
    const id = await on.ended(job, 'failed', { payload: { x: 1 } });
    await on.app.sql(`update recent_payloads set created_at = created_at - interval '61 s'`);
    const replayed = await on.post(id, 'replay');
    assert.equal(replayed.status, 201);
    const hit = await trigger(job, { payload: { x: 1 } });
    assert.deepEqual([hit.body.id, hit.body.dedup_hit], [replayed.body.id, true]);
    await on.app.sql(`update recent_payloads set created_at = created_at - interval '61 s'`);
    assert.equal((await trigger(job, { payload: { x: 1 } })).body.dedup_hit, undefined);
    await on.app.sql(`update recent_payloads set created_at = created_at - interval '61 s'`);
    await on.app.composition.modules.runs.tidyAdmission();
    assert.equal(
      await count('recent_payloads p join jobs j on j.id = p.job_id where j.slug = $1', job),
      0,
    );
    await cancelAll();
  });

  it('counts for the items of a set, among each other and with what came before', async () => {
    const job = await on.makeJob({
      dedup_window_secs: 600,
      rate_limit_max: 3,
      rate_limit_window_secs: 3600,
    });
    const before_id = await on.run(job, { payload: 1 });
    const { status, body } = await bulk(job, [{ payload: 1 }, { payload: 2 }, { payload: 2 }]);
    assert.equal(status, 201, JSON.stringify(body));
    assert.equal(body.created, 1);
    const [first, second, third] = body.results;
    assert.deepEqual([first.id, first.dedup_hit], [before_id, true]);
    assert.equal(second.dedup_hit, undefined);
    assert.deepEqual([third.id, third.dedup_hit], [second.id, true]);
    assert.equal(
      (await trigger(job, { payload: 3 })).status,
      201,
      'hits are not counted by the rate limit',
    );
    assert.equal((await trigger(job, { payload: 4 })).status, 429);
    await cancelAll();
  });
});
