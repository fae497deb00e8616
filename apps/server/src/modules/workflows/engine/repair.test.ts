// Retry of a run, critical path and compensation: pure parts beside the progression.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { begin, end, job, states } from '../../../../test/workflows/play.ts';
import {
  compensate,
  compensationPayload,
  compensationPlan,
  type CompensationEvent,
  type CompensationRow,
} from './compensation.ts';
import { criticalPath, type StepTiming } from './critical-path.ts';
import { compileGraph } from './graph.ts';
import { firstKnown, learn } from './loading.ts';
import { createMemoryRun, DEFAULT_LIMITS, freshSteps } from './memory-run.ts';
import { dependencyCounts, initialStates } from './new-run.ts';
import { workflowRunStates, writeBoard, type StepState } from './states.ts';

describe('retry of a run (§14.1)', () => {
  const graph = compileGraph([job('a'), job('b', ['a']), job('c', ['a', 'b']), job('d')]);
  test('completed steps are taken over; what waits for nothing else is pending', () => {
    assert.deepEqual(initialStates(graph, new Set(['a'])), [
      'completed',
      'pending',
      'needs_dependencies',
      'pending',
    ]);
    assert.deepEqual(initialStates(graph), [
      'pending',
      'needs_dependencies',
      'needs_dependencies',
      'pending',
    ]);
    const taken: StepState[] = ['completed', 'failed', 'needs_dependencies', 'pending'];
    assert.deepEqual(dependencyCounts(graph, taken, 2), { deps_completed: 1, deps_required: 2 });
  });
  test('outputs that were taken over reach the steps that start', () => {
    const steps = freshSteps(graph, new Map([['a', { n: 1 }]]));
    const run = createMemoryRun({ graph, limits: DEFAULT_LIMITS, steps });
    run.deliver({ kind: 'started' }, 0);
    const start = run.open().find(({ step_ref }) => step_ref === 'b')?.start;
    assert.deepEqual(start?.kind === 'work' && start.payload, { parent_outputs: { a: { n: 1 } } });
    for (const ref of ['b', 'c', 'd']) end(run, ref);
    assert.equal(run.run.status, 'completed');
  });
  test('when nothing is left to do, the run completes as it starts', () => {
    const steps = freshSteps(graph, new Map(['a', 'b', 'c', 'd'].map((ref) => [ref, null])));
    const run = createMemoryRun({ graph, limits: DEFAULT_LIMITS, steps });
    run.deliver({ kind: 'started' }, 0);
    assert.deepEqual([run.run.status, run.open()], ['completed', []]);
  });
});

describe('critical path (§15)', () => {
  const timing = (
    state: StepState,
    started_at: number | null = null,
    finished_at: number | null = null,
  ): StepTiming => ({ state, started_at, finished_at });
  test('v50 real durations, then estimates; what is over does not remain', () => {
    const graph = compileGraph([
      job('a'),
      job('b', ['a'], { timeout_secs_override: 60 }),
      job('c', ['b'], { timeout_secs_override: 30 }),
      job('d', ['a'], { timeout_secs_override: 1 }),
    ]);
    const now = 100_000;
    const timings = [
      timing('completed', 0, 100),
      timing('running', now - 10_000),
      timing('needs_dependencies'),
      timing('pending'),
    ];
    assert.deepEqual(criticalPath(graph, timings, now, false), {
      refs: ['a', 'b', 'c'],
      estimate_ms: 90_100,
      remaining_ms: 80_000,
    });
    assert.equal(criticalPath(graph, timings, now, true).remaining_ms, 0);
  });
  test('a step without estimate counts what has passed; ties go to the smaller name', () => {
    const graph = compileGraph([job('a'), job('b'), job('z', ['a', 'b'])]);
    const timings = [timing('running', 500), timing('running', 500), timing('needs_dependencies')];
    assert.deepEqual(criticalPath(graph, timings, 1500, false), {
      refs: ['a'],
      estimate_ms: 1000,
      remaining_ms: 0,
    });
    const expected = compileGraph([
      job('a'),
      job('b'),
      job('z', ['a', 'b'], { expected_duration_secs: 2 }),
    ]);
    assert.deepEqual(criticalPath(expected, timings, 1500, false).refs, ['a', 'z']);
  });
});

describe('compensation (§25)', () => {
  const undo = { compensation_job_id: 'undo' };
  const graph = compileGraph([
    job('a', [], undo),
    job('b', ['a'], undo),
    job('c', ['a'], undo),
    job('d', ['b']),
    job('e', ['c'], undo),
  ]);
  const states: StepState[] = ['completed', 'completed', 'completed', 'completed', 'failed'];
  test('completed steps that can be undone, backwards', () =>
    assert.deepEqual(
      compensationPlan(graph, states).map(({ step_ref }) => step_ref),
      ['c', 'b', 'a'],
    ));
  test('the payload has the output whole, and its members by name', () => {
    assert.deepEqual(compensationPayload('r', 'a', { id: 7, step_ref: 'mine' }), {
      id: 7,
      original_output: { id: 7, step_ref: 'mine' },
      step_ref: 'a',
      workflow_run_id: 'r',
    });
    assert.deepEqual(compensationPayload('r', 'a', [1]), {
      original_output: [1],
      step_ref: 'a',
      workflow_run_id: 'r',
    });
    assert.deepEqual(compensationPayload('r', 'a', null), {
      original_output: null,
      step_ref: 'a',
      workflow_run_id: 'r',
    });
  });

  const play = (events: readonly CompensationEvent[]) => {
    let rows: readonly CompensationRow[] = ['c', 'b', 'a'].map((step_ref) => ({
      step_ref,
      status: 'pending',
      job_run_id: null,
    }));
    let run: string = 'compensating';
    for (const event of events) {
      const changes = compensate('compensating', rows, event);
      if (!changes) continue;
      const { ended, start } = changes;
      rows = rows.map((row) => {
        if (row.step_ref === ended?.step_ref) return { ...row, status: ended.to };
        if (row.step_ref !== start) return row;
        return { ...row, status: 'running', job_run_id: `run-${start}` };
      });
      run = changes.run?.to ?? run;
    }
    return { run, rows: rows.map(({ step_ref, status }) => `${step_ref} ${status}`) };
  };
  const ends = (step_ref: string, status = 'completed') =>
    ({ kind: 'job_ended', job_run_id: `run-${step_ref}`, status, error: null }) as const;
  const next = { kind: 'next' } as const;
  test('one at a time, however often it is asked (S15)', () =>
    assert.deepEqual(play([next, next, ends('b'), ends('c'), ends('c'), next]), {
      run: 'compensating',
      rows: ['c completed', 'b running', 'a pending'],
    }));
  test('all good is compensated', () =>
    assert.equal(play([next, ends('c'), ends('b'), ends('a')]).run, 'compensated'));
  test('after a failure the others still run, and the run says so', () => {
    assert.equal(
      play([next, ends('c', 'dead_letter'), ends('b'), ends('a')]).run,
      'compensation_failed',
    );
    const refused = { kind: 'refused', step_ref: 'b', error: 'gone' } as const;
    assert.deepEqual(play([next, refused, ends('c', 'executing'), ends('c')]).rows, [
      'c completed',
      'b running',
      'a pending',
    ]);
  });
  test('nothing to undo is compensated at once, and no other run is touched', () => {
    assert.deepEqual(compensate('compensating', [], next)?.run, {
      from: 'compensating',
      to: 'compensated',
    });
    for (const status of workflowRunStates.states)
      if (status !== 'compensating') assert.equal(compensate(status, [], next), null);
  });
});

test('a run that failed keeps what it completed, to be undone', () => {
  const run = begin([job('a'), job('b', ['a'])]);
  end(run, 'a');
  end(run, 'b', 'failed');
  assert.deepEqual(states(run), { a: 'completed', b: 'failed' });
});

test('a store that does not bring what was asked is told so', () => {
  const graph = compileGraph([job('a')]);
  const { run } = begin([job('a')]);
  const known = firstKnown({
    now: 0,
    run,
    graph,
    board: writeBoard(initialStates(graph)),
    limits: DEFAULT_LIMITS,
  });
  const need = { rows: ['a'], outputs: [], payload: false, admissions: [], map_outputs: [] };
  assert.throws(() => learn(known, need, {}), /step a was asked for/);
  assert.throws(() => learn(known, { ...need, rows: [], payload: true }, {}), /payload/);
});
