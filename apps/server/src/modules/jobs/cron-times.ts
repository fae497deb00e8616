// When a cron expression fires. The table these rules follow is docs/schedules.md: croner says which minutes of the
// calendar match, this file says at which instants a zone's clock shows them.

import { Cron } from 'croner';
import { createLru } from '../../platform/lru.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** No zone is further from UTC than this, and none changes its clock by more. */
const MOST_SHIFT = 25 * HOUR;
/** Times in a row that a clock may leave out or repeat before one is found; a whole day has 1,440 minutes. */
const MOST_STEPS = 4_000;
const KEPT = 1_000;

/** A time as the clock on the wall shows it, as milliseconds of a calendar without zones. */
type WallTime = number;

interface Calendar {
  readonly cron: Cron;
  /** It names no hours: every real hour has its fires, whatever the clock does. */
  readonly every_hour: boolean;
}

const calendars = createLru<Calendar>(KEPT);
const zones = createLru<Intl.DateTimeFormat>(KEPT);

function calendarOf(expression: string): Calendar {
  let calendar = calendars.get(expression);
  if (!calendar) {
    // An offset of 0 makes croner a plain calendar: what it would do about clock changes never comes into play.
    const cron = new Cron(expression, { utcOffset: 0, mode: '5-part' });
    calendar = {
      cron,
      every_hour: /^(\*|0-23)(\/1)?$/.test(expression.trim().split(/[ \t]+/)[1] ?? ''),
    };
    calendars.set(expression, calendar);
  }
  return calendar;
}

/** Milliseconds that the zone's clock is ahead of UTC at this instant. */
export function offsetAt(zone: string, at_ms: number): number {
  let format = zones.get(zone);
  if (!format) {
    format = new Intl.DateTimeFormat('en-US', { timeZone: zone, timeZoneName: 'longOffset' });
    zones.set(zone, format);
  }
  const match = /GMT(?:([+-])(\d\d):(\d\d)(?::(\d\d))?)?$/.exec(format.format(at_ms));
  if (!match) throw new Error(`the offset of ${zone} cannot be read`);
  const [, sign, hours = 0, minutes = 0, seconds = 0] = match;
  const ahead = Number(hours) * HOUR + Number(minutes) * MINUTE + Number(seconds) * 1000;
  return sign === '-' ? -ahead : ahead;
}

/** The instants at which the clock shows this time: one, two when it is set back over it, none when set forward. */
function instantsOf(zone: string, wall: WallTime): number[] {
  const offsets = [offsetAt(zone, wall - MOST_SHIFT), offsetAt(zone, wall + MOST_SHIFT)];
  const found = offsets
    .map((ahead) => wall - ahead)
    .filter((at) => at + offsetAt(zone, at) === wall);
  return [...new Set(found)].sort((a, b) => a - b);
}

/** The first minute in (from, to] at which the clock is ahead by another amount than at `from`. */
function changeBetween(zone: string, from_ms: number, to_ms: number): number {
  const before = offsetAt(zone, from_ms);
  let [low, high] = [from_ms, to_ms];
  while (high - low > MINUTE) {
    const middle = low + Math.floor((high - low) / 2 / MINUTE) * MINUTE;
    if (offsetAt(zone, middle) === before) low = middle;
    else high = middle;
  }
  return high;
}

function nextWall({ cron }: Calendar, after: WallTime): WallTime | undefined {
  return cron.nextRun(new Date(after))?.getTime();
}

/** An expression that names hours: once per time it names. Left out by the clock: at the first minute after the gap. */
function nextNamed(calendar: Calendar, zone: string, after_ms: number): number | undefined {
  let wall = nextWall(calendar, after_ms + offsetAt(zone, after_ms));
  for (let step = 0; wall !== undefined && step < MOST_STEPS; step++) {
    const [first = changeBetween(zone, wall - MOST_SHIFT, wall + MOST_SHIFT)] = instantsOf(
      zone,
      wall,
    );
    if (first > after_ms) return first;
    wall = nextWall(calendar, wall);
  }
  return undefined;
}

/** An expression for every hour: at every instant whose time on the clock matches. */
function nextHourly(calendar: Calendar, zone: string, after_ms: number): number | undefined {
  const ahead = offsetAt(zone, after_ms);
  let found: number | undefined;
  let wall = nextWall(calendar, after_ms + ahead);
  for (let step = 0; wall !== undefined && step < MOST_STEPS; step++) {
    found = instantsOf(zone, wall).find((at) => at > after_ms);
    if (found !== undefined) break;
    wall = nextWall(calendar, wall);
  }
  // The clock is about to be set back: times it shows again may come before any that it has not shown yet.
  if (offsetAt(zone, after_ms + MOST_SHIFT) >= ahead) return found;
  const change = changeBetween(zone, after_ms, after_ms + MOST_SHIFT);
  const again = nextWall(calendar, change + offsetAt(zone, change) - MINUTE);
  const second = again === undefined ? undefined : again - offsetAt(zone, change);
  return second !== undefined && (found === undefined || second < found) ? second : found;
}

/**
 * The first fire after this instant; undefined when there is none.
 * @throws when the expression or the zone cannot be read: saved ones can.
 */
export function nextFire(expression: string, zone: string, after_ms: number): number | undefined {
  const calendar = calendarOf(expression);
  // Fires are on whole minutes, so those after an instant are those after its minute began.
  const minute = Math.floor(after_ms / MINUTE) * MINUTE;
  return calendar.every_hour
    ? nextHourly(calendar, zone, minute)
    : nextNamed(calendar, zone, minute);
}

/** The next fires after this instant, at most so many. */
export function nextFires(
  expression: string,
  zone: string,
  after_ms: number,
  most: number,
): number[] {
  const fires: number[] = [];
  let last = after_ms;
  while (fires.length < most) {
    const next = nextFire(expression, zone, last);
    if (next === undefined) break;
    fires.push(next);
    last = next;
  }
  return fires;
}
