// How steps and runs end; the numbers are rows of workflow-semantics §27.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  begin,
  decisions,
  end,
  job,
  openOf,
  states,
  step,
  T0,
} from '../../../../test/workflows/play.ts';
import type { StepDefinition } from './definition.ts';
import { retryDelaySecs } from './settling.ts';

describe('step retry (§11.1)', () => {
  const delays = (retry_backoff: 'exponential' | 'fixed', initial: number, longest: number) =>
    [1, 2, 3, 4].map((attempt) =>
      retryDelaySecs(
        { retry_backoff, retry_initial_delay_secs: initial, retry_max_delay_secs: longest },
        attempt,
      ),
    );
  test('v40 exponential (X16: the first delay is the initial one)', () =>
    assert.deepEqual(delays('exponential', 2, 10), [2, 4, 8, 10]));
  test('v41 fixed', () => assert.deepEqual(delays('fixed', 2, 10), [2, 2, 2, 2]));
  test('zeros mean one second and an hour', () => {
    assert.deepEqual(delays('exponential', 0, 0), [1, 2, 4, 8]);
    assert.deepEqual(delays('fixed', 5000, 0), [3600, 3600, 3600, 3600]);
  });

  test('S7: one change makes the next attempt, and the old job run is history', () => {
    const run = begin([job('a', [], { retry_max_attempts: 2, retry_initial_delay_secs: 10 })]);
    const first = openOf(run, 'a').id;
    end(run, 'a', 'failed', null, 'boom');
    assert.deepEqual(states(run), { a: 'on_retry' });
    const { attempt, next_retry_at, error } = run.step('a');
    assert.deepEqual([attempt, error], [2, 'boom']);
    const delay = (next_retry_at ?? 0) - T0;
    assert.ok(delay >= 8000 && delay <= 12_000, `${delay} ms`);

    assert.equal(run.deliver({ kind: 'retry_due', step_ref: 'a' }, T0 + delay - 1).kind, 'nothing');
    run.deliver({ kind: 'retry_due', step_ref: 'a' }, T0 + delay);
    assert.deepEqual(states(run), { a: 'running' });
    const late = {
      kind: 'job_ended',
      step_ref: 'a',
      job_run_id: first,
      status: 'completed',
      result: 1,
      error: null,
    } as const;
    assert.equal(run.deliver(late, T0).kind, 'nothing');
    end(run, 'a', 'timed_out');
    assert.deepEqual(states(run), { a: 'failed' });
    assert.equal(run.run.error, 'step a failed: job run ended with status timed_out');
  });
  test('while the run is paused the retry waits', () => {
    const run = begin([job('a', [], { retry_max_attempts: 2 })]);
    run.deliver({ kind: 'pause' }, T0);
    end(run, 'a', 'crashed');
    const due = run.step('a').next_retry_at ?? 0;
    assert.equal(run.deliver({ kind: 'retry_due', step_ref: 'a' }, due).kind, 'nothing');
    run.deliver({ kind: 'resume' }, due);
    assert.deepEqual(states(run), { a: 'running' });
  });
});

describe('policies (§11.2)', () => {
  const diamond = (on_failure: StepDefinition['on_failure']) => [
    job('a', [], { on_failure }),
    job('b'),
    job('c', ['a']),
    job('d', ['b', 'c']),
  ];
  test('fail_workflow ends everything in the same change (X5)', () => {
    const run = begin([
      ...diamond('fail_workflow'),
      step('e', { step_type: 'approval', approval_approvers: ['ann'] }),
    ]);
    end(run, 'a', 'failed', null, 'boom');
    assert.deepEqual(states(run), {
      a: 'failed',
      b: 'canceled_run',
      c: 'canceled_run',
      d: 'canceled_run',
      e: 'canceled_run',
    });
    assert.deepEqual([run.run.status, run.run.error], ['failed', 'step a failed: boom']);
    assert.equal(run.step('d').error, 'workflow failed');
    assert.deepEqual(run.open(), []);
    assert.equal(run.applied().at(-1)?.cancel_everything, 'workflow failed');
  });
  test('S12: it fails a paused run too', () => {
    const run = begin(diamond('fail_workflow'));
    run.deliver({ kind: 'pause' }, T0);
    end(run, 'a', 'failed');
    assert.equal(run.run.status, 'failed');
  });
  test('S14: skip_dependents skips the join of a diamond, other branches end, the run fails', () => {
    const run = begin(diamond('skip_dependents'));
    end(run, 'a', 'dead_letter', null, 'boom');
    assert.deepEqual(states(run), {
      a: 'failed',
      b: 'running',
      c: 'skipped_dependency',
      d: 'skipped_dependency',
    });
    assert.equal(run.step('d').error, 'dependency a failed');
    end(run, 'b');
    assert.deepEqual([run.run.status, run.run.error], ['failed', 'step a failed: boom']);
  });
  test('S2: with continue the failed step counts for its dependents, without output', () => {
    const run = begin(diamond('continue'), { payload: { p: 1 } });
    end(run, 'a', 'expired');
    const { start } = openOf(run, 'c');
    assert.deepEqual(start.kind === 'work' && start.payload, { p: 1 });
    for (const ref of ['b', 'c', 'd']) end(run, ref);
    assert.deepEqual([run.run.status, run.run.error], ['completed', null]);
  });
  test('a canceled job run is a failure for the policy, and the step is canceled (§6.3)', () => {
    const run = begin(diamond('fail_workflow'));
    end(run, 'a', 'canceled');
    assert.deepEqual([run.step('a').state, run.run.error], ['canceled_work', 'step a canceled']);
    const goesOn = begin(diamond('continue'));
    end(goesOn, 'a', 'canceled');
    assert.equal(goesOn.step('c').state, 'running');
  });
  test('an event that says nothing new about a job run is nothing', () => {
    const run = begin([job('a')]);
    const job_run_id = openOf(run, 'a').id;
    for (const status of ['waiting', 'delayed', 'queued', 'dequeued', 'executing']) {
      const event = {
        kind: 'job_ended',
        step_ref: 'a',
        job_run_id,
        status,
        result: null,
        error: null,
      } as const;
      assert.equal(run.deliver(event, T0).kind, 'nothing');
    }
  });
  test('X4: a late failure does not overwrite a completed step', () => {
    const run = begin([job('a'), job('b')]);
    const { id } = openOf(run, 'a');
    end(run, 'a');
    const late = {
      kind: 'job_ended',
      step_ref: 'a',
      job_run_id: id,
      status: 'failed',
      result: null,
      error: 'late',
    } as const;
    assert.equal(run.deliver(late, T0).kind, 'nothing');
    assert.equal(run.step('a').state, 'completed');
  });
  test('X1: a join counts each dependency once, however often it is reported', () => {
    const run = begin([job('a'), job('b'), job('c', ['a', 'b'])]);
    const { id } = openOf(run, 'a');
    end(run, 'a');
    for (let again = 0; again < 3; again += 1)
      run.deliver(
        {
          kind: 'job_ended',
          step_ref: 'a',
          job_run_id: id,
          status: 'completed',
          result: {},
          error: null,
        },
        T0,
      );
    assert.equal(run.step('c').state, 'needs_dependencies');
    end(run, 'b');
    assert.equal(run.step('c').state, 'running');
  });
});

describe('conditions in a run (§7)', () => {
  const onStatus = (step_ref: string, status: string) => ({
    type: 'step_status',
    step_ref,
    status,
  });
  test('S1: a step skipped by its condition counts as resolved', () => {
    const run = begin([
      job('a'),
      job('b', ['a'], { condition: onStatus('a', 'failed') }),
      job('c', ['b'], { condition: onStatus('b', 'skipped') }),
    ]);
    end(run, 'a');
    assert.deepEqual(states(run), { a: 'completed', b: 'skipped', c: 'running' });
    assert.deepEqual(decisions(run, 'b'), ['condition/skip']);
    end(run, 'c');
    assert.equal(run.run.status, 'completed');
  });
  test('a run whose every step is skipped is completed', () => {
    const run = begin([
      job('a', [], { condition: { type: 'any_of', conditions: [] } }),
      job('b', ['a'], { condition: onStatus('a', 'completed') }),
    ]);
    assert.deepEqual([states(run), run.run.status], [{ a: 'skipped', b: 'skipped' }, 'completed']);
  });
  test('S4: an error in one condition fails that step and no other', () => {
    const run = begin(
      [
        job('a', [], {
          on_failure: 'continue',
          condition: { type: 'gt', left: '{{payload.n}}', right: 1 },
        }),
        job('b'),
      ],
      { payload: { n: 'many' } },
    );
    assert.deepEqual(states(run), { a: 'failed', b: 'running' });
    assert.equal(run.step('a').error, 'condition error: left (payload.n) is "many", not a number');
    assert.deepEqual(decisions(run, 'a'), ['condition/error']);
  });
  test('conditions see outputs of every completed step, under parent_outputs only those of direct ones', () => {
    const run = begin([
      job('a'),
      job('b', ['a']),
      job('c', ['b'], {
        condition: {
          type: 'all_of',
          conditions: [
            { type: 'eq', left: { path: 'outputs.a.n' }, right: 5 },
            { type: 'not', condition: { type: 'exists', operand: { path: 'parent_outputs.a' } } },
          ],
        },
      }),
    ]);
    end(run, 'a', 'completed', { n: 5 });
    end(run, 'b');
    assert.equal(run.step('c').state, 'running');
  });
});
