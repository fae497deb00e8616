import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { before, describe, it } from 'node:test';
import {
  openApiFile,
  servedOperations,
  type Served,
} from '../../../../scripts/generate-openapi.ts';
import { compactContract, type CompactContract } from './compact.ts';
import { compareContracts } from './compare.ts';
import { differences } from './differences.ts';
import { additional, stillToCome } from './other-operations.ts';

type Json = Readonly<Record<string, unknown>>;

const here = import.meta.dirname;
const read = (file: string) => readFileSync(path.join(here, file), 'utf8');
const reference = JSON.parse(read('reference-operations.json')) as CompactContract;

describe('the API and its reference contract', () => {
  let ours: CompactContract;
  before(async () => {
    ours = compactContract((await servedOperations()).document);
  });

  it('differ only where differences.ts says so, and everywhere it says so', () => {
    const found = compareContracts(ours, reference);
    const patterns = differences.flatMap(({ lines }) => lines.map((line) => ({ line, hits: 0 })));
    const surprises = found.filter((difference) => {
      const known = patterns.filter(({ line }) => matches(line, difference));
      for (const pattern of known) pattern.hits += 1;
      return known.length === 0;
    });
    const gone = patterns.filter(({ hits }) => hits === 0).map(({ line }) => line);
    assert.deepEqual({ surprises, gone }, { surprises: [], gone: [] });
  });

  it('have the same operations, besides those that are additional or still to come', (test) => {
    const served = new Set(ours.operations.map(({ id }) => id));
    const known = new Set(reference.operations.map(({ id }) => id));
    const more = [...served].filter((id) => !known.has(id));
    assert.deepEqual(more.sort(), Object.keys(additional).sort());

    const missing = reference.operations.filter(({ id }) => !served.has(id));
    const groups = new Map(stillToCome.map((beginning) => [beginning, 0]));
    for (const operation of missing) {
      const group = stillToCome.find((beginning) => operation.path.startsWith(beginning));
      assert.ok(group, `${operation.method} ${operation.path} is missing`);
      groups.set(group, (groups.get(group) ?? 0) + 1);
    }
    const complete = stillToCome.filter((beginning) => groups.get(beginning) === 0);
    assert.deepEqual(complete, [], 'nothing of these is still to come');
    const list = [...groups].map(([beginning, count]) => `${beginning} ${count}`).join(', ');
    test.diagnostic(
      `${known.size - missing.length} of ${known.size} operations; still to come: ${list}`,
    );
  });

  it('the comparison sees what it is for', () => {
    const changed = structuredClone(reference) as {
      types: Record<string, never>;
    } & CompactContract;
    const [first] = changed.operations;
    assert.ok(first);
    Object.assign(first, { scope: 'nobody:may', path: '/elsewhere', replies: { 299: null } });
    const lines = compareContracts(changed, reference);
    for (const what of ['permission', 'path', 'never answers 200', 'also answers 299']) {
      assert.ok(
        lines.some((line) => line.startsWith(`${first.id}: ${what}`)),
        `${what} was not noticed: ${lines.join('\n')}`,
      );
    }
    assert.deepEqual(compareContracts(reference, reference), []);
  });
});

describe('the OpenAPI document', () => {
  let served: Served;
  before(async () => {
    served = await servedOperations();
  });

  it('is the committed one', async () => {
    assert.ok((await openApiFile()) === read('../../openapi.json'), 'run `npm run generate`');
  });

  it('describes every operation once, with unique ids', () => {
    assert.match(String(served.document['openapi']), /^3\.1\./);
    const { operations } = compactContract(served.document);
    const ids = operations.map(({ id }) => id);
    assert.deepEqual([...new Set(ids)].sort(), served.operations.map(({ id }) => id).sort());
    assert.equal(new Set(ids).size, ids.length);
  });

  it('has parameters for every placeholder, and responses everywhere', () => {
    for (const [route, entry] of Object.entries(served.document['paths'] as Json)) {
      const names = [...route.matchAll(/\{(\w+)\}/g)].map((match) => match[1]);
      assert.doesNotMatch(route.replaceAll(/\{\w+\}/g, ''), /[{}:*]/);
      for (const [method, given] of Object.entries(entry as Json)) {
        const operation = given as {
          parameters: { name: string; in: string; schema: unknown }[];
          responses: Record<string, { description: string }>;
          requestBody?: unknown;
        };
        const in_path = operation.parameters.filter((parameter) => parameter.in === 'path');
        assert.deepEqual(in_path.map(({ name }) => name).sort(), [...names].sort(), route);
        assert.ok(Object.keys(operation.responses).length > 0, route);
        for (const [status, response] of Object.entries(operation.responses)) {
          assert.match(status, /^[1-5]\d\d$/);
          assert.ok(response.description, `${method} ${route} ${status}`);
        }
        assert.ok(method !== 'get' || operation.requestBody === undefined, route);
      }
    }
  });

  it('has no reference to nowhere, and no schema that nothing uses', () => {
    const refs = new Set<string>();
    walk(served.document, (key, value) => {
      if (key === '$ref') refs.add(String(value));
    });
    const { schemas, securitySchemes } = served.document['components'] as Record<string, Json>;
    const names = Object.keys(schemas ?? {}).map((name) => `#/components/schemas/${name}`);
    assert.deepEqual([...refs].sort(), names.sort());
    walk(served.document['paths'], (key, value) => {
      if (key !== 'security') return;
      const used = (value as Json[]).flatMap((way) => Object.keys(way));
      for (const scheme of used) assert.ok(securitySchemes?.[scheme], scheme);
    });
  });
});

/** `*` stands for any text. */
function matches(pattern: string, text: string): boolean {
  const parts = pattern.split('*').map((part) => part.replaceAll(/[.+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`).test(text);
}

function walk(value: unknown, visit: (key: string, value: unknown) => void): void {
  if (typeof value !== 'object' || value === null) return;
  for (const [key, member] of Object.entries(value)) {
    visit(key, member);
    walk(member, visit);
  }
}
