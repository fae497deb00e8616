import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { defineStep, type JsonValue, type StepDefinition, type StepInput } from './definition.ts';
import { compileGraph, rootsOf, topologicalOrder } from './graph.ts';
import { policyViolation, type WorkflowPolicy } from './policies.ts';
import { canonicalStep, durationSecs } from './step-input.ts';
import { applyOverrides, definitionProblem } from './validation.ts';

const job = (step_ref: string, depends_on: string[] = [], more: Partial<StepInput> = {}) =>
  defineStep({ step_ref, depends_on, job_id: 'job', ...more });
const problem = (steps: readonly StepDefinition[], step_cap = 0) =>
  definitionProblem(steps, { step_cap });
const order = (steps: readonly StepDefinition[]) => {
  const graph = compileGraph(steps);
  return topologicalOrder(graph).order.map((index) => graph.steps[index]?.step_ref);
};

describe('vectors of §4', () => {
  test('v1 a chain', () => {
    const steps = [job('c', ['b']), job('a'), job('b', ['a'])];
    assert.equal(problem(steps), null);
    assert.deepEqual(order(steps), ['a', 'b', 'c']);
    assert.deepEqual(rootsOf(compileGraph(steps)), ['a']);
  });
  test('v2 two roots that meet, and one alone', () => {
    const steps = [job('d'), job('c', ['a', 'b']), job('b'), job('a')];
    assert.deepEqual(rootsOf(compileGraph(steps)), ['a', 'b', 'd']);
    assert.deepEqual(order(steps), ['a', 'b', 'c', 'd']);
  });
  test('v3 a step that depends on itself', () =>
    assert.deepEqual(problem([job('a', ['a'])]), {
      field: 'steps[0].depends_on[0]',
      step_ref: 'a',
      message: 'step a: depends_on[0] is a self dependency',
    }));
  test('v4 a cycle names its steps', () => {
    const found = problem([job('x'), job('a', ['b']), job('b', ['a']), job('after', ['b'])]);
    assert.equal(found?.field, 'steps[1].depends_on');
    assert.match(found?.message ?? '', /a, after, b/);
  });
  test('v5 more than 1000 steps, or than the cap', () => {
    const steps = Array.from({ length: 1001 }, (_, index) => job(`s${index}`));
    assert.equal(problem(steps)?.field, 'steps');
    assert.equal(problem(steps.slice(0, 1000)), null);
    assert.equal(problem(steps.slice(0, 11), 10)?.field, 'steps');
    assert.equal(problem(steps.slice(0, 1000), 5000), null);
  });
  test('v6 an unknown dependency', () =>
    assert.equal(problem([job('a', ['x'])])?.field, 'steps[0].depends_on[0]'));
  test('v7 the same dependency twice is one', () => {
    const steps = [job('a'), job('b', ['a', 'a'])];
    assert.equal(problem(steps), null);
    assert.deepEqual(compileGraph(steps).dependencies[1], [0]);
  });
});

describe('steps', () => {
  const step = (more: Partial<StepInput>) => defineStep({ step_ref: 'a', ...more });
  const cases: readonly (readonly [string, StepDefinition, string | null])[] = [
    ['a job', job('a'), null],
    ['no ref', job(''), 'step_ref'],
    ['a ref of 129 characters', job('a'.repeat(129)), 'step_ref'],
    ['a ref that starts with a digit', job('1a'), 'step_ref'],
    ['a ref with a dot', job('a.b'), 'step_ref'],
    ['a ref called __proto__', job('__proto__'), null],
    ['an unknown type', step({ step_type: 'loop' as 'job' }), 'step_type'],
    ['a job without a job', step({}), 'job_id'],
    ['a job with a workflow', job('a', [], { sub_workflow_id: 'w' }), 'sub_workflow_id'],
    ['a sub-workflow without one', step({ step_type: 'sub_workflow' }), 'sub_workflow_id'],
    [
      'a sub-workflow with a job',
      step({ step_type: 'sub_workflow', sub_workflow_id: 'w', job_id: 'j' }),
      'job_id',
    ],
    ['an approval without approvers', step({ step_type: 'approval' }), 'approval_approvers'],
    [
      'an empty approver',
      step({ step_type: 'approval', approval_approvers: ['ann', ' '] }),
      'approval_approvers[1]',
    ],
    [
      'an approval with a job',
      step({ step_type: 'approval', approval_approvers: ['ann'], job_id: 'j' }),
      'job_id',
    ],
    [
      'an approval that waits too long',
      step({ step_type: 'approval', approval_approvers: ['a'], approval_timeout_secs: 2_592_001 }),
      'approval_timeout_secs',
    ],
    ['a wait without a key', step({ step_type: 'wait_for_event' }), 'event_key'],
    [
      'a key of 513 bytes',
      step({ step_type: 'wait_for_event', event_key: 'é'.repeat(256) + 'a' }),
      'event_key',
    ],
    [
      'a key with a line break',
      step({ step_type: 'wait_for_event', event_key: 'a\nb' }),
      'event_key',
    ],
    [
      'a wait that takes the default',
      step({ step_type: 'wait_for_event', event_key: 'k', event_timeout_secs: 0 }),
      null,
    ],
    ['a job with a list', job('a', [], { map_items: [1] }), 'map_items'],
    ['a sleep of nothing', step({ step_type: 'sleep' }), 'sleep_duration_secs'],
    [
      'a sleep of 31 days',
      step({ step_type: 'sleep', sleep_duration_secs: 2_678_400 }),
      'sleep_duration_secs',
    ],
    [
      'a fraction of a second',
      step({ step_type: 'sleep', sleep_duration_secs: 1.5 }),
      'sleep_duration_secs',
    ],
    ['a policy nobody knows', job('a', [], { on_failure: 'retry' as 'continue' }), 'on_failure'],
    ['a class nobody knows', job('a', [], { resource_class: 'huge' as 'large' }), 'resource_class'],
    [
      'a backoff nobody knows',
      job('a', [], { retry_backoff: 'linear' as 'fixed' }),
      'retry_backoff',
    ],
    ['negative retries', job('a', [], { retry_max_attempts: -1 }), 'retry_max_attempts'],
    [
      'a key of 129 characters',
      job('a', [], { concurrency_key: 'k'.repeat(129) }),
      'concurrency_key',
    ],
    ['a transform that is no path', job('a', [], { output_transform: 'a..b' }), 'output_transform'],
    ['an emit key too long', job('a', [], { event_emit_key: 'k'.repeat(513) }), 'event_emit_key'],
    ['an empty dependency', job('a', ['']), 'depends_on[0]'],
    ['a condition that is wrong', job('a', [], { condition: { type: 'maybe' } }), 'condition.type'],
    [
      'a condition on an unknown step',
      job('a', [], { condition: { type: 'step_status', step_ref: 'b', status: 'failed' } }),
      'condition.step_ref',
    ],
    ['a map over a list', step({ step_type: 'map', job_id: 'j', map_items: [1, 2] }), null],
    [
      'a map over a placeholder',
      step({ step_type: 'map', sub_workflow_id: 'w', map_items: '{{payload.list}}' }),
      null,
    ],
    [
      'a map over a text',
      step({ step_type: 'map', job_id: 'j', map_items: 'a-{{payload.list}}' }),
      'map_items',
    ],
    ['a map over nothing', step({ step_type: 'map', job_id: 'j' }), 'map_items'],
    ['a map of nothing', step({ step_type: 'map', map_items: [1] }), 'job_id'],
    [
      'a map of two things',
      step({ step_type: 'map', job_id: 'j', sub_workflow_id: 'w', map_items: [1] }),
      'sub_workflow_id',
    ],
    [
      'a map with no room',
      step({ step_type: 'map', job_id: 'j', map_items: [1], map_max_parallel: 0 }),
      'map_max_parallel',
    ],
    [
      'a map over 10,001 elements',
      step({ step_type: 'map', job_id: 'j', map_items: Array<JsonValue>(10_001).fill(0) }),
      'map_items',
    ],
    ['a continuation', step({ step_type: 'continue_as_new' }), null],
    ['a continuation with a job', step({ step_type: 'continue_as_new', job_id: 'j' }), 'job_id'],
  ];
  for (const [name, one, field] of cases)
    test(name, () => assert.equal(problem([one])?.field ?? null, field && `steps[0].${field}`));
  test('a ref twice', () =>
    assert.equal(problem([job('a'), job('a')])?.field, 'steps[1].step_ref'));
  test('all steps are looked at before any edge', () =>
    assert.equal(problem([job('a', ['x']), job('', [])])?.field, 'steps[1].step_ref'));
});

describe('names that people send (V13)', () => {
  const canonical = (raw: Readonly<Record<string, JsonValue>>) =>
    canonicalStep({ step_ref: 'a', ...raw });
  const cases: readonly (readonly [string, Readonly<Record<string, JsonValue>>, object])[] = [
    [
      'type',
      { type: 'sleep', sleep_duration_secs: 3 },
      { step_type: 'sleep', sleep_duration_secs: 3 },
    ],
    [
      'approvers',
      { type: 'approval', approvers: ['ann'] },
      { step_type: 'approval', approval_approvers: ['ann'] },
    ],
    [
      'timeout of an approval',
      { type: 'approval', timeout_secs: 5 },
      { step_type: 'approval', approval_timeout_secs: 5 },
    ],
    [
      'timeout of a wait',
      { type: 'wait_for_event', timeout_secs: 5 },
      { step_type: 'wait_for_event', event_timeout_secs: 5 },
    ],
    [
      'timeout of a job',
      { job_id: 'j', timeout_secs: 5 },
      { step_type: 'job', job_id: 'j', timeout_secs_override: 5 },
    ],
    ['list', { job_slug: 'each', map_items: [1] }, { step_type: 'map', map_items: [1] }],
    ['duration', { sleep_duration: '1h30m' }, { step_type: 'sleep', sleep_duration_secs: 5400 }],
    [
      'workflow',
      { type: 'sub_workflow', workflow_id: 'w' },
      { step_type: 'sub_workflow', sub_workflow_id: 'w' },
    ],
    ['both and the same', { type: 'job', step_type: 'job' }, { step_type: 'job' }],
    ['no type, an event', { event_key: 'k' }, { step_type: 'wait_for_event', event_key: 'k' }],
    [
      'no type, approvers',
      { approvers: ['ann'] },
      { step_type: 'approval', approval_approvers: ['ann'] },
    ],
    ['an empty type', { step_type: '', job_id: 'j' }, { step_type: 'job', job_id: 'j' }],
  ];
  for (const [name, raw, expected] of cases)
    test(name, () => {
      const found = canonical(raw);
      assert.deepEqual('step' in found ? found.step : found, { step_ref: 'a', ...expected });
    });
  for (const [name, raw, field] of [
    ['alias and name that differ', { type: 'job', step_type: 'sleep' }, 'type'],
    ['a duration that is none', { sleep_duration: '5 minutes' }, 'sleep_duration'],
    [
      'a duration and other seconds',
      { sleep_duration: '5s', sleep_duration_secs: 6 },
      'sleep_duration',
    ],
    ['a timeout for a sleep', { type: 'sleep', timeout_secs: 5 }, 'timeout_secs'],
    ['a slug and an id', { job_slug: 's', job_id: 'j' }, 'job_slug'],
    ['two slugs', { job_slug: 's', job_ref: 't' }, 'job_ref'],
  ] as const)
    test(name, () => {
      const found = canonical(raw);
      assert.equal('field' in found ? found.field : null, field);
    });
  test('slugs are handed on to be looked up', () => {
    const found = canonical({ type: 'sub_workflow', sub_workflow_slug: 'nightly' });
    assert.deepEqual('references' in found ? found.references : null, {
      job: null,
      sub_workflow: { field: 'sub_workflow_slug', slug: 'nightly' },
    });
  });
  for (const [text, secs] of [
    ['30s', 30],
    ['5m', 300],
    ['168h', 604_800],
    ['1500ms', 2],
    ['1.5s', 2],
    ['', undefined],
    ['-5s', undefined],
    ['10', undefined],
  ] as const)
    test(`${text || 'nothing'} is ${secs} seconds`, () => assert.equal(durationSecs(text), secs));
});

describe('policies of §5', () => {
  const none: WorkflowPolicy = {
    max_fan_out: 0,
    max_depth: 0,
    forbidden_step_types: [],
    require_approval_for_deploy: false,
  };
  const violated = (steps: readonly StepDefinition[], policy: Partial<WorkflowPolicy>) => {
    const found = policyViolation(steps, { ...none, ...policy });
    return found && [found.rule, found.step_ref];
  };
  const approval = (ref: string, depends_on: string[] = []) =>
    defineStep({ step_ref: ref, depends_on, step_type: 'approval', approval_approvers: ['ann'] });
  const fan = [job('a'), job('b', ['a']), job('c', ['a']), job('d', ['b'])];

  test('nothing is forbidden by default', () => assert.equal(violated(fan, {}), null));
  test('fan out counts direct dependents', () => {
    assert.equal(violated(fan, { max_fan_out: 2 }), null);
    assert.deepEqual(violated(fan, { max_fan_out: 1 }), ['max_fan_out', 'a']);
  });
  test('depth counts nodes: one lone step is 1', () => {
    assert.equal(violated([job('a')], { max_depth: 1 }), null);
    assert.equal(violated(fan, { max_depth: 3 }), null);
    assert.deepEqual(violated(fan, { max_depth: 2 }), ['max_depth', 'd']);
  });
  test('types are compared trimmed and in lower case', () =>
    assert.deepEqual(violated(fan, { forbidden_step_types: [' JOB '] }), [
      'forbidden_step_types',
      'a',
    ]));
  test('a deploy needs an approval before it, not somewhere', () => {
    const policy = { require_approval_for_deploy: true };
    assert.equal(
      violated([approval('ok'), job('b', ['ok']), job('Deploy-it', ['b'])], policy),
      null,
    );
    assert.deepEqual(violated([approval('ok'), job('pre-release')], policy), [
      'require_approval_for_deploy',
      'pre-release',
    ]);
    assert.deepEqual(violated([job('deploy'), approval('ok', ['deploy'])], policy), [
      'require_approval_for_deploy',
      'deploy',
    ]);
  });
});

describe('overrides of one run (§10, check 4)', () => {
  const steps = [job('a'), job('b', ['a']), job('c', ['a', 'b'])];
  test('disabled steps leave every depends_on; the others stay', () => {
    const left = applyOverrides(steps, [{ step_ref: 'b', enabled: false }]);
    assert.deepEqual(
      'steps' in left && left.steps.map((step) => [step.step_ref, step.depends_on]),
      [
        ['a', []],
        ['c', ['a']],
      ],
    );
    // The definition is shared by every run of the version (V1).
    assert.deepEqual(steps[2]?.depends_on, ['a', 'b']);
  });
  test('a workflow without steps can be saved, not run', () => {
    assert.equal(problem([]), null);
    assert.equal(refused(applyOverrides([], [])), 'steps');
  });
  test('the last word on a step counts', () => {
    const left = applyOverrides(steps, [
      { step_ref: 'b', enabled: false },
      { step_ref: 'b', enabled: true },
    ]);
    assert.equal('steps' in left && left.steps.length, 3);
  });
  const refused = (found: object) => ('field' in found ? found.field : null);
  test('unknown steps, nothing left, and conditions on what is gone are refused', () => {
    assert.equal(
      refused(applyOverrides(steps, [{ step_ref: 'x', enabled: false }])),
      'step_overrides[0].step_ref',
    );
    const all = ['a', 'b', 'c'].map((step_ref) => ({ step_ref, enabled: false }));
    assert.equal(refused(applyOverrides(steps, all)), 'step_overrides');
    const condition = { type: 'step_status', step_ref: 'a', status: 'completed' };
    const conditional = [job('a'), job('b', ['a'], { condition })];
    assert.equal(
      refused(applyOverrides(conditional, [{ step_ref: 'a', enabled: false }])),
      'step_overrides',
    );
  });
});
