import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { job, step } from '../../../../test/workflows/play.ts';
import type { StepDefinition } from '../engine/definition.ts';
import { contains, runTests } from './run-tests.ts';
import type { WorkflowTest } from './suite.ts';

const play = (steps: readonly StepDefinition[], test: Partial<WorkflowTest>) => {
  const [result] = runTests(
    {
      kind: 'suite',
      tests: [{ name: 't', workflow: 'w', assertions: [], ...test }],
      workflows: { w: { steps, timeout_secs: 0, max_parallel_steps: 0 } },
      limits: {},
    },
    { left: 1_000_000 },
  );
  assert.ok(result);
  return result;
};

const order = [
  job('pay'),
  step('wait', { step_type: 'sleep', sleep_duration_secs: 3600, depends_on: ['pay'] }),
  step('ok', { step_type: 'approval', approval_approvers: ['*'], depends_on: ['wait'] }),
  step('told', { step_type: 'wait_for_event', event_key: 'k', depends_on: ['ok'] }),
];

describe('tests of workflows', () => {
  it('pass when every assertion holds', () => {
    const result = play(order, {
      mocks: {
        pay: { response: { id: 7, lines: [{ sku: 'a' }, { sku: 'b', n: 2 }] }, latency_ms: 250 },
        told: { event: 'paid by card' },
      },
      assertions: [
        { step: 'pay', status: 'completed', output_contains: { lines: [{ sku: 'b' }] } },
        { step: 'told', output_contains: 'card' },
        { workflow_status: 'completed', duration_under: '1h0m0.251s' },
      ],
    });
    assert.deepEqual(result.failures, []);
    assert.deepEqual([result.passed, result.duration_ms], [true, 3_600_250]);
  });

  it('fail with one text for each assertion of which any member does not hold', () => {
    const { passed, failures } = play(order, {
      mocks: { pay: { status_code: 503 }, told: { event: {} } },
      assertions: [
        { step: 'pay', status: 'completed', output_contains: { id: 7 } },
        { step: 'nobody', status: 'completed' },
        { step: 'pay', status: 'failed' },
        { workflow_status: 'completed', duration_under: '1ms' },
        { workflow_status: 'failed', duration_under: '0s' },
      ],
    });
    assert.equal(passed, false);
    assert.deepEqual(failures, [
      'step pay is failed, not completed (mocked status 503); the output of step pay is null and does not contain {"id":7}',
      'there is no step "nobody"',
      'the workflow is failed, not completed (step pay failed: mocked status 503)',
      'the run took 0 ms, not under 0s',
    ]);
  });

  it('reject approvals and miss events as the mocks say', () => {
    assert.match(play(order, { mocks: { ok: { approve: false } } }).error ?? '', /rejected/);
    assert.match(play(order, {}).error ?? '', /timed out/);
  });

  it('do not run for workflows and steps that are not there, nor for ever', () => {
    assert.match(play([], {}).failures[0] ?? '', /at least one step/);
    assert.match(play(order, { workflow: 'x' }).failures[0] ?? '', /no workflow "x"/);
    assert.match(play(order, { mocks: { x: {} } }).failures[0] ?? '', /a mock names step "x"/);
    const stubborn = [job('a', [], { retry_max_attempts: 2_000_000_000 })];
    assert.match(
      play(stubborn, { mocks: { a: { status_code: 500 } } }).failures[0] ?? '',
      /takes too long/,
    );
  });

  it('compare as deep as what is expected', () => {
    assert.ok(contains({ a: 1, b: { c: [1, 2] } }, { b: { c: [2] } }));
    assert.ok(!contains({ a: 1 }, { a: 1, b: null }));
    assert.ok(!contains({ a: 'card' }, { a: 'car' }));
    assert.ok(!contains([1], { 0: 1 }));
    assert.ok(contains(null, null) && !contains(null, {}));
  });
});
