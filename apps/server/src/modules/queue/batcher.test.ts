import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createBatcher } from './batcher.ts';

test('what arrives during a flush goes out together with the next one', async () => {
  const flushes: number[][] = [];
  const batcher = createBatcher<number, number>({
    max: 3,
    parallel: 1,
    flush: async (items) => {
      flushes.push([...items]);
      await new Promise(setImmediate);
      return items.map((item) => item * 10);
    },
  });
  const first = batcher.add(1);
  await new Promise(setImmediate);
  const answers = await Promise.all([first, ...[2, 3, 4, 5].map((item) => batcher.add(item))]);
  assert.deepEqual(answers, [10, 20, 30, 40, 50]);
  assert.deepEqual(flushes, [[1], [2, 3, 4], [5]]);
  await batcher.drain();
});

test('a failed flush rejects exactly its own callers', async () => {
  const batcher = createBatcher<number, number>({
    max: 1,
    parallel: 2,
    flush: async ([item]) => {
      if (item === 2) throw new Error('two');
      return [item ?? 0];
    },
  });
  const settled = await Promise.allSettled([1, 2, 3].map((item) => batcher.add(item)));
  assert.deepEqual(
    settled.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled'],
  );
});

test('an answer that is an error rejects the caller of that item only', async () => {
  const batcher = createBatcher<number, number>({
    max: 10,
    parallel: 1,
    flush: async (items) => items.map((item) => (item === 2 ? new Error('two') : item)),
  });
  const settled = await Promise.allSettled([1, 2, 3].map((item) => batcher.add(item)));
  assert.deepEqual(
    settled.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled'],
  );
});

test('a flush weighs no more than it may, unless one item alone does', async () => {
  const flushes: number[][] = [];
  const batcher = createBatcher<number, number>({
    max: 10,
    parallel: 1,
    max_weight: 5,
    weightOf: (item) => item,
    flush: async (items) => {
      flushes.push([...items]);
      return items;
    },
  });
  await Promise.all([2, 3, 1, 9, 4, 1].map((item) => batcher.add(item)));
  assert.deepEqual(flushes, [[2, 3], [1], [9], [4, 1]]);
});

test('items with the same key never share a flush', async () => {
  const flushes: string[][] = [];
  const batcher = createBatcher<string, string>({
    max: 10,
    parallel: 1,
    keyOf: (item) => item[0],
    flush: async (items) => {
      flushes.push([...items]);
      return items;
    },
  });
  assert.deepEqual(
    await Promise.all(['a1', 'b1', 'a2', 'c1', 'a3'].map((item) => batcher.add(item))),
    ['a1', 'b1', 'a2', 'c1', 'a3'],
  );
  assert.deepEqual(flushes, [['a1', 'b1', 'c1'], ['a2'], ['a3']]);
});

test('with a pause, finished items wait for company unless enough are waiting', async () => {
  const sizes: number[] = [];
  const batcher = createBatcher<number, number>({
    max: 100,
    parallel: 1,
    pause_ms: 30,
    early: 5,
    flush: async (items) => {
      sizes.push(items.length);
      return items;
    },
  });
  await batcher.add(0);
  const began = performance.now();
  await Promise.all([1, 2].map((item) => batcher.add(item)));
  assert.ok(performance.now() - began >= 20, 'two items waited');
  await Promise.all([1, 2, 3, 4, 5].map((item) => batcher.add(item)));
  assert.deepEqual(sizes, [1, 2, 5]);
});
