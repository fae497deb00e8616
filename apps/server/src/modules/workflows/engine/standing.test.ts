import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { begin, end, job, T0 } from '../../../../test/workflows/play.ts';
import type { StepInput } from './definition.ts';
import { compileGraph } from './graph.ts';
import { firstKnown } from './loading.ts';
import { DEFAULT_LIMITS, type MemoryRun } from './memory-run.ts';
import { isAllowed, standingOf } from './standing.ts';
import { isBlocked, isTerminalStep, writeBoard, type StepState } from './states.ts';

let seed = 11;
const random = (below: number): number => {
  seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
  return Math.floor((seed / 2_147_483_648) * below);
};
const oneOf = <T>(list: readonly [T, ...T[]]): T => list[random(list.length)] ?? list[0];

const LIMITS = { ...DEFAULT_LIMITS, large: 1, medium: 2 };
const SIZE = 9;

function randomSteps() {
  return Array.from({ length: SIZE }, (_, at) => {
    const more: Partial<StepInput> = {
      concurrency_key: oneOf(['', '', 'k']),
      resource_class: oneOf(['small', 'medium', 'large']),
      on_failure: oneOf(['continue', 'skip_dependents']),
    };
    const depends_on = Array.from({ length: at }, (__, on) => `s${on}`).filter(
      () => random(4) === 0,
    );
    return job(`s${at}`, depends_on, more);
  });
}

describe('how steps stand', () => {
  test('is what the engine goes by: what it says may start has started', () => {
    let blocked = 0;
    let free = 0;
    for (let round = 0; round < 150; round += 1) {
      const graph = compileGraph(randomSteps());
      const run = begin(graph.steps, { run: { max_parallel_steps: random(4) }, limits: LIMITS });
      for (let guard = 0; run.run.status === 'running'; guard += 1) {
        assert.ok(guard < 100, 'the run does not end');
        blocked += checkRunning(run, graph);
        if (random(4) === 0) free += checkPaused(run, graph);
        const { step_ref } =
          run.open()[random(run.open().length)] ?? assert.fail('nothing is open');
        end(run, step_ref, oneOf(['completed', 'completed', 'failed']));
      }
    }
    // Both kinds of answers were looked at.
    assert.ok(blocked > 100 && free > 20, `${blocked} blocked, ${free} free`);
  });
});

const statesOf = (run: MemoryRun): StepState[] => run.steps().map(({ state }) => state);
const knownOf = (run: MemoryRun, graph: ReturnType<typeof compileGraph>) =>
  firstKnown({ now: T0, run: run.run, graph, board: writeBoard(statesOf(run)), limits: LIMITS });

/** How many steps a limit holds back. */
function checkRunning(run: MemoryRun, graph: ReturnType<typeof compileGraph>): number {
  const known = knownOf(run, graph);
  const standing = standingOf(known);
  let blocked = 0;
  for (const [index, state] of statesOf(run).entries()) {
    if (isTerminalStep(state)) continue;
    const { step_ref } = graph.steps[index] ?? assert.fail();
    assert.equal(standing.unmet(index).length > 0, state === 'needs_dependencies', step_ref);
    assert.equal(standing.isRunnable(index, null), isBlocked(state), step_ref);
    const skip = { kind: 'skip', step_ref, reason: '', actor: 'a' } as const;
    assert.equal(isAllowed(known, skip), state !== 'running', step_ref);
    if (!isBlocked(state)) continue;
    blocked += 1;
    const limit = standing.limit(index) ?? assert.fail(`${step_ref} is held back by nothing`);
    assert.ok(limit.holders.length > 0);
    assert.ok(limit.holders.every((holder) => standing.states[holder] === 'running'));
  }
  return blocked;
}

/** While the run is paused some become free; when it goes on, the first of them starts. How many were free. */
function checkPaused(run: MemoryRun, graph: ReturnType<typeof compileGraph>): number {
  run.deliver({ kind: 'pause' }, T0);
  const { step_ref } = run.open()[0] ?? assert.fail('nothing is open');
  if (run.open().length > 1) end(run, step_ref);
  if (run.run.status !== 'paused') return 0;
  const standing = standingOf(knownOf(run, graph));
  const free = [...graph.steps.keys()].filter(
    (index) => standing.isRunnable(index, null) && standing.limit(index) === null,
  );
  run.deliver({ kind: 'resume' }, T0);
  const [first] = free;
  if (first !== undefined) assert.equal(statesOf(run)[first], 'running');
  return free.length;
}
