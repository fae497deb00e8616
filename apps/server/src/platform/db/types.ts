// How values of PostgreSQL look in rows. The same for every pool: nothing is registered globally.
import pg from 'pg';

type Parse = (text: string) => unknown;

/** int8 as number; throws beyond 2^53, where a number would silently be another one. */
export function parseInt8(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value))
    throw new RangeError(`bigint ${text} does not fit a number; select it as text`);
  return value;
}

const TIMESTAMP = /^(\d{4}-\d{2}-\d{2}) (\d{2}:\d{2}:\d{2})(?:\.(\d{1,6}))?(?:\+00)?$/;

/**
 * `2026-11-23T23:36:33.123456Z`: always UTC with six digits, so strings sort like times. Sessions run
 * with TimeZone UTC. `infinity`, years beyond 9999 and BC come as PostgreSQL writes them.
 */
export function parseTimestamp(text: string): string {
  const match = TIMESTAMP.exec(text);
  if (!match) return text;
  return `${match[1]}T${match[2]}.${(match[3] ?? '').padEnd(6, '0')}Z`;
}

const number: Parse = Number;
const bool: Parse = (text) => text === 't';
const bytea = pg.types.getTypeParser(17) as Parse;

/** Everything else stays the text PostgreSQL sent: numeric, date, interval, uuid, enums. */
const scalars = new Map<number, Parse>([
  [16, bool],
  [17, bytea],
  [20, parseInt8],
  [21, number],
  [23, number],
  [26, number],
  [114, JSON.parse],
  [700, number],
  [701, number],
  [1114, parseTimestamp],
  [1184, parseTimestamp],
  [3802, JSON.parse],
]);

/** Array type → element type. */
const arrays = new Map<number, number>([
  [1000, 16],
  [1001, 17],
  [1016, 20],
  [1005, 21],
  [1007, 23],
  [1028, 26],
  [199, 114],
  [1021, 700],
  [1022, 701],
  [1115, 1114],
  [1185, 1184],
  [3807, 3802],
  // Text of some kind: name, text, bpchar, varchar, date, time, interval, numeric, uuid, cidr, inet.
  ...[1003, 1009, 1014, 1015, 1182, 1183, 1187, 1231, 2951, 651, 1041].map(
    (oid) => [oid, 25] as const,
  ),
]);

const asIs: Parse = (text) => text;

/** pg-types declares this as a function; it is an object with `create`. */
const arrayParser = pg.types.arrayParser as unknown as {
  create(source: string, parse: Parse): { parse(): unknown[] };
};

function parserOf(oid: number): Parse {
  const element = arrays.get(oid);
  if (element === undefined) return scalars.get(oid) ?? asIs;
  const parse = scalars.get(element) ?? asIs;
  return (text) => arrayParser.create(text, parse).parse();
}

const parsers = new Map<number, Parse>();

/** For `types` of a pg client. Only the text format is used. */
export const typeParsers: pg.CustomTypesConfig = {
  getTypeParser: ((oid: number) => {
    let parser = parsers.get(oid);
    if (!parser) parsers.set(oid, (parser = parserOf(oid)));
    return parser;
  }) as typeof pg.types.getTypeParser,
};
