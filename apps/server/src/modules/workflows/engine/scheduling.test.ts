// What may start; the numbers are rows of workflow-semantics §27.
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
import { defineStep, type StepInput } from './definition.ts';
import type { Admission } from './facts.ts';

describe('limits (§12)', () => {
  const roots = ['a', 'b', 'c', 'd'];
  test('max_parallel_steps: the first by name start, each waits with one decision (27.5)', () => {
    const run = begin(
      roots.map((ref) => job(ref)),
      { run: { max_parallel_steps: 2 } },
    );
    assert.deepEqual(states(run), {
      a: 'running',
      b: 'running',
      c: 'blocked_parallel',
      d: 'blocked_parallel',
    });
    end(run, 'b');
    assert.deepEqual(states(run), {
      a: 'running',
      b: 'completed',
      c: 'running',
      d: 'blocked_parallel',
    });
    end(run, 'a');
    assert.equal(run.step('d').state, 'running');
    assert.deepEqual(decisions(run, 'd'), ['scheduler/wait']);
  });
  test('WF_STEP_CONCURRENCY_LIMIT counts when it is smaller', () => {
    const run = begin(
      roots.map((ref) => job(ref)),
      { run: { max_parallel_steps: 3 }, limits: { step_concurrency: 1 } },
    );
    assert.equal(run.steps().filter(({ state }) => state === 'running').length, 1);
  });
  test('a concurrency key lets one run at a time, and names the holder', () => {
    const run = begin([
      job('a', [], { concurrency_key: 'k' }),
      job('b', [], { concurrency_key: 'k' }),
      job('c'),
    ]);
    assert.deepEqual(states(run), { a: 'running', b: 'blocked_key', c: 'running' });
    const [decision] = run.applied().flatMap((changes) => changes.decisions);
    assert.deepEqual(decision?.details, { concurrency_key: 'k', holder: 'a' });
    end(run, 'a');
    assert.equal(run.step('b').state, 'running');
  });
  test('classes have their own limits', () => {
    const run = begin(
      [...roots.map((ref) => job(ref, [], { resource_class: 'large' })), job('e')],
      { limits: { large: 3 } },
    );
    assert.deepEqual(states(run), {
      a: 'running',
      b: 'running',
      c: 'running',
      d: 'blocked_class',
      e: 'running',
    });
    assert.deepEqual(decisions(run, 'd'), ['resource/wait']);
  });
  test('parked steps hold no slot', () => {
    const run = begin([step('a', { step_type: 'sleep', sleep_duration_secs: 5 }), job('b')], {
      run: { max_parallel_steps: 1 },
    });
    assert.deepEqual(states(run), { a: 'on_sleep', b: 'running' });
  });
  test('a full quota makes the step wait, and never fails it (10.2)', () => {
    let isFull = true;
    const run = begin([job('a'), job('b')], {
      admit: () =>
        isFull ? { kind: 'full', explanation: 'the queue is full' } : { kind: 'granted' },
    });
    assert.deepEqual(states(run), { a: 'blocked_quota', b: 'blocked_quota' });
    assert.equal(run.deliver({ kind: 'reconsider' }, T0).kind, 'nothing');
    isFull = false;
    run.deliver({ kind: 'reconsider' }, T0);
    assert.deepEqual(states(run), { a: 'running', b: 'running' });
    assert.deepEqual(decisions(run, 'a'), ['scheduler/wait']);
  });
});

describe('what is asked of a store', () => {
  const passes = (run: ReturnType<typeof begin>) => run.passes();
  test('many roots behind a small limit are asked about together', () => {
    const many = Array.from({ length: 200 }, (_, at) => `r${at}`);
    const approvals = many.map((ref) =>
      step(ref, { step_type: 'approval', approval_approvers: ['ann'] }),
    );
    assert.ok(passes(begin(approvals, { run: { max_parallel_steps: 2 } })) <= 3);
    const full = begin(
      many.map((ref) => job(ref)),
      {
        run: { max_parallel_steps: 2 },
        admit: () => ({ kind: 'full', explanation: 'the queue is full' }),
      },
    );
    assert.ok(passes(full) <= 3);
    assert.ok(full.steps().every(({ state }) => state === 'blocked_quota'));
  });
});

describe('starts that fail (§12.1)', () => {
  test('S9, S10: a root that cannot start goes down the failure path', () => {
    const refuse = (): Admission => ({ kind: 'refused', error: 'the job is disabled' });
    const run = begin([job('a'), job('b', ['a'])], { admit: refuse });
    assert.deepEqual(
      [run.run.status, run.run.error],
      ['failed', 'step a failed: the job is disabled'],
    );
    assert.deepEqual(run.open(), []);
  });
  test('what was about to start beside it does not', () => {
    const run = begin([job('a'), job('b')], {
      admit: (_, ref) => (ref === 'b' ? { kind: 'refused', error: 'gone' } : { kind: 'granted' }),
    });
    assert.deepEqual(states(run), { a: 'canceled_run', b: 'failed' });
    assert.deepEqual([run.open(), run.step('a').started_at], [[], null]);
  });
  test('nesting: depth 10 is the last that may be, or what the step says', () => {
    const child = step('a', { step_type: 'sub_workflow', sub_workflow_id: 'w' });
    const at = (depth: number, more: Partial<StepInput> = {}) =>
      begin([defineStep({ ...child, ...more })], { run: { depth } });
    const { start } = openOf(at(9), 'a');
    assert.deepEqual(start.kind === 'work' && start.target, {
      kind: 'sub_workflow',
      workflow_id: 'w',
      depth: 10,
    });
    assert.equal(at(10).run.error, 'step a failed: max nesting depth exceeded');
    assert.equal(at(1, { max_nesting_depth: 1 }).run.status, 'failed');
    assert.equal(at(10, { max_nesting_depth: 11 }).run.status, 'running');
  });
  test('two steps of one event cannot wait for one key', () => {
    const wait = (ref: string) =>
      step(ref, { step_type: 'wait_for_event', event_key: 'k', on_failure: 'continue' });
    const run = begin([wait('a'), wait('b')]);
    assert.deepEqual(states(run), { a: 'on_event', b: 'failed' });
  });
  test('a payload over the limit fails its step', () => {
    const run = begin([job('a')], {
      payload: { text: 'x'.repeat(200) },
      limits: { max_payload_bytes: 100 },
    });
    assert.equal(run.run.error, 'step a failed: the payload is too large');
  });
});
