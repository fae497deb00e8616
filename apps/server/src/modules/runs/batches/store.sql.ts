// Generated from store.sql by `npm run generate`. Do not edit.
import { count, many, maybe, one, type Queryable } from '../../../platform/db/query.ts';

export interface InsertBatchParams {
  readonly project_id: string;
  readonly job_id: string;
  readonly item_count: number;
  readonly created_by: string;
}

export interface InsertBatchRow {
  readonly id: string;
}

const insertBatchText = `insert into batch_operations (project_id, job_id, item_count, created_by)
values ($1, $2, $3, $4)
returning id`;

export function insertBatch(db: Queryable, params: InsertBatchParams): Promise<InsertBatchRow> {
  return one<InsertBatchRow>(db, {
    text: insertBatchText,
    values: [
      params.project_id,
      params.job_id,
      params.item_count,
      params.created_by,
    ],
  });
}

export interface CloseBatchParams {
  readonly created_count: number;
  readonly batch_id: string;
  readonly project_id: string;
}

const closeBatchText = `update batch_operations
   set status = 'completed', created_count = $1, finished_at = strait_now()
 where id = $2 and project_id = $3`;

export function closeBatch(db: Queryable, params: CloseBatchParams): Promise<number> {
  return count(db, {
    text: closeBatchText,
    values: [
      params.created_count,
      params.batch_id,
      params.project_id,
    ],
  });
}

export interface RemoveOldBatchesParams {
  readonly retention_secs: number;
  readonly limit: number;
}

const removeOldBatchesText = `delete from batch_operations
 where id = any (array(
   select b.id from batch_operations b
    where coalesce(b.finished_at, b.created_at) < strait_now() - make_interval(secs => $1::float8)
      and not exists (select from job_runs r where r.batch_id = b.id)
    order by coalesce(b.finished_at, b.created_at) limit $2::int))`;

/**
 * across projects: retention.
 * One that was never closed lost its process and counts from its beginning. While a run of it is kept, so is it.
 */
export function removeOldBatches(db: Queryable, params: RemoveOldBatchesParams): Promise<number> {
  return count(db, {
    text: removeOldBatchesText,
    values: [
      params.retention_secs,
      params.limit,
    ],
  });
}

export interface FindBatchParams {
  readonly batch_id: string;
  readonly project_id: string;
}

export interface FindBatchRow {
  readonly id: string;
  readonly project_id: string;
  readonly job_id: string | null;
  readonly kind: string;
  readonly status: string;
  readonly item_count: number;
  readonly created_count: number;
  readonly results: unknown;
  readonly created_by: string;
  readonly created_at: string;
  readonly finished_at: string | null;
}

const findBatchText = `select b.* from batch_operations b where b.id = $1 and b.project_id = $2`;

export function findBatch(db: Queryable, params: FindBatchParams): Promise<FindBatchRow | undefined> {
  return maybe<FindBatchRow>(db, {
    text: findBatchText,
    values: [
      params.batch_id,
      params.project_id,
    ],
  });
}

export interface ListBatchesParams {
  readonly project_id: string;
  readonly before_created_at: string | null;
  readonly before_id: string | null;
  readonly limit: number;
}

export interface ListBatchesRow {
  readonly id: string;
  readonly project_id: string;
  readonly job_id: string | null;
  readonly kind: string;
  readonly status: string;
  readonly item_count: number;
  readonly created_count: number;
  readonly results: unknown;
  readonly created_by: string;
  readonly created_at: string;
  readonly finished_at: string | null;
}

const listBatchesText = `select b.* from batch_operations b
 where b.project_id = $1
   and ($2::timestamptz is null or (b.created_at, b.id) < ($2, $3::text))
 order by b.created_at desc, b.id desc
 limit $4::int`;

export function listBatches(db: Queryable, params: ListBatchesParams): Promise<ListBatchesRow[]> {
  return many<ListBatchesRow>(db, {
    text: listBatchesText,
    values: [
      params.project_id,
      params.before_created_at,
      params.before_id,
      params.limit,
    ],
  });
}
