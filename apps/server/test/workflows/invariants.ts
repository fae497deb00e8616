// I1 to I7 of workflow-semantics §12, held against every single answer of the engine.
import assert from 'node:assert/strict';
import type { Changes, Start } from '../../src/modules/workflows/engine/changes.ts';
import {
  isOver,
  statusOf,
  stepStatuses,
  type StepState,
  type WorkflowRunStatus,
} from '../../src/modules/workflows/engine/states.ts';
import type { WorkflowCase } from './cases.ts';
import type { Sight } from './driver.ts';

export interface Past {
  readonly before: ReadonlyMap<string, StepState>;
  readonly runBefore: WorkflowRunStatus;
  /** Everything that ever started. */
  readonly startedEver: Set<string>;
}

export function checkChanges(
  workflow: WorkflowCase,
  { run, steps }: Sight,
  changes: Changes,
  { before, runBefore, startedEver }: Past,
): void {
  const stepOf = (ref: string) => {
    const step = workflow.steps.find(({ step_ref }) => step_ref === ref);
    if (!step) throw new Error(ref);
    return step;
  };
  const isResolved = (ref: string): boolean => {
    const state = steps.find(({ step_ref }) => step_ref === ref)?.state;
    const isFallen = state === 'failed' || state === 'canceled_work';
    return (
      state === 'completed' ||
      state === 'skipped' ||
      (isFallen && stepOf(ref).on_failure === 'continue')
    );
  };

  for (const { step_ref, from, to, reset } of changes.steps) {
    const isLegal = reset || stepStatuses.allows(statusOf(from), statusOf(to));
    assert.ok(isLegal || from === to, `${step_ref} went from ${from} to ${to}`);
    assert.equal(before.get(step_ref), from);
  }
  assert.equal(new Set(changes.steps.map(({ step_ref }) => step_ref)).size, changes.steps.length);
  for (const key of changes.starts.flatMap(keysOf)) {
    assert.ok(!startedEver.has(key), `I1: ${key} started twice`);
    startedEver.add(key);
  }
  for (const { step_ref, kind } of changes.starts) {
    // The next children of a map that began before an operator reset what it depends on.
    if (kind === 'map_children') continue;
    for (const ref of stepOf(step_ref).depends_on)
      assert.ok(isResolved(ref), `I2: ${step_ref} before ${ref}`);
  }
  const { status } = run;
  const starts = changes.starts.filter((start) => !isEarly(start));
  if (isOver(status)) assert.deepEqual(starts, [], 'I3: started in a run that is over');
  if (status === 'paused') assert.deepEqual(changes.starts, [], 'I4: started in a paused run');
  if (isOver(runBefore))
    assert.ok(
      changes.steps.some(({ reset }) => reset),
      'a run that was over changed',
    );

  const running = steps.filter(({ state }) => state === 'running');
  const limit = workflow.max_parallel_steps;
  assert.ok(limit === 0 || running.length <= limit, 'I5: more steps run than may');
  const held = running.map(({ step_ref }) => stepOf(step_ref).concurrency_key).filter(Boolean);
  assert.equal(new Set(held).size, held.length, 'I6: two steps run with one key');
  assert.ok(running.length <= workflow.small, 'I7: more steps of a class run than may');
}

/** Not a start of anything: the event came first. */
export const isEarly = (start: Start): boolean =>
  start.kind === 'event' && start.received !== undefined;

/** What must start at most once. A cost gate is asked again when its step is reset before it began. */
export function keysOf(start: Start): string[] {
  const key = `${start.step_ref}:${start.attempt}`;
  if (start.kind === 'cost_gate') return [];
  if (start.kind !== 'map_children') return [key];
  return Array.from({ length: start.count }, (_, at) => `${key}:${start.from + at}`);
}
