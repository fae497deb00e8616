import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { z } from 'zod';
import { ascendingPageQuery, decodeCursor, encodeCursor, page, pageQuery } from './pagination.ts';

const query = z.object(pageQuery);
const rows = (count: number) =>
  Array.from({ length: count }, (_, index) => ({
    id: `id-${index}`,
    created_at: '2026-01-02T03:04:05.000006Z',
  }));

describe('pagination', () => {
  it('clamps large limits and refuses what is no positive integer', () => {
    assert.equal(query.parse({}).limit, 50);
    assert.equal(query.parse({ limit: '100' }).limit, 100);
    assert.equal(query.parse({ limit: '100000' }).limit, 100);
    for (const limit of ['0', '-1', '1.5', 'abc', ' ', 'Infinity', 'NaN']) {
      assert.equal(query.safeParse({ limit }).success, false, limit);
    }
  });

  it('reads its own cursors back', () => {
    fc.assert(
      fc.property(
        fc.date({ min: new Date('0001-01-01'), max: new Date('9999-12-31'), noInvalidDate: true }),
        fc.string({ minLength: 1, maxLength: 100, unit: 'grapheme-ascii' }),
        (date, id) => {
          const cursor = { created_at: date.toISOString(), id };
          assert.deepEqual(decodeCursor(encodeCursor(cursor)), cursor);
        },
      ),
    );
  });

  it('takes a bare RFC 3339 time as strictly beyond that time', () => {
    assert.deepEqual(query.parse({ cursor: '2026-01-02T03:04:05.123456789Z' }).cursor, {
      created_at: '2026-01-02T03:04:05.123456Z',
      id: '',
    });
    const ascending = z.object(ascendingPageQuery).parse({ cursor: '2026-01-02t03:04:05+02:00' });
    assert.deepEqual(ascending.cursor, { created_at: '2026-01-02T03:04:05+02:00', id: 'zzzz' });
  });

  it('refuses every other text', () => {
    const forged = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const bad = [
      'x',
      '2026-02-30T00:00:00Z',
      '2026-01-02',
      '0000-01-01T00:00:00Z',
      '2026-01-02T25:00:00Z',
      forged(['2026-01-02T03:04:05Z']),
      forged(['infinity', 'a']),
      forged(['2026-01-02T03:04:05Z', 'a\0']),
      forged(['2026-01-02T03:04:05Z', 1]),
      forged({}),
    ];
    for (const cursor of bad) assert.equal(query.safeParse({ cursor }).success, false, cursor);
    fc.assert(fc.property(fc.string(), (text) => void decodeCursor(text)));
  });

  it('says there is more only when one row too many came', () => {
    assert.deepEqual(page([], 2), { data: [], has_more: false });
    assert.deepEqual(page(rows(2), 2), { data: rows(2), has_more: false });
    const first = page(rows(3), 2);
    assert.equal(first.has_more, true);
    assert.deepEqual(first.data, rows(2));
    assert.deepEqual(decodeCursor(first.next_cursor ?? ''), {
      created_at: '2026-01-02T03:04:05.000006Z',
      id: 'id-1',
    });
  });
});
