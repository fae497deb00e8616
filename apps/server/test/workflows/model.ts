// What a workflow run should do, said as plainly as possible: whole passes over all steps, no counters, no worklists,
// nothing shared with the engine but the definitions. The property test holds the engine to it.
import type { JsonValue, StepDefinition } from '../../src/modules/workflows/engine/definition.ts';
import type { Event } from '../../src/modules/workflows/engine/facts.ts';
import type { WorkflowCase } from './cases.ts';

export interface ModelStep {
  readonly def: StepDefinition;
  status: 'pending' | 'waiting' | 'running' | 'completed' | 'failed' | 'skipped' | 'canceled';
  wait: string | null;
  attempt: number;
  error: string | null;
  output: JsonValue;
  /** It began since it was last reset. */
  begun: boolean;
  gatePassed: boolean;
  /** Skipped for a failed dependency, or canceled with the run. */
  swept: 'dependency' | 'run' | null;
  failures: number;
  retryAt: number;
  byQuota: boolean;
  map: { total: number; started: number; completed: number; failed: number } | null;
}

export interface ModelWorld {
  readonly admit: (step: StepDefinition) => 'yes' | 'full' | 'no';
  readonly expensive: (step: StepDefinition) => boolean;
  readonly keyTaken: (key: string) => boolean;
  /** The payload of an event that came before its waiter. */
  readonly early: () => JsonValue;
  readonly children: (step_ref: string) => JsonValue[];
  readonly payload: { readonly [key: string]: JsonValue };
  readonly depth: number;
}

export const DONE = new Set(['completed', 'failed', 'skipped', 'canceled']);

export abstract class ModelRun {
  status: string = 'pending';
  error: string | null = null;
  readonly steps = new Map<string, ModelStep>();
  readonly order: string[];
  /** Of the last event: `ref:attempt`, for maps with the children begun. */
  begun: string[] = [];
  continued = false;
  freed = false;
  /** Begun for the first time in this event. */
  fresh = new Set<ModelStep>();
  nudged = new Set<ModelStep>();
  /** Keys whose early event was taken in this event. */
  served = new Set<string>();
  /** Were running when the event came. */
  failing = new Set<ModelStep>();
  readonly workflow: WorkflowCase;
  readonly world: ModelWorld;

  constructor(workflow: WorkflowCase, world: ModelWorld) {
    this.workflow = workflow;
    this.world = world;
    this.order = workflow.steps.map((step) => step.step_ref).toSorted();
    for (const def of workflow.steps)
      this.steps.set(def.step_ref, {
        def,
        status: def.depends_on.length === 0 ? 'pending' : 'waiting',
        wait: def.depends_on.length === 0 ? null : 'dependencies',
        attempt: 1,
        error: null,
        output: null,
        begun: false,
        gatePassed: false,
        swept: null,
        failures: 0,
        retryAt: 0,
        byQuota: false,
        map: null,
      });
  }

  of(ref: string): ModelStep {
    const step = this.steps.get(ref);
    if (!step) throw new Error(`no step ${ref}`);
    return step;
  }
  all = () => this.order.map((ref) => this.of(ref));
  resolved(step: ModelStep): boolean {
    if (step.status === 'completed') return true;
    if (step.status === 'skipped') return step.swept === null;
    const fell = step.status === 'failed' || (step.status === 'canceled' && step.swept === null);
    return fell && step.def.on_failure === 'continue';
  }
  bad = (step: ModelStep) => DONE.has(step.status) && !this.resolved(step);
  dependencies = (step: ModelStep) => step.def.depends_on.map((ref) => this.of(ref));
  under(ref: string): ModelStep[] {
    const below = new Set([ref]);
    for (let grown = true; grown;) {
      grown = false;
      for (const step of this.all())
        if (!below.has(step.def.step_ref) && step.def.depends_on.some((it) => below.has(it))) {
          below.add(step.def.step_ref);
          grown = true;
        }
    }
    below.delete(ref);
    return this.all().filter((step) => below.has(step.def.step_ref));
  }

  /** An event that is meant for the run as it is; the test keeps late and repeated ones away. */
  take(event: Event, now: number): void {
    this.begun = [];
    this.fresh = new Set();
    this.served = new Set();
    this.nudged = new Set();
    this.failing = new Set(this.all().filter((step) => step.status === 'running'));
    this.freed = false;
    this.effect(event, now);
    this.go(now);
    this.end();
    if (!DONE.has(this.status) && this.status !== 'timed_out') return;
    // What would begin when the run ends does not begin.
    for (const step of this.fresh) if (step.swept === 'run') step.begun = false;
    this.begun = [];
  }

  effect(event: Event, now: number): void {
    switch (event.kind) {
      case 'started':
      case 'resume':
        this.status = 'running';
        this.freed = true;
        this.nudged = new Set(this.all());
        this.topUp(now);
        return;
      case 'reconsider':
        this.freed = true;
        this.nudged = new Set(this.all());
        this.topUp(now);
        return;
      case 'pause':
        this.status = 'paused';
        return;
      case 'cancel':
        return this.stop('canceled', event.run_error, event.step_error);
      case 'fail':
        return this.stop('failed', event.error, event.error);
      case 'run_timed_out':
        return this.stop('timed_out', 'workflow timed out', 'workflow timed out');
      default:
        return this.stepEffect(this.of(event.step_ref), event, now);
    }
  }

  stepEffect(step: ModelStep, event: Extract<Event, { step_ref: string }>, now: number): void {
    switch (event.kind) {
      case 'job_ended': {
        const error = event.error ?? `job run ended with status ${event.status}`;
        if (event.status === 'completed') this.complete(step, this.transformed(step, event.result));
        else this.fall(step, error, event.status !== 'canceled', now, event.status === 'canceled');
        return;
      }
      case 'child_ended':
        if (event.status === 'completed') this.complete(step, event.output);
        else if (event.status === 'failed') this.fall(step, event.error ?? '', true, now);
        else
          this.fall(
            step,
            `sub-workflow child ended with status ${event.status}`,
            event.status === 'timed_out',
            now,
          );
        return;
      case 'map_children_ended':
        return this.childrenEnded(step, event.children, now);
      case 'event_received':
        return this.complete(step, event.payload);
      case 'event_timed_out':
        return this.fall(step, 'event trigger timed out', true, now);
      case 'event_canceled':
        return this.fall(step, 'event trigger canceled by user', false, now);
      case 'sleep_over':
        return this.complete(step, {
          slept_for_secs: step.def.sleep_duration_secs,
          completed_at: new Date(now).toISOString(),
        });
      case 'approved':
        return this.approve(step, event.actor, now);
      case 'rejected':
        return this.fall(step, `approval rejected: ${event.reason}`, false, now);
      case 'approval_timed_out':
        if (step.wait === 'cost_gate' && step.def.cost_gate_default_action === 'approve')
          this.approve(step, 'system:cost-gate-timeout', now);
        else this.fall(step, 'approval timed out', true, now);
        return;
      case 'retry_due':
        this.nudged.add(step);
        return;
      case 'skip':
        step.error = event.reason === '' ? null : event.reason;
        return this.set(step, 'skipped');
      case 'force_complete':
        return this.complete(step, event.result);
      case 'retry_step':
      case 'replay_subtree':
        return this.reset(step, event.kind);
    }
  }

  set(step: ModelStep, status: ModelStep['status'], wait: string | null = null): void {
    if (step.status === 'running' && status !== 'running') this.freed = true;
    step.status = status;
    step.wait = wait;
    step.byQuota = false;
    if (this.resolved(step))
      for (const it of this.all())
        if (it.def.depends_on.includes(step.def.step_ref)) this.nudged.add(it);
  }
  transformed(step: ModelStep, result: JsonValue): JsonValue {
    const isObject = typeof result === 'object' && result !== null && !Array.isArray(result);
    if (step.def.output_transform !== 'n' || !isObject) return result;
    return (result as { n?: JsonValue }).n ?? result;
  }
  complete(step: ModelStep, output: JsonValue): void {
    step.output = output;
    step.error = null;
    this.set(step, 'completed');
  }
  approve(step: ModelStep, actor: string, now: number): void {
    if (step.wait === 'cost_gate') {
      step.gatePassed = true;
      this.set(step, 'waiting', 'capacity');
      return;
    }
    const approved_at = new Date(now).toISOString();
    this.complete(step, { approved: true, approved_by: actor, approved_at });
  }

  fall(step: ModelStep, error: string, again: boolean, now: number, canceled = false): void {
    step.error = error;
    const hopeless = this.dependencies(step).some((it) => this.bad(it));
    if (again && step.def.retry_max_attempts > step.attempt && !hopeless) {
      step.attempt += 1;
      step.failures = step.attempt - 1;
      step.retryAt = Infinity; // the test fills in what the engine chose
      step.map = null;
      this.set(step, 'waiting', 'retry');
      return;
    }
    this.set(step, canceled ? 'canceled' : 'failed');
    step.swept = null;
    const { step_ref, on_failure } = step.def;
    if (on_failure === 'fail_workflow') this.stop('failed', this.failure(step), 'workflow failed');
    if (on_failure !== 'skip_dependents') return;
    for (const below of this.under(step_ref))
      if (below.wait === 'retry' && this.failing.has(below)) {
        below.attempt -= 1;
        this.fall(below, below.error ?? '', false, now);
      } else if (below.status === 'pending' || below.status === 'waiting') {
        below.error = `dependency ${step_ref} failed`;
        below.swept = 'dependency';
        if (this.fresh.has(below)) below.begun = false;
        this.begun = this.begun.filter((key) => !key.startsWith(`${below.def.step_ref}:`));
        this.set(below, 'skipped');
      }
  }
  failure = ({ def, status, error }: ModelStep) =>
    status === 'canceled'
      ? `step ${def.step_ref} canceled`
      : `step ${def.step_ref} failed: ${error}`;

  stop(status: string, error: string, stepError: string): void {
    this.status = status;
    this.error = error;
    for (const step of this.all())
      if (!DONE.has(step.status)) {
        step.error = stepError;
        step.swept = 'run';
        this.set(step, 'canceled');
      }
  }

  childrenEnded(step: ModelStep, children: readonly { ok: boolean }[], now: number): void {
    const { map, def } = step;
    if (!map) throw new Error('no map');
    for (const { ok } of children)
      if (ok) map.completed += 1;
      else map.failed += 1;
    if (map.failed > def.map_tolerated_failures) {
      const may = def.map_tolerated_failures === 0 ? 'none' : String(def.map_tolerated_failures);
      const error = `${map.failed} of ${map.total} children failed, ${may} may fail`;
      return this.fall(step, error, true, now);
    }
    if (map.completed + map.failed === map.total) {
      const { total, completed, failed } = map;
      const list = this.world.children(def.step_ref);
      return this.complete(step, def.map_collect ? list : { total, completed, failed });
    }
    this.fill(step, now);
  }
  topUp(now: number): void {
    for (const step of this.all()) if (step.status === 'running' && step.map) this.fill(step, now);
  }
  fill(step: ModelStep, now: number): void {
    const { map, def } = step;
    if (this.status !== 'running' || !map || map.started === map.total) return;
    if (map.started - map.completed - map.failed >= def.map_max_parallel) return;
    const admitted = this.world.admit(def);
    if (admitted === 'no') return this.fall(step, 'the job is gone', true, now);
    if (admitted === 'full') return;
    while (
      map.started < map.total &&
      map.started - map.completed - map.failed < def.map_max_parallel
    ) {
      this.begun.push(`${def.step_ref}:${step.attempt}:${map.started}`);
      map.started += 1;
    }
  }

  reset(target: ModelStep, kind: 'retry_step' | 'replay_subtree'): void {
    const chosen = this.resetSet(target.def.step_ref, kind);
    for (const step of chosen) {
      if (step.status === 'running') this.freed = true;
      const isAgain = step === target || step.begun;
      const isReady = this.dependencies(step).every((it) => !chosen.has(it) && this.resolved(it));
      const toPending =
        step.status === 'pending' ||
        (isReady && (DONE.has(step.status) || step.status === 'running'));
      Object.assign(step, {
        status: toPending ? 'pending' : 'waiting',
        wait: toPending ? null : 'dependencies',
        attempt: step.attempt + (isAgain ? 1 : 0),
        error: null,
        output: null,
        begun: false,
        gatePassed: false,
        swept: null,
        byQuota: false,
        map: null,
      });
    }
    if (DONE.has(this.status) || this.status === 'timed_out') {
      this.status = 'running';
      this.error = null;
    }
  }
  resetSet(ref: string, kind: 'retry_step' | 'replay_subtree'): Set<ModelStep> {
    const target = this.of(ref);
    const below = new Set(this.under(ref));
    const chosen = new Set(
      this.all().filter((step) => {
        if (step === target || (step.status === 'canceled' && step.swept === 'run')) return true;
        if (!below.has(step)) return false;
        return (
          kind === 'replay_subtree' || step.status === 'canceled' || step.swept === 'dependency'
        );
      }),
    );
    for (let shrunk = true; shrunk;) {
      shrunk = false;
      for (const step of chosen)
        if (this.dependencies(step).some((it) => !chosen.has(it) && this.bad(it))) {
          chosen.delete(step);
          shrunk = true;
        }
    }
    return chosen;
  }

  /** Starts what may start. */
  abstract go(now: number): void;

  /** What the job or child of a step without a payload of its own gets. */
  payloadOf(ref: string): JsonValue {
    const outputs = this.dependencies(this.of(ref)).filter(
      (step) => step.status === 'completed' && step.output !== null,
    );
    const parent_outputs = Object.fromEntries(outputs.map((it) => [it.def.step_ref, it.output]));
    return { ...this.world.payload, ...(outputs.length > 0 ? { parent_outputs } : {}) };
  }

  end(): void {
    if (this.status !== 'running' && this.status !== 'paused') return;
    const all = this.all();
    if (all.some((step) => !DONE.has(step.status))) return;
    const fallen = all.find(
      (step) =>
        (step.status === 'failed' || (step.status === 'canceled' && step.swept === null)) &&
        step.def.on_failure !== 'continue',
    );
    this.status = fallen ? 'failed' : 'completed';
    this.error = fallen ? this.failure(fallen) : null;
    if (!fallen)
      this.continued = all.some(
        (step) => step.def.step_type === 'continue_as_new' && step.status === 'completed',
      );
  }
}

/** The engine says which operand; the model only that there is no answer. */
export const CONDITION_ERROR = 'condition error';
