// Steps on their way: request → definition → rows, rows → definition → reply.
import type { z } from 'zod';
import type { DeepReadonly } from '../../../platform/http/define-api.ts';
import {
  defineStep,
  STEP_DEFAULTS,
  type JsonValue,
  type StepDefinition,
} from '../engine/definition.ts';
import { canonicalStep } from '../engine/step-input.ts';
import { definitionProblem } from '../engine/validation.ts';
import { invalid, type Problem } from './problems.ts';
import type { WorkflowStep, WorkflowStepRequest } from './schemas.ts';
import type { ListVersionStepsRow } from './store.sql.ts';

export type StepRequest = z.output<typeof WorkflowStepRequest>;
export type StepView = DeepReadonly<z.input<typeof WorkflowStep>>;

/** What a step names and the database has to know. */
export interface Reference {
  /** Index of the step. */
  readonly step: number;
  /** Where the answer belongs. */
  readonly column: 'job_id' | 'sub_workflow_id' | 'compensation_job_id';
  /** Of the request. */
  readonly field: string;
  readonly by: 'id' | 'slug';
  readonly value: string;
}

/** Steps that are in order as far as they themselves can tell. Slugs stand in the columns of ids until they are looked up. */
export interface JudgedSteps {
  readonly steps: readonly StepDefinition[];
  readonly references: readonly Reference[];
}

/** The steps of a request, or the first thing wrong with them. */
export function judgeSteps(
  requests: readonly StepRequest[],
  step_cap: number,
): JudgedSteps | Problem {
  const steps: StepDefinition[] = [];
  const slugs: Reference[] = [];
  for (const [step, request] of requests.entries()) {
    const canonical = canonicalStep(withoutNulls(request));
    if ('message' in canonical) {
      const { field, message } = canonical;
      return invalid(`steps[${step}].${field}`, `step ${request.step_ref}: ${field} ${message}`);
    }
    const { job, sub_workflow } = canonical.references;
    if (job) slugs.push(slugOf(step, 'job_id', job));
    if (sub_workflow) slugs.push(slugOf(step, 'sub_workflow_id', sub_workflow));
    steps.push(
      defineStep({
        ...canonical.step,
        ...(job && { job_id: job.slug }),
        ...(sub_workflow && { sub_workflow_id: sub_workflow.slug }),
      }),
    );
  }
  const problem = definitionProblem(steps, { step_cap });
  if (problem) return invalid(problem.field, problem.message);
  return { steps, references: [...slugs, ...idsOf(steps, slugs)] };
}

/** Stored steps once more, as if they had been sent. */
export const judgedAgain = (steps: readonly StepDefinition[]): JudgedSteps => ({
  steps,
  references: idsOf(steps, []),
});

const slugOf = (
  step: number,
  column: Reference['column'],
  { field, slug }: { readonly field: string; readonly slug: string },
): Reference => ({ step, column, field, by: 'slug', value: slug });

function idsOf(steps: readonly StepDefinition[], slugs: readonly Reference[]): Reference[] {
  const named = new Set(slugs.map(({ step, column }) => `${step} ${column}`));
  return steps.flatMap((definition, step) =>
    (['job_id', 'sub_workflow_id', 'compensation_job_id'] as const).flatMap((column) =>
      definition[column] === '' || named.has(`${step} ${column}`)
        ? []
        : [{ step, column, field: column, by: 'id' as const, value: definition[column] }],
    ),
  );
}

/** null is absent here; "" is no resource class. */
function withoutNulls(request: StepRequest): Readonly<Record<string, JsonValue>> {
  const isGiven = ([name, value]: [string, unknown]) =>
    value != null && !(name === 'resource_class' && value === '');
  return Object.fromEntries(Object.entries(request).filter(isGiven)) as Record<string, JsonValue>;
}

/** Texts that are null in the table when they are empty. */
const nullable = [
  'job_id',
  'sub_workflow_id',
  'event_key',
  'event_notify_url',
  'event_emit_key',
  'compensation_job_id',
] as const;

export function stepRow(step: StepDefinition): Readonly<Record<string, JsonValue>> {
  const empty = nullable.filter((name) => step[name] === '').map((name) => [name, null]);
  return { ...step, ...Object.fromEntries(empty) } as Record<string, JsonValue>;
}

const fields = ['step_ref', ...Object.keys(STEP_DEFAULTS)];

export type StepRow = ListVersionStepsRow;

/** The definition in a row of workflow_version_steps: what runs follow. */
export function definitionOf(row: StepRow): StepDefinition {
  const filled = Object.fromEntries(nullable.map((name) => [name, row[name] ?? '']));
  const all: Readonly<Record<string, unknown>> = { ...row, ...filled };
  // What was saved has passed judgeSteps: the enumerations hold.
  return Object.fromEntries(fields.map((name) => [name, all[name]])) as unknown as StepDefinition;
}

/** As the API shows it: without what steps of its type do not have. */
export function stepView(row: StepRow, workflow_id: string): StepView {
  const { payload, map_items, map_max_parallel, map_tolerated_failures, map_collect, ...step } =
    row;
  const { cost_gate_timeout_secs, cost_gate_default_action, event_timeout_secs, ...shown } = step;
  return {
    ...shown,
    workflow_id,
    ...(payload !== null && { payload }),
    ...(step.step_type === 'wait_for_event' && { event_timeout_secs }),
    ...(step.cost_gate_threshold_microusd > 0 && {
      cost_gate_timeout_secs,
      cost_gate_default_action,
    }),
    ...(step.step_type === 'map' && {
      map_items,
      map_max_parallel,
      map_tolerated_failures,
      map_collect,
    }),
  } as StepView;
}
