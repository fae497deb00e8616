import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { judge, versionFor, type AutoPromote, type Measured } from './rules.ts';

/** mulberry32 */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
const canary = { source_version: 1, target_version: 2, traffic_pct: 30 };

describe('what a canary decides', () => {
  it('of 10,000 triggers 30 % get the target, give or take 2 %', () => {
    for (const seed of [1, 2, 3, 4, 5]) {
      const random = seeded(seed);
      let targets = 0;
      for (let n = 0; n < 10_000; n += 1)
        if (versionFor(canary, random(), null) === 2) targets += 1;
      assert.ok(Math.abs(targets - 3_000) <= 200, `seed ${seed}: ${targets}`);
    }
  });

  it('nobody gets a share of 0; who belongs to one of the two stays there', () => {
    assert.equal(versionFor({ ...canary, traffic_pct: 0 }, 0, null), 1);
    assert.equal(versionFor(canary, 0.99, 2), 2);
    assert.equal(versionFor(canary, 0, 1), 1);
    assert.equal(versionFor(canary, 0, 7), 2, 'another version is none of them');
  });

  it('looks at enough runs, then at failures, then at the slowest', () => {
    const auto: AutoPromote = {
      enabled: true,
      steps: [10, 50],
      interval_secs: 60,
      failure_rate_threshold: 20,
      latency_p99_threshold_secs: 2,
    };
    const of = (more: Partial<Measured>): Measured => ({
      ended: 10,
      failed: 0,
      latency_p99_secs: 1,
      ...more,
    });
    assert.deepEqual(judge(10, auto, of({ ended: 4, failed: 4 })), { kind: 'hold' });
    assert.equal(judge(10, auto, of({ failed: 3 })).kind, 'roll_back');
    assert.equal(judge(10, auto, of({ latency_p99_secs: 2.1 })).kind, 'roll_back');
    assert.deepEqual(judge(0, auto, of({ ended: 0 })), { kind: 'share', traffic_pct: 10 });
    assert.deepEqual(judge(10, auto, of({ failed: 2, latency_p99_secs: 2 })), {
      kind: 'share',
      traffic_pct: 50,
    });
    assert.deepEqual(judge(50, auto, of({})), { kind: 'share', traffic_pct: 100 });
    assert.deepEqual(
      judge(50, { ...auto, latency_p99_threshold_secs: null }, of({ latency_p99_secs: 99 })),
      {
        kind: 'share',
        traffic_pct: 100,
      },
    );
  });
});
