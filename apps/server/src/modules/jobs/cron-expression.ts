// Strict five-field cron: what is accepted here means the same to every cron implementation. Seconds, years,
// nicknames (@daily) and the letters L, W, ? and # are refused, because implementations disagree about them.

interface Field {
  readonly name: string;
  readonly min: number;
  readonly max: number;
  readonly names?: readonly string[];
}

const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const fields: readonly Field[] = [
  { name: 'minute', min: 0, max: 59 },
  { name: 'hour', min: 0, max: 23 },
  { name: 'day of month', min: 1, max: 31 },
  { name: 'month', min: 1, max: 12, names: months },
  // 0 and 7 are Sunday.
  { name: 'day of week', min: 0, max: 7, names: ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] },
];
const longestMonth = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
const maxLength = 256;

/** What is wrong with the expression; undefined when it is in order. */
export function cronProblem(text: string): string | undefined {
  if (text.length > maxLength) return `is longer than ${maxLength} characters`;
  const parts = partsOf(text);
  if (!parts) return 'must have five fields: minute, hour, day of month, month, day of week';
  const values: ReadonlySet<number>[] = [];
  for (const [index, field] of fields.entries()) {
    const part = parts[index] ?? '';
    const parsed = parseField(part, field);
    if (parsed === undefined) return `${field.name} "${part}" is not valid`;
    values.push(parsed);
  }
  const [, , days, inMonths] = values;
  // With a day of week either may match; without one the day must exist in some month.
  if (parts[4] !== '*' || !days || !inMonths) return undefined;
  const firstDay = Math.min(...days);
  const exists = [...inMonths].some((month) => firstDay <= (longestMonth[month - 1] ?? 0));
  return exists ? undefined : 'names a day that none of its months has';
}

/** What each field allows; Sunday is 0. */
export interface CronFields {
  readonly minutes: ReadonlySet<number>;
  readonly hours: ReadonlySet<number>;
  readonly days: ReadonlySet<number>;
  readonly months: ReadonlySet<number>;
  readonly weekdays: ReadonlySet<number>;
  /** The field begins with a star: then the day has to match both, else either of the two. */
  readonly any_day: boolean;
  readonly any_weekday: boolean;
}

/** Undefined for what `cronProblem` refuses. */
export function cronFields(text: string): CronFields | undefined {
  const parts = partsOf(text);
  if (!parts || cronProblem(text) !== undefined) return undefined;
  const [minutes, hours, days, inMonths, weekdays] = fields.map(
    (field, index) => parseField(parts[index] ?? '', field) ?? new Set<number>(),
  );
  if (!minutes || !hours || !days || !inMonths || !weekdays) return undefined;
  return {
    minutes,
    hours,
    days,
    months: inMonths,
    weekdays: new Set([...weekdays].map((day) => day % 7)),
    any_day: parts[2]?.startsWith('*') ?? false,
    any_weekday: parts[4]?.startsWith('*') ?? false,
  };
}

function partsOf(text: string): readonly string[] | undefined {
  const parts = text.trim().split(/[ \t]+/);
  return parts.length !== fields.length || text.includes('\n') ? undefined : parts;
}

function parseField(text: string, field: Field): ReadonlySet<number> | undefined {
  const values = new Set<number>();
  for (const item of text.split(',')) {
    const match = /^(?:(\*)|([a-z]+|\d{1,2})(?:-([a-z]+|\d{1,2}))?)(?:\/(\d{1,2}))?$/i.exec(item);
    if (!match) return undefined;
    const [, star, low, high, stepText] = match;
    // `5/10` is read as 5-59/10 by some and as 5 by others.
    if (stepText !== undefined && !star && high === undefined) return undefined;
    const from = star ? field.min : valueOf(low, field);
    const to = star ? field.max : high === undefined ? from : valueOf(high, field);
    const step = stepText === undefined ? 1 : Number(stepText);
    if (from === undefined || to === undefined || from > to || step < 1) return undefined;
    if (from < field.min || to > field.max) return undefined;
    for (let value = from; value <= to; value += step) values.add(value);
  }
  return values;
}

function valueOf(text: string | undefined, { min, names }: Field): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d+$/.test(text)) return Number(text);
  const index = names?.indexOf(text.toLowerCase()) ?? -1;
  return index < 0 ? undefined : index + min;
}
