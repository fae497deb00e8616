// Generated from store.sql by `npm run generate`. Do not edit.
import { count, many, maybe, one, type Queryable } from '../../../platform/db/query.ts';

export interface PutScheduleParams {
  readonly workflow_id: string;
  readonly project_id: string;
  readonly cron: string;
  readonly timezone: string;
  readonly enabled: boolean;
  readonly next_fire_at: string | null;
  readonly problem: string | null;
}

export interface PutScheduleRow {
  readonly workflow_id: string;
  readonly told: boolean;
}

const putScheduleText = `with put as (
  insert into workflow_schedules as s (workflow_id, project_id, cron, timezone, enabled, next_fire_at, problem)
  values ($1, $2, $3, $4, $5, $6, $7)
  on conflict (workflow_id) do update
     set cron = excluded.cron, timezone = excluded.timezone, enabled = excluded.enabled, problem = excluded.problem,
         updated_at = strait_now(),
         next_fire_at = case when excluded.next_fire_at is null or s.next_fire_at is null or s.cron <> excluded.cron
                                  or s.timezone <> excluded.timezone then excluded.next_fire_at
                             else s.next_fire_at end
   where s.project_id = $2
  returning s.workflow_id
)
select workflow_id, (select true from pg_notify('schedule_wake', '')) as "told" from put`;

/** The due instant of an unchanged expression stays, also one that is due right now and not taken yet. */
export function putSchedule(db: Queryable, params: PutScheduleParams): Promise<PutScheduleRow | undefined> {
  return maybe<PutScheduleRow>(db, {
    text: putScheduleText,
    values: [
      params.workflow_id,
      params.project_id,
      params.cron,
      params.timezone,
      params.enabled,
      params.next_fire_at,
      params.problem,
    ],
  });
}

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

export interface RemoveScheduleParams {
  readonly workflow_id: string;
  readonly project_id: string;
}

const removeScheduleText = `delete from workflow_schedules where workflow_id = $1 and project_id = $2`;

export function removeSchedule(db: Queryable, params: RemoveScheduleParams): Promise<number> {
  return count(db, {
    text: removeScheduleText,
    values: [
      params.workflow_id,
      params.project_id,
    ],
  });
}

export interface ListDueParams {
  readonly except_ids: readonly (string | null)[];
  readonly limit: number;
}

export interface ListDueRow {
  readonly workflow_id: string;
  readonly project_id: string;
}

const listDueText = `select workflow_id, project_id from workflow_schedules
 where next_fire_at <= strait_now() and workflow_id <> all ($1::text[])
 order by next_fire_at limit $2::int`;

/** across projects: a loop serves all of them. */
export function listDue(db: Queryable, params: ListDueParams): Promise<ListDueRow[]> {
  return many<ListDueRow>(db, {
    text: listDueText,
    values: [
      params.except_ids,
      params.limit,
    ],
  });
}

export interface NextDueParams {
  readonly except_ids: readonly (string | null)[];
}

export interface NextDueRow {
  readonly in_ms: number | null;
}

const nextDueText = `select (extract(epoch from min(next_fire_at) - strait_now()) * 1000)::float8 as "in_ms"
  from workflow_schedules where next_fire_at is not null and workflow_id <> all ($1::text[])`;

/**
 * across projects: a loop serves all of them.
 * Milliseconds until the earliest fire, negative when it is due; null without any.
 */
export function nextDue(db: Queryable, params: NextDueParams): Promise<NextDueRow> {
  return one<NextDueRow>(db, {
    text: nextDueText,
    values: [params.except_ids],
  });
}

export interface HoldWorkflowParams {
  readonly workflow_id: string;
  readonly project_id: string;
}

export interface HoldWorkflowRow {
  readonly id: string;
  readonly skip_if_running: boolean;
}

const holdWorkflowText = `select w.id, w.skip_if_running from workflows w
 where w.id = $1 and w.project_id = $2 and w.deleting_at is null for no key update skip locked`;

/** No row: somebody edits it, fires it or starts a limited run of it right now, or it is gone. */
export function holdWorkflow(db: Queryable, params: HoldWorkflowParams): Promise<HoldWorkflowRow | undefined> {
  return maybe<HoldWorkflowRow>(db, {
    text: holdWorkflowText,
    values: [
      params.workflow_id,
      params.project_id,
    ],
  });
}

export interface TakeDueParams {
  readonly workflow_id: string;
  readonly project_id: string;
}

export interface TakeDueRow {
  readonly cron: string;
  readonly timezone: string;
  readonly next_fire_at: string;
  readonly now: string;
}

const takeDueText = `select cron, timezone, next_fire_at as "next_fire_at", strait_now() as "now" from workflow_schedules
 where workflow_id = $1 and project_id = $2 and next_fire_at <= strait_now() for no key update`;

/** No row: it was fired or changed meanwhile. */
export function takeDue(db: Queryable, params: TakeDueParams): Promise<TakeDueRow | undefined> {
  return maybe<TakeDueRow>(db, {
    text: takeDueText,
    values: [
      params.workflow_id,
      params.project_id,
    ],
  });
}

export interface IsRunningParams {
  readonly project_id: string;
  readonly workflow_id: string;
}

export interface IsRunningRow {
  readonly running: boolean;
}

const isRunningText = `select exists (select from workflow_runs r
                where r.project_id = $1 and r.workflow_id = $2
                  and r.status in ('pending', 'running', 'paused')) as "running"`;

export function isRunning(db: Queryable, params: IsRunningParams): Promise<IsRunningRow> {
  return one<IsRunningRow>(db, {
    text: isRunningText,
    values: [
      params.project_id,
      params.workflow_id,
    ],
  });
}

export interface ClaimFireParams {
  readonly workflow_id: string;
  readonly fire_at: string;
  readonly project_id: string;
  readonly outcome: string;
}

export interface ClaimFireRow {
  readonly fire_at: string;
}

const claimFireText = `insert into workflow_schedule_fires (workflow_id, fire_at, project_id, outcome)
values ($1, $2, $3, $4)
on conflict do nothing
returning fire_at`;

/** No row: this instant was decided before. */
export function claimFire(db: Queryable, params: ClaimFireParams): Promise<ClaimFireRow | undefined> {
  return maybe<ClaimFireRow>(db, {
    text: claimFireText,
    values: [
      params.workflow_id,
      params.fire_at,
      params.project_id,
      params.outcome,
    ],
  });
}

export interface RecordFireParams {
  readonly outcome: string;
  readonly workflow_run_id: string | null;
  readonly reason: string | null;
  readonly workflow_id: string;
  readonly project_id: string;
  readonly fire_at: string;
}

const recordFireText = `update workflow_schedule_fires set outcome = $1, workflow_run_id = $2, reason = $3
 where workflow_id = $4 and project_id = $5 and fire_at = $6`;

export function recordFire(db: Queryable, params: RecordFireParams): Promise<number> {
  return count(db, {
    text: recordFireText,
    values: [
      params.outcome,
      params.workflow_run_id,
      params.reason,
      params.workflow_id,
      params.project_id,
      params.fire_at,
    ],
  });
}

export interface AdvanceScheduleParams {
  readonly next_fire_at: string | null;
  readonly problem: string | null;
  readonly fired_at: string | null;
  readonly workflow_run_id: string | null;
  readonly workflow_id: string;
  readonly project_id: string;
}

const advanceScheduleText = `update workflow_schedules
   set next_fire_at = $1, problem = $2, updated_at = strait_now(),
       last_fire_at = coalesce($3, last_fire_at), last_run_id = coalesce($4, last_run_id)
 where workflow_id = $5 and project_id = $6`;

export function advanceSchedule(db: Queryable, params: AdvanceScheduleParams): Promise<number> {
  return count(db, {
    text: advanceScheduleText,
    values: [
      params.next_fire_at,
      params.problem,
      params.fired_at,
      params.workflow_run_id,
      params.workflow_id,
      params.project_id,
    ],
  });
}

export interface RemoveOldFiresParams {
  readonly retention_secs: number;
  readonly limit: number;
}

const removeOldFiresText = `delete from workflow_schedule_fires f
 where f.ctid = any (array(select o.ctid from workflow_schedule_fires o
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
  select w.id, w.project_id, w.cron, coalesce(nullif(w.cron_timezone, ''), 'UTC') as timezone, w.enabled
    from workflows w left join workflow_schedules s on s.workflow_id = w.id
   where w.cron <> '' and w.deleting_at is null
     and (s.workflow_id is null or (s.cron, s.timezone, s.enabled)
          is distinct from (w.cron, coalesce(nullif(w.cron_timezone, ''), 'UTC'), w.enabled))
   order by w.id limit $1::int
     for no key update of w skip locked
)
insert into workflow_schedules as s (workflow_id, project_id, cron, timezone, enabled, next_fire_at)
select id, project_id, cron, timezone, enabled, case when enabled then strait_now() end from wrong
on conflict (workflow_id) do update
   set cron = excluded.cron, timezone = excluded.timezone, enabled = excluded.enabled, next_fire_at = excluded.next_fire_at,
       problem = null, updated_at = strait_now()`;

/**
 * across projects: a loop serves all of them.
 * Workflows that a program without schedules made or changed, during an upgrade. The first scheduler finds their next instant.
 */
export function repairSchedules(db: Queryable, params: RepairSchedulesParams): Promise<number> {
  return count(db, {
    text: repairSchedulesText,
    values: [params.limit],
  });
}

export interface RemoveStraysParams {
  readonly limit: number;
}

const removeStraysText = `delete from workflow_schedules s
 where s.workflow_id = any (array(select x.workflow_id from workflow_schedules x join workflows w on w.id = x.workflow_id
                                   where coalesce(w.cron, '') = '' or w.deleting_at is not null
                                   order by x.workflow_id limit $1::int for update of x skip locked))`;

/** across projects: a loop serves all of them. */
export function removeStrays(db: Queryable, params: RemoveStraysParams): Promise<number> {
  return count(db, {
    text: removeStraysText,
    values: [params.limit],
  });
}

export interface FindScheduleParams {
  readonly workflow_id: string;
  readonly project_id: string;
}

export interface FindScheduleRow {
  readonly workflow_id: string;
  readonly project_id: string;
  readonly cron: string;
  readonly timezone: string;
  readonly enabled: boolean;
  readonly next_fire_at: string | null;
  readonly problem: string | null;
  readonly last_fire_at: string | null;
  readonly last_run_id: string | null;
  readonly created_at: string;
  readonly updated_at: string;
  readonly skip_if_running: boolean;
  readonly now: string;
}

const findScheduleText = `select s.*, w.skip_if_running, strait_now() as "now"
  from workflow_schedules s join workflows w on w.id = s.workflow_id
 where s.workflow_id = $1 and s.project_id = $2`;

export function findSchedule(db: Queryable, params: FindScheduleParams): Promise<FindScheduleRow | undefined> {
  return maybe<FindScheduleRow>(db, {
    text: findScheduleText,
    values: [
      params.workflow_id,
      params.project_id,
    ],
  });
}

export interface ListFiresParams {
  readonly workflow_id: string;
  readonly project_id: string;
  readonly limit: number;
}

export interface ListFiresRow {
  readonly fire_at: string;
  readonly outcome: string;
  readonly workflow_run_id: string | null;
  readonly reason: string | null;
}

const listFiresText = `select fire_at, outcome, workflow_run_id, reason from workflow_schedule_fires
 where workflow_id = $1 and project_id = $2 order by fire_at desc limit $3::int`;

export function listFires(db: Queryable, params: ListFiresParams): Promise<ListFiresRow[]> {
  return many<ListFiresRow>(db, {
    text: listFiresText,
    values: [
      params.workflow_id,
      params.project_id,
      params.limit,
    ],
  });
}
