// What callers are promised while API processes come, go and work side by side.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { audit, untilAllEnded, watchQueue } from './accounts.ts';
import { full, report, startCluster } from './cluster.ts';

const CRASHES = full ? 20 : 4;
const BULK = 500;
const KEY_ROUNDS = full ? 200 : 50;
const PARALLEL = 20;

interface Bulk {
  readonly batch_id: string;
  readonly created: number;
  readonly results: readonly { readonly id: string }[];
}

interface Triggered {
  readonly id: string;
  readonly idempotency_hit: boolean;
}

describe('API processes', () => {
  test('a bulk trigger that a killed API process was serving exists completely or not at all', async (t) => {
    const began = performance.now();
    const cluster = await startCluster(t, { database: 'own', env: { WORKER_CONCURRENCY: '64' } });
    const endpoint = await cluster.endpoint();
    let api = await cluster.start('api');
    const job = await cluster.job(api, endpoint);
    await cluster.start('worker');
    const watch = watchQueue(cluster.db);

    const acknowledged = new Map<string, readonly string[]>();
    let unanswered = 0;
    for (let crash = 0; crash < CRASHES; crash++) {
      // One bulk trigger after the other, two callers at a time, until the process dies under them.
      const caller = async (): Promise<void> => {
        for (;;) {
          const items = Array.from({ length: BULK }, (_, n) => ({ payload: { crash, n } }));
          try {
            const { status, body } = await cluster.call<Bulk>(
              api,
              'POST',
              `/v1/jobs/${job}/trigger/bulk`,
              { items },
            );
            assert.equal(status, 201);
            assert.equal(body.created, BULK);
            acknowledged.set(
              body.batch_id,
              body.results.map(({ id }) => id),
            );
          } catch (error) {
            if (error instanceof assert.AssertionError) throw error;
            unanswered += 1;
            return;
          }
        }
      };
      const victim = api;
      // Spread over everything a request goes through, from its first byte to its reply.
      const killing = sleep(100 + ((crash * 170) % 700)).then(() => victim.kill());
      await Promise.all([caller(), caller(), killing]);
      api = await cluster.start('api');
    }

    const states = await untilAllEnded(cluster);
    const { snapshots } = await watch.stop();
    const books = await audit(cluster, endpoint);
    const batches = await cluster.rows<{ id: string; status: string; runs: number }>(
      `select b.id, b.status, count(r.id) as runs from batch_operations b left join job_runs r on r.batch_id = b.id group by 1, 2`,
    );
    assert.deepEqual(
      batches.filter(({ status, runs }) => Number(runs) !== BULK || status !== 'completed'),
      [],
      'every batch is whole',
    );
    const whole = new Set(batches.map(({ id }) => id));
    assert.deepEqual(
      [...acknowledged.keys()].filter((id) => !whole.has(id)),
      [],
      'every acknowledged batch exists',
    );
    const known = new Set(
      (await cluster.rows<{ id: string }>('select id from job_runs')).map(({ id }) => id),
    );
    assert.deepEqual(
      [...acknowledged.values()].flat().filter((id) => !known.has(id)),
      [],
      'and so does each of its runs',
    );
    assert.deepEqual(states, { completed: batches.length * BULK });
    assert.equal(books.repeated, 0);
    assert.ok(unanswered >= CRASHES, 'each crash cut a request off');
    report({
      scenario: 'api-crash',
      crashes: CRASHES,
      acknowledged_batches: acknowledged.size,
      unanswered,
      unanswered_but_whole: batches.length - acknowledged.size,
      ...books,
      snapshots,
      secs: Math.round((performance.now() - began) / 1000),
    });
  });

  test('parallel triggers with one idempotency key make one run, on one API process and on two', async (t) => {
    const began = performance.now();
    const cluster = await startCluster(t, { database: 'shared' });
    const endpoint = await cluster.endpoint();
    const apis = [await cluster.start('api'), await cluster.start('api')] as const;
    const job = await cluster.job(apis[0], endpoint);
    const latencies: number[] = [];
    for (let round = 0; round < KEY_ROUNDS; round++) {
      const sent = performance.now();
      const replies = await Promise.all(
        Array.from({ length: PARALLEL }, (_, index) =>
          cluster.call<Triggered>(
            round % 2 === 0 ? apis[0] : (apis[index % 2] ?? apis[0]),
            'POST',
            `/v1/jobs/${job}/trigger`,
            { payload: { round } },
            { 'idempotency-key': `round-${round}` },
          ),
        ),
      );
      latencies.push(performance.now() - sent);
      assert.deepEqual(
        replies.map(({ status }) => status),
        Array(PARALLEL).fill(201),
      );
      assert.equal(
        new Set(replies.map(({ body }) => body.id)).size,
        1,
        'all answers name the same run',
      );
      assert.equal(
        replies.filter(({ body }) => !body.idempotency_hit).length,
        1,
        'exactly one of them created it',
      );
    }
    const [count] = await cluster.rows<{ runs: number; keys: number }>(
      'select count(*) as runs, count(distinct idempotency_key) as keys from job_runs',
    );
    assert.deepEqual([Number(count?.runs), Number(count?.keys)], [KEY_ROUNDS, KEY_ROUNDS]);
    report({
      scenario: 'idempotency',
      rounds: KEY_ROUNDS,
      parallel: PARALLEL,
      runs: KEY_ROUNDS,
      round_ms: Math.round(latencies.reduce((sum, ms) => sum + ms, 0) / KEY_ROUNDS),
      secs: Math.round((performance.now() - began) / 1000),
    });
  });
});
