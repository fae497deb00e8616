import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { canonicalJson, payloadHash } from './canonical-json.ts';

describe('canonical JSON', () => {
  test('sorts keys at every level and keeps lists in order', () => {
    const value = JSON.parse('{"b":[{"z":1,"a":null}],"10":true,"9":"x","a":{}}');
    assert.equal(canonicalJson(value), '{"10":true,"9":"x","a":{},"b":[{"a":null,"z":1}]}');
  });

  test('treats __proto__ as a key like any other', () => {
    assert.equal(
      canonicalJson(JSON.parse('{"__proto__":{"b":1,"a":2}}')),
      '{"__proto__":{"a":2,"b":1}}',
    );
  });

  test('is the same value again, whatever the order of its keys', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        const value = JSON.parse(text) as unknown;
        const canonical = canonicalJson(value);
        assert.deepEqual(JSON.parse(canonical), JSON.parse(JSON.stringify(value)));
        assert.equal(canonicalJson(JSON.parse(canonical)), canonical);
      }),
    );
  });

  test('hashes to lower-case hexadecimal SHA-256', () => {
    assert.equal(
      payloadHash('{}'),
      '44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a',
    );
  });
});
