// Requests nobody should send, made from the operation table: sensible ones with one thing wrong.

import type { OperationSpec } from '../../src/platform/http/define-api.ts';
import type { CompactContract, Node } from './compact.ts';
import { nastyHeaders, nastyPaths, nastyTexts, nastyValues, toText, type Random } from './nasty.ts';
import type { PopulatedProject } from './populated-project.ts';
import { parametersOf, pathOf, sampleOf } from './samples.ts';

export interface MalformedRequest {
  readonly operation: OperationSpec;
  /** What is wrong with it. */
  readonly what: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Buffer | undefined;
}

type Changes = Partial<Omit<MalformedRequest, 'operation'>> & { readonly what: string };
type Maker = (operation: OperationSpec, of: PopulatedProject, random: Random) => Changes;

export function malformedRequests(contract: CompactContract) {
  const bodies = new Map(contract.operations.map(({ id, body }) => [id, body]));

  /** Names of all members a body may have. */
  const membersOf = ({ id }: OperationSpec): string[] => {
    const seen = (node: Node | undefined): string[] => {
      if (!node) return [];
      const found = node.ref === undefined ? node : contract.types[node.ref];
      return [...Object.keys(found?.members ?? {}), ...(found?.options ?? []).flatMap(seen)];
    };
    return seen(bodies.get(id));
  };

  const member: Maker = (operation, of, random) => {
    const name = random.pick([...membersOf(operation), 'extra']);
    const value = random.pick(nastyValues);
    const body = { ...objectOf(operation, of), [name]: value };
    return { what: `member ${name} is ${brief(value)}`, body: toText(body) };
  };

  const inner: Maker = (operation, of, random) => {
    const value = random.pick(nastyValues);
    const body = structuredClone(sampleOf(operation).body?.(of));
    const place = replaceSomewhere(body, value, random);
    return { what: `${place} is ${brief(value)}`, body: toText(place === '' ? value : body) };
  };

  const missing: Maker = (operation, of, random) => {
    const body = objectOf(operation, of);
    const names = Object.keys(body);
    if (names.length === 0) return whole(operation, of, random);
    const gone = random.pick(names);
    const rest = Object.fromEntries(Object.entries(body).filter(([name]) => name !== gone));
    return { what: `member ${gone} is missing`, body: toText(rest) };
  };

  const extra: Maker = (operation, of, random) => {
    const name = random.pick(['__proto__', 'constructor', 'toString', '', 'id', 'x'.repeat(5_000)]);
    const text = toText({ ...objectOf(operation, of), '@name': random.pick(nastyValues) });
    return { what: `extra member ${brief(name)}`, body: text.replace('@name', name) };
  };

  const whole: Maker = (_operation, _of, random) => {
    const value = random.pick(nastyValues);
    return { what: `the body is ${brief(value)}`, body: toText(value) };
  };

  const broken: Maker = (operation, of, random) => {
    const text = toText(sampleOf(operation).body?.(of) ?? { a: 'b' });
    const at = random.below(Math.max(1, text.length - 1)) + 1;
    const bytes = Buffer.from(text);
    const [what, body] = random.pick<readonly [string, string | Buffer]>([
      ['truncated', text.slice(0, at)],
      ['doubled', text + text],
      ['with a comment', `/* */${text}`],
      ['with a trailing comma', text.replace(/[}\]]$/, ',$&')],
      ['in UTF-16', Buffer.from(text, 'utf16le')],
      ['with a byte order mark', `\ufeff${text}`],
      [
        'not UTF-8',
        Buffer.concat([bytes.subarray(0, at), Buffer.from([0xff, 0xc0]), bytes.subarray(at)]),
      ],
      ['with a NUL byte', `${text.slice(0, at)}\0${text.slice(at)}`],
      ['empty', ''],
      ['blank', ' \r\n\t '],
      ['a form', 'name=a&slug=b'],
      ['too large', `{"payload":"${'x'.repeat(1_100_000)}"}`],
    ]);
    return { what: `the body is ${what}`, body };
  };

  const header: Maker = (_operation, _of, random) => {
    const [name, value] = random.pick(nastyHeaders);
    return { what: `header ${name}: ${brief(value)}`, headers: { [name]: value } };
  };

  const parameter: Maker = (operation, of, random) => {
    const name = random.pick(parametersOf(operation));
    const value = random.pick(nastyPaths);
    const marked = pathOf(operation, of, { run: runOf(operation), [name]: 'MARKED' });
    const path = marked.replace('MARKED', () => value);
    return { what: `path parameter ${name} is ${brief(value)}`, path };
  };

  const query: Maker = (operation, of, random) => {
    const shape = (operation.query as { shape?: object } | undefined)?.shape ?? {};
    const name = random.pick([...Object.keys(shape), 'limit', 'cursor', 'project_id', 'nothing']);
    const text = random.pick(nastyTexts);
    const value = text.isWellFormed() ? encodeURIComponent(text) : '%ed%a0%80';
    const added = random.pick([
      `${name}=${value}`,
      `${name}=${value}`,
      `${name}=${value}`,
      `${name}=1&${name}=2`,
      `${name}[]=1`,
      `${name}[a]=1`,
      `${name}=%zz`,
      `${name}=%00`,
      `${name}`,
      `=${value}`,
      `%zz=1`,
      '&&&==&',
      `__proto__=1&constructor=2`,
      `${name}=${'a'.repeat(5_000)}`,
      `cursor=${Buffer.from(JSON.stringify([random.pick(nastyTexts), random.pick(nastyTexts)])).toString('base64url')}`,
    ]);
    const path = `${pathOf(operation, of, { run: runOf(operation) })}?${added}`;
    return { what: `query ${brief(added)}`, path };
  };

  const makersOf = (operation: OperationSpec): Maker[] => [
    header,
    query,
    ...(parametersOf(operation).length > 0 ? [parameter, parameter] : []),
    ...(operation.body
      ? [member, member, member, member, inner, inner, missing, extra, whole, broken]
      : []),
  ];

  const made = (operation: OperationSpec, of: PopulatedProject, changes: Changes) => {
    const sample = sampleOf(operation);
    const base = sample.body?.(of);
    const request: MalformedRequest = {
      operation,
      path: pathOf(operation, of, { run: runOf(operation) }),
      body: base === undefined ? undefined : toText(base),
      ...changes,
      headers: { ...sample.headers, ...changes.headers },
    };
    return request;
  };

  return {
    random: (operation: OperationSpec, of: PopulatedProject, random: Random): MalformedRequest =>
      made(operation, of, random.pick(makersOf(operation))(operation, of, random)),

    /** What every operation must refuse with a word about the place, whatever the dice say. */
    certain: (operation: OperationSpec, of: PopulatedProject): MalformedRequest[] => {
      const run = runOf(operation);
      const names = parametersOf(operation).map((name) => ({
        what: `path parameter ${name} holds a NUL`,
        path: pathOf(operation, of, { run, [name]: 'a\0b' }),
      }));
      const queries = ['limit=-1', 'cursor=%7Fnone', 'status=nothing', 'project_id=%00'].map(
        (text) => ({
          what: `query ${text}`,
          path: `${pathOf(operation, of, { run })}?${text}`,
        }),
      );
      const bodies = [[], { nobody_knows: 1 }].map((body) => ({
        what: `the body is ${brief(body)}`,
        body: toText(body),
      }));
      const all = [...names, ...queries, ...(operation.body ? bodies : [])];
      return all.map((changes) => made(operation, of, changes));
    },
  };
}

const runOf = (operation: OperationSpec) => sampleOf(operation).run ?? 'executing';

function objectOf(operation: OperationSpec, of: PopulatedProject): Record<string, unknown> {
  const body = sampleOf(operation).body?.(of);
  return typeof body === 'object' && body !== null && !Array.isArray(body)
    ? { ...(body as Record<string, unknown>) }
    : {};
}

/** Goes down a random way and replaces what is there. Answers with the way; '' = the value itself. */
function replaceSomewhere(value: unknown, by: unknown, random: Random): string {
  if (typeof value !== 'object' || value === null) return '';
  const holder = value as Record<string, unknown>;
  const keys = Object.keys(holder);
  if (keys.length === 0) return '';
  const key = random.pick(keys);
  const below = random.below(4) > 0 ? replaceSomewhere(holder[key], by, random) : '';
  if (below === '') holder[key] = by;
  return `${key}${below && `.${below}`}`;
}

export function brief(value: unknown): string {
  const text = typeof value === 'string' ? JSON.stringify(value) : toText(value);
  return text.length > 70 ? `${text.slice(0, 60)}… (${text.length})` : text;
}
