// Many runs at once: a transaction for each, so that one that cannot be done undoes no other.
import { failures, type FailureCode } from '../../../domain/failures.ts';
import { Failure } from '../../../platform/failure.ts';
import type { ProjectScope } from '../../access/index.ts';
import type { AuditSource } from '../../audit/index.ts';
import type { RunOperations } from './operations.ts';
import type { RunRetries } from './retry-run.ts';

export interface BulkDeps {
  readonly operations: Pick<RunOperations, 'cancel'>;
  readonly retries: Pick<RunRetries, 'retry'>;
  readonly onError: (error: unknown, what: string) => void;
}

export type BulkOperations = ReturnType<typeof createBulkOperations>;

type One<T> = { readonly id: string } & ({ readonly done: T } | { readonly error: string });

export function createBulkOperations({ operations, retries, onError }: BulkDeps) {
  /** In the order of the ids, each once. Nobody hears of what comes after the end of the request, so nothing does. */
  async function each<T>(
    ids: readonly string[],
    signal: AbortSignal,
    act: (id: string) => Promise<T>,
  ): Promise<One<T>[]> {
    const results: One<T>[] = [];
    for (const id of new Set(ids)) {
      signal.throwIfAborted();
      try {
        results.push({ id, done: await act(id) });
      } catch (error) {
        results.push({ id, error: messageOf(error) });
      }
    }
    return results;
  }

  function messageOf(error: unknown): string {
    if (error instanceof Failure)
      return error.context.message ?? failures[error.code as FailureCode].message;
    // What was done before is to be known even so.
    onError(error, 'one of many workflow runs');
    return failures.internal.message;
  }

  return {
    async cancel(
      project: ProjectScope,
      by: AuditSource,
      ids: readonly string[],
      signal: AbortSignal,
    ) {
      const results = await each(ids, signal, (id) => operations.cancel(project, by, id));
      const canceled = results.filter((one) => 'done' in one).map(({ id }) => id);
      return {
        canceled: canceled.length,
        workflow_run_ids: canceled,
        skipped: results.filter((one) => 'error' in one).map(({ id }) => id),
      };
    },

    async replay(
      project: ProjectScope,
      by: AuditSource,
      ids: readonly string[],
      signal: AbortSignal,
    ) {
      const results = await each(ids, signal, (id) => retries.retry(project, by, id));
      return {
        results: results.map((one) =>
          'done' in one
            ? { original_run_id: one.id, new_run_id: one.done.id, status: 'replayed' as const }
            : { original_run_id: one.id, status: 'failed' as const, error: one.error },
        ),
        total: results.length,
        replayed: results.filter((one) => 'done' in one).length,
      };
    },
  };
}
