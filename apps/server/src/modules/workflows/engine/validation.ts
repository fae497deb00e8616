// Whether steps make a workflow (workflow-semantics §§3, 4), in the order of the specification: first failure wins.
import { conditionProblem } from './conditions.ts';
import {
  FAILURE_POLICIES,
  MAX_CONCURRENCY_KEY,
  MAX_EVENT_KEY,
  MAX_MAP_ITEMS,
  MAX_MAP_PARALLEL,
  MAX_STEPS,
  MAX_STEP_REF,
  MAX_WAIT_SECS,
  RESOURCE_CLASSES,
  type StepDefinition,
} from './definition.ts';
import { compileGraph, topologicalOrder } from './graph.ts';
import { isStepType, type StepProblem } from './step-input.ts';
import { hasControlCharacter } from './templates.ts';
import { transformProblem } from './transforms.ts';

export interface DefinitionProblem {
  /** In the request, e.g. `steps[3].depends_on[0]`, or `steps`. */
  readonly field: string;
  readonly step_ref: string | null;
  readonly message: string;
}

export interface ValidationLimits {
  /** WF_MAX_STEP_CAP; 0 means only the hard limit. */
  readonly step_cap: number;
}

/** The first thing wrong with the steps of a workflow, or null. */
export function definitionProblem(
  steps: readonly StepDefinition[],
  { step_cap }: ValidationLimits,
): DefinitionProblem | null {
  const most = step_cap > 0 ? Math.min(step_cap, MAX_STEPS) : MAX_STEPS;
  if (steps.length > most) return whole(`a workflow has at most ${most} steps`);

  const refs = new Set<string>();
  for (const [index, step] of steps.entries()) {
    const found = refProblem(step, refs) ?? stepProblem(step);
    if (found) return inStep(index, step, found);
    refs.add(step.step_ref);
  }
  for (const [index, step] of steps.entries()) {
    const found = dependencyProblem(step, refs) ?? conditionOf(step, refs);
    if (found) return inStep(index, step, found);
  }
  return cycleProblem(steps);
}

const whole = (message: string): DefinitionProblem => ({ field: 'steps', step_ref: null, message });

const inStep = (index: number, step: StepDefinition, problem: StepProblem): DefinitionProblem => ({
  field: `steps[${index}].${problem.field}`,
  step_ref: step.step_ref,
  message: `step ${step.step_ref === '' ? index : step.step_ref}: ${problem.field} ${problem.message}`,
});

const STEP_REF = /^[A-Za-z_][A-Za-z0-9_-]*$/;

function refProblem({ step_ref }: StepDefinition, taken: ReadonlySet<string>): StepProblem | null {
  const field = 'step_ref';
  if (step_ref === '') return { field, message: 'is required' };
  if (step_ref.length > MAX_STEP_REF)
    return { field, message: `has at most ${MAX_STEP_REF} characters` };
  if (!STEP_REF.test(step_ref))
    return { field, message: 'starts with a letter or _ and holds letters, digits, _ and -' };
  return taken.has(step_ref) ? { field, message: 'is used by another step' } : null;
}

/** Also fields that say what a step does, and that another type has: sent there, they would silently do nothing. */
function stepProblem(step: StepDefinition): StepProblem | null {
  if (!isStepType(step.step_type)) return { field: 'step_type', message: 'is not known' };
  return enumProblem(step) ?? rangeProblem(step) ?? typeProblem(step) ?? textProblem(step);
}

function enumProblem(step: StepDefinition): StepProblem | null {
  const enums = [
    ['on_failure', FAILURE_POLICIES],
    ['resource_class', RESOURCE_CLASSES],
    ['retry_backoff', ['exponential', 'fixed']],
    ['cost_gate_default_action', ['approve', 'fail']],
  ] as const;
  const wrong = enums.find(
    ([field, values]) => !(values as readonly string[]).includes(step[field]),
  );
  return wrong ? { field: wrong[0], message: `must be one of ${wrong[1].join(', ')}` } : null;
}

const INT_MAX = 2_147_483_647;
const RANGES = {
  max_nesting_depth: [0, INT_MAX],
  approval_timeout_secs: [0, MAX_WAIT_SECS],
  event_timeout_secs: [0, MAX_WAIT_SECS],
  sleep_duration_secs: [0, MAX_WAIT_SECS],
  retry_max_attempts: [0, INT_MAX],
  retry_initial_delay_secs: [0, INT_MAX],
  retry_max_delay_secs: [0, INT_MAX],
  timeout_secs_override: [0, INT_MAX],
  expected_duration_secs: [0, INT_MAX],
  cost_gate_threshold_microusd: [0, Number.MAX_SAFE_INTEGER],
  cost_gate_timeout_secs: [0, MAX_WAIT_SECS],
  compensation_timeout_secs: [0, INT_MAX],
  map_max_parallel: [1, MAX_MAP_PARALLEL],
  map_tolerated_failures: [0, MAX_MAP_ITEMS],
} as const satisfies Partial<Record<keyof StepDefinition, readonly [number, number]>>;

function rangeProblem(step: StepDefinition): StepProblem | null {
  for (const [field, [least, most]] of Object.entries(RANGES)) {
    const value = step[field as keyof typeof RANGES];
    if (!Number.isInteger(value) || value < least || value > most)
      return { field, message: `must be a whole number from ${least} to ${most}` };
  }
  return null;
}

function typeProblem(step: StepDefinition): StepProblem | null {
  const required = (field: string): StepProblem => ({
    field,
    message: `is required for a step of type ${step.step_type}`,
  });
  const foreign = (field: string): StepProblem => ({
    field,
    message: `does not belong to a step of type ${step.step_type}`,
  });
  if (step.step_type !== 'map' && step.map_items !== null) return foreign('map_items');
  const hasJob = step.job_id !== '';
  const hasWorkflow = step.sub_workflow_id !== '';
  switch (step.step_type) {
    case 'job':
      if (!hasJob) return required('job_id');
      return hasWorkflow ? foreign('sub_workflow_id') : null;
    case 'sub_workflow':
      if (!hasWorkflow) return required('sub_workflow_id');
      return hasJob ? foreign('job_id') : null;
    case 'map':
      if (!hasJob && !hasWorkflow) return required('job_id');
      if (hasJob && hasWorkflow) return foreign('sub_workflow_id');
      return itemsProblem(step);
    case 'approval':
      if (step.approval_approvers.length === 0) return required('approval_approvers');
      return emptyIn('approval_approvers', step.approval_approvers) ?? workProblem(step, foreign);
    case 'wait_for_event':
      if (step.event_key === '') return required('event_key');
      return workProblem(step, foreign);
    case 'sleep':
      if (step.sleep_duration_secs === 0) return required('sleep_duration_secs');
      return workProblem(step, foreign);
    case 'continue_as_new':
      return workProblem(step, foreign);
  }
}

const workProblem = (
  step: StepDefinition,
  foreign: (field: string) => StepProblem,
): StepProblem | null =>
  step.job_id !== ''
    ? foreign('job_id')
    : step.sub_workflow_id !== ''
      ? foreign('sub_workflow_id')
      : null;

function itemsProblem({ map_items }: StepDefinition): StepProblem | null {
  const field = 'map_items';
  if (map_items === null) return { field, message: 'is required for a step of type map' };
  if (Array.isArray(map_items))
    return map_items.length > MAX_MAP_ITEMS
      ? { field, message: `has at most ${MAX_MAP_ITEMS} elements` }
      : null;
  return typeof map_items === 'string' && /^\{\{[^{}]+\}\}$/.test(map_items)
    ? null
    : { field, message: 'must be a list, or one placeholder that gives one' };
}

function emptyIn(field: string, values: readonly string[]): StepProblem | null {
  const empty = values.findIndex((value) => value.trim() === '');
  return empty < 0 ? null : { field: `${field}[${empty}]`, message: 'must not be empty' };
}

function textProblem(step: StepDefinition): StepProblem | null {
  const texts = [
    ['event_key', MAX_EVENT_KEY],
    ['event_emit_key', MAX_EVENT_KEY],
    ['concurrency_key', MAX_CONCURRENCY_KEY],
  ] as const;
  for (const [field, most] of texts) {
    const size = field === 'concurrency_key' ? step[field].length : Buffer.byteLength(step[field]);
    if (size > most) return { field, message: `must not be longer than ${most}` };
    if (hasControlCharacter(step[field]))
      return { field, message: 'must not contain control characters' };
  }
  if (step.output_transform === '') return null;
  const message = transformProblem(step.output_transform);
  return message === null ? null : { field: 'output_transform', message: `is no path: ${message}` };
}

function dependencyProblem(step: StepDefinition, refs: ReadonlySet<string>): StepProblem | null {
  for (const [index, ref] of step.depends_on.entries()) {
    const field = `depends_on[${index}]`;
    if (ref === '') return { field, message: 'must not be empty' };
    if (ref === step.step_ref) return { field, message: 'is a self dependency' };
    if (!refs.has(ref)) return { field, message: `names an unknown step ${JSON.stringify(ref)}` };
  }
  return null;
}

function conditionOf(step: StepDefinition, refs: ReadonlySet<string>): StepProblem | null {
  if (step.condition === null) return null;
  const problem = conditionProblem(step.condition, (ref) => refs.has(ref));
  return problem && { field: problem.path, message: problem.message };
}

function cycleProblem(steps: readonly StepDefinition[]): DefinitionProblem | null {
  const graph = compileGraph(steps);
  const { left } = topologicalOrder(graph);
  const [first] = left;
  if (first === undefined) return null;
  const refs = left.map((index) => graph.steps[index]?.step_ref ?? '');
  const step_ref = refs[0] ?? '';
  const at = steps.findIndex((step) => step.step_ref === step_ref);
  const message = `these steps wait for each other in a cycle: ${refs.join(', ')}`;
  return { field: `steps[${at}].depends_on`, step_ref, message };
}

export interface StepOverride {
  readonly step_ref: string;
  readonly enabled: boolean;
}

/** The steps that are left for one run (§10, check 4): disabled ones leave every `depends_on` too. */
export function applyOverrides(
  steps: readonly StepDefinition[],
  overrides: readonly StepOverride[],
): { readonly steps: readonly StepDefinition[] } | DefinitionProblem {
  if (steps.length === 0) return whole('a run needs at least one step');
  const refs = new Set(steps.map(({ step_ref }) => step_ref));
  const disabled = new Set<string>();
  for (const [index, { step_ref, enabled }] of overrides.entries()) {
    const field = `step_overrides[${index}].step_ref`;
    if (!refs.has(step_ref))
      return { field, step_ref, message: `names an unknown step ${JSON.stringify(step_ref)}` };
    if (enabled) disabled.delete(step_ref);
    else disabled.add(step_ref);
  }
  const left = steps
    .filter(({ step_ref }) => !disabled.has(step_ref))
    .map((step) => ({
      ...step,
      depends_on: step.depends_on.filter((ref) => !disabled.has(ref)),
    }));
  if (left.length === 0)
    return { field: 'step_overrides', step_ref: null, message: 'at least one step must be left' };
  for (const step of left) {
    // Such a step could only fail: its condition would ask for a step the run does not have.
    const found = conditionOf(step, new Set(left.map(({ step_ref }) => step_ref)));
    if (found)
      return {
        field: 'step_overrides',
        step_ref: step.step_ref,
        message: `the condition of step ${step.step_ref} needs a disabled step: ${found.message}`,
      };
  }
  return { steps: left };
}
