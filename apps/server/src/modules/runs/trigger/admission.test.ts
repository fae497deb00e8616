// The same limits asked by several processes at once: each admission stands for one, nothing in memory is shared.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { runActions } from '../../../../test/run-actions.ts';
import { Failure } from '../../../platform/failure.ts';
import { createAdmission } from './admission.ts';
import { canonicalJson, payloadHash } from './canonical-json.ts';

const PROCESSES = 4;
const LIMIT = 20;

let on: Awaited<ReturnType<typeof runActions>>;

before(async () => {
  on = await runActions();
});
after(() => on.close());

const setQuotas = (body: object) =>
  on.app.call('PUT', `/v1/projects/${on.project.project_id}/quotas`, {
    headers: on.app.internal,
    body,
  });

/** What became of this many triggers, spread over the processes; each in a set of its own or together, as it comes. */
async function ask(
  slug: string,
  amount: number,
  of: (n: number) => { payload: unknown; key?: string },
) {
  const { hot, modules } = on.app.composition;
  const { project_id } = on.project;
  const job = await modules.jobs.findForTrigger(project_id, slug);
  assert.ok(job);
  const clock = { now: Date.now, monotonic: () => performance.now() };
  const processes = Array.from({ length: PROCESSES }, () =>
    createAdmission({ hot, queue: on.queue, clock, max_payload_bytes: 100_000 }),
  );
  const answers = await Promise.all(
    Array.from({ length: amount }, async (_, n) => {
      const { payload, key } = of(n);
      const text = canonicalJson(payload);
      const run = {
        job_id: job.id,
        project_id,
        payload: text,
        payload_hash: payloadHash(text),
        priority: 0,
        idempotency_key: key,
      };
      // Some come a little later, so that sets have all sizes.
      if (n % 3 > 0) await new Promise((resolve) => setImmediate(resolve));
      return processes[n % PROCESSES]
        ?.admit(job, run, { debounce_key: '', batch_key: 'b' })
        .catch((error: unknown) => ({
          outcome: error instanceof Failure ? error.code : (error as Error).message,
          id: '',
        }));
    }),
  );
  const counts: Record<string, number> = {};
  for (const answer of answers)
    counts[answer?.outcome ?? ''] = (counts[answer?.outcome ?? ''] ?? 0) + 1;
  const ids = new Set(
    answers.flatMap((answer) => (answer && 'id' in answer && answer.id ? [answer.id] : [])),
  );
  return { counts, ids: ids.size };
}

async function cancelAll(): Promise<void> {
  const open = await on.app.sql<{ id: string }>(
    `select id from job_runs where status in ('delayed','queued') limit 100`,
  );
  await on.call('POST', '/v1/runs/bulk-cancel', { run_ids: open.map(({ id }) => id) });
}

describe('several processes', () => {
  it('let in as many as the quota says, together', async () => {
    const jobs = [await on.makeJob(), await on.makeJob()];
    await setQuotas({ max_queued_runs: LIMIT });
    const asked = await Promise.all(jobs.map((job) => ask(job, 50, (payload) => ({ payload }))));
    const created = asked.reduce((sum, { counts }) => sum + (counts['created'] ?? 0), 0);
    const full = asked.reduce((sum, { counts }) => sum + (counts['queue_quota_exceeded'] ?? 0), 0);
    assert.deepEqual([created, full], [LIMIT, 100 - LIMIT]);
    await cancelAll();
    await setQuotas({});
  });

  it('share the rate limits, the jobs own and the named ones', async () => {
    const shared = { name: 'n', max: LIMIT, window_secs: 7200 };
    const a = await on.makeJob({
      rate_limit_keys: [shared],
      rate_limit_max: 15,
      rate_limit_window_secs: 7200,
    });
    const b = await on.makeJob({ rate_limit_keys: [shared] });
    const [of_a, of_b] = await Promise.all([
      ask(a, 50, (payload) => ({ payload })),
      ask(b, 50, (payload) => ({ payload })),
    ]);
    const [from_a = 0, from_b = 0] = [of_a.counts['created'], of_b.counts['created']];
    assert.equal(from_a + from_b, LIMIT);
    assert.ok(from_a <= 15, `${from_a}`);
    await cancelAll();
  });

  it('make one run of equal payloads, and one per key', async () => {
    const job = await on.makeJob({ dedup_window_secs: 600 });
    const same = await ask(job, 40, () => ({ payload: { same: true } }));
    assert.deepEqual(same, { counts: { created: 1, duplicate: 39 }, ids: 1 });
    const few = await ask(job, 60, (n) => ({ payload: n % 5, key: `k${n % 10}` }));
    assert.equal(few.counts['created'], 5, JSON.stringify(few));
    assert.equal(few.ids, 5);

    const rated = await on.makeJob({ rate_limit_max: 3, rate_limit_window_secs: 7200 });
    const keyed = await ask(rated, 40, (n) => ({ payload: n, key: `k${n % 3}` }));
    assert.deepEqual(keyed, { counts: { created: 3, held: 37 }, ids: 3 });
    await cancelAll();
  });

  it('fill batches together, each item once', async () => {
    const job = await on.makeJob({ batch_window_secs: 600, batch_max_size: 6 });
    const { counts } = await ask(job, 48, (payload) => ({ payload }));
    assert.deepEqual(counts, { batch: 8, buffered: 40 });
    const runs = await on.app.sql<{ payload: { items: number[] } }>(
      `select r.payload from job_runs r join jobs j on j.id = r.job_id where j.slug = $1`,
      job,
    );
    const items = runs.flatMap(({ payload }) => payload.items).sort((x, y) => x - y);
    assert.deepEqual(
      items,
      Array.from({ length: 48 }, (_, n) => n),
    );
    await cancelAll();
  });

  it('one trigger that the database refuses fails alone', async () => {
    const job = await on.makeJob({ dedup_window_secs: 600 });
    await on.app.sql(`create function refuse_seven() returns trigger language plpgsql as $$
      begin if new.payload = '7' then raise exception 'not seven'; end if; return new; end $$`);
    await on.app.sql(
      'create trigger no_seven before insert on job_runs for each row execute function refuse_seven()',
    );
    const { counts } = await ask(job, 8, (payload) => ({ payload }));
    assert.deepEqual(counts, { created: 7, 'not seven': 1 });
    await on.app.sql('drop trigger no_seven on job_runs');
    const again = await ask(job, 8, (payload) => ({ payload }));
    assert.deepEqual(again.counts, { created: 1, duplicate: 7 }, 'the others had been made');
    await cancelAll();
  });
});
