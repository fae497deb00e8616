import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { delayIntoWindow, nextAllowed } from './execution-window.ts';

const window = (
  cron: string | null,
  timezone: string | null = null,
  project: string | null = null,
) => ({
  execution_window_cron: cron,
  timezone,
  project_timezone: project,
});
const next = (of: ReturnType<typeof window>, from: string) =>
  new Date(nextAllowed(of, Date.parse(from))).toISOString();

describe('execution windows', () => {
  it('keep an instant inside and move one outside to the next minute that matches', () => {
    const office = window('* 9-17 * * 1-5');
    // A Wednesday.
    assert.equal(next(office, '2026-11-25T09:00:00.000Z'), '2026-11-25T09:00:00.000Z');
    assert.equal(next(office, '2026-11-25T17:59:59.999Z'), '2026-11-25T17:59:59.999Z');
    assert.equal(next(office, '2026-11-25T18:00:00.000Z'), '2026-11-26T09:00:00.000Z');
    assert.equal(next(office, '2026-11-27T18:00:00.000Z'), '2026-11-30T09:00:00.000Z');
    assert.equal(next(window('0 9 * * *'), '2026-11-25T09:00:59.000Z'), '2026-11-25T09:00:59.000Z');
    assert.equal(next(window('0 9 * * *'), '2026-11-25T09:01:00.000Z'), '2026-11-26T09:00:00.000Z');
    assert.equal(next(window(null), '2026-11-25T03:00:00.000Z'), '2026-11-25T03:00:00.000Z');
  });

  it("use the job's zone, else the project's, else UTC", () => {
    const at = '2026-11-25T00:00:00.000Z';
    assert.equal(
      next(window('0 9 * * *', 'Asia/Tokyo', 'Europe/Berlin'), at),
      '2026-11-25T00:00:00.000Z',
    );
    assert.equal(next(window('0 9 * * *', null, 'Europe/Berlin'), at), '2026-11-25T08:00:00.000Z');
    assert.equal(next(window('0 9 * * *'), at), '2026-11-25T09:00:00.000Z');
  });

  it('follow clocks that are changed: an hour that is skipped is no window, one that comes twice is two', () => {
    const berlin = window('30 2 * * *', 'Europe/Berlin');
    assert.equal(next(berlin, '2026-03-28T12:00:00.000Z'), '2026-03-30T00:30:00.000Z');
    assert.equal(next(berlin, '2026-10-24T12:00:00.000Z'), '2026-10-25T00:30:00.000Z');
    assert.equal(next(berlin, '2026-10-25T00:31:00.000Z'), '2026-10-25T01:30:00.000Z');
    assert.equal(next(berlin, '2026-10-25T01:31:00.000Z'), '2026-10-26T01:30:00.000Z');
  });

  it('find rare days, and hold nothing back for ever', () => {
    assert.equal(
      next(window('0 0 29 2 *'), '2026-11-25T00:00:00.000Z'),
      '2028-02-29T00:00:00.000Z',
    );
    assert.equal(next(window('0 0 1 1 1'), '2026-11-25T00:00:00.000Z'), '2027-01-01T00:00:00.000Z');
  });

  it('find the first minute that matches: against trying every minute', () => {
    const field = (low: number, high: number) =>
      fc.oneof(
        { weight: 2, arbitrary: fc.constant('*') },
        fc.integer({ min: low, max: high }).map(String),
        fc
          .tuple(fc.integer({ min: low, max: high }), fc.integer({ min: low, max: high }))
          .map(([a, b]) => `${Math.min(a, b)}-${Math.max(a, b)}`),
      );
    const expression = fc.tuple(
      field(0, 59),
      field(0, 23),
      field(1, 28),
      fc.constant('*'),
      field(0, 7),
    );
    const zones = [
      'UTC',
      'Europe/Berlin',
      'America/New_York',
      'Australia/Lord_Howe',
      'Asia/Kathmandu',
      'America/St_Johns',
    ];
    const matches = (cron: string, zone: string, ms: number): boolean => {
      const parts = new Intl.DateTimeFormat('en-US', {
        timeZone: zone,
        hourCycle: 'h23',
        weekday: 'short',
        day: 'numeric',
        hour: 'numeric',
        minute: 'numeric',
      }).formatToParts(ms);
      const part = (type: string) => parts.find((one) => one.type === type)?.value ?? '';
      const day = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'].indexOf(part('weekday'));
      const [minute = '*', hour = '*', date = '*', , weekday = '*'] = cron.split(' ');
      const within = (text: string, value: number): boolean => {
        if (text === '*') return true;
        const [low = 0, high = low] = text.split('-').map(Number);
        return value >= low && value <= high;
      };
      const byWeekday = within(weekday, day) || within(weekday, day + 7);
      const byDate = within(date, Number(part('day')));
      const dayFits = date === '*' || weekday === '*' ? byDate && byWeekday : byDate || byWeekday;
      return (
        within(minute, Number(part('minute'))) && within(hour, Number(part('hour'))) && dayFits
      );
    };
    // Around changes of clocks, too.
    const from = fc.oneof(
      fc.integer({ min: Date.UTC(2026, 0, 1), max: Date.UTC(2027, 11, 31) }),
      fc.integer({ min: 0, max: 3 * 86_400_000 }).map((ms) => Date.UTC(2026, 2, 28) + ms),
      fc.integer({ min: 0, max: 3 * 86_400_000 }).map((ms) => Date.UTC(2026, 9, 3) + ms),
    );
    fc.assert(
      fc.property(expression, fc.constantFrom(...zones), from, (parts, zone, at) => {
        const cron = parts.join(' ');
        const found = nextAllowed(window(cron, zone), at);
        assert.ok(found >= at);
        assert.ok(matches(cron, zone, found), `${new Date(found).toISOString()} is not inside`);
        // Nothing before it: sampled in the two hours before, where mistakes would be.
        for (let ms = Math.max(at, found - 7_200_000); ms < found; ms += 60_000)
          assert.ok(!matches(cron, zone, ms), `${new Date(ms).toISOString()} came first`);
      }),
      { numRuns: 200 },
    );
  });

  it('prolong a delay that would end outside', () => {
    const now = Date.parse('2026-11-25T17:59:30.000Z');
    assert.deepEqual(delayIntoWindow(window('* 9-17 * * *'), 10_000, now), { delay_ms: 10_000 });
    assert.deepEqual(delayIntoWindow(window('* 9-17 * * *'), 60_000, now), {
      delay_ms: 15 * 3_600_000 + 31_000,
      delayed_by: [
        { kind: 'retry_backoff', until: '2026-11-25T18:00:30.000Z' },
        { kind: 'execution_window', until: '2026-11-26T09:00:00.000Z' },
      ],
    });
  });
});
