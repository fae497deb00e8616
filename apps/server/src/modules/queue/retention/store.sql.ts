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
  readonly past: boolean;
  readonly begun: boolean;
}

const listPartitionsText = `select leaf as "leaf", lower_bound as "lower_bound", upper_bound as "upper_bound",
       upper_bound < strait_now() - make_interval(secs => $1::float8) as "past",
       lower_bound < strait_now() - make_interval(secs => $1::float8) as "begun"
  from strait_run_partitions()`;

/**
 * across projects: storage.
 * `begun`: may hold something that is past :retention_secs; `past`: nothing new comes into it.
 */
export function listPartitions(db: Queryable, params: ListPartitionsParams): Promise<ListPartitionsRow[]> {
  return many<ListPartitionsRow>(db, {
    text: listPartitionsText,
    values: [params.retention_secs],
  });
}

export interface IsOccupiedParams {
  readonly lower_bound: string;
  readonly upper_bound: string;
}

export interface IsOccupiedRow {
  readonly occupied: boolean;
}

const isOccupiedText = `select exists (select from job_runs where created_at >= $1::timestamptz and created_at < $2::timestamptz) as "occupied"`;

/** across projects: storage. */
export function isOccupied(db: Queryable, params: IsOccupiedParams): Promise<IsOccupiedRow> {
  return one<IsOccupiedRow>(db, {
    text: isOccupiedText,
    values: [
      params.lower_bound,
      params.upper_bound,
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

export interface ListCrowdedParams {
  readonly from_oldest: boolean;
  readonly per_project: number;
  readonly recent_secs: number;
  readonly per_job: number;
}

export interface ListCrowdedRow {
  readonly project_id: string | null;
  readonly job_id: string | null;
  readonly finished_at: string;
  readonly run_id: string;
}

const listCrowdedText = `with recursive project (id) as (
  (select project_id from job_runs where status = 'dead_letter' order by project_id limit 1)
  union all
  select (select r.project_id from job_runs r where r.status = 'dead_letter' and r.project_id > p.id order by r.project_id limit 1)
    from project p where p.id is not null
), job (id) as (
  (select job_id from job_runs where status = 'dead_letter' order by job_id limit 1)
  union all
  select (select r.job_id from job_runs r where r.status = 'dead_letter' and r.job_id > j.id order by r.job_id limit 1)
    from job j where j.id is not null
)
select p.id as "project_id", null as "job_id", x.finished_at as "finished_at", x.id as "run_id"
  from project p cross join lateral (
       select newest.finished_at, newest.id from (
         select r.finished_at, r.id from job_runs r
          where not $1::bool and r.project_id = p.id and r.status = 'dead_letter'
          order by r.finished_at desc, r.id desc offset $2::int limit 1) newest
       union all
       select oldest.finished_at, oldest.id from (
         select r.finished_at, r.id from job_runs r
          where $1::bool and r.project_id = p.id and r.status = 'dead_letter'
          order by r.finished_at, r.id offset $2::int limit 1) oldest) x
 where $2::int > 0 and p.id is not null
   and (select n.finished_at from job_runs n where n.project_id = p.id and n.status = 'dead_letter'
         order by n.finished_at desc limit 1) > strait_now() - make_interval(secs => $3::float8)
union all
select null, j.id, x.finished_at, x.id
  from job j cross join lateral (
       select newest.finished_at, newest.id from (
         select r.finished_at, r.id from job_runs r
          where not $1::bool and r.job_id = j.id and r.status = 'dead_letter'
          order by r.finished_at desc, r.id desc offset $4::int limit 1) newest
       union all
       select oldest.finished_at, oldest.id from (
         select r.finished_at, r.id from job_runs r
          where $1::bool and r.job_id = j.id and r.status = 'dead_letter'
          order by r.finished_at, r.id offset $4::int limit 1) oldest) x
 where $4::int > 0 and j.id is not null
   and (select n.finished_at from job_runs n where n.job_id = j.id and n.status = 'dead_letter'
         order by n.finished_at desc limit 1) > strait_now() - make_interval(secs => $3::float8)`;

/**
 * across projects: the caps are settings of the server.
 * Projects and jobs with more dead letters than they may have, among those where one died within :recent_secs, each with
 * the first dead letter beyond the cap: seen from the newest, or from the oldest when :from_oldest. Every look is a probe of
 * an index that holds nothing but dead letters; at most cap + 1 entries of it are read per project and job.
 */
export function listCrowded(db: Queryable, params: ListCrowdedParams): Promise<ListCrowdedRow[]> {
  return many<ListCrowdedRow>(db, {
    text: listCrowdedText,
    values: [
      params.from_oldest,
      params.per_project,
      params.recent_secs,
      params.per_job,
    ],
  });
}

export interface DropDeadLettersParams {
  readonly of_project: string | null;
  readonly finished_at: string;
  readonly run_id: string;
  readonly limit: number;
  readonly of_job: string | null;
}

const dropDeadLettersText = `with found as materialized (
  (select r.id, r.created_at from job_runs r
    where r.project_id = $1::text and r.status = 'dead_letter'
      and (r.finished_at, r.id) <= ($2::timestamptz, $3::text)
    order by r.finished_at, r.id limit $4::int)
  union all
  (select r.id, r.created_at from job_runs r
    where r.job_id = $5::text and r.status = 'dead_letter'
      and (r.finished_at, r.id) <= ($2::timestamptz, $3::text)
    order by r.finished_at, r.id limit $4::int)
), old as materialized (
  select r.id, r.created_at, r.job_id, r.idempotency_key from job_runs r
   where r.id = any (array(select id from found))
     and r.created_at >= (select min(created_at) from found) and r.created_at <= (select max(created_at) from found)
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
 * The oldest dead letters of one project or job, up to and including the run that listCrowded named, with what hangs off
 * them.
 */
export function dropDeadLetters(db: Queryable, params: DropDeadLettersParams): Promise<number> {
  return count(db, {
    text: dropDeadLettersText,
    values: [
      params.of_project,
      params.finished_at,
      params.run_id,
      params.limit,
      params.of_job,
    ],
  });
}

export interface RejectDeadLettersParams {
  readonly of_project: string | null;
  readonly finished_at: string;
  readonly run_id: string;
  readonly limit: number;
  readonly of_job: string | null;
}

export interface RejectDeadLettersRow {
  readonly id: string;
  readonly told: number;
}

const rejectDeadLettersText = `with found as materialized (
  (select r.id, r.created_at from job_runs r
    where r.project_id = $1::text and r.status = 'dead_letter'
      and (r.finished_at, r.id) >= ($2::timestamptz, $3::text)
    order by r.finished_at, r.id limit $4::int)
  union all
  (select r.id, r.created_at from job_runs r
    where r.job_id = $5::text and r.status = 'dead_letter'
      and (r.finished_at, r.id) >= ($2::timestamptz, $3::text)
    order by r.finished_at, r.id limit $4::int)
), done as (
  update job_runs r set status = 'system_failed', error_class = 'dlq_overflow'
   where r.id = any (array(select id from found))
     and r.created_at >= (select min(created_at) from found) and r.created_at <= (select max(created_at) from found)
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
 * The newest dead letters of one project or job, from the run that listCrowded named on, become system_failed: those
 * before them keep their place.
 */
export function rejectDeadLetters(db: Queryable, params: RejectDeadLettersParams): Promise<RejectDeadLettersRow[]> {
  return many<RejectDeadLettersRow>(db, {
    text: rejectDeadLettersText,
    values: [
      params.of_project,
      params.finished_at,
      params.run_id,
      params.limit,
      params.of_job,
    ],
  });
}
