// Generated from store.sql by `npm run generate`. Do not edit.
import { count, many, maybe, one, type Queryable } from '../../platform/db/query.ts';

export interface InsertProjectParams {
  readonly id: string | null;
  readonly org_id: string | null;
  readonly name: string;
}

export interface InsertProjectRow {
  readonly id: string;
  readonly org_id: string | null;
  readonly name: string | null;
  readonly created_at: string;
}

const insertProjectText = `insert into projects (id, org_id, name)
values (coalesce($1, uuidv7()::text), $2, $3)
on conflict (id) do nothing
returning id, org_id, name, created_at`;

/** No row: the id is taken, be it by a deleted project. */
export function insertProject(db: Queryable, params: InsertProjectParams): Promise<InsertProjectRow | undefined> {
  return maybe<InsertProjectRow>(db, {
    text: insertProjectText,
    values: [
      params.id,
      params.org_id,
      params.name,
    ],
  });
}

export interface FindProjectParams {
  readonly id: string;
}

export interface FindProjectRow {
  readonly id: string;
  readonly org_id: string | null;
  readonly name: string | null;
  readonly created_at: string;
}

const findProjectText = `select id, org_id, name, created_at from projects where id = $1 and deleted_at is null`;

export function findProject(db: Queryable, params: FindProjectParams): Promise<FindProjectRow | undefined> {
  return maybe<FindProjectRow>(db, {
    text: findProjectText,
    values: [params.id],
  });
}

export interface ListProjectsParams {
  readonly id: string | null;
  readonly cursor_created_at: string | null;
  readonly cursor_id: string | null;
  readonly limit: number;
}

export interface ListProjectsRow {
  readonly id: string;
  readonly org_id: string | null;
  readonly name: string | null;
  readonly created_at: string;
}

const listProjectsText = `select id, org_id, name, created_at
  from projects
 where deleted_at is null
   and ($1::text is null or id = $1)
   and ($2::timestamptz is null
        or (created_at, id) < ($2, $3::text))
 order by created_at desc, id desc
 limit $4`;

/** `:id` narrows the list to one project. */
export function listProjects(db: Queryable, params: ListProjectsParams): Promise<ListProjectsRow[]> {
  return many<ListProjectsRow>(db, {
    text: listProjectsText,
    values: [
      params.id,
      params.cursor_created_at,
      params.cursor_id,
      params.limit,
    ],
  });
}

export interface SaveCostQuotaParams {
  readonly project_id: string;
  readonly max_daily_cost_microusd: number | null;
  readonly max_cost_per_run_microusd: number | null;
  readonly breach_policy: string;
  readonly timezone: string | null;
}

const saveCostQuotaText = `insert into project_quotas as q (project_id, max_daily_cost_microusd, max_cost_per_run_microusd, cost_breach_policy, timezone)
values ($1, $2, $3, $4, $5)
on conflict (project_id) do update
   set max_daily_cost_microusd = excluded.max_daily_cost_microusd, max_cost_per_run_microusd = excluded.max_cost_per_run_microusd,
       cost_breach_policy = excluded.cost_breach_policy, timezone = coalesce(excluded.timezone, q.timezone), updated_at = strait_now()`;

/** What a project may spend; the time zone stays when none is given. */
export function saveCostQuota(db: Queryable, params: SaveCostQuotaParams): Promise<number> {
  return count(db, {
    text: saveCostQuotaText,
    values: [
      params.project_id,
      params.max_daily_cost_microusd,
      params.max_cost_per_run_microusd,
      params.breach_policy,
      params.timezone,
    ],
  });
}

export interface SaveQueuePausedParams {
  readonly project_id: string;
  readonly paused: boolean;
}

export interface SaveQueuePausedRow {
  readonly project_id: string;
}

const saveQueuePausedText = `insert into project_quotas as q (project_id, queue_paused)
select $1, true where $2::bool or exists (select from project_quotas p where p.project_id = $1 and p.queue_paused)
on conflict (project_id) do update set queue_paused = $2::bool, updated_at = strait_now() where q.queue_paused <> $2::bool
returning q.project_id`;

/** The whole of pausing: enqueue, mover, promotion and claim read the flag. No row: it is so already. */
export function saveQueuePaused(db: Queryable, params: SaveQueuePausedParams): Promise<SaveQueuePausedRow | undefined> {
  return maybe<SaveQueuePausedRow>(db, {
    text: saveQueuePausedText,
    values: [
      params.project_id,
      params.paused,
    ],
  });
}

export interface FindQueuePausedParams {
  readonly project_id: string;
}

export interface FindQueuePausedRow {
  readonly queue_paused: boolean;
}

const findQueuePausedText = `select queue_paused from project_quotas where project_id = $1`;

export function findQueuePaused(db: Queryable, params: FindQueuePausedParams): Promise<FindQueuePausedRow | undefined> {
  return maybe<FindQueuePausedRow>(db, {
    text: findQueuePausedText,
    values: [params.project_id],
  });
}

export interface FindQuotasParams {
  readonly project_id: string;
}

export interface FindQuotasRow {
  readonly project_id: string;
  readonly max_queued_runs: number | null;
  readonly max_executing_runs: number | null;
  readonly max_jobs: number | null;
  readonly max_active_event_triggers: number | null;
  readonly event_buffer_secs: number | null;
  readonly max_cost_per_run_microusd: number | null;
  readonly max_daily_cost_microusd: number | null;
  readonly rate_limit_requests: number | null;
  readonly rate_limit_window_secs: number | null;
  readonly timezone: string | null;
  readonly updated_at: string;
}

const findQuotasText = `select project_id, max_queued_runs, max_executing_runs, max_jobs, max_active_event_triggers, event_buffer_secs, max_cost_per_run_microusd,
       max_daily_cost_microusd, rate_limit_requests, rate_limit_window_secs, timezone, updated_at
  from project_quotas where project_id = $1`;

export function findQuotas(db: Queryable, params: FindQuotasParams): Promise<FindQuotasRow | undefined> {
  return maybe<FindQuotasRow>(db, {
    text: findQuotasText,
    values: [params.project_id],
  });
}

export interface LockQuotasParams {
  readonly project_id: string;
}

export interface LockQuotasRow {
  readonly project_id: string;
  readonly max_queued_runs: number | null;
  readonly max_executing_runs: number | null;
  readonly max_jobs: number | null;
  readonly max_active_event_triggers: number | null;
  readonly event_buffer_secs: number | null;
  readonly max_cost_per_run_microusd: number | null;
  readonly max_daily_cost_microusd: number | null;
  readonly rate_limit_requests: number | null;
  readonly rate_limit_window_secs: number | null;
  readonly timezone: string | null;
  readonly updated_at: string;
}

const lockQuotasText = `select project_id, max_queued_runs, max_executing_runs, max_jobs, max_active_event_triggers, event_buffer_secs, max_cost_per_run_microusd,
       max_daily_cost_microusd, rate_limit_requests, rate_limit_window_secs, timezone, updated_at
  from project_quotas where project_id = $1 for no key update`;

/** Whoever changes limits waits for whoever is changing them. */
export function lockQuotas(db: Queryable, params: LockQuotasParams): Promise<LockQuotasRow | undefined> {
  return maybe<LockQuotasRow>(db, {
    text: lockQuotasText,
    values: [params.project_id],
  });
}

export interface SaveQuotasParams {
  readonly project_id: string;
  readonly max_queued_runs: number | null;
  readonly max_executing_runs: number | null;
  readonly max_jobs: number | null;
  readonly max_active_event_triggers: number | null;
  readonly event_buffer_secs: number | null;
  readonly max_cost_per_run_microusd: number | null;
  readonly max_daily_cost_microusd: number | null;
  readonly rate_limit_requests: number | null;
  readonly rate_limit_window_secs: number | null;
  readonly timezone: string | null;
}

export interface SaveQuotasRow {
  readonly project_id: string;
  readonly max_queued_runs: number | null;
  readonly max_executing_runs: number | null;
  readonly max_jobs: number | null;
  readonly max_active_event_triggers: number | null;
  readonly event_buffer_secs: number | null;
  readonly max_cost_per_run_microusd: number | null;
  readonly max_daily_cost_microusd: number | null;
  readonly rate_limit_requests: number | null;
  readonly rate_limit_window_secs: number | null;
  readonly timezone: string | null;
  readonly updated_at: string;
}

const saveQuotasText = `insert into project_quotas as q (project_id, max_queued_runs, max_executing_runs, max_jobs, max_active_event_triggers, event_buffer_secs,
       max_cost_per_run_microusd, max_daily_cost_microusd, rate_limit_requests, rate_limit_window_secs, timezone)
values ($1, $2, $3, $4, $5, $6,
       $7, $8, $9, $10, $11)
on conflict (project_id) do update
   set (max_queued_runs, max_executing_runs, max_jobs, max_active_event_triggers, event_buffer_secs, max_cost_per_run_microusd,
        max_daily_cost_microusd, rate_limit_requests, rate_limit_window_secs, timezone, updated_at) =
       (excluded.max_queued_runs, excluded.max_executing_runs, excluded.max_jobs, excluded.max_active_event_triggers,
        excluded.event_buffer_secs, excluded.max_cost_per_run_microusd, excluded.max_daily_cost_microusd, excluded.rate_limit_requests,
        excluded.rate_limit_window_secs, excluded.timezone, strait_now())
returning project_id, max_queued_runs, max_executing_runs, max_jobs, max_active_event_triggers, event_buffer_secs, max_cost_per_run_microusd,
          max_daily_cost_microusd, rate_limit_requests, rate_limit_window_secs, timezone, updated_at`;

export function saveQuotas(db: Queryable, params: SaveQuotasParams): Promise<SaveQuotasRow> {
  return one<SaveQuotasRow>(db, {
    text: saveQuotasText,
    values: [
      params.project_id,
      params.max_queued_runs,
      params.max_executing_runs,
      params.max_jobs,
      params.max_active_event_triggers,
      params.event_buffer_secs,
      params.max_cost_per_run_microusd,
      params.max_daily_cost_microusd,
      params.rate_limit_requests,
      params.rate_limit_window_secs,
      params.timezone,
    ],
  });
}
