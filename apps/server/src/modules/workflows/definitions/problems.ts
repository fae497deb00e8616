// Why a definition is refused, and how a refusal names the field.
import type { FailureCode } from '../../../domain/failures.ts';
import { Failure } from '../../../platform/failure.ts';

export interface Problem {
  readonly code: Extract<FailureCode, 'invalid_workflow' | 'invalid_url'>;
  /** Field of the request, e.g. `cron` or `steps[1].job_id`. */
  readonly field: string;
  readonly message: string;
}

export const invalid = (field: string, message: string): Problem => ({
  code: 'invalid_workflow',
  field,
  message,
});

/** Under the code of the first. */
export function failureOf(first: Problem, ...others: readonly Problem[]): Failure<FailureCode> {
  const problems = [first, ...others];
  const details = problems.map(({ field, message }) => ({ path: `body.${field}`, message }));
  const more = others.length > 0 ? ` (and ${others.length} more)` : '';
  const message = `body.${first.field}: ${first.message}${more}`;
  return new Failure<FailureCode>(first.code, { message, details });
}

/** @throws Failure when there are any. */
export function refuseFor([first, ...others]: readonly Problem[]): void {
  if (first) throw failureOf(first, ...others);
}

export function slugTaken(slug: string): Failure<FailureCode> {
  const message = 'another workflow of the project has this slug';
  return new Failure<FailureCode>('workflow_slug_taken', {
    message: `${message}: ${slug}`,
    details: [{ path: 'body.slug', message }],
  });
}
