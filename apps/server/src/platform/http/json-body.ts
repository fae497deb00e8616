// From bytes to a JSON value that PostgreSQL can store and a 64-bit float can hold, or a refusal that
// says where it is wrong.

import type { IncomingMessage } from 'node:http';
import { Failure } from '../failure.ts';

/** Deeper values are refused: recursive code elsewhere may rely on it. */
export const maxNesting = 100;

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Reads the whole body; more than `limit` bytes → `body_too_large`, without reading on. */
export async function readBody(request: IncomingMessage, limit: number): Promise<Buffer> {
  if (Number(request.headers['content-length'] ?? 0) > limit) throw tooLarge(limit);
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > limit) throw tooLarge(limit);
    chunks.push(chunk);
  }
  return chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks, size);
}

function tooLarge(limit: number): Failure {
  return new Failure('body_too_large', { message: `the body is larger than ${limit} bytes` });
}

/**
 * Undefined for an empty body. `__proto__` is a key like any other here: it becomes an own property,
 * so code must copy with spread or `Object.defineProperty`, never with assignment.
 */
export function parseJsonBody(bytes: Buffer): unknown {
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    throw new Failure('invalid_json', { message: 'the body is not valid UTF-8' });
  }
  if (text.trim() === '') return undefined;
  let value: unknown;
  try {
    // Reviving is five times slower than parsing: only for texts that can hold an inexact integer.
    value = /\d{16}/.test(text) ? parseMarkingInexact(text) : JSON.parse(text);
  } catch (error) {
    const reason = error instanceof SyntaxError ? `: ${error.message.slice(0, 200)}` : '';
    throw new Failure('invalid_json', { message: `the body is not valid JSON${reason}` });
  }
  refuseUnstorable(value, 'body');
  return value;
}

class InexactInteger {
  readonly source: string;
  constructor(source: string) {
    this.source = source;
  }
}

type ReviverWithSource = (key: string, value: unknown, context: { source?: string }) => unknown;

function parseMarkingInexact(text: string): unknown {
  const mark: ReviverWithSource = (_key, value, { source }) =>
    typeof value === 'number' &&
    source !== undefined &&
    /^-?\d{16,}$/.test(source) &&
    Number.isFinite(value) &&
    BigInt(source) !== BigInt(value)
      ? new InexactInteger(source)
      : value;
  return JSON.parse(text, mark as (key: string, value: unknown) => unknown);
}

/** Refuses what parsed but cannot be kept: NUL, lone surrogates, numbers a double changes, deep nesting. */
export function refuseUnstorable(value: unknown, path: string, depth = 0): void {
  if (typeof value === 'string') return refuseText(value, path);
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw invalid(path, 'is a number too large for a 64-bit float');
    return;
  }
  if (typeof value !== 'object' || value === null) return;
  if (value instanceof InexactInteger) {
    throw invalid(
      path,
      `${value.source.slice(0, 40)} is not exact as a 64-bit float: send it as a string`,
    );
  }
  if (depth >= maxNesting) throw invalid(path, `is nested more than ${maxNesting} levels deep`);
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) {
      refuseUnstorable(value[index], `${path}[${index}]`, depth + 1);
    }
    return;
  }
  for (const key of Object.keys(value)) {
    refuseText(key, path);
    refuseUnstorable((value as Record<string, unknown>)[key], `${path}.${key}`, depth + 1);
  }
}

/** PostgreSQL text holds neither NUL nor half of a surrogate pair. */
export function refuseText(text: string, path: string): void {
  if (text.includes('\0')) throw invalid(path, 'contains a NUL character');
  if (!text.isWellFormed()) throw invalid(path, 'contains half of a surrogate pair');
}

function invalid(path: string, message: string): Failure {
  // A path can be as long as the body.
  const where =
    path.length > 200 ? `${path.slice(0, 200)}…`.toWellFormed().replaceAll('\0', '') : path;
  return new Failure('invalid_request', {
    message: `${where}: ${message}`,
    details: [{ path: where, message }],
  });
}
