// Sub-workflows, maps and continuations, and what a large run costs; the numbers are rows of workflow-semantics §27.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { begin, end, job, openOf, states, step, T0 } from '../../../../test/workflows/play.ts';
import type { JsonValue, StepInput } from './definition.ts';
import type { Admission } from './facts.ts';
import type { MemoryRun } from './memory-run.ts';

describe('sub-workflows (§13)', () => {
  const child = (more: Partial<StepInput> = {}) =>
    step('a', {
      step_type: 'sub_workflow',
      sub_workflow_id: 'w',
      timeout_secs_override: 9,
      ...more,
    });
  const ends = (status: string, error: string | null = null, more: Partial<StepInput> = {}) => {
    const run = begin([child(more)]);
    const event = {
      kind: 'child_ended',
      step_ref: 'a',
      child_run_id: openOf(run, 'a').id,
      status,
      error,
      output: { x: { n: 1 } },
    } as const;
    run.deliver(event, T0);
    return run;
  };
  test('its outputs are the output of the step, transformed', () => {
    assert.deepEqual(ends('completed', null, { output_transform: 'x.n' }).step('a').output, 1);
  });
  test('S11: every other end fails the step, and says which', () => {
    assert.equal(ends('failed', 'boom').step('a').error, 'boom');
    assert.equal(ends('failed').step('a').error, 'sub-workflow w failed');
    assert.equal(
      ends('timed_out', 'late').step('a').error,
      'sub-workflow w ended with status timed_out',
    );
    assert.equal(ends('canceled').step('a').error, 'sub-workflow w ended with status canceled');
  });
  test('a next attempt is a new child, except after somebody canceled it', () => {
    assert.equal(ends('timed_out', null, { retry_max_attempts: 2 }).step('a').state, 'on_retry');
    assert.equal(ends('canceled', null, { retry_max_attempts: 2 }).step('a').state, 'failed');
  });
  test('the limit of concurrent runs makes the step wait', () => {
    const run = begin([child()], { admit: () => ({ kind: 'full', explanation: '3 of 3 runs' }) });
    assert.equal(run.step('a').state, 'blocked_quota');
  });
});

describe('map', () => {
  const map = (more: Partial<StepInput> = {}) =>
    step('m', {
      step_type: 'map',
      job_id: 'job',
      map_items: '{{payload.list}}',
      map_max_parallel: 2,
      ...more,
    });
  const list = (length: number) => ({ payload: { list: Array.from({ length }, (_, at) => at) } });
  const endChild = (run: MemoryRun, index: number, ok = true, output: JsonValue = index * 10) => {
    const item = run.open().find((one) => one.index === index);
    assert.ok(item, `child ${index} is not open`);
    run.setChildOutput(item, ok ? output : null);
    const child = { index, ok, open: true };
    return run.deliver(
      { kind: 'map_children_ended', step_ref: 'm', attempt: item.attempt, children: [child] },
      T0,
    );
  };
  const inFlight = (run: MemoryRun) => run.open().map(({ index }) => index);

  test('so many at a time, and the outputs in order of the list', () => {
    const run = begin([map(), job('b', ['m'])], list(3));
    assert.deepEqual(inFlight(run), [0, 1]);
    endChild(run, 1);
    assert.deepEqual(inFlight(run), [0, 2]);
    endChild(run, 2);
    endChild(run, 0);
    assert.deepEqual(run.step('m').output, [0, 10, 20]);
    assert.equal(run.step('b').state, 'running');
  });
  test('an end that was counted before is not counted again', () => {
    const run = begin([map()], list(3));
    endChild(run, 0);
    const again = { index: 0, ok: true, open: false };
    const event = {
      kind: 'map_children_ended',
      step_ref: 'm',
      attempt: 1,
      children: [again],
    } as const;
    assert.equal(run.deliver(event, T0).kind, 'nothing');
  });
  test('failures up to the limit leave null; one more fails the step and cancels the rest', () => {
    const tolerant = begin([map({ map_tolerated_failures: 1 })], list(2));
    endChild(tolerant, 0, false);
    endChild(tolerant, 1);
    assert.deepEqual(tolerant.step('m').output, [null, 10]);
    const strict = begin([map({ on_failure: 'continue' }), job('b')], list(5));
    endChild(strict, 0, false);
    assert.deepEqual(
      [strict.step('m').error, strict.applied().at(-1)?.cancel_work],
      ['1 of 5 children failed, none may fail', ['m']],
    );
    assert.deepEqual(
      strict.open().map(({ step_ref }) => step_ref),
      ['b'],
    );
    // None is in flight, but two never began: they are not open any more either.
    const slow = begin([map({ map_max_parallel: 1, on_failure: 'continue' })], list(3));
    endChild(slow, 0, false);
    assert.deepEqual(slow.applied().at(-1)?.cancel_work, ['m']);
  });
  test('a next attempt maps again, and children of the first count no more', () => {
    const run = begin([map({ retry_max_attempts: 2 })], list(2));
    endChild(run, 0, false);
    run.deliver({ kind: 'retry_due', step_ref: 'm' }, T0 + 10_000);
    assert.deepEqual(run.step('m').map, { total: 2, started: 2, completed: 0, failed: 0 });
    const late = {
      kind: 'map_children_ended',
      step_ref: 'm',
      attempt: 1,
      children: [{ index: 1, ok: true, open: true }],
    } as const;
    assert.equal(run.deliver(late, T0).kind, 'nothing');
  });
  test('nothing to map completes at once; no list, or one too long, fails', () => {
    assert.deepEqual(begin([map()], list(0)).step('m').output, []);
    assert.match(
      begin([map()], { payload: { list: 'abc' } }).run.error ?? '',
      /map_items is not a list/,
    );
    assert.match(
      begin([map()], { payload: {} }).run.error ?? '',
      /map_items is not a list: \{\{payload\.list\}\} is not there$/,
    );
    assert.match(
      begin([map()], { ...list(4), limits: { max_map_items: 3 } }).run.error ?? '',
      /more than 3 elements/,
    );
  });
  test('without collecting, the output is the counts', () => {
    const run = begin([map({ map_collect: false, map_tolerated_failures: 2 })], list(2));
    endChild(run, 0, false);
    endChild(run, 1);
    assert.deepEqual(run.step('m').output, { total: 2, completed: 1, failed: 1 });
  });
  test('a paused run starts no further children; resume and room in the quota do', () => {
    let admission: Admission = { kind: 'granted' };
    const run = begin([map()], { ...list(6), admit: () => admission });
    run.deliver({ kind: 'pause' }, T0);
    endChild(run, 0);
    assert.deepEqual(inFlight(run), [1]);
    run.deliver({ kind: 'resume' }, T0);
    assert.deepEqual(inFlight(run), [1, 2]);
    admission = { kind: 'full', explanation: 'full' };
    endChild(run, 1);
    endChild(run, 2);
    assert.deepEqual(inFlight(run), []);
    admission = { kind: 'granted', room: 1 };
    run.deliver({ kind: 'reconsider' }, T0);
    assert.deepEqual(inFlight(run), [3]);
  });
});

describe('continue as new', () => {
  const again = (more: Partial<StepInput> = {}) =>
    step('z', {
      step_type: 'continue_as_new',
      depends_on: ['a'],
      payload: { at: '{{parent_outputs.a.next}}' },
      ...more,
    });
  test('the run completes, and the next one has the carried state', () => {
    const run = begin([job('a'), again(), job('b', ['a'])]);
    end(run, 'a', 'completed', { next: 5 });
    assert.deepEqual([states(run)['z'], run.run.status], ['completed', 'running']);
    end(run, 'b');
    assert.deepEqual(run.applied().at(-1)?.continuation, { payload: { at: 5 }, generation: 1 });
  });
  test('not when its condition is false, nor when the run fails', () => {
    const stops = begin([
      job('a'),
      again({ condition: { type: 'gt', left: { path: 'outputs.a.next' }, right: 9 } }),
    ]);
    end(stops, 'a', 'completed', { next: 5 });
    assert.deepEqual([stops.run.status, stops.applied().at(-1)?.continuation], ['completed', null]);
    const fails = begin([job('a'), again(), job('b', ['a'])]);
    end(fails, 'a', 'completed', { next: 5 });
    end(fails, 'b', 'failed');
    assert.equal(fails.applied().at(-1)?.continuation, null);
  });
  test('not for ever', () => {
    const run = begin([job('a'), again()], {
      run: { generation: 3 },
      limits: { max_generations: 3 },
    });
    end(run, 'a');
    assert.equal(run.run.error, 'step z failed: max continuations exceeded');
  });
});

describe('size', () => {
  /** Rows, outputs and admissions that one event asked for, at most. */
  const drain = (run: MemoryRun) => {
    let most = 0;
    for (let [item] = run.open(); item; [item] = run.open()) {
      const asked = run.asked();
      end(run, item.step_ref);
      most = Math.max(most, run.asked() - asked);
    }
    return most;
  };
  const pad = (at: number) => String(at).padStart(4, '0');
  test('in a chain of 1,000 steps an event concerns two of them', () => {
    const steps = Array.from({ length: 1000 }, (_, at) =>
      job(`s${pad(at)}`, at === 0 ? [] : [`s${pad(at - 1)}`]),
    );
    const run = begin(steps);
    assert.ok(drain(run) <= 4);
    assert.equal(run.run.status, 'completed');
    // The row of the step, then all about the next one, then the answer.
    assert.ok(run.passes() <= 3 * 1001, `${run.passes()}`);
  });
  test('in a fan of 1×998×1 an event concerns two, except where it opens and closes', () => {
    const middle = Array.from({ length: 998 }, (_, at) => `m${pad(at)}`);
    const run = begin([job('a'), ...middle.map((ref) => job(ref, ['a'])), job('z', middle)], {
      run: { max_parallel_steps: 10 },
    });
    assert.equal(run.steps().filter(({ state }) => state === 'running').length, 1);
    const most = drain(run);
    assert.ok(most > 900 && most <= 1002, `${most}`);
    assert.equal(run.run.status, 'completed');
    const starts = run.applied().flatMap((changes) => changes.starts);
    assert.equal(new Set(starts.map(({ step_ref }) => step_ref)).size, starts.length);
    assert.equal(run.applied().flatMap((changes) => changes.decisions).length, 988);
  });
  test('a map over 10,000 elements knows its children by their numbers', () => {
    const run = begin(
      [
        step('m', {
          step_type: 'map',
          job_id: 'job',
          map_items: '{{payload.list}}',
          map_collect: false,
          map_max_parallel: 50,
        }),
      ],
      {
        payload: { list: Array.from({ length: 10_000 }, (_, at) => at) },
      },
    );
    let most = 0;
    for (let [item] = run.open(); item; [item] = run.open()) {
      most = Math.max(most, run.open().length);
      const child = { index: item.index ?? -1, ok: true, open: true };
      run.deliver({ kind: 'map_children_ended', step_ref: 'm', attempt: 1, children: [child] }, T0);
    }
    assert.deepEqual(
      [most, run.run.status, run.step('m').output],
      [50, 'completed', { total: 10_000, completed: 10_000, failed: 0 }],
    );
  });
});
