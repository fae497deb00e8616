// Whether the jobs and workflows that steps name exist in the project, and whether the project allows the whole.
import type { FailureCode } from '../../../domain/failures.ts';
import type { Tx } from '../../../platform/db/database.ts';
import { Failure } from '../../../platform/failure.ts';
import type { ProjectScope } from '../../access/index.ts';
import type { StepDefinition } from '../engine/definition.ts';
import { policyViolation } from '../engine/policies.ts';
import { failureOf, invalid } from './problems.ts';
import type { JudgedSteps, Reference } from './steps.ts';
import * as store from './store.sql.ts';

/**
 * The steps with ids for slugs. The jobs they name cannot be deleted before the transaction ends.
 * @throws invalid_workflow, workflow_policy_violated
 */
export async function acceptSteps(
  tx: Tx,
  project: ProjectScope,
  judged: JudgedSteps,
): Promise<readonly StepDefinition[]> {
  const steps = await resolve(tx, project, judged);
  const policy = await store.findPolicy(tx, project);
  const violation = policy && policyViolation(steps, policy);
  if (!violation) return steps;
  const { rule, step_ref, message } = violation;
  const at = steps.findIndex((step) => step.step_ref === step_ref);
  throw new Failure<FailureCode>('workflow_policy_violated', {
    message: `${message} (${rule})`,
    details: [{ path: `body.steps[${at}]`, message: `${message} (${rule})` }],
  });
}

interface Named {
  readonly id: string;
  readonly slug: string;
}

async function resolve(
  tx: Tx,
  project: ProjectScope,
  { steps, references }: JudgedSteps,
): Promise<readonly StepDefinition[]> {
  const isWorkflow = ({ column }: Reference) => column === 'sub_workflow_id';
  const jobs = await lookUp(
    references.filter((reference) => !isWorkflow(reference)),
    (keys) => store.findStepJobs(tx, { ...project, ...keys }),
  );
  const workflows = await lookUp(references.filter(isWorkflow), (keys) =>
    store.findSubWorkflows(tx, { ...project, ...keys }),
  );
  const resolved: StepDefinition[] = [...steps];
  for (const reference of references) {
    const { step, column, field } = reference;
    const definition = resolved[step];
    const id = (isWorkflow(reference) ? workflows : jobs)(reference);
    if (!definition) continue;
    if (id === undefined) {
      const what = isWorkflow(reference) ? 'workflow' : 'job';
      const message = `step ${definition.step_ref}: ${field} names no ${what} of the project`;
      throw failureOf(invalid(`steps[${step}].${field}`, message));
    }
    resolved[step] = { ...definition, [column]: id };
  }
  return resolved;
}

async function lookUp(
  references: readonly Reference[],
  find: (keys: { ids: string[]; slugs: string[] }) => Promise<readonly Named[]>,
): Promise<(reference: Reference) => string | undefined> {
  const valuesBy = (by: Reference['by']) => [
    ...new Set(references.filter((one) => one.by === by).map(({ value }) => value)),
  ];
  const keys = { ids: valuesBy('id'), slugs: valuesBy('slug') };
  const found = references.length === 0 ? [] : await find(keys);
  const ids = new Set(found.map(({ id }) => id));
  const bySlug = new Map(found.map(({ id, slug }) => [slug, id]));
  return ({ by, value }) =>
    by === 'slug' ? bySlug.get(value) : ids.has(value) ? value : undefined;
}
