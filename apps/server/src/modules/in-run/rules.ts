// Pure decisions of the in-run API.

import type { FailureDetail } from '../../platform/failure.ts';
import { runStates } from '../queue/index.ts';
import { isRecord } from './contract.ts';

/** Level of a resource sample: memory close to its limit is what kills runs. */
export function resourceLevel(memory_percent: number | undefined): 'error' | 'warn' | 'info' {
  if (memory_percent === undefined || memory_percent < 80) return 'info';
  return memory_percent >= 90 ? 'error' : 'warn';
}

/** A run may log what it likes, but not an event that streams would take for a change of its own state. */
export const forgesTransition = (type: string, data: unknown): boolean =>
  type === 'state_change' &&
  isRecord(data) &&
  (runStates.states as readonly unknown[]).includes(data['to']);

/** Text cut to at most `bytes` of UTF-8, never inside a character. */
export function cutToBytes(text: string, bytes: number): string {
  if (Buffer.byteLength(text) <= bytes) return text;
  const buffer = Buffer.from(text);
  let end = bytes;
  // Back over the continuation bytes of a character that would be cut.
  while (end > 0 && (buffer[end] ?? 0) >> 6 === 0b10) end -= 1;
  return buffer.toString('utf8', 0, end);
}

/** A NOTIFY carries less than 8,000 bytes. */
const NOTIFY_BYTES = 7_000;

export interface Chunk {
  readonly run_id: string;
  readonly chunk: string;
  readonly stream_id: string;
  readonly done: boolean;
  readonly timestamp: string;
}

/**
 * The chunk as notifications that fit, in order; only the last is `done`. `part` makes them differ: PostgreSQL
 * delivers equal notifications of one transaction once.
 */
export function splitChunk(chunk: Chunk): string[] {
  const whole = JSON.stringify(chunk);
  if (Buffer.byteLength(whole) <= NOTIFY_BYTES) return [whole];
  const room =
    NOTIFY_BYTES -
    Buffer.byteLength(JSON.stringify({ ...chunk, chunk: '', done: false, part: 1_000_000 }));
  const texts: string[] = [];
  let text = '';
  let used = 0;
  for (const character of chunk.chunk) {
    const size = Buffer.byteLength(JSON.stringify(character)) - 2;
    if (used + size > room) {
      texts.push(text);
      text = '';
      used = 0;
    }
    text += character;
    used += size;
  }
  texts.push(text);
  return texts.map((part_text, part) =>
    JSON.stringify({
      ...chunk,
      chunk: part_text,
      done: chunk.done && part === texts.length - 1,
      part,
    }),
  );
}

/** Problems inside a value, as problems of the request that carried it at `path`. */
export const detailsAt = (path: string, details: readonly FailureDetail[]): FailureDetail[] =>
  details.map((found) => ({
    path:
      found.path === '' || found.path.startsWith('[')
        ? `${path}${found.path}`
        : `${path}.${found.path}`,
    message: found.message,
  }));

/** JSON Schema checks here know only types, required members, properties and items (conventions §12). */
export function schemaProblems(schema: unknown, value: unknown, path: string): FailureDetail[] {
  if (!isRecord(schema)) return [];
  const types =
    typeof schema['type'] === 'string'
      ? [schema['type']]
      : Array.isArray(schema['type'])
        ? schema['type']
        : [];
  if (types.length > 0 && !types.some((type) => hasType(type, value))) {
    return [{ path, message: `must be ${types.map(String).join(' or ').slice(0, 100)}` }];
  }
  const problems: FailureDetail[] = [];
  if (isRecord(value)) {
    const { required, properties } = schema;
    for (const member of Array.isArray(required) ? required : []) {
      if (typeof member === 'string' && !Object.hasOwn(value, member))
        problems.push({ path: `${path}.${member}`, message: 'is required' });
    }
    for (const [member, own] of isRecord(properties) ? Object.entries(properties) : []) {
      if (Object.hasOwn(value, member))
        problems.push(...schemaProblems(own, value[member], `${path}.${member}`));
    }
  }
  if (Array.isArray(value) && isRecord(schema['items'])) {
    for (const [index, item] of value.entries()) {
      problems.push(...schemaProblems(schema['items'], item, `${path}[${index}]`));
      if (problems.length >= 50) break;
    }
  }
  return problems.slice(0, 50);
}

function hasType(type: unknown, value: unknown): boolean {
  switch (type) {
    case 'object':
      return isRecord(value);
    case 'array':
      return Array.isArray(value);
    case 'string':
      return typeof value === 'string';
    case 'number':
      return typeof value === 'number';
    case 'integer':
      return Number.isInteger(value);
    case 'boolean':
      return typeof value === 'boolean';
    case 'null':
      return value === null;
    default:
      // A type nobody knows constrains nothing.
      return true;
  }
}
