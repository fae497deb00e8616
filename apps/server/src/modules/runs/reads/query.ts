// What a caller of the run list may ask for, from query text to values.

import { z } from 'zod';
import { refuseUnstorable } from '../../../platform/http/json-body.ts';
import { Failure } from '../../../platform/failure.ts';
import { pageQuery } from '../../../platform/http/pagination.ts';
import { runStates, type RunStatus } from '../../queue/index.ts';
import { TriggeredBy } from '../views.ts';

const time = z.iso.datetime({ offset: true }).optional();
const text = z.string().max(1024).optional();

/** Comma-separated states; undefined = all. */
const statuses = z
  .string()
  .transform((list, context): readonly RunStatus[] => {
    const found = list.split(',').map((name) => name.trim());
    const unknown = found.find((name) => !runStates.isState(name));
    if (unknown === undefined) return [...new Set(found)] as RunStatus[];
    context.addIssue({
      code: 'custom',
      message: `'${unknown.slice(0, 50)}' is not a state of a run`,
    });
    return z.NEVER;
  })
  .optional()
  .meta({ description: 'One state or several, separated by commas' });

const jsonText = (accepts: (value: unknown) => boolean, what: string) =>
  z
    .string()
    .transform((source, context): unknown => {
      try {
        const value: unknown = JSON.parse(source);
        refuseUnstorable(value, 'query');
        if (accepts(value)) return value;
      } catch (error) {
        if (!(error instanceof SyntaxError) && !(error instanceof Failure)) throw error;
      }
      context.addIssue({ code: 'custom', message: `is not ${what}` });
      return z.NEVER;
    })
    .optional();

const isStringMap = (value: unknown): boolean =>
  typeof value === 'object' &&
  value !== null &&
  !Array.isArray(value) &&
  Object.values(value).every((member) => typeof member === 'string');

const stringMap = jsonText(isStringMap, 'a JSON object of strings').meta({
  description: 'All of these must be there, as JSON: `{"env":"prod"}`',
});

export const runFilters = {
  status: statuses,
  job_id: text.meta({ description: 'Id or slug' }),
  tag_key: text,
  tag_value: text,
  tags: stringMap,
  metadata_key: text,
  metadata_value: text,
  metadata: stringMap,
  triggered_by: TriggeredBy.optional(),
  error_class: text,
  batch_id: text,
  parent_run_id: text,
  execution_mode: text,
  payload_contains: jsonText(() => true, 'JSON').meta({ description: 'JSON the payload contains' }),
  from: time.meta({ description: 'Created at or after' }),
  to: time.meta({ description: 'Created before' }),
};

export const RunListQuery = z.object({
  ...pageQuery,
  project_id: z.string().optional(),
  ...runFilters,
});
export type RunListQuery = z.output<typeof RunListQuery>;

/** A key with a value is a containment; a key alone asks whether it is there. */
export function containments(
  map: unknown,
  key: string | undefined,
  value: string | undefined,
): { contains: Readonly<Record<string, string>> | null; key: string | null } {
  const given = (map ?? {}) as Record<string, string>;
  const pair = key !== undefined && value !== undefined ? Object.fromEntries([[key, value]]) : {};
  const contains = { ...given, ...pair };
  return {
    contains: Object.keys(contains).length > 0 ? contains : null,
    key: key !== undefined && value === undefined ? key : null,
  };
}
