// The parts of a request → what the handler gets, by the schemas of its operation.

import { z } from 'zod';
import { Failure } from '../failure.ts';
import type { FailureDetail } from '../failure.ts';
import type { OperationSpec } from './define-api.ts';
import { refuseText } from './json-body.ts';

export interface RawInput {
  readonly params: unknown;
  readonly query: RawQuery;
  readonly headers: unknown;
  readonly body: unknown;
}

/** Decoded; several values when a name was repeated. */
export type RawQuery = Readonly<Record<string, readonly string[]>>;

export interface ParsedInput {
  readonly params: unknown;
  readonly query: unknown;
  readonly headers: unknown;
  readonly body: unknown;
}

const maxDetails = 50;

/** Splits and decodes; a malformed percent-escape or a character PostgreSQL cannot store → 400. */
export function parseQuery(text: string): RawQuery {
  const query: Record<string, string[]> = Object.create(null) as Record<string, string[]>;
  if (text === '') return query;
  for (const pair of text.split('&')) {
    if (pair === '') continue;
    const equals = pair.indexOf('=');
    const name = decode(equals < 0 ? pair : pair.slice(0, equals));
    const value = equals < 0 ? '' : decode(pair.slice(equals + 1));
    refuseText(name, 'query');
    refuseText(value, `query.${name}`);
    (query[name] ??= []).push(value);
  }
  return query;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    throw new Failure('invalid_request', { message: 'the query is not valid percent-encoding' });
  }
}

/** Every problem found in any part is in the failure's details, at most 50. */
export function parseInput(operation: OperationSpec, raw: RawInput): ParsedInput {
  const problems: FailureDetail[] = [];
  const parsed = {
    params: parsePart(operation.params, raw.params, 'path', problems),
    query:
      operation.query &&
      parsePart(operation.query, queryFor(operation.query, raw.query, problems), 'query', problems),
    headers: parsePart(operation.headers, raw.headers, 'header', problems),
    body: parseBody(operation, raw.body, problems),
  };
  problems.push(...unknownParameters(operation, raw.query));
  const [first] = problems;
  if (first) {
    const more = problems.length > 1 ? ` (and ${problems.length - 1} more)` : '';
    throw new Failure('invalid_request', {
      message: `${first.path}: ${first.message}${more}`,
      details: problems.slice(0, maxDetails),
    });
  }
  return parsed;
}

function parseBody(operation: OperationSpec, body: unknown, problems: FailureDetail[]): unknown {
  if (!operation.body) return undefined;
  if (body === undefined) {
    if (operation.body_required !== false) throw new Failure('body_required');
    return undefined;
  }
  return parsePart(operation.body, body, 'body', problems);
}

function parsePart(
  schema: z.ZodType | undefined,
  value: unknown,
  part: string,
  problems: FailureDetail[],
): unknown {
  if (!schema) return undefined;
  const result = parseValue(schema, value, part);
  if ('data' in result) return result.data;
  problems.push(...result.problems);
  return undefined;
}

/** The value as its schema has it, or everything that is wrong with it, under the path `at`. */
export function parseValue<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  at: string,
): { readonly data: z.output<Schema> } | { readonly problems: readonly FailureDetail[] } {
  const result = schema.safeParse(value, { error: explain });
  if (result.success) return { data: result.data };
  return { problems: result.error.issues.flatMap((issue) => detailsOf(issue, at)) };
}

/** What the library says about types is for programmers; messages of a schema itself come first. */
function explain({ code, input, ...issue }: z.core.$ZodRawIssue): string | undefined {
  if (input === undefined) return 'is required';
  return code === 'invalid_type' && issue['expected'] === 'int'
    ? 'must be a whole number'
    : undefined;
}

function detailsOf(issue: z.core.$ZodIssue, part: string): FailureDetail[] {
  const path = pathOf(part, issue.path);
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.slice(0, maxDetails).map((key) => ({
      path: `${path}.${key.slice(0, 100)}`,
      message: 'unknown member',
    }));
  }
  if (issue.code === 'invalid_key') {
    return [{ path, message: issue.issues.map(({ message }) => message).join('; ') }];
  }
  return [{ path, message: issue.message }];
}

function pathOf(part: string, path: readonly PropertyKey[]): string {
  let text = part;
  for (const step of path)
    text += typeof step === 'number' ? `[${step}]` : `.${String(step).slice(0, 100)}`;
  return text;
}

/** Lists keep all their values; anything else given twice is refused; empty means absent. */
function queryFor(
  schema: z.ZodType,
  raw: RawQuery,
  problems: FailureDetail[],
): Record<string, unknown> {
  const lists = listMembers(schema);
  const query: Record<string, unknown> = {};
  for (const name of lists.named) {
    const values = raw[name]?.filter((value) => value !== '');
    if (values === undefined || values.length === 0) continue;
    if (lists.repeatable.has(name)) query[name] = values;
    else if (values.length > 1)
      problems.push({ path: `query.${name}`, message: 'is given more than once' });
    else query[name] = values[0];
  }
  return query;
}

/**
 * A misspelt filter must not widen a list silently. `project_id` names the project anywhere; what is public is
 * also called by probes and proxies that add to URLs.
 */
function unknownParameters(operation: OperationSpec, raw: RawQuery): FailureDetail[] {
  const given = Object.keys(raw);
  if (given.length === 0 || operation.permission === 'public') return [];
  const known = new Set(operation.query ? listMembers(operation.query).named : []).add(
    'project_id',
  );
  if (operation.token_in_query) known.add('token');
  return given
    .filter((name) => !known.has(name))
    .map((name) => ({ path: `query.${name.slice(0, 100)}`, message: 'unknown query parameter' }));
}

interface QueryMembers {
  readonly named: readonly string[];
  readonly repeatable: ReadonlySet<string>;
}

const membersOf = new WeakMap<z.ZodType, QueryMembers>();

function listMembers(schema: z.ZodType): QueryMembers {
  let members = membersOf.get(schema);
  if (!members) {
    const shape: Record<string, z.core.$ZodType> =
      schema instanceof z.ZodObject ? schema.shape : {};
    const named = Object.keys(shape);
    members = { named, repeatable: new Set(named.filter((name) => isList(shape[name]))) };
    membersOf.set(schema, members);
  }
  return members;
}

function isList(schema: z.core.$ZodType | undefined): boolean {
  if (!schema) return false;
  const def = (schema as z.core.$ZodTypes)._zod.def;
  if (def.type === 'array') return true;
  if (def.type === 'pipe') return isList(def.in);
  return 'innerType' in def ? isList(def.innerType as z.core.$ZodType) : false;
}
