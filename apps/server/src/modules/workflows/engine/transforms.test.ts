import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { JsonValue } from './definition.ts';
import { applyTransform, transformProblem } from './transforms.ts';

const list: JsonValue[] = [{ b: 'one', n: 1 }, { c: 0 }, { b: 'two', n: 2 }];
const document = {
  a: { b: 1, 'x.y': 2, list },
  prefix_one: 'p',
  'odd*name': 3,
  nothing: null,
};

describe('paths of §9', () => {
  const cases: readonly (readonly [string, unknown])[] = [
    ['a.b', 1],
    ['$.a.b', 1],
    ['a.x\\.y', 2],
    ['a.list.0.b', 'one'],
    ['a.list[0].b', 'one'],
    ['$.a.list[2].n', 2],
    ['a.list.#', 3],
    ['a.list.#.b', ['one', 'two']],
    ['a.list[*].b', ['one', 'two']],
    ['a.list[*]', list],
    ['pre*', 'p'],
    ['a.l*.0.n', 1],
    ['odd\\*name', 3],
    ['a.list.#(b=="two").n', 2],
    ['a.list.#(n>0)#', [list[0], list[2]]],
    ['a.list.#(n>=1)#.b', ['one', 'two']],
    ['a.list.#(n<2).b', 'one'],
    ['a.list.#(b!="one").b', 'two'],
    ['a.list.#(b=="none")#', []],
    ['@this', document],
    ['$', document],
    ['nothing', null],
    ['a.missing', undefined],
    ['a.list.9', undefined],
    ['a.list.length', undefined],
    ['a.list.#(b=="none")', undefined],
    ['__proto__', undefined],
    ['a.b.#', undefined],
  ];
  for (const [path, expected] of cases)
    test(path, () => {
      assert.equal(transformProblem(path), null);
      assert.deepEqual(applyTransform(path, document), expected);
    });
  test('elements of a plain list are compared themselves', () =>
    assert.deepEqual(applyTransform('#(>1)#', [1, 2, 3]), [2, 3]));
});

describe('refused when saved', () => {
  for (const path of [
    'a..b',
    'a.',
    '.a',
    'a[x]',
    'a[1',
    'a.#(b',
    'a.#(b)',
    'a.#(b==two)',
    'a\\',
    'a"b',
    'a[0]b',
    'a'.repeat(1001),
  ])
    test(path.slice(0, 20), () => assert.notEqual(transformProblem(path), null));
});

// Backtracking would not end within the test's deadline.
test('wildcards do not blow up', () => {
  assert.equal(applyTransform('*a'.repeat(400) + 'b', { ['a'.repeat(10_000)]: 1 }), undefined);
});
