import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { addressBucket, clientAddresses } from './client-address.ts';
import { slidingWindow } from './rate-limit.ts';

const start = Date.UTC(2026, 0, 1);

describe('sliding window', () => {
  it('allows its number and then names the time to wait', () => {
    const window = slidingWindow({ requests: 3, window_secs: 60 });
    const states = [0, 1, 2, 3].map((second) => window.hit('a', start + second * 1000));
    assert.deepEqual(
      states.map(({ allowed }) => allowed),
      [true, true, true, false],
    );
    assert.deepEqual(
      states.map(({ remaining }) => remaining),
      [2, 1, 0, 0],
    );
    const wait = states[3]?.retry_after_secs ?? 0;
    assert.equal(window.peek('a', start + 3000 + wait * 1000).allowed, true);
    assert.equal(window.hit('b', start + 3000).allowed, true);
  });

  it('lets no burst at the edge of a window pass twice', () => {
    const window = slidingWindow({ requests: 100, window_secs: 60 });
    for (let i = 0; i < 100; i++) assert.equal(window.hit('a', start + 59_000).allowed, true);
    let passed = 0;
    for (let i = 0; i < 100; i++) if (window.hit('a', start + 61_000).allowed) passed++;
    assert.ok(passed <= 2, `${passed} passed`);
  });

  it('never allows more than twice its number in a window, and waiting as told is enough', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 20 }),
        fc.array(fc.integer({ min: 0, max: 20_000 }), { maxLength: 60 }),
        (requests, gaps) => {
          const window = slidingWindow({ requests, window_secs: 10 });
          let now = start;
          const passed: number[] = [];
          for (const gap of gaps) {
            now += gap;
            const state = window.hit('a', now);
            if (!state.allowed) {
              now += state.retry_after_secs * 1000;
              assert.equal(window.hit('a', now).allowed, true);
            }
            passed.push(now);
          }
          for (const at of passed) {
            assert.ok(
              passed.filter((other) => other > at - 10_000 && other <= at).length <= 2 * requests,
            );
          }
        },
      ),
    );
  });

  it('is off at 0', () => {
    const window = slidingWindow({ requests: 0, window_secs: 60 });
    for (let i = 0; i < 1000; i++) assert.equal(window.hit('a', start).allowed, true);
  });
});

describe('client address', () => {
  it('believes forwarding headers of trusted proxies only', () => {
    const addressOf = clientAddresses(['10.0.0.0/8', '::1']);
    assert.deepEqual(addressOf('203.0.113.9', '1.2.3.4', 'https'), {
      ip: '203.0.113.9',
      https: false,
    });
    assert.deepEqual(addressOf('10.1.1.1', '1.2.3.4', 'https'), { ip: '1.2.3.4', https: true });
    assert.equal(addressOf('::ffff:10.1.1.1', '6.6.6.6, 1.2.3.4, 10.2.2.2', 'http').ip, '1.2.3.4');
    assert.equal(addressOf('::1', 'nonsense', undefined).ip, '::1');
    assert.equal(clientAddresses([])('10.1.1.1', '1.2.3.4', 'https').ip, '10.1.1.1');
  });

  it('counts IPv6 by /64', () => {
    assert.equal(addressBucket('2001:db8:1:2:aaaa::1'), addressBucket('2001:db8:1:2:bbbb::2'));
    assert.notEqual(addressBucket('2001:db8:1:2::1'), addressBucket('2001:db8:1:3::1'));
    assert.equal(addressBucket('::ffff:1.2.3.4'), '1.2.3.4');
    assert.equal(addressBucket(''), 'unknown');
  });
});
