// The half of the model that starts steps: limits, conditions, types.
import type { JsonValue, StepDefinition } from '../../src/modules/workflows/engine/definition.ts';
import { CONDITION_ERROR, ModelRun, type ModelStep } from './model.ts';

export class Model extends ModelRun {
  /** Again and again the first step by name that may start and was not looked at in this event. */
  go(now: number): void {
    const looked = new Set<ModelStep>();
    while (this.status === 'running') {
      const next = this.all().find((step) => !looked.has(step) && this.mayStart(step, now));
      if (!next) return;
      looked.add(next);
      this.start(next, now);
    }
  }
  mayStart(step: ModelStep, now: number): boolean {
    if (!this.dependencies(step).every((it) => this.resolved(it))) return false;
    if (step.status === 'pending') return true;
    if (step.status !== 'waiting') return false;
    // Its timer decides, unless the run is looked at anyway: as a whole, or what the step depends on.
    if (step.wait === 'retry') return step.retryAt <= now && this.nudged.has(step);
    if (step.wait === 'capacity') return !step.byQuota || this.freed || this.nudged.has(step);
    return step.wait === 'dependencies';
  }

  start(step: ModelStep, now: number): void {
    const { def } = step;
    const running = this.all().filter((it) => it.status === 'running');
    const limit = this.workflow.max_parallel_steps;
    const isBlocked =
      (limit > 0 && running.length >= limit) ||
      (def.concurrency_key !== '' &&
        running.some((it) => it.def.concurrency_key === def.concurrency_key)) ||
      running.length >= this.workflow.small;
    if (isBlocked) {
      // One that waits for a quota says what it waits for now.
      if (step.wait !== 'capacity' || step.byQuota) this.set(step, 'waiting', 'capacity');
      return;
    }
    if (!step.begun && !step.gatePassed) {
      const holds = this.holds(def);
      if (holds === null) return this.fall(step, CONDITION_ERROR, false, now);
      if (!holds) return this.set(step, 'skipped');
    }
    switch (def.step_type) {
      case 'approval':
        return this.begin(step, 'waiting', 'approval');
      case 'sleep':
        return this.begin(step, 'waiting', 'sleep');
      case 'continue_as_new': {
        if (
          this.all().some(
            (it) => it.def.step_type === 'continue_as_new' && it.status === 'completed',
          )
        )
          return this.fall(step, 'the run continues as new already', true, now);
        step.begun = true;
        return this.complete(step, { again: this.world.payload['n'] ?? null });
      }
      case 'wait_for_event':
        return this.startWait(step, now);
      default:
        return this.startWork(step, now);
    }
  }
  startWait(step: ModelStep, now: number): void {
    const { event_key, step_ref } = step.def;
    if (event_key === '{{missing}}')
      return this.fall(step, 'event key has unresolved placeholder {{missing}}', true, now);
    const key = event_key.replace('{{step_ref}}', step_ref);
    const waiting = this.all().some(
      (it) => it.wait === 'event' && it.def.event_key === event_key && it !== step,
    );
    if (key === 'shared' && (waiting || this.world.keyTaken(key)))
      return this.fall(step, 'event key is already waited for', true, now);
    const early = this.served.has(key) ? null : this.world.early();
    if (early === null) return this.begin(step, 'waiting', 'event');
    step.begun = true;
    this.served.add(key);
    this.complete(step, early);
  }
  startWork(step: ModelStep, now: number): void {
    const { def } = step;
    if (def.step_type === 'sub_workflow' && this.world.depth >= (def.max_nesting_depth || 10))
      return this.fall(step, 'max nesting depth exceeded', true, now);
    if (def.step_type === 'map' && !Array.isArray(def.map_items))
      return this.fall(step, 'map_items is not a list', true, now);
    const items = def.step_type === 'map' ? (def.map_items as JsonValue[]) : null;
    if (items?.length === 0) {
      step.begun = true;
      return this.complete(step, def.map_collect ? [] : { total: 0, completed: 0, failed: 0 });
    }
    const admitted = this.world.admit(def);
    if (admitted === 'no') return this.fall(step, 'the job is gone', true, now);
    if (admitted === 'full') {
      this.set(step, 'waiting', 'capacity');
      step.byQuota = true;
      return;
    }
    if (def.cost_gate_threshold_microusd > 0 && !step.gatePassed && this.world.expensive(def))
      return this.set(step, 'waiting', 'cost_gate');
    this.begin(step, 'running', null);
    if (!items) return;
    step.map = { total: items.length, started: 0, completed: 0, failed: 0 };
    this.fill(step, now);
  }
  begin(step: ModelStep, status: 'waiting' | 'running', wait: string | null): void {
    if (!step.begun) this.fresh.add(step);
    step.begun = true;
    step.error = null;
    this.set(step, status, wait);
    this.begun.push(`${step.def.step_ref}:${step.attempt}`);
  }

  /** Null for a condition without an answer. */
  holds({ condition, depends_on }: StepDefinition): boolean | null {
    const node = condition as { [key: string]: JsonValue } | null;
    if (node === null) return true;
    const status = (ref: JsonValue | undefined) => this.of(String(ref)).status;
    switch (node['type']) {
      case 'step_status':
        return status(node['step_ref']) === node['status'];
      case 'step_status_in':
        return (node['statuses'] as string[]).includes(status(node['step_ref']));
      case 'not': {
        const inner = node['condition'] as { [key: string]: JsonValue };
        return status(inner['step_ref']) !== inner['status'];
      }
      case 'eq':
        return String(this.n(node, 'outputs') ?? '') === '1';
      default: {
        const [, ref = ''] = this.path(node);
        const value = depends_on.includes(ref) ? this.n(node, 'parent_outputs') : null;
        return typeof value === 'number' ? value > 0 : null;
      }
    }
  }
  path = (node: { [key: string]: JsonValue }) => (node['left'] as { path: string }).path.split('.');
  n(node: { [key: string]: JsonValue }, head: string): JsonValue {
    const [first, ref = ''] = this.path(node);
    const step = this.of(ref);
    if (first !== head || step.status !== 'completed') return null;
    const { output } = step;
    const isObject = typeof output === 'object' && output !== null && !Array.isArray(output);
    return isObject ? ((output as { n?: JsonValue }).n ?? null) : null;
  }
}
