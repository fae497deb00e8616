// How the concurrency keys of a job share its slots. A tick is a virtual second: what is due ends, slots are handed out.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import { promoteAll } from '../../../../test/promote.ts';
import { runActions } from '../../../../test/run-actions.ts';
import type { ClaimedRun } from '../index.ts';

let on: Awaited<ReturnType<typeof runActions>>;

before(async () => {
  on = await runActions();
});
after(async () => {
  await clear();
  await on.close();
});

async function clear(): Promise<void> {
  for (const table of ['run_queue', 'run_active', 'run_parked'])
    await on.app.sql(`delete from ${table}`);
  await on.app.sql('update lanes set in_flight = 0');
  await on.app.sql(`update job_runs set status = 'canceled', finished_at = now()`);
}

const keyOf = new Map<string, string>();

/** Waiting runs, as enqueueing leaves them: so many of each key, the keys with ranks that many apart. */
async function fill(
  job: string,
  keys: string | null | readonly string[],
  count: number,
  { rank = 0, apart = 0 } = {},
): Promise<void> {
  const rows = await on.app.sql<{ run_id: string; concurrency_key: string | null }>(
    `with input as materialized (
       select strait_run_id() as id, j.id as job_id, j.project_id, k.key, strait_place(j.project_id, j.id, k.key) as place,
              $4::bigint + (k.n - 1) * $5::bigint as rank
         from jobs j, unnest($2::text[]) with ordinality k(key, n), generate_series(1, $3::int) where j.slug = $1
     ), runs as (
       insert into job_runs (id, created_at, job_id, project_id, status, concurrency_key)
       select id, strait_id_time(id), job_id, project_id, 'queued', key from input returning id, concurrency_key
     ), parked as (
       insert into run_parked (project_id, rank, run_id, run_created_at, job_id, attempt, lane_id, root_lane_id)
       select project_id, rank, id, strait_id_time(id), job_id, 1, place[1], place[2] from input
     )
     select id as run_id, concurrency_key from runs`,
    job,
    Array.isArray(keys) ? keys : [keys],
    count,
    rank,
    apart,
  );
  for (const { run_id, concurrency_key } of rows) keyOf.set(run_id, concurrency_key ?? '');
}

const setKey = async (job: string, key: string, body: object) => {
  const path = `/v1/jobs/${job}/concurrency-keys/${encodeURIComponent(key)}`;
  const answer = await on.call('PUT', path, body);
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  return answer.body;
};

interface Played {
  /** Runs started, and slots held times ticks, by key. */
  readonly starts: Record<string, number>;
  readonly slots: Record<string, number>;
  /** By key at the end. */
  readonly holds: Record<string, number>;
}

interface Held {
  readonly run: ClaimedRun;
  readonly until: number;
}

/** Goes on where `held` left off. */
async function play(
  ticks: number,
  held: Held[] = [],
  ticksOf: (key: string) => number = () => 1,
  limit = 1_000,
): Promise<Played> {
  const worker_id = await on.queue.registerWorker({ hostname: 'shares', pid: 1 });
  const starts: Record<string, number> = {};
  const slots: Record<string, number> = {};
  let holds: Record<string, number> = {};
  for (let tick = 0; tick < ticks; tick++) {
    await promoteAll(on.app);
    const runs = await on.queue.claim({ worker_id, limit, cursor: '' });
    for (const run of runs) {
      assert.equal(run.verdict, 'go');
      const key = keyOf.get(run.id) ?? '?';
      starts[key] = (starts[key] ?? 0) + 1;
      held.push({ run, until: tick + ticksOf(key) - 1 });
    }
    holds = {};
    for (const { run } of held) {
      const key = keyOf.get(run.id) ?? '?';
      holds[key] = (holds[key] ?? 0) + 1;
      slots[key] = (slots[key] ?? 0) + 1;
    }
    const due = held.filter(({ until }) => until <= tick);
    held.splice(0, held.length, ...held.filter(({ until }) => until > tick));
    await on.queue.complete(
      due.map(({ run: { id, created_at, claim_seq } }) => ({
        id,
        created_at,
        claim_seq,
        started_at: new Date().toISOString(),
      })),
    );
  }
  return { starts, slots, holds };
}

function assertShares(got: Record<string, number>, want: Record<string, number>): void {
  const total = Object.values(got).reduce((sum, n) => sum + n, 0);
  const all = Object.values(want).reduce((sum, n) => sum + n, 0);
  for (const [key, weight] of Object.entries(want)) {
    const due = (total * weight) / all;
    const text = `${key}: ${got[key] ?? 0} of ${total}, due ${due.toFixed(1)}`;
    assert.ok(Math.abs((got[key] ?? 0) - due) <= due * 0.05, text);
  }
}

describe('keys of a job share its slots', () => {
  for (const [cap, ticks] of [
    [1, 40],
    [3, 24],
    [10, 16],
  ] as const) {
    it(`by weight, within 5 %, also when no share of ${cap} is whole`, async (t) => {
      const job = await on.makeJob({ max_concurrency: cap });
      for (const weight of [1, 2, 5]) {
        await setKey(job, `w${weight}`, { weight });
        // The lightest came first and would have everything by rank.
        await fill(job, `w${weight}`, ticks * cap, { rank: weight });
      }
      const { starts } = await play(ticks);
      t.diagnostic(JSON.stringify(starts));
      assertShares(starts, { w1: 1, w2: 2, w5: 5 });
      await clear();
    });
  }

  it('by weight also when only the project has a limit', async () => {
    const job = await on.makeJob();
    await on.app.sql(
      'insert into project_quotas (project_id, max_executing_runs) values ($1, 6)',
      on.project.project_id,
    );
    await setKey(job, '*', { weight: 1 });
    await setKey(job, 'heavy', { weight: 3 });
    await fill(job, 'light', 150);
    await fill(job, 'heavy', 150, { rank: 1 });
    // Runs without a key are one more key of weight 1.
    await fill(job, null, 150, { rank: 2 });
    const { starts } = await play(25);
    assertShares(starts, { light: 1, heavy: 3, '': 1 });
    await on.app.sql('delete from project_quotas where project_id = $1', on.project.project_id);
    await clear();
  });

  it('by slots, not by starts: long runs of one key do not take those of another', async (t) => {
    const job = await on.makeJob({ max_concurrency: 10 });
    await setKey(job, '*', { weight: 1 });
    await fill(job, 'slow', 100);
    await fill(job, 'fast', 150, { rank: 1 });
    const { slots } = await play(20, [], (key) => (key === 'slow' ? 10 : 1));
    t.diagnostic(JSON.stringify(slots));
    assertShares(slots, { slow: 1, fast: 1 });
    await clear();
  });

  it('with its minimum first, whatever the others have waiting, and nothing kept free for it', async () => {
    const job = await on.makeJob({ max_concurrency: 6 });
    await setKey(job, 'guaranteed', { min_concurrency: 2, weight: 1 });
    await setKey(job, 'big', { weight: 100 });
    await setKey(job, 'other', { weight: 25 });
    await fill(job, 'big', 2_000, { rank: -1_000_000 });
    const held: Held[] = [];
    assert.deepEqual((await play(2, held)).holds, { big: 6 });
    await fill(job, 'guaranteed', 100);
    await fill(job, 'other', 200);
    const { holds, starts } = await play(20, held);
    assert.equal(holds['guaranteed'], 2);
    assert.equal(starts['guaranteed'], 40);
    assertShares({ ...starts, guaranteed: 0 }, { big: 4, other: 1 });
    await clear();
  });

  it('a key that comes late, or was guaranteed, gets its share from then on, not what it missed or had', async () => {
    const job = await on.makeJob({ max_concurrency: 3 });
    await setKey(job, 'early', { min_concurrency: 3 });
    await fill(job, 'early', 100);
    const held: Held[] = [];
    await play(12, held);
    await setKey(job, 'early', { min_concurrency: 0 });
    await fill(job, 'late', 100);
    const { starts } = await play(16, held);
    // Up to ten turns go to the other first.
    assert.ok(
      Math.abs((starts['early'] ?? 0) - (starts['late'] ?? 0)) <= 12,
      JSON.stringify(starts),
    );
    await clear();
  });

  it('up to its own maximum, which counts at once, and comes from the key, then `*`, then the job', async () => {
    const job = await on.makeJob({ max_concurrency: 20, max_concurrency_per_key: 2 });
    await fill(job, 'a', 50);
    await fill(job, 'b', 50);
    await fill(job, 'c', 50);
    const holds = async () => {
      await promoteAll(on.app);
      return Object.fromEntries(
        (
          await on.app.sql<{ key: string; in_flight: number; key_cap: number }>(
            `select l.concurrency_key as key, l.in_flight, r.key_cap from lanes l join lane_rooms r on r.lane_id = l.lane_id
              where l.job_id = (select id from jobs where slug = $1) and l.concurrency_key is not null`,
            job,
          )
        ).map(({ key, in_flight, key_cap }) => [key, [in_flight, key_cap]]),
      );
    };
    assert.deepEqual(await holds(), { a: [2, 2], b: [2, 2], c: [2, 2] });
    await setKey(job, 'a', { max_concurrency: 7 });
    assert.deepEqual(await holds(), { a: [7, 7], b: [2, 2], c: [2, 2] });
    await setKey(job, '*', { max_concurrency: 4 });
    await setKey(job, 'b', {});
    assert.deepEqual(await holds(), { a: [7, 7], b: [2, 2], c: [4, 4] });
    await setKey(job, 'a', { max_concurrency: 1 });
    assert.deepEqual(await holds(), { a: [1, 1], b: [2, 2], c: [4, 4] });
    for (const key of ['a', 'b', '%2A'])
      assert.equal(
        (await on.call('DELETE', `/v1/jobs/${job}/concurrency-keys/${key}`)).status,
        204,
      );
    assert.deepEqual(await holds(), { a: [2, 2], b: [2, 2], c: [2, 2] });
    assert.deepEqual(
      await on.app.sql(
        `select l.lane_id from lanes l join lane_rooms r on r.lane_id = l.lane_id
          where l.concurrency_key is not null and r.key_cap is distinct from strait_key_cap(l.job_id, l.concurrency_key)`,
      ),
      [],
    );
    await clear();
  });

  it('what was queued and running before its first key row is counted by key from then on', async () => {
    const job = await on.makeJob();
    for (const key of ['a', 'a', 'b']) keyOf.set(await on.run(job, { concurrency_key: key }), key);
    const held: Held[] = [];
    await play(1, held, () => 100);
    for (const key of ['a', 'b']) keyOf.set(await on.run(job, { concurrency_key: key }), key);
    await setKey(job, 'a', { max_concurrency: 2 });
    const { holds } = await play(1, held, () => 100);
    assert.deepEqual(holds, { a: 2, b: 2 });
    await clear();
  });

  it('a key of weight 600 gets as much as 600 keys of weight 1, and of those none starts twice before all did once', async () => {
    const job = await on.makeJob({ max_concurrency: 20 });
    const KEYS = 600;
    await setKey(job, '*', { weight: 1 });
    await setKey(job, 'one', { weight: KEYS });
    const others_of = Array.from({ length: KEYS }, (_, n) => `k${n}`);
    await fill(job, others_of, 2);
    await fill(job, 'one', 150, { rank: 1 });
    const { starts } = await play(6);
    const { one = 0, ...others } = starts;
    assert.ok(Math.abs(one - 60) <= 3, `${one} of 120`);
    assert.deepEqual([...new Set(Object.values(others))], [1]);
    await clear();
  });

  it('of two projects one gains nothing from spreading over a thousand keys', async () => {
    const many = await on.makeJob({ max_concurrency_per_key: 1 });
    await on.app.sql(
      `insert into jobs (project_id, name, slug, endpoint_url, max_concurrency)
       values ($1, 'One', 'one-key', 'http://127.0.0.1:9/', 500)`,
      on.other.project_id,
    );
    await fill(
      many,
      Array.from({ length: 1_000 }, (_, n) => `k${n}`),
      1,
    );
    await fill('one-key', 'one', 100);
    const { starts } = await play(4, [], () => 1, 20);
    assert.equal(starts['one'], 40);
    assert.equal(Object.keys(starts).length, 41);
    await clear();
  });

  it('of more lanes than are looked into at once the best ranked go first, not the oldest', async () => {
    const job = await on.makeJob({ max_concurrency: 2, max_concurrency_per_key: 1 });
    const keys = Array.from({ length: 600 }, (_, n) => `p${n}`);
    await fill(job, keys, 1, { rank: 1_000, apart: -1 });
    const { starts } = await play(3);
    assert.deepEqual(Object.keys(starts).toSorted(), [
      'p594',
      'p595',
      'p596',
      'p597',
      'p598',
      'p599',
    ]);
    await clear();
  });

  it('the share of a weight is the one at which minimum and share of all add up to what there is', async () => {
    const key = fc.record({
      min: fc.integer({ min: 0, max: 20 }),
      weight: fc.integer({ min: 1, max: 1000 }),
    });
    const cases = fc.sample(
      fc.record({
        keys: fc.array(key, { minLength: 1, maxLength: 8 }),
        slots: fc.integer({ min: 0, max: 100 }),
      }),
      300,
    );
    const levels = await on.app.sql<{ level: number }>(
      `select strait_level((c ->> 'slots')::bigint, array(select (k ->> 'min')::int from jsonb_array_elements(c -> 'keys') k),
              array(select (k ->> 'weight')::int from jsonb_array_elements(c -> 'keys') k)) as level
         from jsonb_array_elements($1::jsonb) with ordinality as x(c, n) order by n`,
      JSON.stringify(cases),
    );
    for (const [index, { keys, slots }] of cases.entries()) {
      const level = levels[index]?.level ?? -1;
      const mins = keys.reduce((sum, { min }) => sum + min, 0);
      const due = keys.reduce((sum, { min, weight }) => sum + Math.max(min, level * weight), 0);
      assert.ok(level >= 0);
      assert.ok(
        Math.abs(due - Math.max(slots, mins)) < 1e-6,
        JSON.stringify({ keys, slots, level, due }),
      );
    }
  });
});

describe('limits of keys are refused', () => {
  it('when they cannot be kept, with the field that is wrong', async () => {
    const job = await on.makeJob({ max_concurrency: 5, max_concurrency_per_key: 4 });
    const put = (key: string, body: object) =>
      on.call('PUT', `/v1/jobs/${job}/concurrency-keys/${key}`, body);
    await setKey(job, 'a/b c', { min_concurrency: 2 });
    const cases: [string, object, string][] = [
      ['k', { min_concurrency: 3, max_concurrency: 2 }, 'body.min_concurrency'],
      ['k', { min_concurrency: 4, max_concurrency: 9 }, 'body.min_concurrency'],
      ['k', { min_concurrency: 5 }, 'body.min_concurrency'],
      ['%2A', { min_concurrency: 1 }, 'body.min_concurrency'],
      ['k', { min_concurrency: -1 }, 'body.min_concurrency'],
      ['k', { weight: 0 }, 'body.weight'],
      ['k', { weight: 1001 }, 'body.weight'],
      ['k', { weight: 1.5 }, 'body.weight'],
      ['k', { max_concurrency: 'x' }, 'body.max_concurrency'],
      ['k'.repeat(513), {}, 'path.concurrencyKey'],
    ];
    for (const [key, body, path] of cases) {
      const { status, body: answer } = await put(key, body);
      assert.equal(status, 400, JSON.stringify(body));
      assert.equal(answer.details[0].path, path, JSON.stringify(answer));
    }
    assert.equal((await put('k', { wieght: 1 })).status, 400);
    assert.equal((await put('k', { min_concurrency: 3 })).status, 200);
    const gone = await on.call('DELETE', `/v1/jobs/${job}/concurrency-keys/none`);
    assert.deepEqual([gone.status, gone.body.code], [404, 'key_limit_not_found']);
    const { body: list } = await on.call('GET', `/v1/jobs/${job}/concurrency-keys`);
    assert.deepEqual(
      list.data.map((row: Record<string, unknown>) => [
        row['concurrency_key'],
        row['min_concurrency'],
      ]),
      [
        ['a/b c', 2],
        ['k', 3],
      ],
    );
  });

  it('so two that each fit, but not together, do not both get in', async () => {
    const job = await on.makeJob({ max_concurrency: 5 });
    const answers = await Promise.all(
      ['a', 'b'].map((key) =>
        on.call('PUT', `/v1/jobs/${job}/concurrency-keys/${key}`, { min_concurrency: 3 }),
      ),
    );
    assert.deepEqual(answers.map(({ status }) => status).toSorted(), [200, 400]);
  });
});
