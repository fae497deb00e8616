import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fakeClock, systemClock } from './clock.ts';

test('a fake clock stands still until it is moved', () => {
  const clock = fakeClock(1_000);
  assert.equal(clock.now(), 1_000);
  clock.advance(500);
  assert.equal(clock.now(), 1_500);
  assert.equal(clock.monotonic(), 500);
  clock.setNow(10);
  assert.equal(clock.now(), 10);
  assert.equal(clock.monotonic(), 500);
  assert.throws(() => clock.advance(-1), RangeError);
});

test('the system clock is the system clock', () => {
  assert.ok(Math.abs(systemClock.now() - Date.now()) < 1_000);
  assert.ok(systemClock.monotonic() <= systemClock.monotonic());
});
