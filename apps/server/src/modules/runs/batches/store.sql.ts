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
  readonly filter: unknown;
  readonly source: unknown;
  readonly until_at: string | null;
  readonly after_created_at: string | null;
  readonly after_id: string | null;
  readonly tries: number;
  readonly due_at: string;
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
  readonly filter: unknown;
  readonly source: unknown;
  readonly until_at: string | null;
  readonly after_created_at: string | null;
  readonly after_id: string | null;
  readonly tries: number;
  readonly due_at: string;
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

export interface OpenBackgroundParams {
  readonly project_id: string;
  readonly job_id: string | null;
  readonly kind: string;
  readonly looked_at: number;
  readonly done: number;
  readonly created_by: string;
  readonly filter_json: string;
  readonly source_json: string;
  readonly until: string | null;
  readonly after_created_at: string | null;
  readonly after_id: string | null;
}

export interface OpenBackgroundRow {
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
  readonly filter: unknown;
  readonly source: unknown;
  readonly until_at: string | null;
  readonly after_created_at: string | null;
  readonly after_id: string | null;
  readonly tries: number;
  readonly due_at: string;
}

const openBackgroundText = `insert into batch_operations (project_id, job_id, kind, item_count, created_count, created_by, filter, source, until_at, after_created_at, after_id)
values ($1, $2, $3, $4::int, $5::int, $6, $7::jsonb, $8::jsonb,
        coalesce($9::timestamptz, strait_now()), $10::timestamptz, $11)
returning *`;

export function openBackground(db: Queryable, params: OpenBackgroundParams): Promise<OpenBackgroundRow> {
  return one<OpenBackgroundRow>(db, {
    text: openBackgroundText,
    values: [
      params.project_id,
      params.job_id,
      params.kind,
      params.looked_at,
      params.done,
      params.created_by,
      params.filter_json,
      params.source_json,
      params.until,
      params.after_created_at,
      params.after_id,
    ],
  });
}

export interface LockBackgroundRow {
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
  readonly filter: unknown;
  readonly source: unknown;
  readonly until_at: string | null;
  readonly after_created_at: string | null;
  readonly after_id: string | null;
  readonly tries: number;
  readonly due_at: string;
}

const lockBackgroundText = `select b.* from batch_operations b
 where b.status = 'running' and b.filter is not null and b.due_at <= strait_now()
 order by b.due_at, b.id limit 1 for update skip locked`;

/**
 * across projects: a loop serves every project.
 * The operation that was worked on longest ago. Whoever holds the row works on its next chunk alone.
 */
export function lockBackground(db: Queryable): Promise<LockBackgroundRow | undefined> {
  return maybe<LockBackgroundRow>(db, {
    text: lockBackgroundText,
    values: [],
  });
}

export interface AdvanceBackgroundParams {
  readonly looked_at: number;
  readonly done: number;
  readonly after_created_at: string | null;
  readonly after_id: string | null;
  readonly ended: boolean;
  readonly batch_id: string;
  readonly project_id: string;
}

const advanceBackgroundText = `update batch_operations
   set item_count = item_count + $1::int, created_count = created_count + $2::int, tries = 0, due_at = strait_now(),
       after_created_at = coalesce($3::timestamptz, after_created_at), after_id = coalesce($4::text, after_id),
       status = case when $5::bool then 'completed' else status end, finished_at = case when $5::bool then strait_now() end
 where id = $6 and project_id = $7`;

/** In the transaction of the chunk. */
export function advanceBackground(db: Queryable, params: AdvanceBackgroundParams): Promise<number> {
  return count(db, {
    text: advanceBackgroundText,
    values: [
      params.looked_at,
      params.done,
      params.after_created_at,
      params.after_id,
      params.ended,
      params.batch_id,
      params.project_id,
    ],
  });
}

export interface PostponeBackgroundParams {
  readonly most: number;
  readonly batch_id: string;
  readonly project_id: string;
}

const postponeBackgroundText = `update batch_operations
   set tries = tries + 1, due_at = strait_now() + make_interval(secs => least(power(2, tries), 300)),
       status = case when tries + 1 >= $1::int then 'failed' else status end,
       finished_at = case when tries + 1 >= $1::int then strait_now() end
 where id = $2 and project_id = $3 and status = 'running'`;

/** After a chunk that failed: later each time, and given up in the end. */
export function postponeBackground(db: Queryable, params: PostponeBackgroundParams): Promise<number> {
  return count(db, {
    text: postponeBackgroundText,
    values: [
      params.most,
      params.batch_id,
      params.project_id,
    ],
  });
}
