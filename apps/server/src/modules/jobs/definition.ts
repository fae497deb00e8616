// From a request to a job that may be saved: normalised, judged as a whole, its URLs looked up.
import { Failure, type FailureDetail } from '../../platform/failure.ts';
import type { FailureCode } from '../../domain/failures.ts';
import { urlProblems, type EndpointCheck } from './endpoint-check.ts';
import { requestProblems, settingsProblems, type Problem, type ProblemCode } from './rules.ts';
import type { SchemaChecks } from './schema-check.ts';
import {
  changesOf,
  type JobSettings,
  type OptionalSettings,
  type SettingChanges,
} from './settings.ts';

export interface Judges {
  readonly endpoints: EndpointCheck;
  readonly schemas: SchemaChecks;
  /** What jobs get that do not say. */
  readonly defaults: OptionalSettings;
}

export type RequestFields = Readonly<Record<string, unknown>>;

export interface Refusal {
  readonly code: Extract<
    FailureCode,
    ProblemCode | 'job_slug_taken' | 'job_limit_reached' | 'project_mismatch' | 'invalid_request'
  >;
  readonly message: string;
  readonly details: readonly FailureDetail[];
}

/** A new job out of a request, or why it cannot be. Paths of details start with `at`. */
export async function newDefinition(
  judges: Judges,
  input: RequestFields,
  at = 'body',
): Promise<{ readonly settings: JobSettings } | { readonly refusal: Refusal }> {
  const settings = { ...judges.defaults, ...changesOf(input, judges.defaults) } as JobSettings;
  const problems = [
    ...requestProblems(input),
    ...settingsProblems(settings),
    ...schemaProblems(judges.schemas, settings),
    ...(await urlProblems(judges.endpoints, settings)),
  ];
  const refusal = refusalOf(problems, at);
  return refusal ? { refusal } : { settings };
}

/** The slow half of judging an update, before its transaction: what is new is looked at by itself. */
export async function changedParts(
  judges: Judges,
  input: RequestFields,
): Promise<Refusal | undefined> {
  const changes = changesOf(input, judges.defaults);
  return refusalOf([
    ...requestProblems(input),
    ...schemaProblems(judges.schemas, changes),
    ...(await urlProblems(judges.endpoints, changes)),
  ]);
}

/** The other half: the job as it will be. */
export function updatedDefinition(
  { defaults }: Judges,
  current: JobSettings,
  input: RequestFields,
): { readonly changes: SettingChanges } | { readonly refusal: Refusal } {
  const changes = changesOf(input, defaults, current);
  const refusal = refusalOf(settingsProblems({ ...current, ...changes }));
  return refusal ? { refusal } : { changes };
}

function schemaProblems(schemas: SchemaChecks, settings: SettingChanges): Problem[] {
  return (['payload_schema', 'result_schema'] as const).flatMap((field): Problem[] => {
    const schema = settings[field];
    if (schema === undefined || schema === null) return [];
    const message = schemas.schemaProblem(schema);
    return message === undefined ? [] : [{ code: 'invalid_schema', field, message }];
  });
}

/** All problems under the code of the first. */
export function refusalOf(problems: readonly Problem[], at = 'body'): Refusal | undefined {
  const [first] = problems;
  if (!first) return undefined;
  const details = problems.map(({ field, message }) => ({ path: `${at}.${field}`, message }));
  const more = problems.length > 1 ? ` (and ${problems.length - 1} more)` : '';
  return { code: first.code, message: `${at}.${first.field}: ${first.message}${more}`, details };
}

export function failureOf({ code, message, details }: Refusal): Failure<FailureCode> {
  return new Failure<FailureCode>(code, { message, details });
}
