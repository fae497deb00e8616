import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { sdkHeaders } from './handshake.ts';
import { cutToBytes, resourceLevel, splitChunk } from './rules.ts';

const chunk = {
  run_id: '019a0000-0000-7000-8000-000000000000',
  stream_id: 'default',
  done: true,
  timestamp: '2026-01-01T00:00:00.000Z',
};

test('a chunk that fits into a notification stays whole', () => {
  assert.deepEqual(
    splitChunk({ ...chunk, chunk: 'hello' }).map((part) => JSON.parse(part)),
    [{ ...chunk, chunk: 'hello' }],
  );
});

test('parts of a chunk fit, differ, join to the whole, and only the last is done', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary', minLength: 1, maxLength: 60 }),
      fc.integer({ min: 100, max: 900 }),
      (text, times) => {
        const whole = text.repeat(times);
        const parts = splitChunk({ ...chunk, chunk: whole });
        assert.equal(new Set(parts).size, parts.length);
        for (const part of parts) assert.ok(Buffer.byteLength(part) <= 7_168);
        const read = parts.map((part) => JSON.parse(part) as { chunk: string; done: boolean });
        assert.equal(read.map((part) => part.chunk).join(''), whole);
        assert.deepEqual(
          read.map((part) => part.done),
          read.map((_, index) => index === read.length - 1),
        );
      },
    ),
    { numRuns: 50 },
  );
});

test('cutting never leaves half a character', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.integer({ min: 0, max: 20 }), (text, bytes) => {
      const cut = cutToBytes(text, bytes);
      assert.ok(text.startsWith(cut) && Buffer.byteLength(cut) <= bytes);
      assert.ok(cut === text || Buffer.byteLength(cut) > bytes - 4);
    }),
  );
});

test('memory use decides the level of a sample', () => {
  assert.deepEqual([undefined, 0, 79.9, 80, 89.9, 90, 100].map(resourceLevel), [
    'info',
    'info',
    'info',
    'warn',
    'warn',
    'error',
    'error',
  ]);
});

test('the SDK version only decides what is announced', () => {
  const capabilities = (version?: string) => sdkHeaders(version)['x-sdk-capabilities'];
  assert.deepEqual([undefined, 'x', '1.9', '2', 'v3.0.1', '10.0'].map(capabilities), [
    'none',
    'none',
    'none',
    ...Array.from({ length: 3 }, () => 'progress,checkpoint,usage'),
  ]);
  assert.equal(sdkHeaders('ä\n')['x-sdk-version-accepted'], 'legacy');
});
