// Generated from obstacles.sql by `npm run generate`. Do not edit.
import { many, maybe, one, type Queryable } from '../../../platform/db/query.ts';

export interface ReadParentParams {
  readonly workflow_run_id: string;
  readonly project_id: string;
}

export interface ReadParentRow {
  readonly step_over: boolean;
}

const readParentText = `select coalesce((select case when c.status is not null then c.status <> 'open' else p.state = any ('{C,F,S,D,W,R}') end
                   from workflow_runs r join workflow_step_runs p on p.id = r.parent_step_run_id
                   left join workflow_map_children c on c.child_run_id = coalesce(r.first_run_id, r.id) and c.step_run_id = p.id
                  where r.id = $1 and r.project_id = $2), false) as "step_over"`;

/** Whether the step that started the run is over, as the engine is told under the lock (progression/store.sql). */
export function readParent(db: Queryable, params: ReadParentParams): Promise<ReadParentRow> {
  return one<ReadParentRow>(db, {
    text: readParentText,
    values: [
      params.workflow_run_id,
      params.project_id,
    ],
  });
}

export interface FindApprovalsParams {
  readonly project_id: string;
  readonly ids: readonly (string | null)[];
}

export interface FindApprovalsRow {
  readonly id: string;
  readonly approvers: readonly string[];
  readonly expires_at: string | null;
}

const findApprovalsText = `select a.id, a.approvers, a.expires_at from workflow_step_approvals a
  join workflow_runs r on r.id = a.workflow_run_id and r.project_id = $1
 where a.id = any ($2::text[]) and a.status = 'pending'`;

export function findApprovals(db: Queryable, params: FindApprovalsParams): Promise<FindApprovalsRow[]> {
  return many<FindApprovalsRow>(db, {
    text: findApprovalsText,
    values: [
      params.project_id,
      params.ids,
    ],
  });
}

export interface FindTriggersParams {
  readonly ids: readonly (string | null)[];
  readonly project_id: string;
}

export interface FindTriggersRow {
  readonly id: string;
  readonly event_key: string;
  readonly expires_at: string;
}

const findTriggersText = `select t.id, t.event_key, t.expires_at from event_triggers t
 where t.id = any ($1::text[]) and t.project_id = $2 and t.status = 'waiting'`;

export function findTriggers(db: Queryable, params: FindTriggersParams): Promise<FindTriggersRow[]> {
  return many<FindTriggersRow>(db, {
    text: findTriggersText,
    values: [
      params.ids,
      params.project_id,
    ],
  });
}

export interface FindJobRunsParams {
  readonly ids: readonly (string | null)[];
  readonly project_id: string;
}

export interface FindJobRunsRow {
  readonly id: string;
  readonly status: string;
}

const findJobRunsText = `select j.id, j.status from unnest($1::text[]) as i(id)
 cross join lateral (select r.id, r.status from job_runs r
                      where r.id = i.id and r.created_at = strait_id_time(i.id) and r.project_id = $2 offset 0) j`;

export function findJobRuns(db: Queryable, params: FindJobRunsParams): Promise<FindJobRunsRow[]> {
  return many<FindJobRunsRow>(db, {
    text: findJobRunsText,
    values: [
      params.ids,
      params.project_id,
    ],
  });
}

export interface FindChildRunsParams {
  readonly project_id: string;
  readonly ids: readonly (string | null)[];
}

export interface FindChildRunsRow {
  readonly first_run_id: string;
  readonly id: string;
  readonly status: string;
}

const findChildRunsText = `select coalesce(c.first_run_id, c.id) as "first_run_id", c.id, c.status from workflow_runs c
 where c.project_id = $1 and (c.id = any ($2::text[]) or c.first_run_id = any ($2::text[]))
   and c.status in ('pending', 'running', 'paused')`;

/** The run in flight of each child: the first or the one that continues it. */
export function findChildRuns(db: Queryable, params: FindChildRunsParams): Promise<FindChildRunsRow[]> {
  return many<FindChildRunsRow>(db, {
    text: findChildRunsText,
    values: [
      params.project_id,
      params.ids,
    ],
  });
}

export interface FindLastRunsParams {
  readonly project_id: string;
  readonly step_run_ids: readonly (string | null)[];
  readonly ids: readonly (string | null)[];
}

export interface FindLastRunsRow {
  readonly first_run_id: string;
  readonly id: string;
}

const findLastRunsText = `select distinct on (coalesce(c.first_run_id, c.id)) coalesce(c.first_run_id, c.id) as "first_run_id", c.id from workflow_runs c
 where c.project_id = $1 and c.parent_step_run_id = any ($2::text[])
   and coalesce(c.first_run_id, c.id) = any ($3::text[])
 order by coalesce(c.first_run_id, c.id), c.generation desc`;

/** How a child ended: the last of the runs that continue the first. */
export function findLastRuns(db: Queryable, params: FindLastRunsParams): Promise<FindLastRunsRow[]> {
  return many<FindLastRunsRow>(db, {
    text: findLastRunsText,
    values: [
      params.project_id,
      params.step_run_ids,
      params.ids,
    ],
  });
}

export interface ListMapWorkParams {
  readonly project_id: string;
  readonly step_run_id: string;
  readonly limit: number;
}

export interface ListMapWorkRow {
  readonly index: number;
  readonly id: string;
}

const listMapWorkText = `select c.index, coalesce(c.job_run_id, c.child_run_id) as "id" from workflow_map_children c
  join workflow_step_runs s on s.id = c.step_run_id and s.attempt = c.attempt
  join workflow_runs r on r.id = s.workflow_run_id and r.project_id = $1
 where s.id = $2 and c.status = 'open' and coalesce(c.job_run_id, c.child_run_id) is not null
 order by c.index limit $3::int`;

export function listMapWork(db: Queryable, params: ListMapWorkParams): Promise<ListMapWorkRow[]> {
  return many<ListMapWorkRow>(db, {
    text: listMapWorkText,
    values: [
      params.project_id,
      params.step_run_id,
      params.limit,
    ],
  });
}

export interface FindWorkflowLimitParams {
  readonly project_id: string;
  readonly workflow_id: string;
}

export interface FindWorkflowLimitRow {
  readonly slug: string;
  readonly max_concurrent_runs: number;
  readonly active: number;
}

const findWorkflowLimitText = `select w.slug, w.max_concurrent_runs,
       (select count(*)::int from workflow_runs r
         where r.project_id = $1 and r.workflow_id = w.id and r.status in ('pending', 'running', 'paused')) as "active"
  from workflows w where w.id = $2 and w.project_id = $1 and w.deleting_at is null`;

export function findWorkflowLimit(db: Queryable, params: FindWorkflowLimitParams): Promise<FindWorkflowLimitRow | undefined> {
  return maybe<FindWorkflowLimitRow>(db, {
    text: findWorkflowLimitText,
    values: [
      params.project_id,
      params.workflow_id,
    ],
  });
}

export interface ListActiveRunsParams {
  readonly project_id: string;
  readonly workflow_id: string;
  readonly limit: number;
}

export interface ListActiveRunsRow {
  readonly id: string;
}

const listActiveRunsText = `select r.id from workflow_runs r
 where r.project_id = $1 and r.workflow_id = $2 and r.status in ('pending', 'running', 'paused')
 order by r.created_at, r.id limit $3::int`;

export function listActiveRuns(db: Queryable, params: ListActiveRunsParams): Promise<ListActiveRunsRow[]> {
  return many<ListActiveRunsRow>(db, {
    text: listActiveRunsText,
    values: [
      params.project_id,
      params.workflow_id,
      params.limit,
    ],
  });
}

export interface FindQuotasParams {
  readonly project_id: string;
}

export interface FindQuotasRow {
  readonly max_queued_runs: number | null;
  readonly max_executing_runs: number | null;
  readonly max_jobs: number | null;
  readonly max_active_event_triggers: number | null;
  readonly max_cost_per_run_microusd: number | null;
  readonly max_daily_cost_microusd: number | null;
  readonly rate_limit_requests: number | null;
  readonly rate_limit_window_secs: number | null;
  readonly timezone: string | null;
  readonly waits: number;
}

const findQuotasText = `select q.max_queued_runs, q.max_executing_runs, q.max_jobs, q.max_active_event_triggers, q.max_cost_per_run_microusd,
       q.max_daily_cost_microusd, q.rate_limit_requests, q.rate_limit_window_secs, q.timezone,
       (select count(*)::int from event_triggers t
         where t.project_id = $1 and t.status = 'waiting' and t.trigger_type = 'event' and not t.event_key ^@ 'spawn-await:') as "waits"
  from project_quotas q where q.project_id = $1`;

/** All of them: whoever sets one sets all. Waits as admission counts them. */
export function findQuotas(db: Queryable, params: FindQuotasParams): Promise<FindQuotasRow | undefined> {
  return maybe<FindQuotasRow>(db, {
    text: findQuotasText,
    values: [params.project_id],
  });
}

export interface FindActorParams {
  readonly project_id: string;
  readonly workflow_run_id: string;
  readonly action: string;
}

export interface FindActorRow {
  readonly actor_id: string | null;
}

const findActorText = `select a.actor_id from audit_events a
 where a.project_id = $1 and a.resource_type = 'workflow_run' and a.resource_id = $2 and a.action = $3
 order by a.created_at desc limit 1`;

/** Who did this last, as far as the audit trail reaches. */
export function findActor(db: Queryable, params: FindActorParams): Promise<FindActorRow | undefined> {
  return maybe<FindActorRow>(db, {
    text: findActorText,
    values: [
      params.project_id,
      params.workflow_run_id,
      params.action,
    ],
  });
}
