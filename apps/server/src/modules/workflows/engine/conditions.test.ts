import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ConditionError, conditionProblem, evaluate, pathsOfCondition } from './conditions.ts';
import type { JsonValue } from './definition.ts';
import { scopeOf } from './templates.ts';

const statuses: Readonly<Record<string, string>> = { a: 'completed', b: 'failed', s: 'skipped' };
const scope = {
  ...scopeOf({
    payload: { n: 7, name: 'Al', tags: ['x', 'y'], nothing: null, empty: '' },
    parent_outputs: new Map<string, JsonValue>([['a', { count: 3, list: [1, 'two'] }]]),
    fallbacks: { step_ref: 'me' },
  }),
  status: (step_ref: string) => statuses[step_ref],
};
const holds = (condition: JsonValue) => evaluate(condition, scope).holds;
const fails = (condition: JsonValue, why: RegExp) =>
  assert.throws(
    () => evaluate(condition, scope),
    (error) => error instanceof ConditionError && why.test(error.message),
  );

describe('vectors of §7', () => {
  const vectors: readonly (readonly [string, JsonValue, boolean])[] = [
    ['v10 all of nothing', { type: 'all_of', conditions: [] }, true],
    ['v11 any of nothing', { type: 'any_of', conditions: [] }, false],
    ['v12 numbers and strings compare as text', { type: 'eq', left: 3, right: '3' }, true],
    [
      'v14 not',
      { type: 'not', condition: { type: 'step_status', step_ref: 'a', status: 'failed' } },
      true,
    ],
    [
      'v15 an unknown step does not exist',
      { type: 'exists', operand: { step_ref: 'nope' } },
      false,
    ],
    ['v16 in', { type: 'in', left: { step_ref: 's' }, right: ['completed', 'skipped'] }, true],
  ];
  for (const [name, condition, expected] of vectors)
    test(name, () => assert.equal(holds(condition), expected));

  test('v13 a string is no number', () =>
    fails({ type: 'gt', left: '3', right: 2 }, /left is "3", not a number/));
  test('v17 a hostile pattern on 10,000 characters takes less than 50 ms', () => {
    const condition = { type: 'regex', left: 'a'.repeat(9_999) + '!', right: '(a+)+$' };
    // The first use loads the engine; what is promised is about the pattern.
    assert.equal(holds({ type: 'regex', left: 'aa', right: '(a+)+$' }), true);
    const best = Math.min(
      ...Array.from({ length: 20 }, () => {
        const began = performance.now();
        assert.equal(holds(condition), false);
        return performance.now() - began;
      }),
    );
    assert.ok(best < 50, `${best} ms`);
  });
});

describe('what holds', () => {
  const cases: readonly (readonly [JsonValue, boolean])[] = [
    [null, true],
    [{ type: 'step_status', step_ref: 'b', status: 'failed' }, true],
    [{ type: 'step_status_in', step_ref: 'b', statuses: ['completed', 'failed'] }, true],
    [{ type: 'step_status_in', step_ref: 'b', statuses: [] }, false],
    [{ type: 'ne', left: 1, right: 1.5 }, true],
    [{ type: 'eq', left: null, right: '' }, true],
    [{ type: 'eq', left: true, right: 'true' }, true],
    [{ type: 'eq', left: { value: { a: 1 } }, right: '{"a":1}' }, true],
    [{ type: 'gt', left: '{{payload.n}}', right: 6 }, true],
    [{ type: 'gte', left: { path: 'parent_outputs.a.count' }, right: 3 }, true],
    [{ type: 'lt', left: 1, right: 1 }, false],
    [{ type: 'lte', left: 1, right: 1 }, true],
    [{ type: 'contains', left: { path: 'payload.tags' }, right: 'x' }, true],
    [{ type: 'contains', left: { path: 'payload.tags' }, right: 'xy' }, false],
    [{ type: 'contains', left: 'abc', right: 'bc' }, true],
    [{ type: 'contains', left: { path: 'parent_outputs.a.list' }, right: '1' }, true],
    [{ type: 'in', left: 1, right: { path: 'parent_outputs.a.list' } }, true],
    [{ type: 'regex', left: 'hello', right: 'l+' }, true],
    [{ type: 'regex', left: 'hello', right: '^l' }, false],
    [{ type: 'exists', operand: { path: 'payload.nothing' } }, false],
    [{ type: 'exists', operand: { path: 'payload.empty' } }, false],
    [{ type: 'exists', operand: { path: 'payload.absent' } }, false],
    [{ type: 'exists', operand: '{{name}}' }, true],
    // What is not there is null, however it is written.
    [{ type: 'exists', operand: '{{payload.absent}}' }, false],
    [{ type: 'ne', left: '{{ payload.absent }}', right: '' }, false],
    [{ type: 'eq', left: 'a{{payload.absent}}', right: 'a{{payload.absent}}' }, true],
    // Verbatim: not a template.
    [{ type: 'eq', left: { value: '{{name}}' }, right: 'Al' }, false],
    [{ type: 'eq', left: '{{name}}', right: 'Al' }, true],
    // Short-circuit: what is not reached cannot be wrong.
    [
      {
        type: 'any_of',
        conditions: [
          { type: 'eq', left: 1, right: 1 },
          { type: 'gt', left: 'x', right: 1 },
        ],
      },
      true,
    ],
    [
      {
        type: 'all_of',
        conditions: [
          { type: 'eq', left: 1, right: 2 },
          { type: 'gt', left: 'x', right: 1 },
        ],
      },
      false,
    ],
  ];
  for (const [condition, expected] of cases)
    test(`${JSON.stringify(condition)} is ${expected}`, () =>
      assert.equal(holds(condition), expected));

  test('the verdict names what was compared, cut when it is long', () => {
    const { operands } = evaluate(
      { type: 'eq', left: '{{payload.n}}', right: 'x'.repeat(2000) },
      scope,
    );
    const [first] = operands as { left: number; right: string }[];
    assert.equal(first?.left, 7);
    assert.ok((first?.right.length ?? 0) < 600);
  });
});

describe('what has no answer', () => {
  test('an unknown step', () =>
    fails({ type: 'step_status', step_ref: 'x', status: 'failed' }, /unknown step "x"/));
  test('a number that is not there', () =>
    fails(
      { type: 'gt', left: 1, right: '{{payload.absent}}' },
      /right \(payload\.absent\) is null, not a number/,
    ));
  test('a list that is none', () =>
    fails({ type: 'in', left: 1, right: '{{name}}' }, /right is not a list/));
  test('a pattern that came with the data and is none', () =>
    fails({ type: 'regex', left: 'a', right: { value: '(' } }, /missing closing/));
  test('a regex on more than 10,000 characters', () =>
    fails({ type: 'regex', left: 'a'.repeat(10_001), right: 'a' }, /10000 characters/));
  test('a type nobody knows', () =>
    fails({ type: 'maybe' }, /"maybe" is no type of condition: one of step_status, /));
});

describe('what is refused when a definition is saved', () => {
  const problem = (condition: JsonValue) => conditionProblem(condition, (ref) => ref in statuses);
  const deep = (levels: number): JsonValue =>
    levels === 0 ? { type: 'eq', left: 1, right: 1 } : { type: 'not', condition: deep(levels - 1) };
  const cases: readonly (readonly [string, JsonValue, string | null])[] = [
    ['no object', 'yes', 'condition'],
    ['an unknown type', { type: 'maybe' }, 'condition.type'],
    ['an inherited name as type', { type: 'constructor' }, 'condition.type'],
    ['a missing member', { type: 'eq', left: 1 }, 'condition.right'],
    ['a foreign member', { type: 'eq', left: 1, right: 1, rihgt: 2 }, 'condition.rihgt'],
    [
      'an unknown step',
      { type: 'step_status', step_ref: 'x', status: 'failed' },
      'condition.step_ref',
    ],
    [
      'an unknown status',
      { type: 'step_status', step_ref: 'a', status: 'done' },
      'condition.status',
    ],
    [
      'statuses that are no list',
      { type: 'step_status_in', step_ref: 'a', statuses: 'failed' },
      'condition.statuses',
    ],
    [
      'a problem inside',
      { type: 'all_of', conditions: [{ type: 'not', condition: 3 }] },
      'condition.conditions[0].condition',
    ],
    ['a string as a number', { type: 'lt', left: 'x', right: 1 }, 'condition.left'],
    ['a status as a number', { type: 'lt', left: 1, right: { step_ref: 'a' } }, 'condition.right'],
    ['a template as a number', { type: 'lt', left: '{{payload.n}}', right: 1 }, null],
    ['in without a list', { type: 'in', left: 1, right: 'abc' }, 'condition.right'],
    ['in with a path', { type: 'in', left: 1, right: { path: 'payload.tags' } }, null],
    ['look-around', { type: 'regex', left: 'a', right: 'a(?=b)' }, 'condition.right'],
    ['a back-reference', { type: 'regex', left: 'a', right: '(a)\\1' }, 'condition.right'],
    [
      'a pattern too long',
      { type: 'regex', left: 'a', right: 'a'.repeat(1001) },
      'condition.right',
    ],
    [
      'an operand of two kinds',
      { type: 'exists', operand: { path: 'a', value: 1 } },
      'condition.operand',
    ],
    [
      'a path that is none',
      { type: 'exists', operand: { path: 'a..b' } },
      'condition.operand.path',
    ],
    ['32 levels', deep(31), null],
    ['33 levels', deep(32), 'condition' + '.condition'.repeat(32)],
    ['256 nodes', { type: 'any_of', conditions: Array<JsonValue>(255).fill(deep(0)) }, null],
    [
      '257 nodes',
      { type: 'any_of', conditions: Array<JsonValue>(256).fill(deep(0)) },
      'condition.conditions[255]',
    ],
  ];
  for (const [name, condition, path] of cases)
    test(name, () => assert.equal(problem(condition)?.path ?? null, path));
  test('no type, and which there are', () =>
    assert.match(problem({ eq: [1, 2] })?.message ?? '', /^is required: one of .*\beq\b/));
});

test('a condition says which paths it reads', () => {
  const condition = {
    type: 'all_of',
    conditions: [
      {
        type: 'eq',
        left: '{{payload.a}} and {{outputs.b.c}}',
        right: { path: 'parent_outputs.x' },
      },
      { type: 'eq', left: { value: '{{never}}' }, right: 1 },
    ],
  };
  assert.deepEqual(pathsOfCondition(condition).slice(0, 3), [
    'payload.a',
    'outputs.b.c',
    'parent_outputs.x',
  ]);
});

test('what is shown of a long operand is whole characters', () => {
  const left = `x${'😀'.repeat(400)}`;
  const { operands } = evaluate(
    { type: 'eq', left, right: `x${left}` },
    { status: () => undefined, head: () => undefined },
  );
  const [first] = operands as { left: string; right: string }[];
  for (const text of [first?.left, first?.right]) {
    assert.ok(text && text.length < 510);
    assert.equal(text.isWellFormed(), true);
  }
});
