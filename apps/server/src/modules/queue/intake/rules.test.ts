import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { creditOf, restOf } from './rules.ts';

describe('room in a queue', () => {
  it('credit never lets the queue grow beyond its limit, whatever comes back and leaves meanwhile', () => {
    const standing = fc.record({
      most: fc.integer({ min: 1, max: 500 }),
      queued: fc.integer({ min: 0, max: 500 }),
      returning: fc.integer({ min: 0, max: 200 }),
      moves: fc.array(fc.constantFrom('trigger', 'claim', 'return', 'end'), { maxLength: 600 }),
    });
    fc.assert(
      fc.property(standing, ({ most, moves, ...at }) => {
        let { queued, returning } = at;
        fc.pre(queued <= most);
        const granted = creditOf(most, queued, returning);
        let room = granted;
        for (const move of moves) {
          if (move === 'trigger' && room > 0) {
            room -= 1;
            queued += 1;
          } else if (move === 'claim' && queued > 0) {
            queued -= 1;
            returning += 1;
          } else if (move === 'return' && returning > 0) {
            returning -= 1;
            queued += 1;
          } else if (move === 'end' && returning > 0) returning -= 1;
          // Without credit whoever comes is counted first; what comes back then is beyond anybody's control.
          if (granted > 0) assert.ok(queued <= most);
        }
      }),
    );
  });

  it('is counted again at once while that is cheap, and costs a bounded share of the time when it is not', () => {
    assert.equal(restOf(1_999), 0);
    for (const queued of [2_000, 50_000, 1_000_000]) {
      const counting_ms = queued * 0.0005;
      assert.ok(restOf(queued) > 15 * counting_ms);
      assert.ok(restOf(queued) <= queued / 100);
    }
  });
});
