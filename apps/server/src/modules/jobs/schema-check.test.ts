import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { fakeClock } from '../../platform/clock.ts';
import { createSchemaChecks } from './schema-check.ts';

const checks = createSchemaChecks(fakeClock());
let version = 0;
const check = (payload_schema: unknown, payload: unknown) =>
  checks.checkPayload({ id: 'job', version: (version += 1), payload_schema }, payload);
const nested = (depth: number): unknown => (depth === 0 ? {} : { not: nested(depth - 1) });

describe('schemas that are refused', () => {
  const refused: Record<string, unknown> = {
    'no object': 5,
    'a list': [],
    'a boolean': true,
    'an unknown type': { type: 'strnig' },
    'required that is no list': { required: 'a' },
    'a pattern that is no pattern': { pattern: '(' },
    'a long pattern': { pattern: 'a'.repeat(1001) },
    'a remote reference': { $ref: 'https://example.com/schema.json' },
    'a reference to nothing': { $ref: '#/$defs/a' },
    'an anchor of another schema': { $ref: '#x' },
    'a reference to itself': { $ref: '#' },
    'an inner $id': { properties: { a: { $id: 'x' } } },
    'an asynchronous one': { $async: true, type: 'object' },
    'a deep one': nested(40),
    'a large one': { description: 'x'.repeat(70_000) },
  };
  for (const [what, schema] of Object.entries(refused)) {
    it(what, () => assert.equal(typeof checks.schemaProblem(schema), 'string'));
  }
});

describe('schemas that are accepted', () => {
  const accepted: Record<string, unknown> = {
    'the empty one': {},
    'an older draft by name': {
      $schema: 'http://json-schema.org/draft-07/schema#',
      type: 'object',
    },
    'unknown keywords and formats': { 'x-note': 1, format: 'something' },
    'a recursive one': { properties: { next: { $ref: '#' } } },
    'one with an anchor': { $defs: { a: { $anchor: 'x', type: 'string' } }, $ref: '#x' },
    'the same anchor elsewhere': { $defs: { b: { $anchor: 'x' } }, items: { $ref: '#x' } },
    'a property called $ref': { properties: { $ref: { type: 'string' } } },
    'the same $id twice': { $id: 'https://example.com/a', type: 'object' },
    'the same $id again': { $id: 'https://example.com/a', type: 'array' },
  };
  for (const [what, schema] of Object.entries(accepted)) {
    it(what, () => assert.equal(checks.schemaProblem(schema), undefined));
  }
});

describe('checking a payload', () => {
  const schema = {
    type: 'object',
    required: ['to'],
    properties: { to: { type: 'string', format: 'email' }, items: { items: { type: 'integer' } } },
  };
  it('accepts what fits and asks nothing without a schema', () => {
    assert.deepEqual(check(schema, { to: 'a@example.com' }), []);
    assert.deepEqual(check(null, { anything: true }), []);
    assert.deepEqual(check({}, undefined), []);
  });
  it('names the offending member', () => {
    assert.deepEqual(check(schema, {}), [{ path: 'to', message: 'is required' }]);
    assert.equal(check(schema, { to: 'a@example.com', items: [1, 'x'] })[0]?.path, 'items[1]');
    assert.equal(check(schema, { to: 'nobody' })[0]?.path, 'to');
  });
  it('takes an absent payload for null', () => {
    assert.equal(check({ type: 'object' }, undefined)[0]?.path, '');
    assert.deepEqual(check({ type: 'null' }, undefined), []);
  });
  it('does not mix up versions', () => {
    const job = { id: 'other', payload_schema: { type: 'string' } };
    assert.deepEqual(checks.checkPayload({ ...job, version: 1 }, 'x'), []);
    const next = { ...job, version: 2, payload_schema: { type: 'number' } };
    assert.equal(checks.checkPayload(next, 'x').length, 1);
    assert.deepEqual(checks.checkPayload({ ...job, version: 1 }, 'x'), []);
  });
  it('stops a pattern that explodes, rests, and then tries again', () => {
    const clock = fakeClock();
    const own = createSchemaChecks(clock);
    const job = { id: 'slow', version: 1, payload_schema: { type: 'string', pattern: '^(a+)+$' } };
    const evil = `${'a'.repeat(50)}b`;
    assert.match(own.checkPayload(job, evil)[0]?.message ?? '', /too long/);
    assert.match(own.checkPayload(job, 'aaa')[0]?.message ?? '', /too long/, 'rests');
    clock.advance(1_000);
    assert.deepEqual(own.checkPayload(job, 'aaa'), []);
  });
  it('survives a payload that is deeper than the stack', () => {
    let deep: unknown = {};
    for (let level = 0; level < 200_000; level += 1) deep = { next: deep };
    const problems = check({ properties: { next: { $ref: '#' } } }, deep);
    assert.equal(problems.length, 1);
  });
  it('checks results the same way', () => {
    const config = {
      job_id: 'job',
      version: 1,
      result_schema: { type: 'object', additionalProperties: false },
    };
    assert.deepEqual(checks.checkResult(config, {}), []);
    assert.deepEqual(checks.checkResult(config, { a: 1 }), [
      { path: 'a', message: 'unknown member' },
    ]);
  });
});
