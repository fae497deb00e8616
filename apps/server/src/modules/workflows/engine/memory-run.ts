// A workflow run in memory, driven by the same progression function as stored ones: for simulation, for test
// suites in virtual time, and as the plainest example of a store.
import type { Changes, Progress, Start } from './changes.ts';
import type { JsonValue } from './definition.ts';
import type {
  Admission,
  AdmissionRequest,
  EngineLimits,
  Event,
  Instant,
  Need,
  RunFacts,
  StepRow,
} from './facts.ts';
import type { Graph } from './graph.ts';
import { firstKnown, learn, type Loaded } from './loading.ts';
import { initialStates } from './new-run.ts';
import { progress } from './progress.ts';
import { isTerminalStep, writeBoard, type StepState } from './states.ts';

export interface MemoryStep extends StepRow {
  readonly step_ref: string;
  readonly state: StepState;
  readonly output: JsonValue;
  readonly finished_at: Instant | null;
}

/** Something the run started that has not ended: a job run, a child run, a child of a map, an approval, a trigger. */
export interface OpenItem {
  readonly id: string;
  readonly step_ref: string;
  readonly attempt: number;
  readonly start: Start;
  /** Of a child of a map. */
  readonly index: number | null;
}

export interface MemoryRunOptions {
  readonly graph: Graph;
  readonly limits: EngineLimits;
  readonly payload?: JsonValue;
  readonly run?: Partial<RunFacts>;
  readonly steps?: readonly MemoryStep[];
  /** Grants everything when absent. */
  readonly admit?: (request: AdmissionRequest, step_ref: string) => Admission;
}

export const DEFAULT_LIMITS: EngineLimits = {
  step_concurrency: 0,
  small: 50,
  medium: 20,
  large: 5,
  max_nesting_depth: 10,
  max_payload_bytes: 1_048_576,
  max_map_items: 10_000,
  max_generations: 1000,
};

/** The steps of a new run; `completed` are outputs of steps taken over from another. */
export function freshSteps(
  graph: Graph,
  completed: ReadonlyMap<string, JsonValue> = new Map(),
): MemoryStep[] {
  const states = initialStates(graph, new Set(completed.keys()));
  return graph.steps.map(({ step_ref }, index) => ({
    step_ref,
    state: states[index] ?? 'pending',
    attempt: 1,
    work_id: null,
    wait_id: null,
    started_at: null,
    finished_at: null,
    next_retry_at: null,
    error: null,
    output: completed.get(step_ref) ?? null,
    gate_passed: false,
    map: null,
  }));
}

export function createMemoryRun(options: MemoryRunOptions) {
  const { graph, limits, payload = null, admit = () => ({ kind: 'granted' }) as const } = options;
  let run: RunFacts & { error: string | null; finished_at: Instant | null } = {
    id: 'run',
    workflow_id: 'workflow',
    status: 'pending',
    max_parallel_steps: 0,
    timeout_secs: 0,
    expires_at: null,
    depth: 0,
    generation: 0,
    parent_step_over: false,
    continued: false,
    ...options.run,
    error: null,
    finished_at: null,
  };
  const steps = new Map(
    (options.steps ?? freshSteps(graph)).map((step) => [step.step_ref, step] as const),
  );
  const open = new Map<string, OpenItem>();
  /** Outputs of the children of maps, by step and attempt. */
  const children = new Map<string, { readonly outputs: JsonValue[]; bytes: number }>();
  /** Mocks give many children the same output. */
  const sizes = new Map<JsonValue, number>();
  const applied: Changes[] = [];
  let ids = 0;
  let asked = 0;
  let passes = 0;

  const stepOf = (step_ref: string): MemoryStep => {
    const step = steps.get(step_ref);
    if (!step) throw new Error(`there is no step ${step_ref}`);
    return step;
  };
  const close = (belongs: (item: OpenItem) => boolean) => {
    for (const item of open.values()) if (belongs(item)) open.delete(item.id);
  };
  const add = (start: Start, index: number | null = null): string => {
    ids += 1;
    const id = `${start.step_ref}#${ids}`;
    open.set(id, { id, step_ref: start.step_ref, attempt: start.attempt, start, index });
    return id;
  };
  const set = (step_ref: string, patch: Partial<MemoryStep>) =>
    steps.set(step_ref, { ...stepOf(step_ref), ...patch });

  function begin(start: Start): void {
    const { step_ref } = start;
    switch (start.kind) {
      case 'work':
        set(step_ref, { work_id: add(start) });
        return;
      case 'map':
        children.set(childrenKey(step_ref, start.attempt), {
          outputs: start.items.map(() => null),
          bytes: 0,
        });
        return;
      case 'map_children':
        for (let at = start.from; at < start.from + start.count; at += 1) add(start, at);
        return;
      case 'event':
        if (start.received) return;
        set(step_ref, { wait_id: add(start) });
        return;
      default:
        set(step_ref, { wait_id: add(start) });
    }
  }

  function apply(changes: Changes): void {
    for (const { step_ref } of changes.waits) close((item) => item.step_ref === step_ref);
    for (const { step_ref, index } of changes.children_ended)
      close((item) => item.step_ref === step_ref && item.index === index);
    for (const step_ref of changes.cancel_work) close((item) => item.step_ref === step_ref);
    if (changes.cancel_everything !== null) open.clear();
    for (const { step_ref, from, to, patch } of changes.steps) {
      const { state } = stepOf(step_ref);
      if (state !== from) throw new Error(`step ${step_ref} is ${state}, not ${from}`);
      set(step_ref, { ...patch, state: to });
    }
    changes.starts.forEach(begin);
    if (changes.run) {
      const { to, error, finished_at = null, expires_at = run.expires_at } = changes.run;
      if (changes.run.from !== run.status) throw new Error(`the run is ${run.status}`);
      run = { ...run, status: to, error, finished_at, expires_at };
    }
    if (changes.continuation) run = { ...run, continued: true };
    applied.push(changes);
  }

  function load({ rows, outputs, payload: isAsked, admissions, map_outputs }: Need): Loaded {
    return {
      rows: new Map(rows.map((step_ref) => [step_ref, rowPart(stepOf(step_ref))])),
      outputs: new Map(outputs.map((step_ref) => [step_ref, stepOf(step_ref).output])),
      admissions: new Map(
        admissions.map(({ step_ref, request }) => [step_ref, admit(request, step_ref)]),
      ),
      map_outputs: new Map(
        map_outputs.map((step_ref) => {
          const { attempt } = stepOf(step_ref);
          const of = children.get(childrenKey(step_ref, attempt));
          const isTooLarge = (of?.bytes ?? 0) > limits.max_payload_bytes;
          return [step_ref, isTooLarge ? 'too_large' : (of?.outputs ?? [])];
        }),
      ),
      ...(isAsked ? { payload: { value: payload } } : {}),
    };
  }

  return {
    get run() {
      return run;
    },
    steps: (): MemoryStep[] => graph.steps.map(({ step_ref }) => stepOf(step_ref)),
    step: stepOf,
    open: (): OpenItem[] => [...open.values()],
    /** All changes so far, in order. */
    applied: (): readonly Changes[] => applied,
    /** How many things the progression has asked for. */
    asked: (): number => asked,
    /** How often it was called. */
    passes: (): number => passes,
    isSettled: (): boolean => [...steps.values()].every(({ state }) => isTerminalStep(state)),
    /** What the progression answers, without applying it. */
    ask(event: Event, now: Instant): Progress {
      const board = writeBoard(graph.steps.map(({ step_ref }) => stepOf(step_ref).state));
      let known = firstKnown({ now, run, graph, board, limits });
      for (;;) {
        passes += 1;
        const answer = progress(known, event);
        if (answer.kind !== 'need') return answer;
        const { rows, outputs, admissions, map_outputs } = answer.need;
        asked += rows.length + outputs.length + admissions.length + map_outputs.length;
        known = learn(known, answer.need, load(answer.need));
      }
    },
    deliver(event: Event, now: Instant): Progress {
      const answer = this.ask(event, now);
      // Work ends by itself, whatever that means to the run.
      if (event.kind === 'job_ended') open.delete(event.job_run_id);
      if (event.kind === 'child_ended') open.delete(event.child_run_id);
      if (answer.kind === 'changes') apply(answer.changes);
      return answer;
    },
    /** What a child of a map gave; its end is an event. */
    setChildOutput({ step_ref, attempt, index }: OpenItem, output: JsonValue): void {
      const list = children.get(childrenKey(step_ref, attempt));
      if (!list || index === null) throw new Error(`step ${step_ref} has no such child`);
      list.outputs[index] = output;
      const bytes = sizes.get(output) ?? Buffer.byteLength(JSON.stringify(output));
      sizes.set(output, bytes);
      list.bytes += bytes;
    },
  };
}
export type MemoryRun = ReturnType<typeof createMemoryRun>;

const childrenKey = (step_ref: string, attempt: number): string => `${step_ref}:${attempt}`;

const rowPart = (step: MemoryStep): StepRow => ({
  attempt: step.attempt,
  work_id: step.work_id,
  wait_id: step.wait_id,
  started_at: step.started_at,
  next_retry_at: step.next_retry_at,
  error: step.error,
  gate_passed: step.gate_passed,
  map: step.map,
});
