import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { overlapsOf, type Interval } from './overlaps.ts';

/** The definition, looked at pair by pair. */
const naive = (intervals: readonly Interval[]) =>
  intervals.map((a, index) =>
    intervals.flatMap((b, other) =>
      other !== index && a.start < b.end && b.start < a.end ? [other] : [],
    ),
  );

let seed = 7;
const random = (below: number): number => {
  seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
  return Math.floor((seed / 2_147_483_648) * below);
};

describe('overlaps of intervals', () => {
  test('are those of every pair, empty ones and common starts included', () => {
    for (let round = 0; round < 300; round += 1) {
      const intervals = Array.from({ length: random(12) }, () => {
        const start = random(8);
        return { start, end: start + random(4) };
      });
      const expected = naive(intervals);
      const all = overlapsOf(intervals, 100);
      assert.deepEqual(
        all.map(({ first, count }) => [[...first].sort((a, b) => a - b), count]),
        expected.map((others) => [others, others.length]),
        JSON.stringify(intervals),
      );
      const some = overlapsOf(intervals, 2);
      some.forEach(({ first, count }, index) => {
        const others = expected[index] ?? [];
        assert.equal(count, others.length);
        assert.equal(first.length, Math.min(2, others.length));
        assert.ok(first.every((other) => others.includes(other)));
      });
    }
  });

  test('are named by their start', () => {
    const intervals = [
      { start: 5, end: 9 },
      { start: 3, end: 9 },
      { start: 6, end: 7 },
      { start: 1, end: 9 },
    ];
    assert.deepEqual(overlapsOf(intervals, 2)[0], { first: [3, 1], count: 3 });
  });

  test('of many that all run at once take no look at every pair (§27.5)', () => {
    const looksFor = (size: number): number => {
      let looks = 0;
      const all = Array.from({ length: size }, (_, at) => ({ start: at, end: size + at }));
      const found = overlapsOf(all, 20, () => (looks += 1));
      assert.ok(found.every(({ count }) => count === size - 1));
      return looks;
    };
    assert.equal(looksFor(1000), 20_000);
    assert.equal(looksFor(2000), 40_000);
  });
});
