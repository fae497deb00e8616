// One text per JSON value: keys sorted by UTF-16 unit, no blanks. What is hashed is what is stored.

import { createHash } from 'node:crypto';

/** `value` comes from JSON.parse, nested at most 100 deep; undefined members do not occur. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, member]) => `${JSON.stringify(key)}:${canonicalJson(member)}`);
  return `{${members.join(',')}}`;
}

/** Lower-case hex SHA-256 of a canonical text. */
export const payloadHash = (canonical: string): string =>
  createHash('sha256').update(canonical).digest('hex');
