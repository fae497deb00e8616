// People, events and time; the numbers are rows of workflow-semantics §27.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  actor,
  begin,
  decisions,
  end,
  job,
  openOf,
  states,
  step,
  T0,
} from '../../../../test/workflows/play.ts';
import { defineStep, type StepInput } from './definition.ts';
import type { Admission, AdmissionRequest } from './facts.ts';
import type { MemoryRun } from './memory-run.ts';

describe('people, events and time', () => {
  const approval = step('ok', {
    step_type: 'approval',
    approval_approvers: ['ann'],
    approval_timeout_secs: 60,
  });
  const decide = (run: MemoryRun, ref: string, kind: 'approved' | 'rejected') =>
    run.deliver(
      { kind, step_ref: ref, approval_id: openOf(run, ref).id, actor, reason: 'too dear' },
      T0 + 5000,
    );

  test('an approval completes its step with who and when', () => {
    const run = begin([approval, job('b', ['ok'])]);
    decide(run, 'ok', 'approved');
    assert.deepEqual(run.step('ok').output, {
      approved: true,
      approved_by: actor,
      approved_at: new Date(T0 + 5000).toISOString(),
    });
    assert.equal(run.step('b').state, 'running');
  });
  test('a rejection fails it, and is not asked again', () => {
    const run = begin([defineStep({ ...approval, retry_max_attempts: 5 })]);
    decide(run, 'ok', 'rejected');
    assert.equal(run.run.error, 'step ok failed: approval rejected: too dear');
  });
  test('v60 approve, time out, cancel: the first wins, in any order', () => {
    const events = (run: MemoryRun) => {
      const approval_id = openOf(run, 'ok').id;
      return [
        { kind: 'approved', step_ref: 'ok', approval_id, actor },
        { kind: 'approval_timed_out', step_ref: 'ok', approval_id },
        { kind: 'cancel', run_error: 'canceled by user', step_error: 'workflow canceled by user' },
      ] as const;
    };
    for (const order of [
      [0, 1, 2],
      [0, 2, 1],
      [1, 0, 2],
      [1, 2, 0],
      [2, 0, 1],
      [2, 1, 0],
    ]) {
      const run = begin([approval]);
      const all = events(run);
      const answers = order.map((at) => {
        const event = all[at];
        assert.ok(event);
        return run.deliver(event, T0).kind;
      });
      assert.equal(answers.filter((kind) => kind === 'changes').length, 1, String(order));
      assert.equal(run.run.status, ['completed', 'failed', 'canceled'][order[0] ?? 0]);
    }
  });
  test('X10: an approval without a timeout has none', () => {
    const run = begin([step('ok', { step_type: 'approval', approval_approvers: ['ann'] })]);
    const { start } = openOf(run, 'ok');
    assert.equal(start.kind === 'approval' && start.expires_at, null);
  });
  test('X9: an approval resolved another way is closed with it', () => {
    const run = begin([approval, job('b', ['ok'])]);
    const { id } = openOf(run, 'ok');
    run.deliver({ kind: 'skip', step_ref: 'ok', reason: 'holiday', actor }, T0);
    assert.deepEqual(run.applied().at(-1)?.waits, [
      { step_ref: 'ok', to: 'rejected', actor, error: 'holiday' },
    ]);
    assert.equal(
      run.deliver({ kind: 'approval_timed_out', step_ref: 'ok', approval_id: id }, T0).kind,
      'nothing',
    );
    assert.equal(run.step('b').state, 'running');
  });

  const gated = (more: Partial<StepInput> = {}) =>
    job('a', [], { cost_gate_threshold_microusd: 100, ...more });
  const dear = (): Admission => ({ kind: 'granted', average_cost_microusd: 101 });
  test('X15: behind an approved cost gate the job runs', () => {
    const run = begin([gated(), job('b', ['a'])], { admit: dear });
    assert.deepEqual(
      [run.step('a').state, decisions(run, 'a')],
      ['on_cost_gate', ['cost_gate/wait']],
    );
    decide(run, 'a', 'approved');
    assert.equal(run.step('a').state, 'running');
    assert.equal(openOf(run, 'a').start.kind, 'work');
    end(run, 'a', 'completed', { n: 1 });
    assert.deepEqual(run.step('a').output, { n: 1 });
  });
  test('a gate that times out does what it says, a cheap job has none', () => {
    const timesOut = (cost_gate_default_action: 'approve' | 'fail') => {
      const run = begin([gated({ cost_gate_default_action })], { admit: dear });
      run.deliver(
        { kind: 'approval_timed_out', step_ref: 'a', approval_id: openOf(run, 'a').id },
        T0,
      );
      return run;
    };
    assert.equal(timesOut('approve').step('a').state, 'running');
    assert.equal(timesOut('approve').applied().at(-1)?.waits[0]?.actor, 'system:cost-gate-timeout');
    assert.equal(timesOut('fail').run.error, 'step a failed: approval timed out');
    assert.equal(
      begin([gated()], { admit: () => ({ kind: 'granted', average_cost_microusd: 100 }) }).step('a')
        .state,
      'running',
    );
  });
  test('a gate approved in a paused run opens when it resumes, and is not asked again', () => {
    const run = begin([gated()], { admit: dear });
    run.deliver({ kind: 'pause' }, T0);
    decide(run, 'a', 'approved');
    assert.equal(run.step('a').state, 'past_gate');
    run.deliver({ kind: 'resume' }, T0);
    assert.equal(run.step('a').state, 'running');
  });

  const wait = (more: Partial<StepInput> = {}) =>
    step('w', { step_type: 'wait_for_event', event_key: 'order-{{payload.id}}', ...more });
  test('a wait has a rendered key; its event is the output, transformed', () => {
    const run = begin(
      [wait({ output_transform: 'data.n', payload: { for: '{{id}}' } }), job('b', ['w'])],
      { payload: { id: 7 } },
    );
    const { id, start } = openOf(run, 'w');
    assert.ok(start.kind === 'event');
    assert.deepEqual(
      [start.event_key, start.request_payload, start.expires_at - T0],
      ['order-7', { for: 7 }, 3_600_000],
    );
    run.deliver(
      {
        kind: 'event_received',
        step_ref: 'w',
        trigger_id: id,
        payload: { data: { n: 3 } },
        sent_by: 'apikey:1',
      },
      T0,
    );
    assert.deepEqual(run.step('w').output, 3);
    const next = openOf(run, 'b').start;
    assert.deepEqual(next.kind === 'work' && next.payload, { id: 7, parent_outputs: { w: 3 } });
  });
  test('a transform that finds nothing leaves the result and says so', () => {
    const run = begin([job('a', [], { output_transform: 'x.y' })]);
    end(run, 'a', 'completed', { n: 1 });
    assert.deepEqual(
      [run.step('a').output, decisions(run, 'a')],
      [{ n: 1 }, ['output/transform_miss']],
    );
  });
  test('an unresolved key fails the step; a timeout and a cancel do too', () => {
    assert.match(begin([wait()], { payload: {} }).run.error ?? '', /unresolved placeholder/);
    for (const [kind, error] of [
      ['event_timed_out', 'event trigger timed out'],
      ['event_canceled', 'event trigger canceled by user'],
    ] as const) {
      const run = begin([wait()], { payload: { id: 1 } });
      run.deliver({ kind, step_ref: 'w', trigger_id: openOf(run, 'w').id }, T0);
      assert.equal(run.run.error, `step w failed: ${error}`);
    }
  });
  test('an event that came before its waiter ends the wait at once', () => {
    const run = begin([wait(), job('b', ['w'])], {
      payload: { id: 1 },
      admit: ({ kind }) =>
        kind === 'event'
          ? { kind: 'granted', early_event: { payload: 'early' } }
          : { kind: 'granted' },
    });
    assert.deepEqual([run.step('w').output, run.step('b').state], ['early', 'running']);
  });
  test('one early event serves one of the waiters of one event, the next waits, the third finds the key taken', () => {
    const waiter = (ref: string) =>
      step(ref, { step_type: 'wait_for_event', event_key: 'k', on_failure: 'continue' });
    const run = begin(['x', 'y', 'z'].map(waiter), {
      admit: () => ({ kind: 'granted', early_event: { payload: 'early' } }),
    });
    assert.deepEqual(states(run), { x: 'completed', y: 'on_event', z: 'failed' });
  });
  test('a key freed by the same event can be waited for again', () => {
    const requests: AdmissionRequest[] = [];
    const run = begin([wait(), defineStep({ ...wait(), step_ref: 'x', depends_on: ['w'] })], {
      payload: { id: 1 },
      admit: (request) => {
        requests.push(request);
        return { kind: 'granted' };
      },
    });
    run.deliver(
      {
        kind: 'event_received',
        step_ref: 'w',
        trigger_id: openOf(run, 'w').id,
        payload: 1,
        sent_by: 'x',
      },
      T0,
    );
    assert.deepEqual(requests.at(-1), { kind: 'event', event_key: 'order-1', freed_by: ['w'] });
  });
  test('S3: parked steps are never started again', () => {
    const run = begin(
      [approval, wait(), step('s', { step_type: 'sleep', sleep_duration_secs: 5 })],
      { payload: { id: 1 } },
    );
    assert.equal(run.deliver({ kind: 'reconsider' }, T0).kind, 'nothing');
    run.deliver({ kind: 'pause' }, T0);
    run.deliver({ kind: 'resume' }, T0);
    assert.deepEqual(run.applied().at(-1)?.starts, []);
  });
  test('a sleep has a key per attempt and tells how long it was', () => {
    const run = begin([step('s', { step_type: 'sleep', sleep_duration_secs: 5 })]);
    const { id, start } = openOf(run, 's');
    assert.ok(start.kind === 'sleep');
    assert.deepEqual([start.event_key, start.expires_at], ['sleep:run:s:1', T0 + 5000]);
    run.deliver({ kind: 'sleep_over', step_ref: 's', trigger_id: id }, T0 + 5200);
    assert.deepEqual(run.step('s').output, {
      slept_for_secs: 5,
      completed_at: new Date(T0 + 5200).toISOString(),
    });
  });
  test('a completed step emits what its key says; a key without a value only warns', () => {
    const emit = (event_emit_key: string) => {
      const run = begin([job('a', [], { event_emit_key })], { payload: { id: 4 } });
      end(run, 'a', 'completed', { n: 1 });
      return run.applied().at(-1);
    };
    assert.deepEqual(emit('done-{{id}}')?.emits, [
      { step_ref: 'a', event_key: 'done-4', payload: { n: 1 } },
    ]);
    assert.deepEqual([emit('{{nope}}')?.emits, emit('{{nope}}')?.warnings.length], [[], 1]);
  });
});
