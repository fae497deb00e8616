// When runs of a job may start: the minutes that a cron expression matches in the job's zone. A window is a set of
// minutes, so clock changes need no rule of their own: a minute that does not exist matches nothing, one that comes twice
// matches twice.

import type { DelayStep } from '../../domain/delay.ts';
import { cronFields } from './cron-expression.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const SEARCH_MS = 5 * 366 * 24 * HOUR;

/** What of a job and its project says when its runs may start. */
export interface ExecutionWindow {
  readonly execution_window_cron: string | null;
  readonly timezone: string | null;
  /** Of the project; for jobs without a zone. */
  readonly project_timezone: string | null;
}

interface Local {
  readonly minute: number;
  readonly hour: number;
  readonly day: number;
  readonly month: number;
  readonly weekday: number;
}

const formats = new Map<string, Intl.DateTimeFormat>();

function formatOf(zone: string): Intl.DateTimeFormat {
  let format = formats.get(zone);
  if (!format) {
    const options = {
      timeZone: zone,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
    } as const;
    format = new Intl.DateTimeFormat('en-US', options);
    formats.set(zone, format);
  }
  return format;
}

function localOf(format: Intl.DateTimeFormat, ms: number): Local {
  const parts = new Map(format.formatToParts(ms).map(({ type, value }) => [type, Number(value)]));
  const part = (name: Intl.DateTimeFormatPartTypes) => parts.get(name) ?? 0;
  const [year, month, day] = [part('year'), part('month'), part('day')];
  const weekday = new Date(Date.UTC(year, month - 1, day)).getUTCDay();
  return { minute: part('minute'), hour: part('hour'), day, month, weekday };
}

/**
 * The first instant at or after `from_ms` at which a run may start: `from_ms` itself inside the window, else the beginning
 * of the next minute that matches. An expression that matches nothing in five years holds nothing back.
 */
export function nextAllowed(window: ExecutionWindow, from_ms: number): number {
  const { execution_window_cron: expression } = window;
  if (expression === null) return from_ms;
  const fields = cronFields(expression);
  if (!fields) return from_ms;
  const format = formatOf(window.timezone ?? window.project_timezone ?? 'UTC');
  const dayMatches = ({ day, month, weekday }: Local): boolean => {
    if (!fields.months.has(month)) return false;
    const byDay = fields.days.has(day);
    const byWeekday = fields.weekdays.has(weekday);
    // As in every cron: where both are restricted, either will do; a field that begins with * restricts with the other.
    return fields.any_day || fields.any_weekday ? byDay && byWeekday : byDay || byWeekday;
  };
  for (let at = from_ms; at < from_ms + SEARCH_MS;) {
    const local = localOf(format, at);
    const minute_start = at - (((at % MINUTE) + MINUTE) % MINUTE);
    if (!dayMatches(local)) {
      // Never beyond the end of the local day, whatever the clocks do meanwhile.
      const hours = Math.max(1, 22 - local.hour);
      at = minute_start - local.minute * MINUTE + hours * HOUR;
    } else if (!fields.hours.has(local.hour)) {
      at = minute_start - local.minute * MINUTE + HOUR;
    } else if (!fields.minutes.has(local.minute)) {
      at = minute_start + MINUTE;
    } else {
      return at;
    }
  }
  return from_ms;
}

/** The database counts the delay from its own now, which is known to a few ms only: never before the window opens. */
const CLOCK_MARGIN_MS = 1_000;

export interface Delay {
  readonly delay_ms: number;
  /** Absent: only what was asked for. */
  readonly delayed_by?: readonly DelayStep[];
}

/** A delay that ends inside the window. */
export function delayIntoWindow(window: ExecutionWindow, delay_ms: number, now_ms: number): Delay {
  const wanted_ms = now_ms + delay_ms;
  const at_ms = nextAllowed(window, wanted_ms);
  if (at_ms === wanted_ms) return { delay_ms };
  return {
    delay_ms: at_ms - now_ms + CLOCK_MARGIN_MS,
    delayed_by: [
      { kind: 'retry_backoff', until: new Date(wanted_ms).toISOString() },
      { kind: 'execution_window', until: new Date(at_ms).toISOString() },
    ],
  };
}
