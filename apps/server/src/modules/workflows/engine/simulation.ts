// A whole run in virtual time by the real progression function: for simulate and for workflow test suites
// (workflow-semantics §§16, 23). Nothing is written and nobody waits.
import type { Decision } from './changes.ts';
import type { JsonValue } from './definition.ts';
import type { EngineLimits, Event, Instant } from './facts.ts';
import type { Graph } from './graph.ts';
import {
  createMemoryRun,
  DEFAULT_LIMITS,
  type MemoryRun,
  type MemoryStep,
  type OpenItem,
} from './memory-run.ts';
import { isActive, type WorkflowRunStatus } from './states.ts';

/** How a step behaves; what is left out goes well, at once, with `{}`. */
export interface StepMock {
  readonly response?: JsonValue;
  /** 400 and more fail the step. */
  readonly status_code?: number;
  readonly latency_ms?: number;
  /** False rejects an approval or a cost gate. */
  readonly approve?: boolean;
  /** What a wait receives; without it the wait times out. */
  readonly event?: JsonValue;
}

export interface SimulationInput {
  readonly graph: Graph;
  readonly payload?: JsonValue;
  readonly mocks?: Readonly<Record<string, StepMock>>;
  readonly limits?: Partial<EngineLimits>;
  readonly max_parallel_steps?: number;
  readonly timeout_secs?: number;
  /** When it begins; durations do not depend on it. */
  readonly now: Instant;
  /** Shared by simulations that together may cost only so much. */
  readonly budget?: SimulationBudget;
}

/** Steps that events may pass: each costs as many as the run has. Counted, not timed: the same input always gets as far. */
export interface SimulationBudget {
  left: number;
}

/** The input would keep the program busy for too long. */
export class SimulationTooLong extends Error {}

export interface Simulation {
  readonly status: WorkflowRunStatus;
  readonly error: string | null;
  readonly duration_ms: number;
  readonly steps: readonly MemoryStep[];
  /** Refs in the order they first started. */
  readonly order: readonly string[];
  readonly decisions: readonly Decision[];
}

interface Appointment {
  readonly at: Instant;
  /** Of two at one time, the one made first. */
  readonly made: number;
  readonly event: Event;
  readonly item: OpenItem | null;
}

/** A thousand steps of which each ends five times, or a single one with twenty thousand tries. */
export const SIMULATION_BUDGET = 5_000_000;
/** An event costs something in the smallest run too. */
const LEAST_COST = 250;

export function simulate(input: SimulationInput): Simulation {
  const { graph, payload = null, mocks = {}, now: began } = input;
  const { budget = { left: SIMULATION_BUDGET } } = input;
  const timeout_secs = input.timeout_secs ?? 0;
  const expires_at = timeout_secs > 0 ? began + timeout_secs * 1000 : null;
  const run = createMemoryRun({
    graph,
    payload,
    limits: { ...DEFAULT_LIMITS, ...input.limits },
    run: { max_parallel_steps: input.max_parallel_steps ?? 0, timeout_secs, expires_at },
  });
  const mockOf = (step_ref: string): StepMock =>
    Object.hasOwn(mocks, step_ref) ? (mocks[step_ref] ?? {}) : {};

  const calendar: Appointment[] = [];
  const known = new Set<string>();
  let made = 0;
  const plan = (at: Instant, event: Event, item: OpenItem | null = null) => {
    made += 1;
    calendar.push({ at, made, event, item });
  };
  const planWhatIsNew = (now: Instant) => {
    for (const item of run.open()) {
      if (known.has(item.id)) continue;
      known.add(item.id);
      const { at, event } = endOf(item, mockOf(item.step_ref), now);
      plan(at, event, item);
    }
    for (const step of run.steps()) {
      const key = `${step.step_ref}:${step.attempt}:retry`;
      if (step.state !== 'on_retry' || known.has(key)) continue;
      known.add(key);
      plan(step.next_retry_at ?? now, { kind: 'retry_due', step_ref: step.step_ref });
    }
  };

  run.deliver({ kind: 'started' }, began);
  if (expires_at !== null) plan(expires_at, { kind: 'run_timed_out' });
  planWhatIsNew(began);
  while (isActive(run.run.status)) {
    const next = takeNext(calendar);
    if (!next) throw new Error('nothing is left to happen in a run that has not ended');
    budget.left -= Math.max(graph.steps.length, LEAST_COST);
    if (budget.left < 0) throw new SimulationTooLong();
    if (next.item?.index != null && next.event.kind === 'map_children_ended')
      run.setChildOutput(next.item, mockOf(next.item.step_ref).response ?? {});
    run.deliver(next.event, next.at);
    planWhatIsNew(next.at);
  }
  const { status, error, finished_at } = run.run;
  return {
    status,
    error,
    duration_ms: (finished_at ?? began) - began,
    steps: run.steps(),
    order: orderOf(run),
    decisions: run.applied().flatMap(({ decisions }) => decisions),
  };
}

function takeNext(calendar: Appointment[]): Appointment | undefined {
  let first = 0;
  for (let at = 1; at < calendar.length; at += 1) {
    const [a, b] = [calendar[at], calendar[first]];
    if (a && b && (a.at < b.at || (a.at === b.at && a.made < b.made))) first = at;
  }
  return calendar.splice(first, 1)[0];
}

function endOf(
  item: OpenItem,
  mock: StepMock,
  now: Instant,
): { readonly at: Instant; readonly event: Event } {
  const { id, step_ref, attempt, start } = item;
  const at = now + (mock.latency_ms ?? 0);
  const isGood = (mock.status_code ?? 200) < 400;
  const output = mock.response ?? {};
  const error = isGood ? null : `mocked status ${mock.status_code}`;
  const status = isGood ? 'completed' : 'failed';
  switch (start.kind) {
    case 'work':
      return start.target.kind === 'job'
        ? {
            at,
            event: { kind: 'job_ended', step_ref, job_run_id: id, status, result: output, error },
          }
        : { at, event: { kind: 'child_ended', step_ref, child_run_id: id, status, output, error } };
    case 'map_children': {
      const child = { index: item.index ?? 0, ok: isGood, open: true };
      return { at, event: { kind: 'map_children_ended', step_ref, attempt, children: [child] } };
    }
    case 'approval':
    case 'cost_gate': {
      const about = { step_ref, approval_id: id, actor: 'system:simulation' };
      return mock.approve === false
        ? { at, event: { kind: 'rejected', ...about, reason: '' } }
        : { at, event: { kind: 'approved', ...about } };
    }
    case 'event':
      if (mock.event === undefined)
        return {
          at: start.expires_at,
          event: { kind: 'event_timed_out', step_ref, trigger_id: id },
        };
      return {
        at,
        event: {
          kind: 'event_received',
          step_ref,
          trigger_id: id,
          payload: mock.event,
          sent_by: 'system:simulation',
        },
      };
    case 'sleep':
      return { at: start.expires_at, event: { kind: 'sleep_over', step_ref, trigger_id: id } };
    case 'map':
      throw new Error('a map is not open itself, its children are');
  }
}

function orderOf(run: MemoryRun): string[] {
  const starts = run.applied().flatMap((changes) => changes.starts);
  return [...new Set(starts.filter(({ kind }) => kind !== 'cost_gate').map((it) => it.step_ref))];
}
