import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Failure } from '../failure.ts';
import { maxNesting, parseJsonBody } from './json-body.ts';

const parse = (text: string) => parseJsonBody(Buffer.from(text));
const refusal = (code: string, message: RegExp) => (error: unknown) =>
  error instanceof Failure && error.code === code && message.test(error.message);

describe('json body', () => {
  it('takes nothing and white space for no body', () => {
    assert.equal(parse(''), undefined);
    assert.equal(parse(' \n\t'), undefined);
    assert.equal(parse('null'), null);
  });

  it('keeps integers a double holds exactly and refuses the others by path', () => {
    assert.deepEqual(parse('{"a":9007199254740992,"b":1e20,"c":10000000000000000000}'), {
      a: 2 ** 53,
      b: 1e20,
      c: 1e19,
    });
    assert.deepEqual(parse('["9007199254740993"]'), ['9007199254740993']);
    assert.deepEqual(parse('[0.1234567890123456789]'), [Number('0.1234567890123456789')]);
    assert.throws(
      () => parse('{"a":[1,{"b":9007199254740993}]}'),
      refusal('invalid_request', /^body\.a\[1\]\.b: 9007199254740993 is not exact/),
    );
    assert.throws(() => parse('[-12345678901234567]'), refusal('invalid_request', /body\[0\]/));
    assert.throws(() => parse(`[${'9'.repeat(400)}]`), refusal('invalid_request', /too large/));
    assert.throws(() => parse('[1e999]'), refusal('invalid_request', /too large/));
  });

  it('refuses what PostgreSQL cannot store, in values and in keys', () => {
    for (const text of ['["\\u0000"]', '{"a\\u0000":1}', '["\\ud800"]', '{"\\udc00x":1}']) {
      assert.throws(() => parse(text), refusal('invalid_request', /NUL|surrogate/), text);
    }
    assert.deepEqual(parse('["\\ud83d\\ude00"]'), ['😀']);
  });

  it('treats __proto__ as a key like any other', () => {
    const value = parse('{"__proto__":{"admin":true},"constructor":1}') as Record<string, unknown>;
    assert.deepEqual(Object.keys(value), ['__proto__', 'constructor']);
    assert.equal(Object.getPrototypeOf(value), Object.prototype);
    assert.equal(({} as Record<string, unknown>)['admin'], undefined);
  });

  it('refuses nesting beyond the limit, however deep', () => {
    const nested = (depth: number) => parse('['.repeat(depth) + ']'.repeat(depth));
    assert.ok(nested(maxNesting));
    assert.throws(() => nested(maxNesting + 1), refusal('invalid_request', /levels deep/));
    assert.throws(() => nested(400_000), refusal('invalid_request', /levels deep/));
  });

  it('says what is wrong with text that is not JSON or not UTF-8', () => {
    assert.throws(() => parse('{"a":'), refusal('invalid_json', /not valid JSON/));
    assert.throws(
      () => parseJsonBody(Buffer.from([0x22, 0xff, 0x22])),
      refusal('invalid_json', /UTF-8/),
    );
  });
});
