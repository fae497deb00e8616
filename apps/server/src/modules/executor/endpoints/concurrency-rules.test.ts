import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  foldLoad,
  isTroubled,
  joinLoad,
  nextConcurrency,
  NO_LOAD,
  troubleOf,
  type Baseline,
  type Concurrency,
  type LoadFacts,
  type LoadWindow,
} from './concurrency-rules.ts';

const BOUNDS = { min: 1, max: 200 };
const KNOWN: Baseline = { ms: 20, samples: 100 };

const load = (more: Partial<LoadWindow & { latency_ms: number }>): LoadWindow => {
  const { latency_ms = 20, ...counts } = more;
  const window = { ...NO_LOAD, ...counts };
  return { ...window, log_ms: window.ok * Math.log(latency_ms) };
};
const facts = (window: LoadWindow, more: Partial<LoadFacts> = {}): LoadFacts => ({
  window,
  baseline: KNOWN,
  executing: window.peak,
  in_flight: window.peak,
  since_change_ms: 1_000,
  since_judged_ms: 1_000,
  ...more,
});

const windows = fc
  .record({
    ok: fc.nat(500),
    failures: fc.nat(20),
    overloads: fc.nat(20),
    latency_ms: fc.constantFrom(1, 20, 200, 5_000),
    peak: fc.nat(1_000),
  })
  .map(load);
const moments = fc.array(
  fc.record({
    window: windows,
    in_flight: fc.nat(1_000),
    executing: fc.nat(1_000),
    since_change_ms: fc.nat(60_000),
    since_judged_ms: fc.nat(700_000),
    baseline: fc.record({
      ms: fc.option(fc.constantFrom(1, 20, 40_000)),
      samples: fc.nat(100),
    }),
  }),
  { maxLength: 80 },
);

const after = (
  start: Concurrency | undefined,
  all: readonly LoadFacts[],
  bounds = BOUNDS,
): Concurrency | undefined => {
  let now = start;
  for (const each of all) now = nextConcurrency(now, each, bounds);
  return now;
};

/** An endpoint that takes `capacity` at once and answers 429 beyond, asked for as much as the limit lets through. */
const busyAt =
  (capacity: number) =>
  (limit: number): LoadFacts =>
    facts(
      load({
        ok: Math.min(limit, capacity) * 20,
        overloads: Math.max(0, limit - capacity) * 20,
        peak: limit,
      }),
    );

describe('the limit of an endpoint', () => {
  it('stays within its bounds, moves down by half at most and up by a step, whatever happens', () => {
    fc.assert(
      fc.property(moments, fc.integer({ min: 1, max: 20 }), (all, min) => {
        const bounds = { min, max: 200 };
        let now: Concurrency | undefined;
        for (const each of all) {
          const next = nextConcurrency(now, each, bounds);
          if (next) {
            assert.ok(Number.isInteger(next.limit));
            assert.ok(next.limit >= min && next.limit <= 200, `limit ${next.limit}`);
            assert.ok(next.limit < next.observed || now, 'it begins below what ran');
          }
          if (next && now) {
            const step = Math.max(1, Math.round(now.observed / 20));
            assert.ok(next.limit <= Math.max(min, now.limit + step));
            assert.ok(next.limit >= Math.floor(now.limit / 2));
          }
          now = next;
        }
      }),
    );
  });

  it('is gone again after a minute without trouble, wherever it stood', () => {
    fc.assert(
      fc.property(moments, fc.nat(300), (all, in_flight) => {
        const calm = Array.from({ length: 60 }, () => facts(load({ ok: 5 }), { in_flight }));
        assert.equal(after(after(undefined, all), calm), undefined);
      }),
    );
  });

  it('comes near what the endpoint takes at once, from above and from below, and stays there', () => {
    for (const [capacity, observed] of [
      [5, 300],
      [5, 6],
      [40, 100],
      [1, 50],
    ] as const) {
      const endpoint = busyAt(capacity);
      let now = nextConcurrency(undefined, endpoint(observed), BOUNDS);
      for (let n = 0; n < 40; n++) now &&= nextConcurrency(now, endpoint(now.limit), BOUNDS);
      let sum = 0;
      for (let n = 0; n < 100; n++) {
        assert.ok(now, 'as long as it is used');
        sum += now.limit;
        now = nextConcurrency(now, endpoint(now.limit), BOUNDS);
      }
      const mean = sum / 100;
      const step = Math.max(1, observed / 20);
      assert.ok(Math.abs(mean - capacity) <= Math.max(1, step), `${mean} for ${capacity}`);
    }
  });

  it('does not begin without trouble, with one run at a time, or for a few failures among many', () => {
    const begins = (window: LoadWindow, baseline = KNOWN) =>
      nextConcurrency(undefined, facts(window, { baseline }), BOUNDS)?.limit;
    assert.equal(begins(load({ ok: 500, peak: 50 })), undefined);
    assert.equal(begins(load({ overloads: 5, peak: 1 })), undefined);
    const since = facts(load({ overloads: 5, peak: 1 }), { executing: 30 });
    assert.equal(nextConcurrency(undefined, since, BOUNDS), undefined, 'when it went wrong');
    assert.equal(begins(load({ ok: 1, failures: 2, peak: 50 })), undefined, 'two of three');
    assert.equal(begins(load({ ok: 91, failures: 9, peak: 50 })), undefined);
    assert.equal(begins(load({ ok: 300, overloads: 2, peak: 50 })), undefined);
    assert.equal(begins(load({ ok: 90, failures: 10, peak: 50 })), 25);
    assert.equal(begins(load({ ok: 90, overloads: 1, peak: 50 })), 25);
    assert.equal(begins(load({ ok: 10, latency_ms: 80, peak: 50 })), 25, 'four times as slow');
    assert.equal(begins(load({ ok: 9, latency_ms: 80, peak: 50 })), undefined);
    assert.equal(begins(load({ ok: 10, latency_ms: 60, peak: 50 })), undefined);
    const young = { ms: 20, samples: 99 };
    assert.equal(begins(load({ ok: 10, latency_ms: 80, peak: 50 }), young), undefined);
  });

  it('is not halved below half of what ran by slowness, which may have other reasons', () => {
    const slow = facts(load({ ok: 20, latency_ms: 5_000, peak: 60 }));
    const first = after(undefined, [slow]);
    assert.equal(first?.limit, 30);
    assert.equal(
      after(
        first,
        Array.from({ length: 20 }, () => slow),
      )?.limit,
      30,
    );
  });

  it('waits until a change can be seen in the results', () => {
    const baseline = { ms: 4_000, samples: 100 };
    const start = { limit: 16, observed: 32, used: 32, calm: 3 };
    const trouble = load({ ok: 1, overloads: 9 });
    const next = (window: LoadWindow, since_change_ms: number) =>
      nextConcurrency(start, facts(window, { baseline, since_change_ms }), BOUNDS);
    assert.deepEqual(next(trouble, 3_999), { ...start, used: 28.8, calm: 0 });
    assert.equal(next(trouble, 4_000)?.limit, 8);
    assert.equal(next(load({ ok: 5 }), 3_999)?.limit, 16);
    assert.equal(next(load({ ok: 5 }), 4_000)?.limit, 18);
  });

  it('is dropped when it is far above what is used, or nobody has called for long', () => {
    const start = { limit: 20, observed: 40, used: 40, calm: 0 };
    const quiet = facts(load({ ok: 5 }), { in_flight: 8 });
    assert.ok(
      after(
        start,
        Array.from({ length: 9 }, () => quiet),
      ),
    );
    assert.equal(
      after(
        start,
        Array.from({ length: 12 }, () => quiet),
      ),
      undefined,
    );
    const busy = facts(load({ ok: 5 }), { in_flight: 40 });
    assert.ok(
      after(
        start,
        Array.from({ length: 12 }, () => busy),
      ),
    );
    const silent = (since_judged_ms: number, in_flight: number) =>
      nextConcurrency(start, facts(NO_LOAD, { since_judged_ms, in_flight }), BOUNDS);
    assert.deepEqual(silent(599_000, 0), start);
    assert.equal(silent(600_000, 0), undefined);
    assert.deepEqual(silent(600_000, 15), start, 'long runs hold it');
    const one = { limit: 1, observed: 2, used: 1, calm: 0 };
    const held = facts(NO_LOAD, { since_judged_ms: 600_000, in_flight: 1 });
    const two = nextConcurrency(one, held, BOUNDS);
    assert.equal(two?.limit, 2, 'one long run holds all there is');
    assert.equal(nextConcurrency(two, held, BOUNDS), undefined, 'and nobody waits');
    const both = { ...held, in_flight: 2 };
    assert.equal(nextConcurrency(two, both, BOUNDS)?.limit, 2, 'somebody did');
    assert.equal(nextConcurrency(one, held, { min: 1, max: 1 })?.limit, 1);
  });
});

describe('a window', () => {
  it('is the same gathered in parts, and knows nothing of refusals', () => {
    const one = foldLoad(NO_LOAD, { latency_ms: 100, concurrent: 3 }, 'success');
    const all = (['busy', 'failure', 'refused'] as const).reduce(
      (fold, finding) => foldLoad(fold, { latency_ms: 7, concurrent: 2 }, finding),
      one,
    );
    const parts = joinLoad(
      one,
      joinLoad(
        foldLoad(NO_LOAD, { latency_ms: 7, concurrent: 2 }, 'busy'),
        foldLoad(NO_LOAD, { latency_ms: 7 }, 'failure'),
      ),
    );
    assert.deepEqual(all, parts);
    assert.deepEqual(all, { ok: 1, failures: 1, overloads: 1, log_ms: Math.log(100), peak: 2 });
    const busy = foldLoad(NO_LOAD, { latency_ms: 7, overloaded: true }, 'failure');
    assert.equal(busy.overloads, 1, '503');
    assert.ok(isTroubled(troubleOf(busy, { ms: null, samples: 0 })));
  });
});
