// Many jobs in one call, each judged for itself.
import type { FailureDetail } from '../../platform/failure.ts';
import { parseValue } from '../../platform/http/parse-input.ts';
import type { ProjectScope } from '../access/index.ts';
import type { AuditSource } from '../audit/index.ts';
import { createAll, type Creating, type NewJob } from './create-jobs.ts';
import type { Refusal } from './definition.ts';
import { CreateJobRequest } from './schemas.ts';
import { jobView, type JobView } from './view.ts';

/** The items as they came, and the path of the list in the body: `body.jobs` or `body`. */
export interface BatchRequest {
  readonly items: readonly Readonly<Record<string, unknown>>[];
  readonly at: string;
}

export interface BatchError {
  readonly index: number;
  readonly code: string;
  readonly message: string;
  readonly details: readonly FailureDetail[];
}

export interface BatchOutcome {
  readonly created: readonly JobView[];
  readonly errors: readonly BatchError[];
}

export async function createBatch(
  deps: Creating,
  project: ProjectScope,
  by: AuditSource,
  { items, at }: BatchRequest,
): Promise<BatchOutcome> {
  const errors: BatchError[] = [];
  const refuse = (index: number, { code, message, details }: Refusal) =>
    errors.push({ index, code, message, details });
  const readable: (NewJob & { readonly index: number })[] = [];
  for (const [index, item] of items.entries()) {
    const parsed = readItem(project, item, `${at}[${index}]`);
    if ('refusal' in parsed) refuse(index, parsed.refusal);
    else readable.push({ ...parsed, index });
  }
  const created: JobView[] = [];
  const outcomes = await createAll(deps, project, by, readable, {
    action: 'job.created',
    details: { batch: true },
  });
  for (const [position, outcome] of outcomes.entries()) {
    if ('row' in outcome) created.push(jobView(outcome.row));
    else refuse(readable[position]?.index ?? position, outcome.refusal);
  }
  return { created, errors: errors.sort((a, b) => a.index - b.index) };
}

function readItem(
  { project_id }: ProjectScope,
  item: Readonly<Record<string, unknown>>,
  at: string,
): NewJob | { readonly refusal: Refusal } {
  const parsed = parseValue(CreateJobRequest, item, at);
  if ('problems' in parsed) {
    const details = parsed.problems.slice(0, 20);
    const [first] = details;
    const message = `${first?.path ?? at}: ${first?.message ?? 'is not valid'}`;
    return { refusal: { code: 'invalid_request', message, details } };
  }
  if (parsed.data.project_id !== undefined && parsed.data.project_id !== project_id) {
    const message = 'is not the project of this call';
    const path = `${at}.project_id`;
    return {
      refusal: {
        code: 'project_mismatch',
        message: `${path}: ${message}`,
        details: [{ path, message }],
      },
    };
  }
  return { input: parsed.data, at };
}
