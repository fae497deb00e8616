import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { z } from 'zod';
import { omitEmpty, shapeOf } from './json-reply.ts';
import { pageSchema } from './pagination.ts';

const shape = (schema: z.ZodType, value: unknown) => {
  const plan = shapeOf(schema);
  const before = structuredClone(value);
  const shaped = plan ? plan(value) : value;
  assert.deepEqual(value, before, 'the value handed in must not change');
  return shaped;
};

const Thing = z.object({
  id: z.string(),
  note: omitEmpty(z.string()),
  count: omitEmpty(z.int()),
  flag: omitEmpty(z.boolean()),
  tags: omitEmpty(z.record(z.string(), z.string())),
  list: omitEmpty(z.array(z.string())),
  always: z.string().nullable(),
  raw: z.unknown(),
});
const empty = {
  id: 'x',
  note: '',
  count: 0,
  flag: false,
  tags: {},
  list: [],
  always: null,
  raw: null,
};

describe('json reply', () => {
  it('drops fields marked omit-when-empty in every empty form and keeps the others', () => {
    assert.deepEqual(shape(Thing, empty), { id: 'x', always: null, raw: null });
    assert.deepEqual(shape(Thing, { ...empty, note: null, count: null }), {
      id: 'x',
      always: null,
      raw: null,
    });
    const full = {
      id: 'x',
      note: 'n',
      count: -1,
      flag: true,
      tags: { a: '' },
      list: [''],
      always: 'y',
      raw: { a: '' },
    };
    assert.deepEqual(shape(Thing, full), full);
  });

  it('never sends a member the schema does not name', () => {
    assert.deepEqual(shape(z.object({ id: z.string() }), { id: 'x', key_hash: 'secret' }), {
      id: 'x',
    });
    const list = z.array(z.object({ id: z.string() }));
    assert.deepEqual(shape(list, [{ id: 'x', key_hash: 's' }]), [{ id: 'x' }]);
  });

  it('works inside pages, nullable and optional members, records and unions', () => {
    const page = pageSchema('ThingPageOfTest', Thing);
    assert.deepEqual(shape(page, { data: [empty], next_cursor: undefined, has_more: false }), {
      data: [{ id: 'x', always: null, raw: null }],
      has_more: false,
    });
    const nested = z.object({ a: Thing.nullable(), b: z.record(z.string(), Thing).optional() });
    assert.deepEqual(shape(nested, { a: null }), { a: null });
    assert.deepEqual(shape(nested, { a: empty, b: { k: empty } }), {
      a: { id: 'x', always: null, raw: null },
      b: { k: { id: 'x', always: null, raw: null } },
    });
    const either = z.union([
      z.object({ ok: z.literal(true), note: omitEmpty(z.string()) }),
      z.object({ error: z.string() }),
    ]);
    assert.deepEqual(shape(either, { ok: true, note: '', extra: 1 }), { ok: true });
    assert.deepEqual(shape(either, { error: 'e', extra: 1 }), { error: 'e' });
  });

  it('passes raw JSON untouched, whatever its keys', () => {
    const payload = JSON.parse('{"__proto__":{"x":1},"a":"","b":[0,false,null]}') as unknown;
    const shaped = shape(z.object({ payload: z.unknown() }), { payload }) as { payload: unknown };
    assert.equal(shaped.payload, payload);
  });

  it('follows a schema into itself', () => {
    const Node = z.object({
      name: omitEmpty(z.string()),
      get children() {
        return z.array(Node);
      },
    });
    assert.deepEqual(
      shape(Node, { name: '', children: [{ name: 'a', children: [], secret: 1 }] }),
      {
        children: [{ name: 'a', children: [] }],
      },
    );
  });
});
