// Generated from store.sql by `npm run generate`. Do not edit.
import { maybe, type Queryable } from '../../../platform/db/query.ts';

export interface FindKeyHolderParams {
  readonly project_id: string;
  readonly job_id: string;
  readonly idempotency_key: string;
}

export interface FindKeyHolderRow {
  readonly id: string;
  readonly status: string;
  readonly payload_hash: string | null;
}

const findKeyHolderText = `select i.run_id as id, r.status, i.payload_hash
  from job_run_idempotency i
  join job_runs r on r.id = i.run_id and r.created_at = strait_id_time(i.run_id) and r.project_id = $1
 where i.job_id = $2 and i.idempotency_key = $3
   and (i.expires_at is null or i.expires_at > strait_now())`;

/** The run that holds an idempotency key of a job. */
export function findKeyHolder(db: Queryable, params: FindKeyHolderParams): Promise<FindKeyHolderRow | undefined> {
  return maybe<FindKeyHolderRow>(db, {
    text: findKeyHolderText,
    values: [
      params.project_id,
      params.job_id,
      params.idempotency_key,
    ],
  });
}
