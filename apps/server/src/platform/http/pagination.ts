// Lists page by key: newest first (or oldest first), position = (timestamp, id), so rows that share a
// timestamp are never skipped. Cursors are opaque; a plain RFC 3339 timestamp is accepted as well.

import { z } from 'zod';
import { omitEmpty } from './json-reply.ts';

export const defaultPageLimit = 50;
export const maxPageLimit = 100;

/** Where the previous page ended. Compare `(created_at, id)` with it as a row. */
export interface Cursor {
  /** RFC 3339, UTC or with offset, at most microseconds. */
  readonly created_at: string;
  readonly id: string;
}

export interface Page<Row> {
  readonly data: readonly Row[];
  readonly next_cursor?: string;
  readonly has_more: boolean;
}

/** Below and above every id we make, so that a bare timestamp means "strictly older" or "strictly newer". */
const beforeAnyId = '';
const afterAnyId = 'zzzz';

const rfc3339 =
  /^(\d{4}-(?:0[1-9]|1[0-2])-\d{2}T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d)(?:\.(\d{1,9}))?(Z|[+-](?:0\d|1[0-4]):[0-5]\d)$/i;

export function encodeCursor({ created_at, id }: Cursor): string {
  return Buffer.from(JSON.stringify([created_at, id])).toString('base64url');
}

/** Undefined when the text is neither one of our cursors nor a timestamp PostgreSQL can hold. */
export function decodeCursor(text: string, order: 'asc' | 'desc' = 'desc'): Cursor | undefined {
  const plain = timestampOf(text);
  if (plain) return { created_at: plain, id: order === 'desc' ? beforeAnyId : afterAnyId };
  if (!/^[A-Za-z0-9_-]{1,700}$/.test(text)) return undefined;
  try {
    const parsed: unknown = JSON.parse(Buffer.from(text, 'base64url').toString());
    if (!Array.isArray(parsed) || parsed.length !== 2) return undefined;
    const [created_at, id] = parsed as unknown[];
    if (typeof created_at !== 'string' || typeof id !== 'string') return undefined;
    const at = timestampOf(created_at);
    return at && /^[\x20-\x7e]{1,256}$/.test(id) ? { created_at: at, id } : undefined;
  } catch {
    return undefined;
  }
}

/** The text cut to microseconds, if it names an instant that exists. */
function timestampOf(text: string): string | undefined {
  const match = rfc3339.exec(text);
  if (!match) return undefined;
  const [, seconds = '', fraction = '', zone = ''] = match;
  // Date rolls 30 February over to March instead of refusing it.
  const day = new Date(`${seconds}Z`);
  if (Number.isNaN(day.getTime()) || day.toISOString().slice(0, 10) !== seconds.slice(0, 10))
    return undefined;
  if (seconds.startsWith('0000')) return undefined;
  return `${seconds}${fraction && `.${fraction.slice(0, 6)}`}${zone}`.toUpperCase();
}

const limit = z.coerce
  .number('must be a whole number')
  .int('must be a whole number')
  .min(1, 'must be at least 1')
  .transform((value) => Math.min(value, maxPageLimit))
  .default(defaultPageLimit)
  .meta({ description: `How many, at most ${maxPageLimit} (larger values count as that)` });

const cursorIn = (order: 'asc' | 'desc') =>
  z
    .string()
    .transform((text, context): Cursor => {
      const cursor = decodeCursor(text, order);
      if (cursor) return cursor;
      context.addIssue({
        code: 'custom',
        message: 'is neither a cursor of this list nor an RFC 3339 time',
      });
      return z.NEVER;
    })
    .optional()
    .meta({ description: '`next_cursor` of the previous page, or an RFC 3339 time' });

/** Query members of every paged list, newest first: `z.object({ ...pageQuery, status: … })`. */
export const pageQuery = { limit, cursor: cursorIn('desc') };

/** The same for lists in ascending order. */
export const ascendingPageQuery = { limit, cursor: cursorIn('asc') };

/** Reply schema of a paged list. */
export function pageSchema<Item extends z.ZodType>(id: string, item: Item) {
  return z
    .object({ data: z.array(item), next_cursor: omitEmpty(z.string()), has_more: z.boolean() })
    .meta({ id });
}

/** Fetch `limit + 1` rows in list order; the extra one only says that there is more. */
export function page<Row extends { readonly created_at: string; readonly id: string }>(
  rows: readonly Row[],
  limit: number,
): Page<Row>;
export function page<Row>(
  rows: readonly Row[],
  limit: number,
  positionOf: (row: Row) => Cursor,
): Page<Row>;
export function page<Row>(
  rows: readonly Row[],
  limit: number,
  positionOf: (row: Row) => Cursor = (row) => row as Cursor,
): Page<Row> {
  const data = rows.slice(0, limit);
  const last = data.at(-1);
  if (rows.length <= limit || last === undefined) return { data, has_more: false };
  const { created_at, id } = positionOf(last);
  return { data, next_cursor: encodeCursor({ created_at, id }), has_more: true };
}
