import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { ErrorClass } from '../rules.ts';
import {
  admissionOf,
  findingOf,
  foldBreaker,
  foldHealth,
  levelOf,
  mayFallBack,
  NO_FAILURES,
  NO_HEALTH,
  scoreOf,
  shareOf,
  type Finding,
} from './rules.ts';

const findings = fc.array(fc.constantFrom<Finding>('success', 'failure', 'busy', 'refused'), {
  maxLength: 40,
});

describe('what a result says about its endpoint', () => {
  it('is the table of §8.2', () => {
    const table: Readonly<Record<ErrorClass, readonly [Finding | undefined, fallback: boolean]>> = {
      rate_limited: ['busy', true],
      auth: ['refused', false],
      transient: ['failure', true],
      client: ['refused', false],
      server: ['failure', true],
      connection: ['failure', true],
      timeout: ['failure', true],
      crash: [undefined, false],
      internal: [undefined, false],
      unknown: ['failure', false],
    };
    for (const [error_class, [finding, fallback]] of Object.entries(table)) {
      assert.equal(findingOf(error_class as ErrorClass, true), finding, error_class);
      assert.equal(mayFallBack(error_class as ErrorClass, 1_000), fallback, error_class);
      assert.equal(mayFallBack(error_class as ErrorClass, 999), false, error_class);
    }
    assert.equal(findingOf('client', false), undefined, 'a refusal of ours was not its answer');
  });
});

describe('a row of failures', () => {
  it('is the same gathered as one by one, wherever the cuts are', () => {
    fc.assert(
      fc.property(
        fc.array(findings, { maxLength: 6 }),
        fc.integer({ min: 1, max: 8 }),
        (batches, threshold) => {
          let counter = 0;
          let most = 0;
          for (const finding of batches.flat()) {
            if (finding === 'success') counter = 0;
            if (finding === 'failure') counter += 1;
            most = Math.max(most, counter);
          }
          // As recordResults counts.
          let stored = 0;
          let opened = false;
          for (const batch of batches) {
            const fold = batch.reduce(foldBreaker, NO_FAILURES);
            opened ||= fold.longest >= threshold || stored + fold.leading >= threshold;
            stored = fold.succeeded ? fold.trailing : stored + fold.leading;
          }
          assert.equal(stored, counter);
          assert.equal(opened, most >= threshold);
        },
      ),
    );
  });
});

describe('the health of an endpoint', () => {
  const after = (list: readonly Finding[]) =>
    list.reduce((fold, finding) => foldHealth(fold, finding, 0, 1000), NO_HEALTH);
  const failures = (n: number) => after(Array.from({ length: n }, () => 'failure' as const));

  it('falls by a tenth with each failure: 59.0 after five, 28.2 after twelve', () => {
    for (const [n, score] of [
      [0, 100],
      [5, 59.0],
      [12, 28.2],
    ] as const)
      assert.equal(scoreOf(failures(n)).toFixed(1), score.toFixed(1));
    assert.deepEqual(
      [4, 5, 11, 12].map((n) => levelOf(scoreOf(failures(n)))),
      ['healthy', 'degraded', 'degraded', 'blocked'],
    );
  });

  it('stays within its bounds, is no worse for a success, and does not care about refusals', () => {
    fc.assert(
      fc.property(findings, fc.double({ min: -1e9, max: 1e12, noNaN: true }), (list, latency) => {
        const fold = list.reduce((f, finding) => foldHealth(f, finding, latency, 1000), NO_HEALTH);
        const score = scoreOf(fold);
        assert.ok(score >= 0 && score <= 100);
        assert.deepEqual(foldHealth(fold, 'refused', latency, 1000), fold);
        assert.ok(scoreOf(foldHealth(fold, 'success', 0, 1000)) >= score - 1e-9);
        assert.ok(scoreOf(foldHealth(fold, 'failure', 0, 1000)) <= score + 1e-9);
      }),
    );
  });

  it('leaves between a quarter and all of a limit, the more the better it is', () => {
    assert.deepEqual([30, 45, 60].map(shareOf), [0.25, 0.625, 1]);
    assert.deepEqual([29.9, 60.1].map(shareOf), [1, 1]);
  });
});

describe('the admission of an endpoint', () => {
  const now = '2026-03-01T12:00:00.000Z';
  const sound = {
    now,
    breaker: 'closed',
    reopens_at: null,
    score: 100,
    before: undefined,
    probed: undefined,
  } as const;
  const in_ms = (ms: number) => new Date(Date.parse(now) + ms).toISOString();

  it('is closed while breaker or health say so, and never otherwise', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('closed', 'open', 'half_open'),
        fc.double({ min: 0, max: 100, noNaN: true }),
        (breaker, score) => {
          const decided = admissionOf({ ...sound, breaker, score, reopens_at: in_ms(60_000) });
          assert.equal(decided.closed, breaker !== 'closed' || score < 30);
          assert.ok(decided.share >= 0.25 && decided.share <= 1);
        },
      ),
    );
  });

  it('waits for the breaker first, then 30 s between probes, which late results do not put off', () => {
    const opens = admissionOf({ ...sound, breaker: 'open', reopens_at: in_ms(60_000), score: 5 });
    assert.equal(opens.probe_at, in_ms(60_000));
    const blocked = admissionOf({ ...sound, score: 28 });
    assert.equal(blocked.probe_at, in_ms(30_000));
    const before = { closed: true, share: 1, probe_at: in_ms(7_000) };
    assert.equal(admissionOf({ ...sound, score: 25, before }).probe_at, in_ms(7_000));
    const failed = admissionOf({ ...sound, score: 25, before, probed: 'failure' });
    assert.equal(failed.probe_at, in_ms(30_000));
    const nothing = admissionOf({ ...sound, score: 25, before, probed: 'nothing' });
    assert.deepEqual([nothing.closed, nothing.probe_at], [true, in_ms(2_000)]);
  });
});
