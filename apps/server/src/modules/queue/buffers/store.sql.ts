// Generated from store.sql by `npm run generate`. Do not edit.
import { count, many, maybe, one, type Queryable } from '../../../platform/db/query.ts';

export interface DebounceTriggerParams {
  readonly job_id: string;
  readonly project_id: string;
  readonly debounce_key: string;
  readonly payload_json: string;
  readonly tags: unknown;
  readonly metadata: unknown;
  readonly priority: number;
  readonly concurrency_key: string | null;
  readonly ttl_secs: number | null;
  readonly created_by: string | null;
  readonly window_secs: number;
  readonly most_windows: number;
}

export interface DebounceTriggerRow {
  readonly fire_at: string;
}

const debounceTriggerText = `insert into debounce_pending as d (job_id, project_id, debounce_key, payload, tags, metadata, priority, concurrency_key, ttl_secs,
       created_by, fire_at)
values ($1, $2, $3, $4::jsonb, $5::jsonb, $6::jsonb, $7, $8,
        $9, $10, strait_now() + make_interval(secs => $11::float8))
on conflict (job_id, debounce_key) do update
   set payload = excluded.payload, tags = excluded.tags, metadata = excluded.metadata, priority = excluded.priority,
       concurrency_key = excluded.concurrency_key, ttl_secs = excluded.ttl_secs, created_by = excluded.created_by,
       fire_at = least(excluded.fire_at, d.created_at + make_interval(secs => $11::float8 * $12::float8))
returning fire_at`;

/**
 * The latest trigger per (job, key) replaces the one before and moves its instant, at most :most_windows windows after the
 * first. Waits for whoever is firing the row, and begins a new one if that commits.
 */
export function debounceTrigger(db: Queryable, params: DebounceTriggerParams): Promise<DebounceTriggerRow> {
  return one<DebounceTriggerRow>(db, {
    text: debounceTriggerText,
    values: [
      params.job_id,
      params.project_id,
      params.debounce_key,
      params.payload_json,
      params.tags == null ? null : JSON.stringify(params.tags),
      params.metadata == null ? null : JSON.stringify(params.metadata),
      params.priority,
      params.concurrency_key,
      params.ttl_secs,
      params.created_by,
      params.window_secs,
      params.most_windows,
    ],
  });
}

export interface TakeDueTriggerRow {
  readonly job_id: string;
  readonly project_id: string;
  readonly payload: string;
  readonly tags: unknown;
  readonly metadata: unknown;
  readonly priority: number;
  readonly concurrency_key: string | null;
  readonly ttl_secs: number | null;
  readonly created_by: string | null;
}

const takeDueTriggerText = `delete from debounce_pending d
 where d.id = (select x.id from debounce_pending x join jobs j on j.id = x.job_id left join job_groups g on g.id = j.group_id
                where x.fire_at <= strait_now() and j.enabled and not j.paused and not coalesce(g.paused, false)
                  and not exists (select from project_quotas q where q.project_id = x.project_id and q.queue_paused)
                order by x.fire_at limit 1 for update of x skip locked)
   and d.fire_at <= strait_now()
returning job_id, project_id, payload::text as "payload", tags, metadata, priority, concurrency_key, ttl_secs, created_by`;

/**
 * across projects: the loop fires for every project.
 * The earliest due row, gone when the transaction that creates its run commits. A newer trigger for the same key waits for
 * that, so none is lost and none fires twice. Rows of jobs that may not run are left alone.
 */
export function takeDueTrigger(db: Queryable): Promise<TakeDueTriggerRow | undefined> {
  return maybe<TakeDueTriggerRow>(db, {
    text: takeDueTriggerText,
    values: [],
  });
}

export interface PutOffTriggersParams {
  readonly later_secs: number;
}

const putOffTriggersText = `update debounce_pending d set fire_at = strait_now() + make_interval(secs => $1::int)
  from jobs j left join job_groups g on g.id = j.group_id
 where d.fire_at <= strait_now() and j.id = d.job_id and (not j.enabled or j.paused or coalesce(g.paused, false)
        or exists (select from project_quotas q where q.project_id = d.project_id and q.queue_paused))`;

/**
 * across projects: the loop fires for every project.
 * What is due but whose job may not run is looked at again later, so that it does not stand in the way of others.
 */
export function putOffTriggers(db: Queryable, params: PutOffTriggersParams): Promise<number> {
  return count(db, {
    text: putOffTriggersText,
    values: [params.later_secs],
  });
}

export interface LockBatchParams {
  readonly job_id: string;
  readonly batch_key: string;
}

export interface LockBatchRow {
  readonly locked: boolean;
}

const lockBatchText = `select true as "locked" from pg_advisory_xact_lock(hashtextextended($1 || ' ' || $2, 40))`;

/** Those who fill or empty one batch do so one after the other. */
export function lockBatch(db: Queryable, params: LockBatchParams): Promise<LockBatchRow> {
  return one<LockBatchRow>(db, {
    text: lockBatchText,
    values: [
      params.job_id,
      params.batch_key,
    ],
  });
}

export interface AddToBatchParams {
  readonly job_id: string;
  readonly project_id: string;
  readonly batch_key: string;
  readonly payloads: readonly (string | null)[];
  readonly priorities: readonly (number | null)[];
  readonly extras: readonly unknown[];
  readonly enough: number;
}

export interface AddToBatchRow {
  readonly before: number;
}

const addToBatchText = `with added as (
  insert into batch_buffer (job_id, project_id, batch_key, payload, priority, tags, metadata, concurrency_key, ttl_secs, created_by)
  select $1, $2, $3, n.payload::jsonb, n.priority, n.extra -> 'tags', n.extra -> 'metadata',
         n.extra ->> 'concurrency_key', (n.extra ->> 'ttl_secs')::int, n.extra ->> 'created_by'
    from unnest($4::text[], $5::int[], $6::jsonb[]) with ordinality as n(payload, priority, extra, ord)
   order by n.ord
)
select count(*)::int as "before"
  from (select from batch_buffer where job_id = $1 and batch_key = $3 and project_id = $2 limit $7::int) x`;

/** Items in the order they came; answers how many were there before (at most :enough). */
export function addToBatch(db: Queryable, params: AddToBatchParams): Promise<AddToBatchRow> {
  return one<AddToBatchRow>(db, {
    text: addToBatchText,
    values: [
      params.job_id,
      params.project_id,
      params.batch_key,
      params.payloads,
      params.priorities,
      params.extras.map((item) => (item === null ? null : JSON.stringify(item))),
      params.enough,
    ],
  });
}

export interface TakeBatchParams {
  readonly job_id: string;
  readonly batch_key: string;
  readonly limit: number;
  readonly max_bytes: number;
}

export interface TakeBatchRow {
  readonly project_id: string;
  readonly payload: string;
  readonly items: number;
  readonly priority: number;
  readonly tags: unknown;
  readonly metadata: unknown;
  readonly concurrency_key: string | null;
  readonly ttl_secs: number | null;
  readonly created_by: string | null;
}

const takeBatchText = `with standing as materialized (
  select b.ctid as place, b.seq, b.payload,
         sum(octet_length(b.payload::text)) over (order by b.seq) - octet_length(b.payload::text) as bytes_before
    from (select ctid, seq, payload from batch_buffer where job_id = $1 and batch_key = $2
           order by seq limit $3::int) b
), gone as (
  delete from batch_buffer where ctid = any (array(select place from standing where bytes_before < $4::bigint))
  returning seq, project_id, payload, priority, tags, metadata, concurrency_key, ttl_secs, created_by
)
select f.project_id, a.payload as "payload", a.items as "items", a.priority as "priority", f.tags, f.metadata, f.concurrency_key,
       f.ttl_secs, f.created_by
  from (select jsonb_build_object('items', jsonb_agg(payload order by seq))::text as payload, count(*)::int as items,
               max(priority) as priority, min(seq) as first from gone) a
  join gone f on f.seq = a.first`;

/**
 * across projects: the loop serves every project; the batch is named by its job.
 * The oldest items in the order they came, at most :limit and about :max_bytes, as one payload. The first gives the run what
 * is not priority. The caller holds the batch.
 */
export function takeBatch(db: Queryable, params: TakeBatchParams): Promise<TakeBatchRow | undefined> {
  return maybe<TakeBatchRow>(db, {
    text: takeBatchText,
    values: [
      params.job_id,
      params.batch_key,
      params.limit,
      params.max_bytes,
    ],
  });
}

export interface ListDueBatchesParams {
  readonly limit: number;
}

export interface ListDueBatchesRow {
  readonly job_id: string;
  readonly project_id: string;
  readonly batch_key: string;
}

const listDueBatchesText = `select b.job_id, b.project_id, b.batch_key from batch_buffer b join jobs j on j.id = b.job_id
 where j.enabled
 group by b.job_id, b.project_id, b.batch_key, j.batch_window_secs, j.batch_max_size
having min(b.created_at) <= strait_now() - make_interval(secs => j.batch_window_secs)
    or (j.batch_max_size > 0 and count(*) >= j.batch_max_size)
 order by min(b.created_at) limit $1::int`;

/**
 * across projects: the loop serves every project.
 * Batches whose window is over or that are full, oldest first. A job without a window any more has no reason to wait.
 */
export function listDueBatches(db: Queryable, params: ListDueBatchesParams): Promise<ListDueBatchesRow[]> {
  return many<ListDueBatchesRow>(db, {
    text: listDueBatchesText,
    values: [params.limit],
  });
}

export interface IsBatchDueParams {
  readonly job_id: string;
  readonly batch_key: string;
}

export interface IsBatchDueRow {
  readonly due: boolean;
}

const isBatchDueText = `select exists (select from batch_buffer b join jobs j on j.id = b.job_id
                where b.job_id = $1 and b.batch_key = $2 and j.enabled
                group by j.batch_window_secs, j.batch_max_size
               having min(b.created_at) <= strait_now() - make_interval(secs => j.batch_window_secs)
                   or (j.batch_max_size > 0 and count(*) >= j.batch_max_size)) as "due"`;

/** across projects: asked for a batch that the caller holds. */
export function isBatchDue(db: Queryable, params: IsBatchDueParams): Promise<IsBatchDueRow> {
  return one<IsBatchDueRow>(db, {
    text: isBatchDueText,
    values: [
      params.job_id,
      params.batch_key,
    ],
  });
}
