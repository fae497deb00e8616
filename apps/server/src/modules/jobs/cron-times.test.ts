import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { nextFire, nextFires } from './cron-times.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const at = (text: string): number => Date.parse(text);
const iso = (fires: readonly (number | undefined)[]): string[] =>
  fires.map((fire) => new Date(fire ?? Number.NaN).toISOString().slice(0, 16));

const fires = (cron: string, zone: string, after: string, most: number): string[] =>
  iso(nextFires(cron, zone, at(after), most));

describe('fires of a cron expression', () => {
  it('are the minutes that match, strictly after the instant', () => {
    assert.deepEqual(fires('*/20 9 * * mon', 'UTC', '2026-11-23T09:20:00Z', 3), [
      '2026-11-23T09:40',
      '2026-11-30T09:00',
      '2026-11-30T09:20',
    ]);
    assert.deepEqual(fires('0 0 * * *', 'UTC', '2026-11-23T00:00:00.001Z', 1), [
      '2026-11-24T00:00',
    ]);
    assert.deepEqual(fires('0 0 * * *', 'UTC', '2026-11-23T23:59:59.999Z', 1), [
      '2026-11-24T00:00',
    ]);
    assert.deepEqual(fires('30 17 29 2 *', 'Asia/Kolkata', '2026-01-01T00:00:00Z', 2), [
      '2028-02-29T12:00',
      '2032-02-29T12:00',
    ]);
  });

  it('either the day of the month or that of the week suffices when both are named', () => {
    assert.deepEqual(fires('0 0 13 * fri', 'UTC', '2026-11-01T00:00:00Z', 3), [
      '2026-11-06T00:00',
      '2026-11-13T00:00',
      '2026-11-20T00:00',
    ]);
    assert.deepEqual(fires('0 0 */15 2 7', 'UTC', '2026-02-01T00:00:00Z', 4), [
      '2026-02-08T00:00',
      '2026-02-15T00:00',
      '2026-02-16T00:00',
      '2026-02-22T00:00',
    ]);
  });

  it('that never come are none, and what cannot be read is an error', () => {
    assert.equal(nextFire('0 0 30 2 *', 'UTC', 0), undefined);
    assert.deepEqual(nextFires('0 0 30 2 *', 'UTC', 0, 3), []);
    assert.throws(() => nextFire('61 * * * *', 'UTC', 0));
    assert.throws(() => nextFire('* * * * *', 'Nowhere/Land', 0), /Nowhere/);
  });

  // New York 2026: 8 March 02:00 → 03:00 (07:00Z), 1 November 02:00 → 01:00 (06:00Z).
  it('a named time in the gap comes once, at the first minute after it', () => {
    const ny = (cron: string, after: string, most: number) =>
      fires(cron, 'America/New_York', after, most);
    assert.deepEqual(ny('30 2 * * *', '2026-03-07T12:00:00Z', 2), [
      '2026-03-08T07:00',
      '2026-03-09T06:30',
    ]);
    assert.deepEqual(ny('*/10 2,3 8 3 *', '2026-03-08T00:00:00Z', 3), [
      '2026-03-08T07:00',
      '2026-03-08T07:10',
      '2026-03-08T07:20',
    ]);
    assert.deepEqual(ny('30 * * * *', '2026-03-08T06:00:00Z', 2), [
      '2026-03-08T06:30',
      '2026-03-08T07:30',
    ]);
  });

  it('a named time that comes twice fires the first time, an hourly one both times', () => {
    const ny = (cron: string, after: string, most: number) =>
      fires(cron, 'America/New_York', after, most);
    assert.deepEqual(ny('30 1 * * *', '2026-11-01T00:00:00Z', 2), [
      '2026-11-01T05:30',
      '2026-11-02T06:30',
    ]);
    assert.deepEqual(ny('30 1 * * *', '2026-11-01T06:10:00Z', 1), ['2026-11-02T06:30']);
    for (const hours of ['*', '*/1', '0-23']) {
      assert.deepEqual(ny(`30 ${hours} * * *`, '2026-11-01T04:45:00Z', 3), [
        '2026-11-01T05:30',
        '2026-11-01T06:30',
        '2026-11-01T07:30',
      ]);
    }
    // Every hour of one day, which ends with an hour that comes twice (Nuuk, 24 October 2026: 24:00 → 23:00).
    assert.deepEqual(fires('30 * 24 10 *', 'America/Nuuk', '2026-10-25T00:00:00Z', 3), [
      '2026-10-25T00:30',
      '2026-10-25T01:30',
      '2027-10-24T01:30',
    ]);
  });
});

// ── the published table, on every change of every zone ───────────────────────────────────────────────────

/** The clock of the zone as calendar milliseconds, read another way than the rules read it. */
function clockOf(zone: string): (at_ms: number) => number {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: zone,
    hourCycle: 'h23',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
  });
  return (at_ms) => {
    const [, month = '', day = '', year = '', hour = '', minute = ''] =
      /(\d+)\/(\d+)\/(\d+), (\d+):(\d+)/.exec(format.format(at_ms)) ?? [];
    return Date.UTC(+year, +month - 1, +day, +hour, +minute);
  };
}

interface Change {
  readonly zone: string;
  readonly at_ms: number;
  /** How much the clock is set forward (a gap), or back when negative (an overlap). */
  readonly by_ms: number;
}

function changesOf(zone: string, from_ms: number, to_ms: number): Change[] {
  const clock = clockOf(zone);
  const ahead = (at_ms: number) => clock(at_ms) - at_ms;
  const found: Change[] = [];
  for (let day = from_ms; day < to_ms; day += 24 * HOUR) {
    const by_ms = ahead(day + 24 * HOUR) - ahead(day);
    if (by_ms === 0) continue;
    let minute = day;
    for (let step = 16 * HOUR; step >= MINUTE; step = Math.floor(step / 2 / MINUTE) * MINUTE) {
      while (minute + step <= day + 24 * HOUR && ahead(minute + step) === ahead(day))
        minute += step;
    }
    found.push({ zone, at_ms: minute + MINUTE, by_ms });
  }
  return found;
}

const matching = (wall: number, minutes: readonly number[], hours: readonly number[]): boolean => {
  const date = new Date(wall);
  return minutes.includes(date.getUTCMinutes()) && hours.includes(date.getUTCHours());
};

const everyHour = Array.from({ length: 24 }, (_, hour) => hour);

/** The minutes around a change, with what the clock shows. */
function minutesAround({ zone, at_ms }: Change, before_ms: number, after_ms: number) {
  const clock = clockOf(zone);
  const all: { readonly minute: number; readonly wall: number }[] = [];
  for (let minute = at_ms - before_ms; minute <= at_ms + after_ms; minute += MINUTE)
    all.push({ minute, wall: clock(minute) });
  return all;
}

/** docs/schedules.md, minute by minute. */
function published(
  { at_ms, by_ms }: Change,
  around: ReturnType<typeof minutesAround>,
  minutes: readonly number[],
  hours: readonly number[] | '*',
): number[] {
  const expected: number[] = [];
  const shown = new Set<number>();
  for (const { minute, wall } of around) {
    const first = !shown.has(wall);
    shown.add(wall);
    let fires = matching(wall, minutes, hours === '*' ? everyHour : hours);
    if (hours !== '*') {
      fires &&= first;
      if (minute === at_ms && by_ms > 0) {
        for (let left_out = wall - by_ms; left_out < wall; left_out += MINUTE)
          fires ||= matching(left_out, minutes, hours);
      }
    }
    if (fires) expected.push(minute);
  }
  return expected;
}

const AROUND = 3 * HOUR;
const full = process.env['STRAIT_SCENARIOS'] === 'full';
const zones = Intl.supportedValuesOf('timeZone');
const changes = zones.flatMap((zone) =>
  changesOf(zone, Date.UTC(2026, 0, 1), Date.UTC(2028, 0, 1)),
);

/** One zone of those whose clocks show the same around a change: the rules see nothing else of a zone. */
const distinct = [
  ...new Map(
    changes.map((change) => [
      `${change.at_ms} ${change.by_ms} ${clockOf(change.zone)(change.at_ms)}`,
      change,
    ]),
  ).values(),
];

/** What the rules say from just before the change until after it, from every start that matters. */
function said(cron: string, { zone }: Change, from_ms: number, to_ms: number): number[] {
  const found: number[] = [];
  let last = nextFire(cron, zone, from_ms - 1);
  while (last !== undefined && last <= to_ms) {
    found.push(last);
    last = nextFire(cron, zone, last);
  }
  return found;
}

describe('changes of the clock', () => {
  it('every zone follows the published table around each of its changes in 2026 and 2027', (test) => {
    assert.ok(zones.length > 300, `${zones.length} zones`);
    const kinds = new Set(changes.map(({ by_ms }) => by_ms / MINUTE));
    for (const kind of [60, -60, 30, -30]) assert.ok(kinds.has(kind), `no change by ${kind}`);
    let compared = 0;
    const compare = full ? changes : distinct;
    for (const change of compare) {
      const around = minutesAround(change, AROUND, AROUND);
      const [from, to] = [change.at_ms - AROUND, change.at_ms + AROUND];
      const wall = around.find(({ minute }) => minute === change.at_ms)?.wall ?? Number.NaN;
      const hour = new Date(wall).getUTCHours();
      const near = [23, 0, 1].map((more) => (hour + more) % 24);
      for (const minutes of [[0], [15], [7, 30, 45], [...Array(60).keys()]]) {
        const list = minutes.length === 60 ? '*' : minutes.join(',');
        for (const hours of [near, near.slice(0, 1), near.slice(1, 2), '*'] as const) {
          const cron = `${list} ${hours === '*' ? '*' : hours.join(',')} * * *`;
          const expected = published(change, around, minutes, hours);
          assert.deepEqual(
            iso(said(cron, change, from, to)),
            iso(expected),
            `${cron} in ${change.zone} at ${new Date(change.at_ms).toISOString()}`,
          );
          compared += 1;
        }
      }
    }
    const of = `${changes.length} changes, ${compare.length} of them compared`;
    test.diagnostic(`${zones.length} zones, ${of}, ${compared} comparisons`);
  });

  it('asked from any minute, the answer is the first fire of the whole list', () => {
    const minute = fc.integer({ min: 0, max: 59 });
    const hour = fc.integer({ min: 0, max: 23 });
    const list = (one: fc.Arbitrary<number>) => fc.uniqueArray(one, { minLength: 1, maxLength: 4 });
    const hours = fc.oneof(list(hour), fc.constant('*' as const));
    fc.assert(
      fc.property(
        fc.constantFrom(...changes),
        list(minute),
        hours,
        fc.integer({ min: -AROUND, max: AROUND }),
        (change, minutes, of_hours, offset_ms) => {
          const cron = `${minutes.join(',')} ${of_hours === '*' ? '*' : of_hours.join(',')} * * *`;
          const to = change.at_ms + 2 * AROUND;
          const around = minutesAround(change, AROUND, 2 * AROUND);
          const all = published(change, around, minutes, of_hours);
          const after = change.at_ms + offset_ms;
          const expected = all.find((fire) => fire > after);
          const answer = nextFire(cron, change.zone, after);
          if (expected === undefined) return assert.ok(answer === undefined || answer > to);
          assert.deepEqual(iso([answer]), iso([expected]), `${cron} in ${change.zone}`);
        },
      ),
      { numRuns: 1000 },
    );
  });
});
