import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { JsonValue } from './definition.ts';
import {
  RenderedTooLarge,
  childPayload,
  mergePayload,
  pathsIn,
  render,
  renderKey,
  scopeOf,
  stringForm,
} from './templates.ts';

const payload = { user: { id: 7, n: 'Al' }, tags: ['x'], t: '{{user.n}}' };
const scope = (
  trigger: JsonValue = payload,
  parents: Readonly<Record<string, JsonValue>> = { 'fetch-data': { n: 2 } },
) =>
  scopeOf({
    payload: trigger,
    parent_outputs: new Map(Object.entries(parents)),
    fallbacks: { workflow_run_id: 'run-1', workflow_id: 'flow-1', step_ref: 'me' },
  });

describe('vectors of §8', () => {
  const vectors: readonly (readonly [string, JsonValue, JsonValue])[] = [
    ['v20 a whole placeholder keeps the type', '{{payload.user.id}}', 7],
    ['v21 keys of the payload are names', '{{user.id}}', 7],
    ['v22 inside a text it is text', 'u-{{user.id}}', 'u-7'],
    ['v23 a whole object', '{{payload.user}}', { id: 7, n: 'Al' }],
    ['v24 an object in a text', 'x={{payload.user}}', 'x={"id":7,"n":"Al"}'],
    ['v25 unknown, whole', '{{missing}}', '{{missing}}'],
    ['v25 unknown, in a text', 'a{{missing}}', 'a{{missing}}'],
    ['v26 what was put in is not rendered again', '{{t}}', '{{user.n}}'],
    ['v27 digits index', '{{payload.tags.0}}', 'x'],
    ['v28 keys are not rendered', { '{{user.n}}': '{{user.n}}' }, { '{{user.n}}': 'Al' }],
    ['v29 blanks and hyphens', '{{ parent_outputs.fetch-data.n }}', 2],
  ];
  for (const [name, template, expected] of vectors)
    test(name, () => assert.deepEqual(render(template, scope()), expected));
});

describe('rendering', () => {
  const rendered = (template: JsonValue, trigger: JsonValue = payload) =>
    render(template, scope(trigger));
  test('goes through lists and objects and leaves other values alone', () =>
    assert.deepEqual(
      rendered({ a: ['{{user.id}}', { b: 'is {{user.n}}' }], c: 1, d: null, e: true }),
      {
        a: [7, { b: 'is Al' }],
        c: 1,
        d: null,
        e: true,
      },
    ));
  test('a null that is found is null, and nothing in a text', () => {
    assert.equal(rendered('{{payload.x}}', { x: null }), null);
    assert.equal(rendered('a{{payload.x}}b', { x: null }), 'ab');
  });
  test('names of the engine yield to the payload, its two own names do not', () => {
    assert.equal(rendered('{{workflow_run_id}}'), 'run-1');
    assert.equal(rendered('{{workflow_run_id}}', { workflow_run_id: 'mine' }), 'mine');
    assert.deepEqual(rendered('{{payload}}', { payload: 1 }), { payload: 1 });
    assert.deepEqual(rendered('{{parent_outputs.fetch-data}}', { parent_outputs: 1 }), { n: 2 });
  });
  for (const path of [
    '__proto__',
    'constructor',
    'payload.constructor',
    'payload.tags.length',
    'payload.__proto__',
    'payload.user.toString',
  ])
    test(`${path} is nothing anybody put there`, () =>
      assert.equal(rendered(`{{${path}}}`), `{{${path}}}`));
  test('a key called __proto__ stays a key', () => {
    const template = JSON.parse('{"__proto__":"{{user.n}}"}') as JsonValue;
    assert.equal(JSON.stringify(rendered(template)), '{"__proto__":"Al"}');
  });
  test('a payload that is no object has no names', () =>
    assert.equal(rendered('{{0}}', ['x']), 'x'));
  for (const [value, text] of [
    [3, '3'],
    [3.5, '3.5'],
    [1e21, '1000000000000000000000'],
    [-0, '0'],
    [true, 'true'],
    [null, ''],
    [[1, 'a'], '[1,"a"]'],
  ] as const)
    test(`${JSON.stringify(value)} reads ${JSON.stringify(text)}`, () =>
      assert.equal(stringForm(value), text));
  test('paths are found wherever strings are', () =>
    assert.deepEqual(pathsIn({ a: ['{{x.y}} {{ z }}'], b: '{{w}}', '{{k}}': 1 }), [
      'x.y',
      'z',
      'w',
    ]));
});

describe('event keys', () => {
  test('are rendered to text', () =>
    assert.deepEqual(renderKey('order-{{user.id}}', scope()), { key: 'order-7' }));
  test('must not keep a placeholder: two runs would share it', () =>
    assert.deepEqual(renderKey('order-{{nope}}', scope()), {
      error: 'event key has unresolved placeholder {{nope}}',
    }));
  test('may hold braces that came with the data', () =>
    assert.deepEqual(renderKey('{{t}}', scope()), { key: '{{user.n}}' }));
  for (const [name, key] of [
    ['nothing', ''],
    ['513 bytes', 'é'.repeat(256) + 'a'],
    ['a control character', 'a\nb'],
  ] as const)
    test(`must not be ${name}`, () => assert.ok('error' in renderKey('{{k}}', scope({ k: key }))));
  test('may have 512 bytes', () =>
    assert.ok('key' in renderKey('{{k}}', scope({ k: 'é'.repeat(256) }))));
});

describe('payload merge', () => {
  const parents = (outputs: Readonly<Record<string, JsonValue>>) =>
    new Map(Object.entries(outputs));
  const none = parents({});
  const vectors: readonly (readonly [
    string,
    JsonValue,
    JsonValue,
    Map<string, JsonValue>,
    JsonValue,
  ])[] = [
    ['v30 the step wins', { a: 1, b: 1 }, { b: 2 }, none, { a: 1, b: 2 }],
    ['v31 nothing and nothing', null, null, none, {}],
    [
      'v32 outputs of parents',
      { a: 1 },
      null,
      parents({ p: 5 }),
      { a: 1, parent_outputs: { p: 5 } },
    ],
    ['v33 a step payload that is no object', { a: 1 }, [1], parents({ p: 5 }), [1]],
    ['v33 a trigger payload that is no object', 'text', null, parents({ p: 5 }), 'text'],
    ['v33 an object over no object', 'text', { b: 1 }, parents({ p: 5 }), { b: 1 }],
    ['v34 shallow', { x: { a: 1 } }, { x: { b: 2 } }, none, { x: { b: 2 } }],
  ];
  for (const [name, trigger, step, outputs, expected] of vectors)
    test(name, () => assert.deepEqual(mergePayload(trigger, step, outputs), expected));
  test('a child of a map gets its item by name, or as a key', () => {
    const parts = {
      payload: { a: 1 },
      parent_outputs: none,
      fallbacks: {},
      item: { id: 9 },
      index: 2,
    };
    assert.deepEqual(
      childPayload({ ...parts, template: { id: '{{item.id}}', at: '{{index}}', of: '{{a}}' } }),
      {
        id: 9,
        at: 2,
        of: 1,
      },
    );
    const endless = { text: '{{item.id}}'.repeat(1000) };
    assert.throws(() => childPayload({ ...parts, template: endless }, 500), RenderedTooLarge);
    assert.deepEqual(childPayload({ ...parts, template: null }), {
      item: { id: 9 },
      index: 2,
    });
  });
});
