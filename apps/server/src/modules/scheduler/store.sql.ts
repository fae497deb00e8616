// Generated from store.sql by `npm run generate`. Do not edit.
import { count, many, maybe, one, type Queryable } from '../../platform/db/query.ts';

export interface ReadTimeRow {
  readonly now: string;
}

const readTimeText = `select strait_now() as "now"`;

export function readTime(db: Queryable): Promise<ReadTimeRow> {
  return one<ReadTimeRow>(db, {
    text: readTimeText,
    values: [],
  });
}

export interface PutSchedulesParams {
  readonly job_ids: readonly (string | null)[];
  readonly crons: readonly (string | null)[];
  readonly timezones: readonly (string | null)[];
  readonly overlap_policies: readonly (string | null)[];
  readonly catchups: readonly (string | null)[];
  readonly enabled: readonly (boolean | null)[];
  readonly next_fires: readonly (string | null)[];
  readonly problems: readonly (string | null)[];
  readonly project_id: string;
}

export interface PutSchedulesRow {
  readonly job_id: string;
  readonly told: boolean;
}

const putSchedulesText = `with input as materialized (
  select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[],
                       $6::bool[], $7::timestamptz[], $8::text[])
              as n(job_id, cron, timezone, overlap_policy, catchup, enabled, next_fire_at, problem)
   order by job_id
), put as (
  insert into job_schedules as s (job_id, project_id, cron, timezone, overlap_policy, catchup, enabled, next_fire_at, problem)
  select job_id, $9, cron, timezone, overlap_policy, catchup, enabled, next_fire_at, problem from input
  on conflict (job_id) do update
     set cron = excluded.cron, timezone = excluded.timezone, overlap_policy = excluded.overlap_policy,
         catchup = excluded.catchup, enabled = excluded.enabled, problem = excluded.problem, updated_at = strait_now(),
         next_fire_at = case when excluded.next_fire_at is null or s.next_fire_at is null or s.cron <> excluded.cron
                                  or s.timezone <> excluded.timezone then excluded.next_fire_at
                             else s.next_fire_at end
  returning s.job_id
)
select job_id, (select true from pg_notify('schedule_wake', '')) as "told" from put`;

/** The due instant of an unchanged expression stays, also one that is due right now and not taken yet. */
export function putSchedules(db: Queryable, params: PutSchedulesParams): Promise<PutSchedulesRow[]> {
  return many<PutSchedulesRow>(db, {
    text: putSchedulesText,
    values: [
      params.job_ids,
      params.crons,
      params.timezones,
      params.overlap_policies,
      params.catchups,
      params.enabled,
      params.next_fires,
      params.problems,
      params.project_id,
    ],
  });
}

export interface RemoveSchedulesParams {
  readonly job_ids: readonly (string | null)[];
  readonly project_id: string;
}

const removeSchedulesText = `delete from job_schedules where job_id = any ($1::text[]) and project_id = $2`;

export function removeSchedules(db: Queryable, params: RemoveSchedulesParams): Promise<number> {
  return count(db, {
    text: removeSchedulesText,
    values: [
      params.job_ids,
      params.project_id,
    ],
  });
}

export interface TakeDueSchedulesParams {
  readonly cancels: boolean;
  readonly only_job_id: string | null;
  readonly except_job_ids: readonly (string | null)[];
  readonly limit: number;
}

export interface TakeDueSchedulesRow {
  readonly job_id: string;
  readonly project_id: string;
  readonly cron: string;
  readonly timezone: string;
  readonly overlap_policy: string;
  readonly catchup: string;
  readonly next_fire_at: string;
  readonly now: string;
}

const takeDueSchedulesText = `select job_id, project_id, cron, timezone, overlap_policy, catchup, next_fire_at as "next_fire_at", strait_now() as "now"
  from job_schedules
 where next_fire_at <= strait_now() and (overlap_policy = 'cancel_running') = $1::bool
   and ($2::text is null or job_id = $2) and job_id <> all ($3::text[])
 order by next_fire_at limit $4::int for no key update skip locked`;

/**
 * across projects: a loop serves all of them.
 * Due ones that no other scheduler holds, in its transaction. Those that cancel runs are taken one at a time.
 */
export function takeDueSchedules(db: Queryable, params: TakeDueSchedulesParams): Promise<TakeDueSchedulesRow[]> {
  return many<TakeDueSchedulesRow>(db, {
    text: takeDueSchedulesText,
    values: [
      params.cancels,
      params.only_job_id,
      params.except_job_ids,
      params.limit,
    ],
  });
}

export interface ListDueJobsParams {
  readonly cancels: boolean;
  readonly except_job_ids: readonly (string | null)[];
  readonly limit: number;
}

export interface ListDueJobsRow {
  readonly job_id: string;
}

const listDueJobsText = `select job_id from job_schedules
 where next_fire_at <= strait_now() and (overlap_policy = 'cancel_running') = $1::bool
   and job_id <> all ($2::text[])
 order by next_fire_at limit $3::int`;

/** across projects: a loop serves all of them. */
export function listDueJobs(db: Queryable, params: ListDueJobsParams): Promise<ListDueJobsRow[]> {
  return many<ListDueJobsRow>(db, {
    text: listDueJobsText,
    values: [
      params.cancels,
      params.except_job_ids,
      params.limit,
    ],
  });
}

export interface NextDueParams {
  readonly except_job_ids: readonly (string | null)[];
}

export interface NextDueRow {
  readonly in_ms: number | null;
}

const nextDueText = `select (extract(epoch from min(next_fire_at) - strait_now()) * 1000)::float8 as "in_ms"
  from job_schedules where next_fire_at is not null and job_id <> all ($1::text[])`;

/**
 * across projects: a loop serves all of them.
 * Milliseconds until the earliest fire, negative when it is due; null without any.
 */
export function nextDue(db: Queryable, params: NextDueParams): Promise<NextDueRow> {
  return one<NextDueRow>(db, {
    text: nextDueText,
    values: [params.except_job_ids],
  });
}

export interface ClaimFiresParams {
  readonly job_ids: readonly (string | null)[];
  readonly project_ids: readonly (string | null)[];
  readonly fires: readonly (string | null)[];
  readonly outcomes: readonly (string | null)[];
}

export interface ClaimFiresRow {
  readonly job_id: string;
  readonly fire_at: string;
}

const claimFiresText = `insert into schedule_fires (job_id, fire_at, project_id, outcome)
select n.job_id, n.fire_at, n.project_id, n.outcome
  from unnest($1::text[], $2::text[], $3::timestamptz[], $4::text[]) as n(job_id, project_id, fire_at, outcome)
 order by n.job_id, n.fire_at
on conflict do nothing
returning job_id, fire_at`;

/**
 * across projects: the caller holds the schedules.
 * Instants not in the answer were decided before.
 */
export function claimFires(db: Queryable, params: ClaimFiresParams): Promise<ClaimFiresRow[]> {
  return many<ClaimFiresRow>(db, {
    text: claimFiresText,
    values: [
      params.job_ids,
      params.project_ids,
      params.fires,
      params.outcomes,
    ],
  });
}

export interface RecordFiresParams {
  readonly job_ids: readonly (string | null)[];
  readonly fires: readonly (string | null)[];
  readonly outcomes: readonly (string | null)[];
  readonly run_ids: readonly (string | null)[];
}

const recordFiresText = `update schedule_fires f set outcome = n.outcome, run_id = n.run_id
  from unnest($1::text[], $2::timestamptz[], $3::text[], $4::text[]) as n(job_id, fire_at, outcome, run_id)
 where f.job_id = n.job_id and f.fire_at = n.fire_at`;

/** across projects: the caller claimed them in this transaction. */
export function recordFires(db: Queryable, params: RecordFiresParams): Promise<number> {
  return count(db, {
    text: recordFiresText,
    values: [
      params.job_ids,
      params.fires,
      params.outcomes,
      params.run_ids,
    ],
  });
}

export interface AdvanceSchedulesParams {
  readonly job_ids: readonly (string | null)[];
  readonly next_fires: readonly (string | null)[];
  readonly problems: readonly (string | null)[];
  readonly fired: readonly (string | null)[];
  readonly run_ids: readonly (string | null)[];
}

const advanceSchedulesText = `update job_schedules s
   set next_fire_at = n.next_fire_at, problem = n.problem, updated_at = strait_now(),
       last_fire_at = coalesce(n.fired_at, s.last_fire_at), last_run_id = case when n.fired_at is null then s.last_run_id else n.run_id end
  from unnest($1::text[], $2::timestamptz[], $3::text[], $4::timestamptz[], $5::text[])
       as n(job_id, next_fire_at, problem, fired_at, run_id)
 where s.job_id = n.job_id`;

/** across projects: the caller holds the schedules. */
export function advanceSchedules(db: Queryable, params: AdvanceSchedulesParams): Promise<number> {
  return count(db, {
    text: advanceSchedulesText,
    values: [
      params.job_ids,
      params.next_fires,
      params.problems,
      params.fired,
      params.run_ids,
    ],
  });
}

export interface RemoveOldFiresParams {
  readonly retention_secs: number;
  readonly limit: number;
}

const removeOldFiresText = `delete from schedule_fires f
 where f.ctid = any (array(select o.ctid from schedule_fires o
                            where o.created_at < strait_now() - make_interval(secs => $1::float8)
                            order by o.created_at limit $2::int))`;

/** across projects: retention. */
export function removeOldFires(db: Queryable, params: RemoveOldFiresParams): Promise<number> {
  return count(db, {
    text: removeOldFiresText,
    values: [
      params.retention_secs,
      params.limit,
    ],
  });
}

export interface RepairSchedulesParams {
  readonly limit: number;
}

const repairSchedulesText = `with wrong as materialized (
  select j.id, j.project_id, j.cron, coalesce(j.timezone, 'UTC') as timezone, j.cron_overlap_policy, j.cron_catchup, j.enabled
    from jobs j left join job_schedules s on s.job_id = j.id
   where j.cron is not null and j.deleting_at is null
     and (s.job_id is null or (s.cron, s.timezone, s.overlap_policy, s.catchup, s.enabled)
          is distinct from (j.cron, coalesce(j.timezone, 'UTC'), j.cron_overlap_policy, j.cron_catchup, j.enabled))
   order by j.id limit $1::int
     for no key update of j skip locked
)
insert into job_schedules as s (job_id, project_id, cron, timezone, overlap_policy, catchup, enabled, next_fire_at)
select id, project_id, cron, timezone, cron_overlap_policy, cron_catchup, enabled, case when enabled then strait_now() end from wrong
on conflict (job_id) do update
   set cron = excluded.cron, timezone = excluded.timezone, overlap_policy = excluded.overlap_policy, catchup = excluded.catchup,
       enabled = excluded.enabled, next_fire_at = excluded.next_fire_at, problem = null, updated_at = strait_now()`;

/**
 * across projects: a loop serves all of them.
 * Jobs that a program without schedules made or changed, during an upgrade. The first scheduler finds their next instant.
 */
export function repairSchedules(db: Queryable, params: RepairSchedulesParams): Promise<number> {
  return count(db, {
    text: repairSchedulesText,
    values: [params.limit],
  });
}

export interface RemoveStraySchedulesParams {
  readonly limit: number;
}

const removeStraySchedulesText = `delete from job_schedules s
 where s.job_id = any (array(select x.job_id from job_schedules x join jobs j on j.id = x.job_id
                              where j.cron is null order by x.job_id limit $1::int for update of x skip locked))`;

/** across projects: a loop serves all of them. */
export function removeStraySchedules(db: Queryable, params: RemoveStraySchedulesParams): Promise<number> {
  return count(db, {
    text: removeStraySchedulesText,
    values: [params.limit],
  });
}

export interface FindScheduleParams {
  readonly job_id: string;
  readonly project_id: string;
}

export interface FindScheduleRow {
  readonly job_id: string;
  readonly project_id: string;
  readonly cron: string;
  readonly timezone: string;
  readonly overlap_policy: string;
  readonly catchup: string;
  readonly enabled: boolean;
  readonly next_fire_at: string | null;
  readonly problem: string | null;
  readonly last_fire_at: string | null;
  readonly last_run_id: string | null;
  readonly created_at: string;
  readonly updated_at: string;
  readonly job_paused: boolean;
  readonly now: string;
}

const findScheduleText = `select s.*, j.paused or coalesce(g.paused, false) or exists (select from project_quotas q where q.project_id = s.project_id and q.queue_paused)
         as "job_paused", strait_now() as "now"
  from job_schedules s join jobs j on j.id = s.job_id left join job_groups g on g.id = j.group_id
 where s.job_id = $1 and s.project_id = $2`;

export function findSchedule(db: Queryable, params: FindScheduleParams): Promise<FindScheduleRow | undefined> {
  return maybe<FindScheduleRow>(db, {
    text: findScheduleText,
    values: [
      params.job_id,
      params.project_id,
    ],
  });
}

export interface ListFiresParams {
  readonly job_id: string;
  readonly project_id: string;
  readonly limit: number;
}

export interface ListFiresRow {
  readonly fire_at: string;
  readonly outcome: string;
  readonly run_id: string | null;
}

const listFiresText = `select fire_at, outcome, run_id from schedule_fires
 where job_id = $1 and project_id = $2 order by fire_at desc limit $3::int`;

export function listFires(db: Queryable, params: ListFiresParams): Promise<ListFiresRow[]> {
  return many<ListFiresRow>(db, {
    text: listFiresText,
    values: [
      params.job_id,
      params.project_id,
      params.limit,
    ],
  });
}
