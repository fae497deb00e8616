import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { runMetadata, scheduleProblem, timeToLive, tokenExpiry } from './rules.ts';

const now = Date.parse('2026-06-01T12:00:00Z');
const at = (secs: number) => new Date(now + secs * 1000).toISOString();
const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const bare = { metadata: undefined, payload: {}, traceparent: undefined, tracestate: undefined };

describe('rules of a trigger', () => {
  test('a run may be scheduled from 60 seconds ago to 30 days ahead', () => {
    assert.equal(scheduleProblem(undefined, now), undefined);
    assert.equal(scheduleProblem(at(-60), now), undefined);
    assert.equal(scheduleProblem(at(30 * 86_400), now), undefined);
    assert.match(scheduleProblem(at(-61), now) ?? '', /past/);
    assert.match(scheduleProblem(at(30 * 86_400 + 1), now) ?? '', /30 days/);
  });

  test('metadata holds what the caller gave, the dependency key of the payload and the trace', () => {
    assert.equal(runMetadata(bare), undefined);
    assert.deepEqual(
      runMetadata({ ...bare, payload: { dependency_key: 'k' }, traceparent, tracestate: 'a=b' }),
      {
        dependency_key: 'k',
        _trace_parent: traceparent,
        _trace_state: 'a=b',
      },
    );
    assert.deepEqual(
      runMetadata({
        ...bare,
        metadata: { dependency_key: 'mine' },
        payload: { dependency_key: 'k' },
      }),
      { dependency_key: 'mine' },
    );
  });

  test('broken trace headers and dependency keys that are no strings are ignored', () => {
    assert.equal(
      runMetadata({
        ...bare,
        payload: { dependency_key: 7 },
        traceparent: 'nonsense',
        tracestate: 'a=b',
      }),
      undefined,
    );
    assert.equal(runMetadata({ ...bare, payload: ['dependency_key'] }), undefined);
  });

  test('the token ends with the run, or a minute after the timeout counted from the start', () => {
    const input = { expires_at: null, scheduled_at: undefined, timeout_secs: 300, now_ms: now };
    assert.equal(tokenExpiry(input), now / 1000 + 360);
    assert.equal(tokenExpiry({ ...input, scheduled_at: at(1000) }), now / 1000 + 1360);
    assert.equal(tokenExpiry({ ...input, expires_at: at(50) }), now / 1000 + 50);
  });

  test('the first time to live that is set and not 0 counts', () => {
    assert.equal(timeToLive(undefined, 0, 9), 9);
    assert.equal(timeToLive(5, 7, 9), 5);
    assert.equal(timeToLive(undefined, null, 0), undefined);
  });
});
