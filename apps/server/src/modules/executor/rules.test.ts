import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  baseDelaySecs,
  classifyStatus,
  decideRetry,
  interpretReply,
  isRetryable,
  parseRetryAfter,
  retryDelayMs,
  type RetryPolicy,
} from './rules.ts';
import { storableJson } from './storable-json.ts';

const policy = (changes: Partial<RetryPolicy> = {}): RetryPolicy => ({
  max_attempts: 3,
  retry_strategy: 'exponential',
  retry_delays_secs: [],
  retry_priority_boost: 1,
  poison_pill_threshold: null,
  ...changes,
});
const reply = (status: number, body = '', headers: Record<string, string> = {}) => ({
  status,
  headers,
  body: Buffer.from(body),
  truncated: false,
});

describe('delays before jitter', () => {
  const delays = (changes: Partial<RetryPolicy>) =>
    Array.from({ length: 20 }, (_, index) => baseDelaySecs(policy(changes), index + 1));

  test('exponential doubles from one second and stops at an hour', () => {
    assert.deepEqual(
      delays({}).slice(0, 13),
      [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 3600],
    );
    assert.equal(delays({}).at(-1), 3600);
  });
  test('linear grows by a second per attempt', () =>
    assert.deepEqual(
      delays({ retry_strategy: 'linear' }),
      Array.from({ length: 20 }, (_, i) => i + 1),
    ));
  test('fixed is always one second', () =>
    assert.deepEqual(new Set(delays({ retry_strategy: 'fixed' })), new Set([1])));
  test('custom follows its list and repeats the last entry', () =>
    assert.deepEqual(
      delays({ retry_strategy: 'custom', retry_delays_secs: [3, 7, 5000] }).slice(0, 5),
      [3, 7, 3600, 3600, 3600],
    ));
  test('custom without a list is exponential', () =>
    assert.deepEqual(delays({ retry_strategy: 'custom' }).slice(0, 4), [1, 2, 4, 8]));
  test('a run override replaces the strategy of the job', () => {
    assert.deepEqual(
      delays({
        retry_strategy: 'linear',
        retry_backoff: 'exponential',
        retry_initial_delay_secs: 5,
        retry_max_delay_secs: 12,
      }).slice(0, 4),
      [5, 10, 12, 12],
    );
    assert.deepEqual(
      delays({ retry_backoff: 'fixed', retry_initial_delay_secs: 9 }).slice(0, 3),
      [9, 9, 9],
    );
  });
  test('jitter stays within twenty percent, and Retry-After is never undercut', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 100 }),
        fc.double({ min: 0, max: 0.999999, noNaN: true }),
        fc.option(fc.integer({ min: 0, max: 3_600_000 })),
        (attempt, random, after) => {
          const base = baseDelaySecs(policy(), attempt) * 1000;
          const delay = retryDelayMs(policy(), attempt, after ?? undefined, random);
          assert.ok(delay >= base * 0.8 - 1);
          if (after === null) assert.ok(delay <= base * 1.2 + 1);
          else assert.ok(delay >= after && delay <= Math.max(base * 1.2, after * 1.1) + 1);
        },
      ),
    );
  });
});

describe('classes', () => {
  test('every status has the class of the table', () => {
    const table = {
      429: 'rate_limited',
      401: 'auth',
      403: 'auth',
      408: 'transient',
      425: 'transient',
      400: 'client',
      404: 'client',
      422: 'client',
      301: 'client',
      302: 'client',
      500: 'server',
      502: 'server',
      503: 'server',
      599: 'server',
      600: 'unknown',
    };
    for (const [status, error_class] of Object.entries(table))
      assert.equal(classifyStatus(Number(status)), error_class, status);
  });
  test('client, auth and internal errors are never retried', () => {
    assert.deepEqual(['client', 'auth', 'internal'].filter(isRetryable), []);
    assert.equal(
      ['rate_limited', 'transient', 'server', 'connection', 'timeout', 'crash', 'unknown'].filter(
        isRetryable,
      ).length,
      7,
    );
  });
});

describe('replies', () => {
  test('an empty 2xx has no result, JSON is kept, other text becomes a string', () => {
    assert.deepEqual(interpretReply(reply(204), 0), {
      ok: true,
      result: undefined,
      status_code: 204,
    });
    assert.deepEqual(interpretReply(reply(200, ' {"a":1} '), 0), {
      ok: true,
      result: '{"a":1}',
      status_code: 200,
    });
    assert.deepEqual(interpretReply(reply(200, 'plain <text>'), 0), {
      ok: true,
      result: '"plain <text>"',
      status_code: 200,
    });
  });
  test('202 hands the run over only with the header', () => {
    assert.equal(interpretReply(reply(202), 0).ok, true);
    assert.equal(interpretReply(reply(202, '', { 'x-strait-async': '1' }), 0).ok, 'handed_over');
  });
  test('an oversized result fails for good', () => {
    const outcome = interpretReply({ ...reply(200, 'x'), truncated: true }, 0);
    assert.ok(
      outcome.ok === false &&
        outcome.error_class === 'client' &&
        outcome.error === 'result too large',
    );
  });
  test('failures carry status and the beginning of the body', () => {
    const outcome = interpretReply(reply(500, `boom\u0000${'x'.repeat(5000)}`), 0);
    assert.ok(outcome.ok === false);
    assert.match(outcome.error, /^endpoint returned 500: boom\uFFFDx+$/);
    assert.ok(outcome.error.length < 1100);
    assert.equal(outcome.fingerprint, 'endpoint returned 500');
  });
  test('Retry-After is seconds or a date, for 429 and 503 only, an hour at most', () => {
    assert.equal(parseRetryAfter('7', 0), 7000);
    assert.equal(parseRetryAfter('99999999', 0), 3_600_000);
    assert.equal(
      parseRetryAfter('Wed, 21 Oct 2015 07:28:00 GMT', Date.parse('2015-10-21T07:27:50Z')),
      10_000,
    );
    assert.equal(parseRetryAfter('soon', 0), undefined);
    const later = (status: number) => interpretReply(reply(status, '', { 'retry-after': '3' }), 0);
    for (const [status, expected] of [
      [429, 3000],
      [503, 3000],
      [500, undefined],
    ] as const) {
      const outcome = later(status);
      assert.ok(outcome.ok === false && outcome.retry_after_ms === expected, String(status));
    }
  });
  test('whatever a handler answers becomes JSON that PostgreSQL stores', () => {
    assert.equal(storableJson('{"a":"\\u0000"}'), '{"a":"\uFFFD"}');
    assert.equal(storableJson('"\\ud800"'), '"\uFFFD"');
    assert.equal(storableJson('1e999999'), 'null');
    assert.equal(
      typeof JSON.parse(storableJson(`${'['.repeat(2000)}${']'.repeat(2000)}`) ?? ''),
      'string',
    );
    fc.assert(
      fc.property(fc.string(), (text) => {
        const stored = storableJson(text);
        if (stored !== undefined) JSON.parse(stored);
      }),
    );
  });
});

describe('decisions', () => {
  const failure = {
    attempt: 1,
    priority: 3,
    metadata: {},
    error_class: 'server' as const,
    fingerprint: 'endpoint returned 500',
  };

  test('an attempt below the limit is followed by the next, with a little more priority', () => {
    const decision = decideRetry(failure, policy(), 0.5);
    assert.ok(decision.to === 'queued');
    assert.deepEqual([decision.attempt, decision.priority, decision.delay_ms], [2, 4, 1000]);
    assert.ok(decideRetry({ ...failure, priority: 10 }, policy(), 0).to === 'queued');
  });
  test('the last attempt ends where its class says', () => {
    const last = (error_class: 'server' | 'timeout' | 'crash') =>
      decideRetry({ ...failure, attempt: 3, error_class }, policy(), 0).to;
    assert.deepEqual(
      [last('server'), last('timeout'), last('crash')],
      ['dead_letter', 'timed_out', 'crashed'],
    );
    assert.equal(
      decideRetry({ ...failure, error_class: 'client' }, policy({ max_attempts: 100 }), 0).to,
      'dead_letter',
    );
  });
  test('a poison pill dies at its threshold, counting only equal errors in a row', () => {
    const job = policy({ max_attempts: 100, poison_pill_threshold: 3 });
    let metadata: Record<string, string> = {};
    const fail = (fingerprint: string): string => {
      const decision = decideRetry({ ...failure, metadata, fingerprint }, job, 0);
      ({ metadata } = decision);
      return decision.to;
    };
    assert.deepEqual(['a', 'a', 'b', 'a', 'a', 'a'].map(fail), [
      'queued',
      'queued',
      'queued',
      'queued',
      'queued',
      'dead_letter',
    ]);
  });
});
