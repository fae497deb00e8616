import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { job, step } from '../../../../test/workflows/play.ts';
import type { StepDefinition } from './definition.ts';
import { compileGraph } from './graph.ts';
import { simulate, type SimulationInput } from './simulation.ts';

const NOW = 1_700_000_000_000;
const play = (steps: readonly StepDefinition[], more: Partial<SimulationInput> = {}) =>
  simulate({ graph: compileGraph(steps), now: NOW, ...more });
const statesOf = ({ steps }: ReturnType<typeof simulate>) =>
  Object.fromEntries(steps.map(({ step_ref, state }) => [step_ref, state]));

describe('a simulated run', () => {
  test('goes well by default, in the order of its graph', () => {
    const end = play([job('b', ['a']), job('a'), job('c', ['b'])]);
    assert.deepEqual([end.status, end.duration_ms, end.order], ['completed', 0, ['a', 'b', 'c']]);
  });
  test('takes the time of its longest way, sleeps included, and no real time', () => {
    const end = play(
      [
        job('a'),
        step('night', { step_type: 'sleep', sleep_duration_secs: 28_800, depends_on: ['a'] }),
        job('b', ['a']),
        job('c', ['night', 'b']),
      ],
      { mocks: { a: { latency_ms: 500 }, b: { latency_ms: 3000 }, c: { latency_ms: 20 } } },
    );
    assert.deepEqual([end.status, end.duration_ms], ['completed', 28_800_520]);
  });
  test('uses the responses as outputs, and fails what is mocked to fail', () => {
    const steps = [
      job('a'),
      job('b', ['a'], { condition: { type: 'gt', left: { path: 'outputs.a.total' }, right: 100 } }),
      job('c', ['a'], {
        on_failure: 'continue',
        retry_max_attempts: 2,
        retry_initial_delay_secs: 10,
      }),
    ];
    const end = play(steps, { mocks: { a: { response: { total: 7 } }, c: { status_code: 503 } } });
    assert.deepEqual(
      [end.status, statesOf(end)],
      ['completed', { a: 'completed', b: 'skipped', c: 'failed' }],
    );
    assert.ok(end.duration_ms >= 8000 && end.duration_ms <= 12_000);
  });
  test('approves, receives and times out as it is told', () => {
    const steps = [
      step('ok', { step_type: 'approval', approval_approvers: ['ann'] }),
      step('paid', { step_type: 'wait_for_event', event_key: 'paid', depends_on: ['ok'] }),
    ];
    assert.deepEqual(play(steps, { mocks: { paid: { event: { by: 'card' } } } }).steps[1]?.output, {
      by: 'card',
    });
    const late = play(steps);
    assert.deepEqual(
      [late.error, late.duration_ms],
      ['step paid failed: event trigger timed out', 3_600_000],
    );
    assert.equal(
      play(steps, { mocks: { ok: { approve: false } } }).error,
      'step ok failed: approval rejected',
    );
  });
  test('runs out of time', () => {
    const end = play([job('a')], { timeout_secs: 5, mocks: { a: { latency_ms: 60_000 } } });
    assert.deepEqual([end.status, end.duration_ms], ['timed_out', 5000]);
  });
  test('maps and starts children as many at a time as it may', () => {
    const map = step('m', {
      step_type: 'map',
      job_id: 'j',
      map_items: '{{payload}}',
      map_max_parallel: 2,
    });
    const end = play([map], {
      payload: [1, 2, 3, 4, 5],
      mocks: { m: { response: 1, latency_ms: 100 } },
    });
    assert.deepEqual([end.steps[0]?.output, end.duration_ms], [[1, 1, 1, 1, 1], 300]);
  });
  test('a mock called like an inherited name is none', () =>
    assert.equal(play([job('constructor'), job('__proto__')]).status, 'completed'));
});
