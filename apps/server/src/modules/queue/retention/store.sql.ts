// Generated from store.sql by `npm run generate`. Do not edit.
import { count, many, one, type Queryable } from '../../../platform/db/query.ts';

export interface PurgeIdempotencyKeysParams {
  readonly limit: number;
}

const purgeIdempotencyKeysText = `delete from job_run_idempotency where ctid = any (array(
  select ctid from job_run_idempotency where expires_at <= strait_now() limit $1::int for update skip locked))`;

/** across projects: retention. */
export function purgeIdempotencyKeys(db: Queryable, params: PurgeIdempotencyKeysParams): Promise<number> {
  return count(db, {
    text: purgeIdempotencyKeysText,
    values: [params.limit],
  });
}

export interface EnsurePartitionsParams {
  readonly months_ahead: number;
}

export interface EnsurePartitionsRow {
  readonly partition: string | null;
}

const ensurePartitionsText = `select strait_ensure_run_partitions($1::int) as partition`;

/** across projects: storage. */
export function ensurePartitions(db: Queryable, params: EnsurePartitionsParams): Promise<EnsurePartitionsRow[]> {
  return many<EnsurePartitionsRow>(db, {
    text: ensurePartitionsText,
    values: [params.months_ahead],
  });
}

export interface ListPartitionsParams {
  readonly retention_secs: number;
}

export interface ListPartitionsRow {
  readonly leaf: string;
  readonly lower_bound: string;
  readonly upper_bound: string;
  readonly old: boolean;
  readonly begun: boolean;
}

const listPartitionsText = `select leaf as "leaf", lower_bound as "lower_bound", upper_bound as "upper_bound",
       upper_bound < strait_now() - make_interval(secs => $1::float8) as "old",
       lower_bound < strait_now() - make_interval(secs => $1::float8) as "begun"
  from strait_run_partitions()`;

/** across projects: storage. */
export function listPartitions(db: Queryable, params: ListPartitionsParams): Promise<ListPartitionsRow[]> {
  return many<ListPartitionsRow>(db, {
    text: listPartitionsText,
    values: [params.retention_secs],
  });
}

export interface PurgePartitionParams {
  readonly leaf: string;
  readonly max_rows: number;
}

export interface PurgePartitionRow {
  readonly changed: number;
}

const purgePartitionText = `select strait_purge_run_partition($1, $2::int)::int as "changed"`;

/** across projects: retention drops whole months. */
export function purgePartition(db: Queryable, params: PurgePartitionParams): Promise<PurgePartitionRow> {
  return one<PurgePartitionRow>(db, {
    text: purgePartitionText,
    values: [
      params.leaf,
      params.max_rows,
    ],
  });
}

export interface RetirePartitionParams {
  readonly leaf: string;
}

const retirePartitionText = `select strait_retire_run_partition($1)`;

/** across projects: retention drops whole months. */
export function retirePartition(db: Queryable, params: RetirePartitionParams): Promise<number> {
  return count(db, {
    text: retirePartitionText,
    values: [params.leaf],
  });
}

export interface RemoveOldRunsParams {
  readonly lower_bound: string;
  readonly upper_bound: string;
  readonly after_id: string;
  readonly limit: number;
  readonly short_secs: number;
  readonly long_secs: number;
  readonly dead_letter_secs: number;
}

export interface RemoveOldRunsRow {
  readonly last_id: string | null;
  readonly removed: number;
}

const removeOldRunsText = `with page as materialized (
  select id, status, finished_at from job_runs
   where created_at >= $1::timestamptz and created_at < $2::timestamptz and id > $3::text
   order by id limit $4::int
), old as materialized (
  select r.id, r.created_at, r.job_id, r.idempotency_key from job_runs r
   where r.id = any (array(
         select id from page
          where finished_at < strait_now() - make_interval(secs => case
                  when status in ('completed', 'failed', 'canceled', 'expired') then $5::float8
                  when status in ('timed_out', 'crashed', 'system_failed') then $6::float8
                  when status = 'dead_letter' then $7::float8 end)))
     and r.created_at >= $1::timestamptz and r.created_at < $2::timestamptz
     and (r.status = any ('{completed,failed,canceled,expired,timed_out,crashed,system_failed,dead_letter}')) is true
     for update skip locked
), told as (delete from run_events where run_id = any (array(select id from old))),
freed as (
  delete from job_run_idempotency i using old
   where i.job_id = old.job_id and i.idempotency_key = old.idempotency_key and i.run_id = old.id
), cut as (
  update job_runs c set continuation_of = null
   where c.continuation_of = any (array(select id from old)) and c.id <> all (array(select id from old))
), gone as (
  delete from job_runs r using old where r.id = old.id and r.created_at = old.created_at returning r.id
)
select (select max(id) from page) as "last_id", (select count(*) from gone)::int as "removed"`;

/**
 * across projects: retention.
 * One page of a leaf in the order of ids. What ended longer ago than its state is kept for goes: events first (their
 * foreign key has no cascade on purpose), links of runs that continue one of them are cut, other details cascade. `last_id`
 * is where the next page begins; null at the end of the leaf.
 */
export function removeOldRuns(db: Queryable, params: RemoveOldRunsParams): Promise<RemoveOldRunsRow> {
  return one<RemoveOldRunsRow>(db, {
    text: removeOldRunsText,
    values: [
      params.lower_bound,
      params.upper_bound,
      params.after_id,
      params.limit,
      params.short_secs,
      params.long_secs,
      params.dead_letter_secs,
    ],
    name: 'queue_retention_removeOldRuns_3f9d4e34',
  });
}

export interface DropDeadLettersParams {
  readonly per_project: number;
  readonly per_job: number;
  readonly limit: number;
}

const dropDeadLettersText = `with ranked as (
  select x.id, x.created_at, x.of_project, x.of_job
    from projects p cross join lateral (
         select r.id, r.created_at,
                row_number() over (order by r.created_at desc, r.id desc) as of_project,
                row_number() over (partition by r.job_id order by r.created_at desc, r.id desc) as of_job
           from job_runs r where r.project_id = p.id and r.status = 'dead_letter') x
), old as materialized (
  select r.id, r.created_at, r.job_id, r.idempotency_key from job_runs r
   where (r.id, r.created_at) in (
         select id, created_at from ranked
          where ($1::int > 0 and of_project > $1::int) or ($2::int > 0 and of_job > $2::int)
          order by created_at limit $3::int)
     and (r.status = 'dead_letter') is true
     for update skip locked
), told as (delete from run_events where run_id = any (array(select id from old))),
freed as (
  delete from job_run_idempotency i using old
   where i.job_id = old.job_id and i.idempotency_key = old.idempotency_key and i.run_id = old.id
), cut as (
  update job_runs c set continuation_of = null
   where c.continuation_of = any (array(select id from old)) and c.id <> all (array(select id from old))
)
delete from job_runs r using old where r.id = old.id and r.created_at = old.created_at`;

/**
 * across projects: the caps are settings of the server.
 * The oldest dead letters beyond the caps, with what hangs off them.
 */
export function dropDeadLetters(db: Queryable, params: DropDeadLettersParams): Promise<number> {
  return count(db, {
    text: dropDeadLettersText,
    values: [
      params.per_project,
      params.per_job,
      params.limit,
    ],
  });
}

export interface RejectDeadLettersParams {
  readonly per_project: number;
  readonly per_job: number;
  readonly limit: number;
}

export interface RejectDeadLettersRow {
  readonly id: string;
  readonly told: number;
}

const rejectDeadLettersText = `with ranked as (
  select x.id, x.created_at, x.of_project, x.of_job
    from projects p cross join lateral (
         select r.id, r.created_at,
                row_number() over (order by r.created_at, r.id) as of_project,
                row_number() over (partition by r.job_id order by r.created_at, r.id) as of_job
           from job_runs r where r.project_id = p.id and r.status = 'dead_letter') x
), done as (
  update job_runs r set status = 'system_failed', error_class = 'dlq_overflow'
   where (r.id, r.created_at) in (
         select id, created_at from ranked
          where ($1::int > 0 and of_project > $1::int) or ($2::int > 0 and of_job > $2::int)
          order by created_at limit $3::int)
     and (r.status = 'dead_letter') is true
  returning r.id, r.attempt
), told as (
  insert into run_events (run_id, type, level, message, data)
  select id, 'state_change', 'error', 'the dead letter queue is full',
         jsonb_build_object('from', 'dead_letter', 'to', 'system_failed', 'attempt', attempt, 'error_class', 'dlq_overflow')
    from done
), live as materialized (select pg_notify('run_live', '') where exists (select from done))
select id, (select count(*) from live)::int as "told" from done`;

/**
 * across projects: the caps are settings of the server.
 * The newest dead letters beyond the caps become system_failed: those before them keep their place.
 */
export function rejectDeadLetters(db: Queryable, params: RejectDeadLettersParams): Promise<RejectDeadLettersRow[]> {
  return many<RejectDeadLettersRow>(db, {
    text: rejectDeadLettersText,
    values: [
      params.per_project,
      params.per_job,
      params.limit,
    ],
  });
}
