// What follows the end of a run: pure decisions.

import { isTerminal } from '../queue/index.ts';

/** How many runs may have led to one. */
export const MAX_LINEAGE_DEPTH = 10;

export type ChainKind = 'completion' | 'failure';

const FAILED: ReadonlySet<string> = new Set([
  'failed',
  'timed_out',
  'crashed',
  'system_failed',
  'dead_letter',
]);

/** Canceled and expired runs start nothing. */
export function chainKind(status: string): ChainKind | undefined {
  if (status === 'completed') return 'completion';
  return FAILED.has(status) && isTerminal(status) ? 'failure' : undefined;
}

/** One chained run per end of a kind, whoever tries how often. */
export const chainKey = (run_id: string, kind: ChainKind): string => `chain:${run_id}:${kind}`;

export interface FailureFacts {
  readonly job_id: string;
  readonly run_id: string;
  readonly error: string | null;
  readonly error_class: string | null;
  readonly status: string;
  readonly attempt: number;
  readonly payload: unknown;
}

/** What the job that repairs is told. */
export const failurePayload = (of: FailureFacts) => ({
  source_job_id: of.job_id,
  source_run_id: of.run_id,
  error: of.error,
  error_class: of.error_class,
  status: of.status,
  attempt: of.attempt,
  original_input: of.payload ?? {},
});

/**
 * `{member: 'dotted.path'}` applied to what the run left; paths that lead nowhere are left out. What is no object, and a
 * mapping that is none, is passed on whole.
 */
export function mapPayload(source: unknown, mapping: unknown): unknown {
  if (!isObject(source) || !isMapping(mapping)) return source;
  return Object.fromEntries(
    Object.entries(mapping).flatMap(([member, path]) => {
      const found = follow(source, path.split('.'));
      return found === undefined ? [] : [[member, found]];
    }),
  );
}

function follow(value: unknown, path: readonly string[]): unknown {
  let at = value;
  for (const step of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, step)) return undefined;
    at = (at as Readonly<Record<string, unknown>>)[step];
  }
  return at;
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isMapping = (value: unknown): value is Readonly<Record<string, string>> =>
  isObject(value) &&
  Object.keys(value).length > 0 &&
  Object.values(value).every((path) => typeof path === 'string');
