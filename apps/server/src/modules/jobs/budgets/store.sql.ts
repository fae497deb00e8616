// Generated from store.sql by `npm run generate`. Do not edit.
import { count, maybe, one, type Queryable } from '../../../platform/db/query.ts';

export interface FindProjectBudgetParams {
  readonly project_id: string;
}

export interface FindProjectBudgetRow {
  readonly timezone: string | null;
  readonly max_daily_cost_microusd: number | null;
  readonly max_cost_per_run_microusd: number | null;
  readonly breach_policy: string;
}

const findProjectBudgetText = `select nullif(q.timezone, '') as "timezone", nullif(q.max_daily_cost_microusd, 0) as "max_daily_cost_microusd",
       nullif(q.max_cost_per_run_microusd, 0) as "max_cost_per_run_microusd", coalesce(q.cost_breach_policy, 'reject') as "breach_policy"
  from (select 1) one left join project_quotas q on q.project_id = $1`;

/** A project without quotas has no budget; its day is that of UTC. */
export function findProjectBudget(db: Queryable, params: FindProjectBudgetParams): Promise<FindProjectBudgetRow> {
  return one<FindProjectBudgetRow>(db, {
    text: findProjectBudgetText,
    values: [params.project_id],
  });
}

export interface FindJobBudgetParams {
  readonly project_id: string;
  readonly job: string;
}

export interface FindJobBudgetRow {
  readonly job_id: string;
  readonly timezone: string | null;
  readonly max_daily_cost_microusd: number | null;
  readonly max_daily_cost_per_key_microusd: number | null;
  readonly cost_estimate_microusd: number | null;
  readonly breach_policy: string;
  readonly reserve_microusd: number;
}

const findJobBudgetText = `select j.id as job_id, nullif(q.timezone, '') as "timezone", b.max_daily_cost_microusd as "max_daily_cost_microusd",
       b.max_daily_cost_per_key_microusd as "max_daily_cost_per_key_microusd", b.cost_estimate_microusd as "cost_estimate_microusd",
       coalesce(b.breach_policy, 'wait') as "breach_policy", strait_reserve(j.project_id, j.id) as "reserve_microusd"
  from jobs j left join job_budgets b on b.job_id = j.id left join project_quotas q on q.project_id = j.project_id
 where j.project_id = $1 and (j.id = $2 or j.slug = $2) and j.deleting_at is null
 order by j.id = $2 desc limit 1`;

/** By id or slug. */
export function findJobBudget(db: Queryable, params: FindJobBudgetParams): Promise<FindJobBudgetRow | undefined> {
  return maybe<FindJobBudgetRow>(db, {
    text: findJobBudgetText,
    values: [
      params.project_id,
      params.job,
    ],
  });
}

export interface SaveJobBudgetParams {
  readonly job_id: string;
  readonly project_id: string;
  readonly max_daily_cost_microusd: number | null;
  readonly max_daily_cost_per_key_microusd: number | null;
  readonly cost_estimate_microusd: number | null;
  readonly breach_policy: string;
  readonly actor_id: string;
}

const saveJobBudgetText = `insert into job_budgets as b (job_id, project_id, max_daily_cost_microusd, max_daily_cost_per_key_microusd, cost_estimate_microusd,
       breach_policy, updated_by)
values ($1, $2, $3, $4, $5, $6, $7)
on conflict (job_id) do update
   set max_daily_cost_microusd = excluded.max_daily_cost_microusd, max_daily_cost_per_key_microusd = excluded.max_daily_cost_per_key_microusd,
       cost_estimate_microusd = excluded.cost_estimate_microusd, breach_policy = excluded.breach_policy,
       updated_by = excluded.updated_by, updated_at = strait_now()
 where b.project_id = $2`;

export function saveJobBudget(db: Queryable, params: SaveJobBudgetParams): Promise<number> {
  return count(db, {
    text: saveJobBudgetText,
    values: [
      params.job_id,
      params.project_id,
      params.max_daily_cost_microusd,
      params.max_daily_cost_per_key_microusd,
      params.cost_estimate_microusd,
      params.breach_policy,
      params.actor_id,
    ],
  });
}
