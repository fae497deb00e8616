// Whether the world outside the run lets something start: asked of the store, once per step and progression.
import type { Target } from './changes.ts';
import type { StepDefinition } from './definition.ts';
import type { Draft } from './draft.ts';
import { stepAt } from './draft.ts';
import type { Admission, AdmissionRequest } from './facts.ts';

export type Grant = Extract<Admission, { kind: 'granted' }>;
export type Full = Extract<Admission, { kind: 'full' }>;

/** Undefined when nobody asked yet. Once a quota is full it is full for every step that comes after. */
export function askFor(
  draft: Draft,
  index: number,
  request: AdmissionRequest,
): Admission | undefined {
  const { step_ref } = stepAt(draft, index);
  const quota = quotaOf(request);
  const before = draft.fullQuotas.get(quota);
  if (before) return before;
  const admission = draft.known.admissions.get(step_ref);
  if (!admission) {
    draft.needs.admissions.set(step_ref, request);
    return undefined;
  }
  const full = fullOf(admission);
  if (!full) return admission;
  draft.fullQuotas.set(quota, full);
  return full;
}

function fullOf(admission: Admission): Full | null {
  if (admission.kind === 'full') return admission;
  const hasNoRoom = admission.kind === 'granted' && admission.room === 0;
  return hasNoRoom ? { kind: 'full', explanation: 'there is no room' } : null;
}

/** What is known to be full for the work of a step, so that nothing about the step has to be loaded. */
export function fullFor(draft: Draft, step: StepDefinition): Full | undefined {
  if (step.step_type !== 'job' && step.step_type !== 'sub_workflow') return undefined;
  const target = targetOf(draft, step);
  return 'error' in target ? undefined : draft.fullQuotas.get(quotaOf(requestFor(target, 1)));
}

/** Jobs share the quota of queued runs of their project; runs of a workflow have the limit of that workflow. */
const quotaOf = (request: AdmissionRequest): string =>
  request.kind === 'sub_workflow' ? `workflow:${request.workflow_id}` : request.kind;

export const requestFor = (target: Target, count: number): AdmissionRequest =>
  target.kind === 'job'
    ? { kind: 'job', job_id: target.job_id, count }
    : { kind: 'sub_workflow', workflow_id: target.workflow_id, count };

/** The job or workflow a step starts, or why it may not. */
export function targetOf(draft: Draft, step: StepDefinition): Target | { readonly error: string } {
  if (step.sub_workflow_id === '') return { kind: 'job', job_id: step.job_id };
  const { depth } = draft.known.run;
  if (depth >= (step.max_nesting_depth || draft.known.limits.max_nesting_depth))
    return { error: 'max nesting depth exceeded' };
  return { kind: 'sub_workflow', workflow_id: step.sub_workflow_id, depth: depth + 1 };
}
