// Random workflows for the property test of the engine: every type, policy, condition and limit, on few names so that
// they meet often.
import fc from 'fast-check';
import {
  defineStep,
  type JsonValue,
  type StepDefinition,
} from '../../src/modules/workflows/engine/definition.ts';

export interface WorkflowCase {
  readonly steps: readonly StepDefinition[];
  readonly max_parallel_steps: number;
  readonly small: number;
  /** What happens, in order: each number picks one of the things that can happen then. */
  readonly script: readonly number[];
}

interface Draw {
  readonly type: number;
  readonly rank: number;
  readonly edges: readonly number[];
  readonly policy: number;
  readonly retries: number;
  readonly key: number;
  readonly condition: number;
  readonly conditionOn: number;
  readonly spice: number;
}

const draw: fc.Arbitrary<Draw> = fc.record({
  type: fc.nat(19),
  rank: fc.nat(99),
  edges: fc.array(fc.nat(29), { maxLength: 3 }),
  policy: fc.nat(13),
  retries: fc.nat(4),
  key: fc.nat(7),
  condition: fc.nat(15),
  conditionOn: fc.nat(29),
  spice: fc.nat(11),
});

export const workflowCases: fc.Arbitrary<WorkflowCase> = fc
  .record({
    draws: fc.array(draw, { minLength: 1, maxLength: 30, size: 'max' }),
    max_parallel_steps: fc.constantFrom(0, 0, 1, 2, 3),
    small: fc.constantFrom(50, 50, 2),
    script: fc.array(fc.nat(9999), { minLength: 5, maxLength: 80, size: 'max' }),
  })
  .map(({ draws, ...rest }) => ({ ...rest, steps: stepsOf(draws) }));

const TYPES: readonly StepDefinition['step_type'][] = [
  ...Array<'job'>(9).fill('job'),
  'approval',
  'approval',
  'sub_workflow',
  'sub_workflow',
  'wait_for_event',
  'wait_for_event',
  'sleep',
  'map',
  'map',
  'map',
  'continue_as_new',
];

const POLICIES: readonly StepDefinition['on_failure'][] = [
  'fail_workflow',
  ...Array<'skip_dependents'>(4).fill('skip_dependents'),
];

function stepsOf(draws: readonly Draw[]): StepDefinition[] {
  // Names in another order than the edges, since starts go by name.
  const refs = draws.map(({ rank }, index) => `s${String(rank).padStart(2, '0')}_${index}`);
  return draws.map((one, index) => {
    const earlier = one.edges.filter(() => index > 0).map((edge) => refs[edge % index] ?? '');
    return defineStep({
      step_ref: refs[index] ?? '',
      step_type: TYPES[one.type] ?? 'job',
      depends_on: [...new Set(earlier)],
      on_failure: POLICIES[one.policy] ?? 'continue',
      retry_max_attempts: Math.max(0, one.retries - 1),
      retry_backoff: one.spice % 2 === 0 ? 'fixed' : 'exponential',
      retry_initial_delay_secs: one.spice % 3,
      retry_max_delay_secs: one.spice % 5,
      concurrency_key: ['k1', 'k2'][one.key] ?? '',
      condition: conditionOf(one, refs, index),
      ...details(TYPES[one.type] ?? 'job', one),
    });
  });
}

function conditionOf(one: Draw, refs: readonly string[], index: number): JsonValue {
  const step_ref = refs[one.conditionOn % refs.length] ?? '';
  // Mostly a step before it; sometimes any, itself and later ones included.
  const before = refs[one.conditionOn % Math.max(1, index)] ?? '';
  switch (one.condition) {
    case 0:
      return { type: 'step_status', step_ref: before, status: 'completed' };
    case 1:
      return { type: 'step_status_in', step_ref, statuses: ['failed', 'skipped', 'canceled'] };
    case 2:
      return { type: 'not', condition: { type: 'step_status', step_ref, status: 'completed' } };
    case 3:
      return { type: 'eq', left: { path: `outputs.${before}.n` }, right: 1 };
    case 4:
      // A number only when the output is there: an error otherwise.
      return { type: 'gt', left: { path: `parent_outputs.${before}.n` }, right: 0 };
    default:
      return null;
  }
}

function details(type: StepDefinition['step_type'], one: Draw): Partial<StepDefinition> {
  const { spice } = one;
  switch (type) {
    case 'job':
      return {
        job_id: 'job',
        cost_gate_threshold_microusd: spice === 0 ? 100 : 0,
        cost_gate_default_action: one.key % 2 === 0 ? 'approve' : 'fail',
        output_transform: spice === 1 ? 'n' : '',
        event_emit_key: spice === 2 ? 'emit-{{step_ref}}' : '',
      };
    case 'sub_workflow':
      return { sub_workflow_id: 'child', max_nesting_depth: spice === 0 ? 1 : 0 };
    case 'approval':
      return { approval_approvers: ['ann'], approval_timeout_secs: spice % 2 === 0 ? 60 : 0 };
    case 'wait_for_event':
      return { event_key: ['shared', '{{missing}}', 'shared'][spice] ?? 'key-{{step_ref}}' };
    case 'sleep':
      return { sleep_duration_secs: 1 + spice };
    case 'map':
      return {
        job_id: 'job',
        map_items: [[], 'no list', [1]][spice] ?? Array.from({ length: spice }, (_, at) => at),
        map_max_parallel: 1 + (one.key % 4),
        map_tolerated_failures: one.rank % 3,
        map_collect: one.rank % 2 === 0,
      };
    case 'continue_as_new':
      return { payload: { again: '{{payload.n}}' } };
  }
}
