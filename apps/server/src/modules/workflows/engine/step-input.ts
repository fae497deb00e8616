// The names people send for the fields of a step (workflow-semantics §2) made into the ones it is stored by.
import { STEP_TYPES, type JsonValue, type StepInput, type StepType } from './definition.ts';

export interface StepProblem {
  /** Within the step, e.g. `depends_on[1]`. */
  readonly field: string;
  readonly message: string;
}

/** What names a job or workflow by something other than its id. */
export interface StepReferences {
  readonly job: { readonly field: string; readonly slug: string } | null;
  readonly sub_workflow: { readonly field: string; readonly slug: string } | null;
}

type Raw = Readonly<Record<string, JsonValue>>;

const isText = (value: JsonValue | undefined): value is string =>
  typeof value === 'string' && value !== '';

/**
 * A step as it was sent (the types of its members are checked), with canonical names and its type. Alias and
 * canonical name together are a problem unless they say the same.
 */
export function canonicalStep(
  raw: Raw,
): { readonly step: StepInput; readonly references: StepReferences } | StepProblem {
  const fields: Record<string, JsonValue> = { ...raw };
  const typed = move(fields, 'type', 'step_type');
  if (typed) return typed;
  // An empty type is an absent one (§5 says the same of policies).
  if (!isText(fields['step_type'])) fields['step_type'] = inferType(fields);
  const step_type = fields['step_type'];

  const timeout = timeoutField(step_type);
  const aliases: readonly (readonly [string, string])[] = [
    ['approvers', 'approval_approvers'],
    ...(timeout === undefined ? [] : ([['timeout_secs', timeout]] as const)),
    // On a map, too, this names what the children are.
    ['workflow_id', 'sub_workflow_id'],
  ];
  for (const [alias, canonical] of aliases) {
    const problem = move(fields, alias, canonical);
    if (problem) return problem;
  }
  if (Object.hasOwn(fields, 'timeout_secs'))
    return { field: 'timeout_secs', message: `a step of type ${step_type} has no timeout` };
  const problem = readDuration(fields);
  if (problem) return problem;

  const job = takeSlug(fields, ['job_slug', 'job_ref']);
  if (job && 'message' in job) return job;
  const sub_workflow = takeSlug(fields, ['sub_workflow_slug']);
  if (sub_workflow && 'message' in sub_workflow) return sub_workflow;
  for (const [reference, id] of [
    [job, 'job_id'],
    [sub_workflow, 'sub_workflow_id'],
  ] as const)
    if (reference && isText(fields[id]))
      return { field: reference.field, message: `must not be given together with ${id}` };
  return { step: fields as StepInput, references: { job, sub_workflow } };
}

function inferType(fields: Raw): StepType {
  // First: a map names a job or workflow, too.
  if (fields['map_items'] != null) return 'map';
  if (isText(fields['job_id'])) return 'job';
  if (isText(fields['sub_workflow_id']) || isText(fields['workflow_id'])) return 'sub_workflow';
  if (isText(fields['sub_workflow_slug'])) return 'sub_workflow';
  if (isText(fields['event_key'])) return 'wait_for_event';
  if (fields['sleep_duration_secs'] || isText(fields['sleep_duration'])) return 'sleep';
  const approvers = fields['approval_approvers'] ?? fields['approvers'];
  if (fields['approval_timeout_secs'] || (Array.isArray(approvers) && approvers.length > 0))
    return 'approval';
  return 'job';
}

function timeoutField(step_type: JsonValue): string | undefined {
  switch (step_type) {
    case 'approval':
      return 'approval_timeout_secs';
    case 'wait_for_event':
      return 'event_timeout_secs';
    case 'job':
    case 'sub_workflow':
    case 'map':
      return 'timeout_secs_override';
    default:
      return undefined;
  }
}

function move(
  fields: Record<string, JsonValue>,
  alias: string,
  canonical: string,
): StepProblem | undefined {
  const value = fields[alias];
  if (value === undefined) return undefined;
  const other = fields[canonical];
  if (other !== undefined && JSON.stringify(other) !== JSON.stringify(value))
    return { field: alias, message: `says something else than ${canonical}` };
  fields[canonical] = value;
  delete fields[alias];
  return undefined;
}

const UNITS: Readonly<Record<string, number>> = { h: 3600, m: 60, s: 1, ms: 0.001 };
const DURATION = /^(?:\d+(?:\.\d+)?(?:h|ms|m|s))+$/;

/** `"1h30m"` in milliseconds; undefined for anything else. */
export function durationMs(text: string): number | undefined {
  if (!DURATION.test(text)) return undefined;
  let ms = 0;
  for (const [, amount = '', unit = ''] of text.matchAll(/(\d+(?:\.\d+)?)(h|ms|m|s)/g))
    ms += Math.round(Number(amount) * (UNITS[unit] ?? 0) * 1000);
  return ms;
}

/** The same in seconds, rounded up. */
export function durationSecs(text: string): number | undefined {
  const ms = durationMs(text);
  return ms === undefined ? undefined : Math.ceil(ms / 1000);
}

function readDuration(fields: Record<string, JsonValue>): StepProblem | undefined {
  const text = fields['sleep_duration'];
  if (text === undefined) return undefined;
  const secs = typeof text === 'string' ? durationSecs(text) : undefined;
  if (secs === undefined)
    return { field: 'sleep_duration', message: 'must be a duration such as "30s" or "1h30m"' };
  fields['sleep_duration'] = secs;
  return move(fields, 'sleep_duration', 'sleep_duration_secs');
}

function takeSlug(
  fields: Record<string, JsonValue>,
  names: readonly string[],
): { readonly field: string; readonly slug: string } | StepProblem | null {
  let taken: { readonly field: string; readonly slug: string } | null = null;
  for (const field of names) {
    const slug = fields[field];
    delete fields[field];
    if (!isText(slug)) continue;
    if (taken && taken.slug !== slug)
      return { field, message: `says something else than ${taken.field}` };
    taken ??= { field, slug };
  }
  return taken;
}

export const isStepType = (value: string): value is StepType =>
  (STEP_TYPES as readonly string[]).includes(value);
