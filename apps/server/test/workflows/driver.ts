// Drives one random workflow through the engine and the model side by side, and holds every answer to the invariants
// of workflow-semantics §12.
import assert from 'node:assert/strict';
import type { Changes } from '../../src/modules/workflows/engine/changes.ts';
import type { JsonValue } from '../../src/modules/workflows/engine/definition.ts';
import type { Admission, Event } from '../../src/modules/workflows/engine/facts.ts';
import { compileGraph } from '../../src/modules/workflows/engine/graph.ts';
import {
  createMemoryRun,
  DEFAULT_LIMITS,
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
import { checkChanges, keysOf } from './invariants.ts';
import { Model } from './model-starts.ts';
import { CONDITION_ERROR } from './model.ts';

const PAYLOAD = { n: 1, s: 'text' };
const MAX_EVENTS = 20_000;

/** Throws at the first difference or broken invariant. Gives what happened, to see that the cases are worth it. */
export function drive(workflow: WorkflowCase): {
  events: number;
  status: string;
  kinds: Set<string>;
} {
  const world = { quota: 'free' as 'free' | 'full', jobGone: false, keyTaken: false };
  const children = new Map<string, JsonValue[]>();
  const run = createMemoryRun({
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
          run
            .open()
            .some(
              ({ start, step_ref }) =>
                start.kind === 'event' &&
                start.event_key === event_key &&
                !freed_by.includes(step_ref),
            );
        return isTaken
          ? { kind: 'refused', error: 'event key is already waited for' }
          : { kind: 'granted' };
      }
      if (world.jobGone) return { kind: 'refused', error: 'the job is gone' };
      if (world.quota === 'full') return { kind: 'full', explanation: 'the queue is full' };
      return { kind: 'granted', average_cost_microusd: 200 };
    },
  });
  const attemptOf = (ref: string) => run.step(ref).attempt;
  const model = new Model(workflow, {
    admit: () => (world.jobGone ? 'no' : world.quota === 'full' ? 'full' : 'yes'),
    expensive: () => true,
    keyTaken: () => world.keyTaken,
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
  function happens(event: Event): void {
    events += 1;
    kinds.add(event.kind);
    // A crash before the commit: the same question gets the same answer, and nothing has changed.
    const first = run.ask(event, now);
    assert.deepEqual(run.ask(event, now), first, 'the same facts and event gave two answers');
    assert.notEqual(first.kind, 'refused', JSON.stringify([event, first]));
    const before = new Map(run.steps().map(({ step_ref, state }) => [step_ref, state] as const));
    const runBefore = run.run.status;
    const answer = run.deliver(event, now);
    model.take(event, now);
    if (answer.kind === 'changes')
      checkChanges(workflow, run, answer.changes, { before, runBefore, startedEver });
    compare(event, answer.kind === 'changes' ? answer.changes : null);
    // A crash after the commit, before anybody knew: the event comes again.
    if (!OPERATOR.has(event.kind)) {
      unheard(event);
      past.push(event);
    }
  }
  /** An event that comes too late, or twice. */
  function unheard(event: Event): void {
    const again =
      event.kind === 'map_children_ended'
        ? { ...event, children: event.children.map((child) => ({ ...child, open: false })) }
        : event;
    const answer = run.deliver(again, now);
    assert.equal(answer.kind, 'nothing', `I9: ${JSON.stringify([again, answer])}`);
  }
  const refuses = (event: Event) =>
    assert.equal(run.deliver(event, now).kind, 'refused', JSON.stringify(event));

  function compare(event: Event, changes: Changes | null): void {
    const at = JSON.stringify(event);
    assert.equal(run.run.status, model.status, at);
    assert.equal(plain(run.run.error), plain(model.error), at);
    assert.equal(run.run.continued, model.continued, at);
    for (const step of run.steps()) {
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
          run.open().every((item) => item.step_ref !== step.step_ref),
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
    const begun = (changes?.starts ?? []).flatMap(keysOf);
    assert.deepEqual(begun.toSorted(), model.begun.toSorted(), at);
    if (isOver(run.run.status)) assert.deepEqual(run.open(), [], 'a run is over, its work is not');
  }

  function endItem(item: OpenItem, dice: number): void {
    const { at, event } = endOf(item, dice, now);
    now = at;
    if (event.kind === 'map_children_ended') {
      const list = children.get(`${item.step_ref}:${item.attempt}`) ?? [];
      children.set(`${item.step_ref}:${item.attempt}`, list);
      for (const { index, ok } of event.children) {
        list[index] = ok ? outputFor(dice) : null;
        run.setChildOutput(item, list[index]);
      }
    }
    happens(event);
  }

  function operate(dice: number): void {
    const step_ref = refs[dice % refs.length] ?? '';
    const step = model.steps.get(step_ref);
    if (!step) return;
    const actor = 'ann';
    const isActive = model.status === 'running' || model.status === 'paused';
    const isWaiting = step.status === 'pending' || step.status === 'waiting';
    const does = (event: Event, isLegal: boolean) => (isLegal ? happens(event) : refuses(event));
    switch (dice % 13) {
      case 0:
      case 1:
        return does({ kind: 'skip', step_ref, actor, reason: 'not today' }, isActive && isWaiting);
      case 2:
        return does(
          { kind: 'force_complete', step_ref, actor, result: { n: 1 } },
          isActive && isWaiting,
        );
      case 3:
      case 4:
      case 5:
      case 6: {
        const kind = dice % 2 === 0 ? 'retry_step' : 'replay_subtree';
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
        world.keyTaken = !world.keyTaken;
        return;
      case 10:
        world.jobGone = dice % 5 === 0;
        return;
      case 11:
        if (dice % 3 !== 0 || !isActive) return;
        now = Math.max(now, run.run.expires_at ?? 0);
        return happens({ kind: 'run_timed_out' });
      default: {
        if (dice % 3 !== 0) return;
        const event = {
          kind: 'cancel',
          run_error: 'canceled by user',
          step_error: 'workflow canceled by user',
        } as const;
        return does(event, isActive);
      }
    }
  }

  const dueRetries = () => run.steps().filter(({ state }) => state === 'on_retry');
  function act(number: number): void {
    const dice = Math.floor(number / 20);
    now += (dice % 5) * 700;
    const kind = number % 20;
    if (kind < 12) {
      const open = run.open();
      const item = open[dice % Math.max(1, open.length)];
      if (item) return endItem(item, Math.floor(dice / Math.max(1, open.length)));
    }
    if (kind < 14) {
      const late = dueRetries();
      const step = late[dice % Math.max(1, late.length)];
      if (!step) return;
      if (dice % 4 !== 0) now = Math.max(now, step.next_retry_at ?? 0);
      const event = { kind: 'retry_due', step_ref: step.step_ref } as const;
      if (run.run.status === 'running' && now >= (step.next_retry_at ?? 0)) return happens(event);
      return unheard(event);
    }
    if (kind === 14) {
      if (run.run.status === 'running') return happens({ kind: 'pause' });
      if (run.run.status === 'paused') return happens({ kind: 'resume' });
      return refuses({ kind: dice % 2 === 0 ? 'pause' : 'resume' });
    }
    const old = past[dice % Math.max(1, past.length)];
    if (kind === 15 && old && old.kind !== 'retry_due') return unheard(old);
    if (kind > 15) operate(dice);
  }

  happens({ kind: 'started' });
  for (const number of workflow.script) act(number);

  // Whatever was done to it, it can be brought to an end.
  world.quota = 'free';
  world.jobGone = false;
  if (run.run.status === 'paused') happens({ kind: 'resume' });
  if (run.run.status === 'running') happens({ kind: 'reconsider' });
  while (!isOver(run.run.status)) {
    assert.ok(events < MAX_EVENTS, 'I8: the run never ends');
    const [item] = run.open();
    // In turn: one may wait for another that an operator reset.
    const retries = dueRetries();
    const step = retries[events % Math.max(1, retries.length)];
    if (item) endItem(item, 2);
    else if (step) {
      now = Math.max(now, step.next_retry_at ?? 0);
      happens({ kind: 'retry_due', step_ref: step.step_ref });
    } else
      assert.fail(
        `I8: stuck: ${JSON.stringify(run.steps().map(({ step_ref, state }) => [step_ref, state]))}`,
      );
  }
  assert.ok(run.isSettled());
  for (const event of past) if (event.kind !== 'retry_due') unheard(event);
  return { events, status: run.run.status, kinds };
}

const OPERATOR: ReadonlySet<string> = new Set([
  'skip',
  'force_complete',
  'retry_step',
  'replay_subtree',
  'cancel',
  'pause',
  'resume',
  'reconsider',
]);

const plain = (error: string | null): string | null =>
  error === null ? null : error.replace(/condition error: .*$/, CONDITION_ERROR);
