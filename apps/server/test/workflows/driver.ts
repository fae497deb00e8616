// Drives one random workflow through the engine and the model side by side, and holds every answer to the invariants
// of workflow-semantics §12.
import assert from 'node:assert/strict';
import type { Changes, Progress, Start } from '../../src/modules/workflows/engine/changes.ts';
import type { JsonValue } from '../../src/modules/workflows/engine/definition.ts';
import type { Admission, Event } from '../../src/modules/workflows/engine/facts.ts';
import { compileGraph } from '../../src/modules/workflows/engine/graph.ts';
import {
  createMemoryRun,
  DEFAULT_LIMITS,
  type MemoryRun,
  type MemoryRunOptions,
  type MemoryStep,
  type OpenItem,
} from '../../src/modules/workflows/engine/memory-run.ts';
import {
  isOver,
  isTerminalStep,
  statusOf,
  waitReasonOf,
} from '../../src/modules/workflows/engine/states.ts';
import type { WorkflowCase } from './cases.ts';
import { endOf, outputFor } from './happenings.ts';
import { checkChanges, isEarly, keysOf } from './invariants.ts';
import { Model } from './model-starts.ts';
import { CONDITION_ERROR } from './model.ts';

const PAYLOAD = { n: 1, s: 'text' };
const EARLY = { n: 1, early: true };
const MAX_EVENTS = 20_000;

/** What of a run there is to see between two events. */
export interface Sight {
  readonly run: Pick<MemoryRun['run'], 'status' | 'error' | 'continued' | 'expires_at'>;
  readonly steps: readonly MemoryStep[];
  readonly open: readonly OpenItem[];
}

/** A store under test. In memory it answers at once; one on a database may take its time. */
export interface RunUnderTest {
  look(): Sight | Promise<Sight>;
  /** What it would answer, without doing it. One on a database loses transactions by itself instead. */
  ask?(event: Event, now: number): Progress | Promise<Progress>;
  deliver(event: Event, now: number): Progress | Promise<Progress>;
  setChildOutput(item: OpenItem, output: JsonValue): void | Promise<void>;
}
export type MakeRun = (options: MemoryRunOptions) => RunUnderTest | Promise<RunUnderTest>;

const inMemory: MakeRun = (options) => {
  const run = createMemoryRun(options);
  return { ...run, look: () => ({ run: run.run, steps: run.steps(), open: run.open() }) };
};

export interface Driven {
  readonly events: number;
  readonly status: string;
  readonly kinds: ReadonlySet<string>;
}

/** Throws at the first difference or broken invariant. Gives what happened, to see that the cases are worth it. */
export async function drive(workflow: WorkflowCase, makeRun: MakeRun = inMemory): Promise<Driven> {
  const world = {
    quota: 'free' as 'free' | 'full',
    jobGone: false,
    keyTaken: false,
    early: false,
  };
  const children = new Map<string, JsonValue[]>();
  const run = await makeRun({
    graph: compileGraph(workflow.steps),
    limits: { ...DEFAULT_LIMITS, small: workflow.small },
    payload: PAYLOAD,
    run: {
      max_parallel_steps: workflow.max_parallel_steps,
      timeout_secs: 10_000,
      expires_at: 10_000_000,
      depth: 1,
    },
    admit: (request): Admission => {
      if (request.kind === 'event') {
        const { event_key, freed_by } = request;
        const isTaken =
          (event_key === 'shared' && world.keyTaken) ||
          sight.open.some(
            ({ start, step_ref }) =>
              start.kind === 'event' &&
              start.event_key === event_key &&
              !freed_by.includes(step_ref),
          );
        if (isTaken) return { kind: 'refused', error: 'event key is already waited for' };
        return world.early
          ? { kind: 'granted', early_event: { payload: EARLY } }
          : { kind: 'granted' };
      }
      if (world.jobGone) return { kind: 'refused', error: 'the job is gone' };
      if (world.quota === 'full') return { kind: 'full', explanation: 'the queue is full' };
      return { kind: 'granted', average_cost_microusd: 200 };
    },
  });
  let sight = await run.look();
  const attemptOf = (ref: string) => sight.steps.find((step) => step.step_ref === ref)?.attempt;
  const model = new Model(workflow, {
    admit: () => (world.jobGone ? 'no' : world.quota === 'full' ? 'full' : 'yes'),
    expensive: () => true,
    keyTaken: () => world.keyTaken,
    early: () => (world.early ? EARLY : null),
    children: (ref) => children.get(`${ref}:${attemptOf(ref)}`) ?? [],
    payload: PAYLOAD,
    depth: 1,
  });
  const refs = model.order;
  const past: Event[] = [];
  const kinds = new Set<string>();
  const startedEver = new Set<string>();
  let now = 1000;
  let events = 0;

  /** An event that has its place now: engine and model must do the same. */
  async function happens(event: Event): Promise<void> {
    events += 1;
    kinds.add(event.kind);
    // A crash before the commit: the same question gets the same answer, and nothing has changed.
    const first = await run.ask?.(event, now);
    const second = await run.ask?.(event, now);
    assert.deepEqual(second, first, 'the same facts and event gave two answers');
    const before = new Map(sight.steps.map(({ step_ref, state }) => [step_ref, state] as const));
    const runBefore = sight.run.status;
    const answer = await run.deliver(event, now);
    assert.notEqual(answer.kind, 'refused', JSON.stringify([event, answer]));
    model.take(event, now);
    sight = await run.look();
    if (answer.kind === 'changes')
      checkChanges(workflow, sight, answer.changes, { before, runBefore, startedEver });
    compare(event, answer.kind === 'changes' ? answer.changes : null);
    // A crash after the commit, before anybody knew: the event comes again.
    if (!OPERATOR.has(event.kind)) {
      await unheard(event);
      past.push(event);
    }
  }
  /** An event that comes too late, or twice. */
  async function unheard(event: Event): Promise<void> {
    const again =
      event.kind === 'map_children_ended'
        ? { ...event, children: event.children.map((child) => ({ ...child, open: false })) }
        : event;
    const answer = await run.deliver(again, now);
    assert.equal(answer.kind, 'nothing', `I9: ${JSON.stringify([again, answer])}`);
  }
  async function refuses(event: Event): Promise<void> {
    const answer = await run.deliver(event, now);
    assert.equal(answer.kind, 'refused', JSON.stringify(event));
  }

  function compare(event: Event, changes: Changes | null): void {
    const at = JSON.stringify(event);
    assert.equal(sight.run.status, model.status, at);
    assert.equal(plain(sight.run.error), plain(model.error), at);
    assert.equal(sight.run.continued, model.continued, at);
    for (const step of sight.steps) {
      const other = model.steps.get(step.step_ref);
      if (!other) throw new Error(step.step_ref);
      const { attempt, output } = step;
      assert.deepEqual(
        {
          status: statusOf(step.state),
          wait: waitReasonOf(step.state),
          attempt,
          output,
          error: plain(step.error),
          begun: step.started_at !== null,
          map: step.state === 'running' ? step.map : null,
        },
        {
          status: other.status,
          wait: other.wait,
          attempt: other.attempt,
          output: other.output,
          error: plain(other.error),
          begun: other.begun,
          map: other.status === 'running' ? other.map : null,
        },
        `${step.step_ref} after ${at}`,
      );
      if (step.state === 'on_retry' && other.retryAt === Infinity) {
        const { retry_initial_delay_secs, retry_max_delay_secs, retry_backoff } = other.def;
        const factor = retry_backoff === 'fixed' ? 1 : 2 ** (attempt - 2);
        const secs = Math.min(
          (retry_initial_delay_secs || 1) * factor,
          retry_max_delay_secs || 3600,
        );
        const delay = (step.next_retry_at ?? 0) - now;
        assert.ok(delay >= secs * 799 && delay <= secs * 1201, `${delay} ms instead of ${secs} s`);
        // The model knows no jitter.
        other.retryAt = step.next_retry_at ?? 0;
      }
      if (isTerminalStep(step.state))
        assert.ok(
          sight.open.every((item) => item.step_ref !== step.step_ref),
          `${step.step_ref} has ended, what it started has not`,
        );
    }
    for (const start of changes?.starts ?? [])
      if (start.kind === 'work')
        assert.deepEqual(
          start.payload,
          model.payloadOf(start.step_ref),
          `${start.step_ref} after ${at}`,
        );
    // A wait whose event was there before it has begun and ended at once.
    const starts = (changes?.starts ?? []).filter((start) => !isEarly(start));
    const begun = starts.flatMap(keysOf);
    assert.deepEqual(begun.toSorted(), model.begun.toSorted(), at);
    if (isOver(sight.run.status))
      assert.deepEqual(sight.open, [], 'a run is over, its work is not');
  }

  async function endItem(item: OpenItem, dice: number): Promise<void> {
    const { at, event: one } = endOf(item, dice, now);
    now = at;
    // Sometimes the store has the ends of several children at hand.
    const siblings = sight.open.filter(
      ({ step_ref, index }) => step_ref === item.step_ref && index !== null,
    );
    const event: Event =
      one.kind === 'map_children_ended' && dice % 5 === 0
        ? {
            ...one,
            children: siblings.map(({ index }, place) => ({
              index: index ?? 0,
              ok: (dice + place) % 3 !== 0,
              open: true,
            })),
          }
        : one;
    if (event.kind === 'map_children_ended') {
      const list = children.get(`${item.step_ref}:${item.attempt}`) ?? [];
      children.set(`${item.step_ref}:${item.attempt}`, list);
      for (const { index, ok } of event.children) {
        list[index] = ok ? outputFor(dice) : null;
        await run.setChildOutput({ ...item, index }, list[index] ?? null);
      }
    }
    await happens(event);
  }

  async function operate(dice: number): Promise<void> {
    const step_ref = refs[dice % refs.length] ?? '';
    const step = model.steps.get(step_ref);
    if (!step) return;
    const actor = 'ann';
    const isActive = model.status === 'running' || model.status === 'paused';
    const isWaiting = step.status === 'pending' || step.status === 'waiting';
    const does = (event: Event, isLegal: boolean) => (isLegal ? happens(event) : refuses(event));
    const more = Math.floor(dice / 15);
    switch (dice % 15) {
      case 0:
      case 1:
        return does({ kind: 'skip', step_ref, actor, reason: 'not today' }, isActive && isWaiting);
      case 2:
        return does(
          { kind: 'force_complete', step_ref, actor, result: { n: 1 }, reason: 'enough' },
          isActive && isWaiting,
        );
      case 3:
      case 4:
      case 5:
      case 6: {
        const kind = more % 2 === 0 ? 'retry_step' : 'replay_subtree';
        const isOpen = ['running', 'paused', 'failed', 'timed_out', 'completed'].includes(
          model.status,
        );
        const hasEnded = !isWaiting && step.status !== 'running';
        const isLegal =
          isOpen && hasEnded && !model.continued && model.resetSet(step_ref, kind).has(step);
        return does({ kind, step_ref, actor }, isLegal);
      }
      case 7:
        return happens({ kind: 'reconsider' });
      case 8:
        world.quota = world.quota === 'free' ? 'full' : 'free';
        return;
      case 9:
        // Nobody else can wait for a key while a step of the run does.
        world.keyTaken = !world.keyTaken && !sight.open.some(({ start }) => isSharedWait(start));
        return;
      case 10:
        world.jobGone = more % 5 === 0;
        return;
      case 11:
        world.early = !world.early;
        return;
      case 12:
        if (more % 4 !== 0 || !isActive) return;
        return happens({ kind: 'fail', error: 'workflow stalled' });
      case 13:
        if (more % 3 !== 0 || !isActive) return;
        now = Math.max(now, sight.run.expires_at ?? 0);
        return happens({ kind: 'run_timed_out' });
      default: {
        if (more % 3 !== 0) return;
        const event = {
          kind: 'cancel',
          run_error: 'canceled by user',
          step_error: 'workflow canceled by user',
        } as const;
        return does(event, isActive);
      }
    }
  }

  const dueRetries = () => sight.steps.filter(({ state }) => state === 'on_retry');
  async function act(number: number): Promise<void> {
    const dice = Math.floor(number / 20);
    now += (dice % 5) * 700;
    const kind = number % 20;
    if (kind < 12) {
      const open = sight.open;
      const item = open[dice % Math.max(1, open.length)];
      if (item) return endItem(item, Math.floor(dice / Math.max(1, open.length)));
    }
    if (kind < 14) {
      const late = dueRetries();
      const step = late[dice % Math.max(1, late.length)];
      if (!step) return;
      if (dice % 4 !== 0) now = Math.max(now, step.next_retry_at ?? 0);
      const event = { kind: 'retry_due', step_ref: step.step_ref } as const;
      if (sight.run.status === 'running' && now >= (step.next_retry_at ?? 0)) return happens(event);
      return unheard(event);
    }
    if (kind === 14) {
      if (sight.run.status === 'running') return happens({ kind: 'pause' });
      if (sight.run.status === 'paused') return happens({ kind: 'resume' });
      return refuses({ kind: dice % 2 === 0 ? 'pause' : 'resume' });
    }
    const old = past[dice % Math.max(1, past.length)];
    if (kind === 15 && old && old.kind !== 'retry_due') return unheard(old);
    if (kind > 15) return operate(dice);
  }

  await happens({ kind: 'started' });
  for (const number of workflow.script) await act(number);

  // Whatever was done to it, it can be brought to an end.
  world.quota = 'free';
  world.jobGone = false;
  if (sight.run.status === 'paused') await happens({ kind: 'resume' });
  if (sight.run.status === 'running') await happens({ kind: 'reconsider' });
  while (!isOver(sight.run.status)) {
    assert.ok(events < MAX_EVENTS, 'I8: the run never ends');
    const [item] = sight.open;
    // In turn: one may wait for another that an operator reset.
    const retries = dueRetries();
    const step = retries[events % Math.max(1, retries.length)];
    if (item) await endItem(item, 2);
    else if (step) {
      now = Math.max(now, step.next_retry_at ?? 0);
      await happens({ kind: 'retry_due', step_ref: step.step_ref });
    } else
      assert.fail(
        `I8: stuck: ${JSON.stringify(sight.steps.map(({ step_ref, state }) => [step_ref, state]))}`,
      );
  }
  assert.ok(sight.steps.every(({ state }) => isTerminalStep(state)));
  for (const event of past) if (event.kind !== 'retry_due') await unheard(event);
  return { events, status: sight.run.status, kinds };
}

/** Orders, not news: given again after a reopened run, they are given again. */
const OPERATOR: ReadonlySet<string> = new Set([
  'fail',
  'skip',
  'force_complete',
  'retry_step',
  'replay_subtree',
  'cancel',
  'pause',
  'resume',
  'reconsider',
]);

const isSharedWait = (start: Start): boolean =>
  start.kind === 'event' && start.event_key === 'shared';

const plain = (error: string | null): string | null =>
  error === null ? null : error.replace(/condition error: .*$/, CONDITION_ERROR);
