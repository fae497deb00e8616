import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { nextFire } from '../jobs/index.ts';
import { CATCH_UP_MOST, decide } from './rules.ts';

const MINUTE = 60_000;
const GRACE = 5 * MINUTE;
const start = Date.UTC(2026, 10, 25, 12);

const every =
  (minutes: number) =>
  (after_ms: number): number =>
    (Math.floor(after_ms / (minutes * MINUTE)) + 1) * minutes * MINUTE;

const decideAt = (
  late_ms: number,
  { minutes = 1, catchup = 'latest', overlap_policy = 'allow', due = start } = {},
) => {
  const schedule = { catchup, overlap_policy, next_fire_at_ms: due };
  const { fires, missed, next } = decide(schedule, start + late_ms, GRACE, every(minutes));
  const minute = (at_ms: number | undefined) =>
    at_ms === undefined ? undefined : (at_ms - start) / MINUTE;
  return { fires: fires.map(minute), missed: minute(missed), next: minute(next) };
};

describe('what a schedule owes', () => {
  it('on time it is the instant that is due, whatever the policy', () => {
    for (const catchup of ['none', 'latest', 'all'])
      assert.deepEqual(decideAt(3, { catchup }), { fires: [0], missed: undefined, next: 1 });
  });

  it('none: what is still in its minute, nothing older', () => {
    const catchup = 'none';
    assert.deepEqual(decideAt(MINUTE, { catchup, minutes: 60 }).fires, [0]);
    const late = decideAt(MINUTE + 1, { catchup, minutes: 60 });
    assert.deepEqual(late, { fires: [], missed: 0, next: 60 });
    assert.deepEqual(decideAt(90 * MINUTE + 5, { catchup }).fires, [90]);
  });

  it('latest: the newest, unless it is later than the grace', () => {
    assert.deepEqual(decideAt(90 * MINUTE), { fires: [90], missed: undefined, next: 91 });
    assert.deepEqual(decideAt(GRACE, { minutes: 60 }).fires, [0]);
    const late = decideAt(GRACE + 1, { minutes: 60 });
    assert.deepEqual(late, { fires: [], missed: 0, next: 60 });
  });

  it('all: the newest ten, however late, and only one where runs must not overlap', () => {
    const catchup = 'all';
    const ten = (last: number, step: number) =>
      Array.from({ length: 10 }, (_, n) => last - (9 - n) * step);
    assert.deepEqual(decideAt(25 * MINUTE, { catchup }).fires, ten(25, 1));
    assert.deepEqual(decideAt(40 * 1440 * MINUTE, { catchup, minutes: 1440 }).fires, [
      ...ten(40 * 1440 - 720, 1440),
    ]);
    for (const overlap_policy of ['skip', 'cancel_running'])
      assert.deepEqual(decideAt(25 * MINUTE, { catchup, overlap_policy }).fires, [25]);
  });

  it('an instant to look at that is no fire owes nothing, and was missed by nobody', () => {
    const due = start + 30_000;
    assert.deepEqual(decideAt(31_000, { due }), { fires: [], missed: undefined, next: 1 });
  });

  it('whatever the rounds, no instant comes twice, none is invented, and on time none is left out', () => {
    const crons = ['* * * * *', '*/7 * * * *', '0 */3 * * *', '30 1 * * *'];
    fc.assert(
      fc.property(
        fc.constantFrom(...crons),
        fc.constantFrom('none', 'latest', 'all'),
        fc.constantFrom('allow', 'skip'),
        fc.array(fc.integer({ min: 1, max: 5 * 60 * MINUTE }), { minLength: 1, maxLength: 40 }),
        (cron, catchup, overlap_policy, pauses) => {
          const next = (after_ms: number) => nextFire(cron, 'Europe/Berlin', after_ms);
          const fired: number[] = [];
          let due = next(start) ?? 0;
          let now = start;
          for (const pause of pauses) {
            now += pause;
            if (now < due) continue;
            const schedule = { catchup, overlap_policy, next_fire_at_ms: due };
            const { fires, missed, next: following } = decide(schedule, now, GRACE, next);
            for (const fire of fires)
              assert.ok(fire >= due && fire <= now && next(fire - 1) === fire);
            assert.ok(fires.length <= CATCH_UP_MOST);
            assert.equal(missed !== undefined, fires.length === 0);
            if (now - due <= MINUTE) assert.ok(fires.length > 0, 'on time');
            fired.push(...fires);
            due = following ?? 0;
            assert.ok(due > now);
          }
          assert.deepEqual(
            fired,
            [...new Set(fired)].sort((a, b) => a - b),
          );
        },
      ),
      { numRuns: 500 },
    );
  });
});
