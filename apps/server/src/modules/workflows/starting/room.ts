// The limit on how many runs of a workflow are active at a time.
import type { FailureCode } from '../../../domain/failures.ts';
import type { Tx } from '../../../platform/db/database.ts';
import { Failure } from '../../../platform/failure.ts';
import * as store from './store.sql.ts';

/**
 * `limit` as read before; with one, runs of the workflow begin one after the other from here until the transaction ends.
 * @throws workflow_runs_limit_reached
 */
export async function requireRoom(
  tx: Tx,
  key: { readonly project_id: string; readonly workflow_id: string },
  limit: number,
): Promise<void> {
  if (limit <= 0) return;
  const limited = await store.lockLimited(tx, key);
  const { active } = await store.countRuns(tx, key);
  if (limited && limited.max_concurrent_runs > 0 && active >= limited.max_concurrent_runs)
    throw new Failure<FailureCode>('workflow_runs_limit_reached');
}
