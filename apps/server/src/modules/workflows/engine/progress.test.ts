// What operators do; the numbers are rows of workflow-semantics §27.
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
import type { MemoryRun } from './memory-run.ts';

const statusAfter = (run: MemoryRun, event: Parameters<MemoryRun['deliver']>[0]) => {
  const answer = run.deliver(event, T0);
  return answer.kind === 'refused' ? answer.refusal : answer.kind;
};

describe('pause and resume (§21)', () => {
  test('X8: nothing starts in a paused run, and everything that may does when it resumes', () => {
    const run = begin([job('a'), job('b', ['a'])]);
    assert.equal(statusAfter(run, { kind: 'pause' }), 'changes');
    assert.equal(statusAfter(run, { kind: 'pause' }), 'nothing');
    end(run, 'a');
    assert.deepEqual(states(run), { a: 'completed', b: 'needs_dependencies' });
    assert.equal(statusAfter(run, { kind: 'resume' }), 'changes');
    assert.equal(statusAfter(run, { kind: 'resume' }), 'nothing');
    assert.equal(run.step('b').state, 'running');
  });
  test('the last step ends a paused run, and then it cannot be paused or resumed', () => {
    const run = begin([job('a')]);
    run.deliver({ kind: 'pause' }, T0);
    end(run, 'a');
    assert.equal(run.run.status, 'completed');
    assert.equal(statusAfter(run, { kind: 'pause' }), 'run_not_pausable');
    assert.equal(statusAfter(run, { kind: 'resume' }), 'run_not_resumable');
  });
  test('the time of a paused run can run out, and not before it has', () => {
    const run = begin([job('a')], { run: { expires_at: T0 + 1000 } });
    run.deliver({ kind: 'pause' }, T0);
    assert.equal(run.deliver({ kind: 'run_timed_out' }, T0 + 999).kind, 'nothing');
    run.deliver({ kind: 'run_timed_out' }, T0 + 1000);
    assert.deepEqual([run.run.status, run.run.error], ['timed_out', 'workflow timed out']);
    assert.deepEqual(run.open(), []);
  });
});

describe('cancel, skip, force-complete (§14)', () => {
  const cancel = {
    kind: 'cancel',
    run_error: 'canceled by user',
    step_error: 'workflow canceled by user',
  } as const;
  test('X6: cancel leaves steps that have ended alone', () => {
    const run = begin([job('a'), job('b', ['a']), job('c', ['b'])]);
    end(run, 'a');
    run.deliver(cancel, T0);
    assert.deepEqual(states(run), { a: 'completed', b: 'canceled_run', c: 'canceled_run' });
    assert.equal(run.step('c').error, 'workflow canceled by user');
    assert.equal(statusAfter(run, cancel), 'run_not_cancelable');
  });
  test('X11: a skipped step lets its dependents go in the same change', () => {
    const run = begin([
      step('s', { step_type: 'sleep', sleep_duration_secs: 60 }),
      job('b', ['s']),
    ]);
    run.deliver({ kind: 'skip', step_ref: 's', reason: '', actor }, T0);
    assert.deepEqual(states(run), { s: 'skipped', b: 'running' });
    assert.deepEqual(run.applied().at(-1)?.waits, [
      { step_ref: 's', to: 'canceled', actor, error: '' },
    ]);
  });
  test('a forced result is not transformed', () => {
    const run = begin([job('a'), job('b', ['a'], { output_transform: 'n' })]);
    const forced = { kind: 'force_complete', step_ref: 'b', result: { n: 1 }, reason: '' } as const;
    run.deliver({ ...forced, actor }, T0);
    assert.deepEqual(run.step('b').output, { n: 1 });
  });
  test('what runs or has ended cannot be skipped or forced', () => {
    const run = begin([job('a'), job('b')]);
    end(run, 'b');
    const skip = (step_ref: string) =>
      statusAfter(run, { kind: 'skip', step_ref, reason: '', actor });
    assert.deepEqual(
      [skip('a'), skip('b'), skip('x')],
      ['step_not_waiting', 'step_not_waiting', 'step_not_found'],
    );
    run.deliver(cancel, T0);
    assert.equal(
      statusAfter(run, { kind: 'force_complete', step_ref: 'a', result: 1, reason: '', actor }),
      'run_not_active',
    );
  });
});

describe('S6: retry step and replay subtree (§14.2)', () => {
  const chain = [
    job('a'),
    job('b', ['a'], { on_failure: 'skip_dependents' }),
    job('c', ['b']),
    job('other'),
  ];
  const retry = (step_ref: string) => ({ kind: 'retry_step', step_ref, actor }) as const;
  const replay = (step_ref: string) => ({ kind: 'replay_subtree', step_ref, actor }) as const;

  test('a failed step and what was skipped for it run again; the run reopens with new time', () => {
    const run = begin(chain, { run: { timeout_secs: 100, expires_at: T0 + 100_000 } });
    for (const ref of ['a', 'other']) end(run, ref);
    end(run, 'b', 'failed');
    assert.deepEqual([run.run.status, states(run)['c']], ['failed', 'skipped_dependency']);
    run.deliver(retry('b'), T0 + 50_000);
    assert.deepEqual(states(run), {
      a: 'completed',
      b: 'running',
      c: 'needs_dependencies',
      other: 'completed',
    });
    assert.deepEqual(
      [run.run.status, run.run.error, run.run.expires_at],
      ['running', null, T0 + 150_000],
    );
    assert.deepEqual([run.step('b').attempt, run.step('c').attempt], [2, 1]);
    assert.deepEqual(
      [decisions(run, 'b'), decisions(run, 'c')],
      [['operator/reset'], ['operator/reset']],
    );
    for (const ref of ['b', 'c']) end(run, ref);
    assert.equal(run.run.status, 'completed');
  });
  for (const [name, bring] of [
    ['failed', (run: MemoryRun) => end(run, 'a', 'failed')],
    ['timed out', (run: MemoryRun) => run.deliver({ kind: 'run_timed_out' }, T0 + 100_000)],
  ] as const)
    test(`from a run that ${name}, steps canceled with it elsewhere run again too`, () => {
      const run = begin([job('a'), job('b'), job('c', ['b'])], {
        run: { expires_at: T0 + 100_000 },
      });
      bring(run);
      run.deliver(retry('a'), T0);
      assert.deepEqual(states(run), { a: 'running', b: 'running', c: 'needs_dependencies' });
      // It had started: a second start is a second attempt (I1).
      assert.equal(run.step('b').attempt, 2);
    });
  test('from a completed run, only the step; its descendants keep what they have', () => {
    const run = begin([job('a'), job('b', ['a'])]);
    for (const ref of ['a', 'b']) end(run, ref);
    run.deliver(retry('a'), T0);
    assert.deepEqual(states(run), { a: 'running', b: 'completed' });
    end(run, 'a');
    assert.equal(run.run.status, 'completed');
  });
  test('a paused run stays paused', () => {
    const run = begin([job('a'), job('b')]);
    end(run, 'a');
    run.deliver({ kind: 'pause' }, T0);
    run.deliver(retry('a'), T0);
    assert.deepEqual([run.run.status, states(run)], ['paused', { a: 'pending', b: 'running' }]);
  });
  test('a replayed subtree starts over: what is in flight is canceled, waits are closed', () => {
    const run = begin([
      job('a'),
      job('b', ['a']),
      step('ok', { step_type: 'approval', approval_approvers: ['ann'], depends_on: ['a'] }),
      job('side'),
    ]);
    end(run, 'a');
    const old = openOf(run, 'b').id;
    run.deliver(replay('a'), T0);
    const { cancel_work, waits } = run.applied().at(-1) ?? {};
    assert.deepEqual(
      [cancel_work, waits?.map(({ step_ref, to }) => [step_ref, to])],
      [['b'], [['ok', 'canceled']]],
    );
    assert.deepEqual(states(run), {
      a: 'running',
      b: 'needs_dependencies',
      ok: 'needs_dependencies',
      side: 'running',
    });
    end(run, 'a');
    assert.notEqual(openOf(run, 'b').id, old);
    assert.deepEqual(
      [run.step('a').attempt, run.step('b').attempt, run.step('ok').attempt],
      [2, 2, 2],
    );
  });
  test('a step behind another failure is left alone: it could never start', () => {
    const run = begin([
      job('a', [], { on_failure: 'skip_dependents' }),
      job('b', [], { on_failure: 'skip_dependents' }),
      job('join', ['a', 'b']),
    ]);
    for (const ref of ['a', 'b']) end(run, ref, 'failed');
    run.deliver(retry('a'), T0);
    assert.deepEqual(states(run), { a: 'running', b: 'failed', join: 'skipped_dependency' });
    end(run, 'a');
    assert.deepEqual(
      [run.run.status, run.run.error],
      ['failed', 'step b failed: job run ended with status failed'],
    );
    assert.equal(statusAfter(run, retry('join')), 'step_not_resettable');
    run.deliver(retry('b'), T0);
    end(run, 'b');
    end(run, 'join');
    assert.equal(run.run.status, 'completed');
  });
  test('not while the step runs, not in a canceled run, not under a step that has ended, not after a continuation', () => {
    assert.equal(statusAfter(begin([job('a')]), retry('a')), 'step_not_terminal');
    const canceled = begin([job('a')]);
    canceled.deliver({ kind: 'cancel', run_error: 'x', step_error: 'x' }, T0);
    assert.equal(statusAfter(canceled, retry('a')), 'run_not_resettable');
    for (const facts of [{ parent_step_over: true }, { continued: true }]) {
      const run = begin([job('a')], { run: facts });
      end(run, 'a');
      assert.equal(statusAfter(run, replay('a')), 'run_not_resettable');
    }
  });
  test('an attempt that failed just now has nothing to try again for when what it depends on fails with it', () => {
    let isGone = false;
    const run = begin(
      [
        job('a', [], { on_failure: 'skip_dependents', concurrency_key: 'k' }),
        job('b', ['a'], { on_failure: 'continue', concurrency_key: 'k', retry_max_attempts: 3 }),
      ],
      {
        admit: () => (isGone ? { kind: 'refused', error: 'the job is gone' } : { kind: 'granted' }),
      },
    );
    end(run, 'a');
    run.deliver(retry('a'), T0);
    assert.deepEqual(states(run), { a: 'blocked_key', b: 'running' });
    isGone = true;
    end(run, 'b', 'failed', null, 'boom');
    assert.deepEqual([states(run), run.step('b').error], [{ a: 'failed', b: 'failed' }, 'boom']);
    assert.deepEqual([run.step('b').attempt, run.run.status], [1, 'failed']);
  });
  test('a wait that would have begun in the same event is not begun at all', () => {
    const run = begin(
      [
        job('a'),
        job('x', ['a'], {
          on_failure: 'skip_dependents',
          condition: { type: 'gt', left: '{{payload.n}}', right: 0 },
        }),
        job('w', ['x']),
        step('d', { step_type: 'approval', approval_approvers: ['ann'], depends_on: ['a', 'w'] }),
      ],
      { payload: { n: 'many' } },
    );
    run.deliver({ kind: 'skip', step_ref: 'w', reason: '', actor }, T0);
    end(run, 'a');
    assert.deepEqual(states(run), {
      a: 'completed',
      d: 'skipped_dependency',
      w: 'skipped',
      x: 'failed',
    });
    const { starts, waits } = run.applied().at(-1) ?? {};
    assert.deepEqual([starts, waits, run.step('d').started_at], [[], [], null]);
  });
});
