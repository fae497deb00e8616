// Generated from store.sql by `npm run generate`. Do not edit.
import { many, maybe, one, type Queryable } from '../../../platform/db/query.ts';

export interface FindRouteParams {
  readonly project_id: string;
  readonly step_run_id: string | null;
  readonly workflow_id: string;
}

export interface FindRouteRow {
  readonly source_version: number;
  readonly target_version: number;
  readonly traffic_pct: number;
  readonly kept: number | null;
}

const findRouteText = `select c.source_version, c.target_version, c.traffic_pct,
       (select r.workflow_version from workflow_runs r
         where r.project_id = $1 and r.workflow_id = c.workflow_id and r.parent_step_run_id = $2::text
         order by r.created_at desc limit 1) as "kept"
  from canary_deployments c
 where c.workflow_id = $3 and c.project_id = $1 and c.status = 'active'`;

/** `kept`: what an earlier child of the same step follows. */
export function findRoute(db: Queryable, params: FindRouteParams): Promise<FindRouteRow | undefined> {
  return maybe<FindRouteRow>(db, {
    text: findRouteText,
    values: [
      params.project_id,
      params.step_run_id,
      params.workflow_id,
    ],
  });
}

export interface InsertCanaryParams {
  readonly project_id: string;
  readonly workflow_id: string;
  readonly source_version: number;
  readonly target_version: number;
  readonly traffic_pct: number;
  readonly auto_promote: unknown;
  readonly due_in_secs: number | null;
  readonly actor_id: string;
}

export interface InsertCanaryRow {
  readonly id: string;
  readonly project_id: string;
  readonly workflow_id: string;
  readonly source_version: number;
  readonly target_version: number;
  readonly traffic_pct: number;
  readonly status: string;
  readonly auto_promote: unknown;
  readonly share_since: string;
  readonly due_at: string | null;
  readonly reason: string | null;
  readonly created_by: string | null;
  readonly created_at: string;
  readonly updated_at: string;
  readonly finished_at: string | null;
}

const insertCanaryText = `insert into canary_deployments (project_id, workflow_id, source_version, target_version, traffic_pct, auto_promote, due_at, created_by)
values ($1, $2, $3, $4, $5, $6::jsonb,
        strait_now() + make_interval(secs => $7::float8), $8)
on conflict (workflow_id) where status = 'active' do nothing
returning *`;

/** No row: the workflow has an active one. */
export function insertCanary(db: Queryable, params: InsertCanaryParams): Promise<InsertCanaryRow | undefined> {
  return maybe<InsertCanaryRow>(db, {
    text: insertCanaryText,
    values: [
      params.project_id,
      params.workflow_id,
      params.source_version,
      params.target_version,
      params.traffic_pct,
      JSON.stringify(params.auto_promote),
      params.due_in_secs,
      params.actor_id,
    ],
  });
}

export interface FindCanaryParams {
  readonly workflow_id: string;
  readonly project_id: string;
}

export interface FindCanaryRow {
  readonly id: string;
  readonly project_id: string;
  readonly workflow_id: string;
  readonly source_version: number;
  readonly target_version: number;
  readonly traffic_pct: number;
  readonly status: string;
  readonly auto_promote: unknown;
  readonly share_since: string;
  readonly due_at: string | null;
  readonly reason: string | null;
  readonly created_by: string | null;
  readonly created_at: string;
  readonly updated_at: string;
  readonly finished_at: string | null;
}

const findCanaryText = `select c.* from canary_deployments c
 where c.workflow_id = $1 and c.project_id = $2
 order by c.status = 'active' desc, c.created_at desc, c.id desc limit 1`;

/** The active one, else the last. */
export function findCanary(db: Queryable, params: FindCanaryParams): Promise<FindCanaryRow | undefined> {
  return maybe<FindCanaryRow>(db, {
    text: findCanaryText,
    values: [
      params.workflow_id,
      params.project_id,
    ],
  });
}

export interface ChangeShareParams {
  readonly traffic_pct: number;
  readonly auto_promote: unknown;
  readonly due_in_secs: number | null;
  readonly canary_id: string;
  readonly project_id: string;
}

export interface ChangeShareRow {
  readonly id: string;
  readonly project_id: string;
  readonly workflow_id: string;
  readonly source_version: number;
  readonly target_version: number;
  readonly traffic_pct: number;
  readonly status: string;
  readonly auto_promote: unknown;
  readonly share_since: string;
  readonly due_at: string | null;
  readonly reason: string | null;
  readonly created_by: string | null;
  readonly created_at: string;
  readonly updated_at: string;
  readonly finished_at: string | null;
}

const changeShareText = `update canary_deployments c
   set traffic_pct = $1, auto_promote = $2::jsonb, updated_at = strait_now(),
       share_since = case when c.traffic_pct = $1 then c.share_since else strait_now() end,
       due_at = strait_now() + make_interval(secs => $3::float8)
 where c.id = $4 and c.project_id = $5 and c.status = 'active'
returning c.*`;

/** What was measured counts for the share it was measured with; a change of the rules alone keeps it. */
export function changeShare(db: Queryable, params: ChangeShareParams): Promise<ChangeShareRow | undefined> {
  return maybe<ChangeShareRow>(db, {
    text: changeShareText,
    values: [
      params.traffic_pct,
      JSON.stringify(params.auto_promote),
      params.due_in_secs,
      params.canary_id,
      params.project_id,
    ],
  });
}

export interface EndCanaryParams {
  readonly status: string;
  readonly traffic_pct: number;
  readonly reason: string | null;
  readonly canary_id: string;
  readonly project_id: string;
}

export interface EndCanaryRow {
  readonly id: string;
  readonly project_id: string;
  readonly workflow_id: string;
  readonly source_version: number;
  readonly target_version: number;
  readonly traffic_pct: number;
  readonly status: string;
  readonly auto_promote: unknown;
  readonly share_since: string;
  readonly due_at: string | null;
  readonly reason: string | null;
  readonly created_by: string | null;
  readonly created_at: string;
  readonly updated_at: string;
  readonly finished_at: string | null;
}

const endCanaryText = `update canary_deployments c
   set status = $1, traffic_pct = $2, reason = $3, due_at = null,
       updated_at = strait_now(), finished_at = strait_now()
 where c.id = $4 and c.project_id = $5 and c.status = 'active'
returning c.*`;

export function endCanary(db: Queryable, params: EndCanaryParams): Promise<EndCanaryRow | undefined> {
  return maybe<EndCanaryRow>(db, {
    text: endCanaryText,
    values: [
      params.status,
      params.traffic_pct,
      params.reason,
      params.canary_id,
      params.project_id,
    ],
  });
}

export interface MeasureVersionParams {
  readonly project_id: string;
  readonly workflow_id: string;
  readonly version: number;
  readonly since: string;
}

export interface MeasureVersionRow {
  readonly ended: number;
  readonly failed: number;
  readonly latency_p99_secs: number | null;
}

const measureVersionText = `select count(*)::int as "ended",
       (count(*) filter (where r.status <> 'completed'))::int as "failed",
       (percentile_cont(0.99) within group (order by extract(epoch from r.finished_at - r.started_at)::float8)
          filter (where r.status = 'completed'))::float8 as "latency_p99_secs"
  from workflow_runs r
 where r.project_id = $1 and r.workflow_id = $2 and r.workflow_version = $3
   and r.created_at >= $4::timestamptz and r.retry_of_run_id is null
   and r.status in ('completed', 'failed', 'timed_out', 'compensating', 'compensated', 'compensation_failed')`;

/** Runs of a version that began since the share is what it is. Retries of runs say nothing about their version. */
export function measureVersion(db: Queryable, params: MeasureVersionParams): Promise<MeasureVersionRow> {
  return one<MeasureVersionRow>(db, {
    text: measureVersionText,
    values: [
      params.project_id,
      params.workflow_id,
      params.version,
      params.since,
    ],
  });
}

export interface ListDueCanariesParams {
  readonly limit: number;
}

export interface ListDueCanariesRow {
  readonly canary_id: string;
  readonly project_id: string;
  readonly workflow_id: string;
}

const listDueCanariesText = `select c.id as canary_id, c.project_id, c.workflow_id from canary_deployments c join workflows w on w.id = c.workflow_id
 where c.status = 'active' and c.due_at <= strait_now() and w.deleting_at is null
 order by c.due_at limit $1::int`;

/** across projects: a loop serves all of them. */
export function listDueCanaries(db: Queryable, params: ListDueCanariesParams): Promise<ListDueCanariesRow[]> {
  return many<ListDueCanariesRow>(db, {
    text: listDueCanariesText,
    values: [params.limit],
  });
}

export interface LockDueCanaryParams {
  readonly canary_id: string;
  readonly project_id: string;
}

export interface LockDueCanaryRow {
  readonly id: string;
  readonly project_id: string;
  readonly workflow_id: string;
  readonly source_version: number;
  readonly target_version: number;
  readonly traffic_pct: number;
  readonly status: string;
  readonly auto_promote: unknown;
  readonly share_since: string;
  readonly due_at: string | null;
  readonly reason: string | null;
  readonly created_by: string | null;
  readonly created_at: string;
  readonly updated_at: string;
  readonly finished_at: string | null;
}

const lockDueCanaryText = `select c.* from canary_deployments c
 where c.id = $1 and c.project_id = $2 and c.status = 'active' and c.due_at <= strait_now()
   for no key update`;

/** No row: somebody looked at it or changed it meanwhile. */
export function lockDueCanary(db: Queryable, params: LockDueCanaryParams): Promise<LockDueCanaryRow | undefined> {
  return maybe<LockDueCanaryRow>(db, {
    text: lockDueCanaryText,
    values: [
      params.canary_id,
      params.project_id,
    ],
  });
}

export interface FindVersionStepsParams {
  readonly workflow_id: string;
  readonly project_id: string;
  readonly version_ref: string;
}

export interface FindVersionStepsRow {
  readonly version: number;
  readonly steps: number;
}

const findVersionStepsText = `select v.version, (select count(*) from workflow_version_steps s where s.workflow_version_id = v.id)::int as "steps"
  from workflow_versions v
 where v.workflow_id = $1 and v.project_id = $2
   and (v.version_id = $3 or v.version::text = $3)`;

export function findVersionSteps(db: Queryable, params: FindVersionStepsParams): Promise<FindVersionStepsRow | undefined> {
  return maybe<FindVersionStepsRow>(db, {
    text: findVersionStepsText,
    values: [
      params.workflow_id,
      params.project_id,
      params.version_ref,
    ],
  });
}
