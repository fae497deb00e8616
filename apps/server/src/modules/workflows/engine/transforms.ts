// The path language of `output_transform`: a part of what gjson understands (workflow-semantics §9).
import type { JsonValue } from './definition.ts';

type Test = {
  readonly path: readonly Segment[];
  readonly operator: string;
  readonly operand: JsonValue;
};
type Segment =
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'wildcard'; readonly pattern: string }
  /** `#` at the end is the length; with more behind it, the rest of each element. */
  | { readonly kind: 'each'; readonly always: boolean }
  | { readonly kind: 'query'; readonly test: Test; readonly all: boolean };

const MAX_LENGTH = 1000;
const OPERATORS = /^(==|!=|<=|>=|<|>)/;

class PathError extends Error {}

/** What is wrong with a path, or null. */
export function transformProblem(path: string): string | null {
  try {
    parse(path);
    return null;
  } catch (error) {
    if (error instanceof PathError) return error.message;
    throw error;
  }
}

/** The value at the path, `undefined` when there is none. Only for paths without a problem. */
export const applyTransform = (path: string, value: JsonValue): JsonValue | undefined =>
  find(parse(path), value);

function parse(text: string): Segment[] {
  if (text.length > MAX_LENGTH) throw new PathError(`paths have at most ${MAX_LENGTH} characters`);
  const path = text.startsWith('$.') ? text.slice(2) : text.startsWith('$') ? text.slice(1) : text;
  if (path === '' || path === '@this') return [];
  const segments: Segment[] = [];
  let at = 0;
  // A bracket needs no dot before it: `a[0]`, `$[0]`.
  for (;;) {
    if (path[at] === '[') {
      const end = path.indexOf(']', at);
      const inside = end < 0 ? '' : path.slice(at + 1, end);
      if (!/^(\d+|\*)$/.test(inside)) throw new PathError(`expected [number] or [*] at ${at}`);
      segments.push(
        inside === '*' ? { kind: 'each', always: true } : { kind: 'name', name: inside },
      );
      at = end + 1;
    } else if (path.startsWith('#(', at)) {
      const end = closing(path, at + 2);
      const all = path[end + 1] === '#';
      segments.push({ kind: 'query', test: parseTest(path.slice(at + 2, end)), all });
      at = end + (all ? 2 : 1);
    } else {
      const { segment, end } = readName(path, at);
      segments.push(segment);
      at = end;
    }
    if (at >= path.length) return segments;
    if (path[at] === '.') at += 1;
    else if (path[at] !== '[') throw new PathError(`expected '.' at ${at}`);
  }
}

function readName(path: string, from: number): { segment: Segment; end: number } {
  let name = '';
  let wild = false;
  let pattern = '';
  let at = from;
  for (; at < path.length && path[at] !== '.' && path[at] !== '['; at += 1) {
    let character = path[at] ?? '';
    if (character === '\\') {
      at += 1;
      character = path[at] ?? '';
      if (character === '') throw new PathError('nothing follows the last backslash');
      pattern += `\\${character}`;
    } else {
      if ('(){}|"'.includes(character))
        throw new PathError(`'${character}' must be written '\\${character}'`);
      wild ||= character === '*' || character === '?';
      pattern += character;
    }
    name += character;
  }
  if (at === from) throw new PathError(`a name is missing at ${from}`);
  if (path.slice(from, at) === '#') return { segment: { kind: 'each', always: false }, end: at };
  return { segment: wild ? { kind: 'wildcard', pattern } : { kind: 'name', name }, end: at };
}

/** The parenthesis that ends a query; those in quotes do not count. */
function closing(path: string, from: number): number {
  let quoted = false;
  for (let at = from; at < path.length; at += 1) {
    if (quoted && path[at] === '\\') at += 1;
    else if (path[at] === '"') quoted = !quoted;
    else if (!quoted && path[at] === ')') return at;
  }
  throw new PathError('a query is not closed');
}

function parseTest(text: string): Test {
  let split = 0;
  while (split < text.length && !OPERATORS.test(text.slice(split)) && text[split] !== '"')
    split += 1;
  const operator = OPERATORS.exec(text.slice(split))?.[1];
  if (operator === undefined) throw new PathError('a query is written #(name==value)');
  const left = text.slice(0, split).trim();
  const right = text.slice(split + operator.length).trim();
  try {
    return {
      path: left === '' ? [] : parse(left),
      operator,
      operand: JSON.parse(right) as JsonValue,
    };
  } catch (error) {
    if (error instanceof PathError) throw error;
    throw new PathError(`${right} is not a JSON value`);
  }
}

function find(path: readonly Segment[], value: JsonValue): JsonValue | undefined {
  const [segment, ...rest] = path;
  if (segment === undefined) return value;
  switch (segment.kind) {
    case 'name': {
      const inner = member(value, segment.name);
      return inner === undefined ? undefined : find(rest, inner);
    }
    case 'wildcard': {
      if (typeof value !== 'object' || value === null) return undefined;
      const key = Object.keys(value).find((name) => matches(segment.pattern, name));
      const inner = key === undefined ? undefined : member(value, key);
      return inner === undefined ? undefined : find(rest, inner);
    }
    case 'each':
      if (!Array.isArray(value)) return undefined;
      return rest.length === 0 && !segment.always ? value.length : collect(rest, value);
    case 'query': {
      if (!Array.isArray(value)) return undefined;
      if (segment.all)
        return collect(
          rest,
          value.filter((element) => passes(segment.test, element)),
        );
      const first: JsonValue | undefined = value.find((element) => passes(segment.test, element));
      return first === undefined ? undefined : find(rest, first);
    }
  }
}

const collect = (rest: readonly Segment[], elements: readonly JsonValue[]): JsonValue[] =>
  elements.flatMap((element) => {
    const found = find(rest, element);
    return found === undefined ? [] : [found];
  });

function member(value: JsonValue, name: string): JsonValue | undefined {
  if (Array.isArray(value))
    return /^\d+$/.test(name) ? (value[Number(name)] as JsonValue) : undefined;
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
  return (value as { readonly [key: string]: JsonValue })[name];
}

function passes({ path, operator, operand }: Test, element: JsonValue): boolean {
  const found = find(path, element);
  if (found === undefined) return false;
  if (operator === '==' || operator === '!=') {
    const same = JSON.stringify(found) === JSON.stringify(operand);
    return operator === '==' ? same : !same;
  }
  // Order only exists between two numbers or two strings.
  if (typeof found !== typeof operand || (typeof found !== 'number' && typeof found !== 'string'))
    return false;
  const order = found < (operand as typeof found) ? -1 : found > (operand as typeof found) ? 1 : 0;
  return operator === '<'
    ? order < 0
    : operator === '<='
      ? order <= 0
      : operator === '>'
        ? order > 0
        : order >= 0;
}

/** `*` any text, `?` one character, `\` takes the next one as it is; greedy with one step back, so linear in practice. */
function matches(pattern: string, name: string): boolean {
  const tokens = [...pattern.matchAll(/\\(.)|(.)/gsu)].map(([, escaped, plain]) => ({
    text: escaped ?? plain ?? '',
    wild: escaped === undefined,
  }));
  const characters = Array.from(name);
  let [at, token, star, resume] = [0, 0, -1, 0];
  while (at < characters.length) {
    const next = tokens[token];
    if (next?.wild === true && next.text === '*') {
      star = token;
      resume = at;
      token += 1;
    } else if (next && (next.text === characters[at] || (next.wild && next.text === '?'))) {
      token += 1;
      at += 1;
    } else if (star >= 0) {
      token = star + 1;
      resume += 1;
      at = resume;
    } else return false;
  }
  return tokens.slice(token).every(({ text, wild }) => wild && text === '*');
}
