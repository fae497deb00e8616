import assert from 'node:assert/strict';
import { test } from 'node:test';
import { debugHeaders } from './debug-headers.ts';

test('debug mode writes down no credential, token or signature of either side', () => {
  const shown = debugHeaders(
    {
      'x-run-id': 'r',
      'X-Run-Token': 't',
      'X-Secret-DB_PASSWORD': 's',
      'x-strait-signature': 'v1=1',
      'x-strait-signature-old': 'v1=0',
      authorization: 'Bearer x',
      'x-strait-timestamp': '1',
    },
    {
      'set-cookie': ['a=1', 'b=2'],
      'x-api-key': 'k',
      'proxy-authorization': 'p',
      vary: ['a', 'b'],
    },
  );
  assert.deepEqual(shown, {
    request_headers: { 'x-run-id': 'r', 'x-strait-timestamp': '1' },
    response_headers: { vary: 'a, b' },
  });
});

test('what debug mode writes down fits, however many and long the headers are, and says what was cut', () => {
  const many = Object.fromEntries(
    Array.from({ length: 100 }, (_, n) => [`x-${n}`, '\u00e9"\u0000'.repeat(2000)]),
  );
  const shown = debugHeaders(many, many);
  assert.ok(Buffer.byteLength(JSON.stringify(shown)) <= 8_192);
  assert.equal(shown.headers_truncated, true);
  assert.equal(debugHeaders({}, undefined).response_headers, undefined);
});
