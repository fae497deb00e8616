// Budgets as people set and read them. Setting one goes through the lock that promotion holds, so from its commit on
// nothing starts beyond it.

import type { FailureCode } from '../../../domain/failures.ts';
import type { Database, Tx } from '../../../platform/db/database.ts';
import { Failure } from '../../../platform/failure.ts';
import { page, type Cursor } from '../../../platform/http/pagination.ts';
import type { ProjectScope } from '../../access/index.ts';
import { recordAudit, type AuditSource } from '../../audit/index.ts';
import { saveCostQuota } from '../../projects/index.ts';
import * as store from './store.sql.ts';

interface Today {
  readonly day: string;
  readonly resets_at: string;
  readonly spent_microusd: number;
  readonly reserved_microusd: number;
}

/** The queue's books. */
export interface MoneyBooks {
  today(project_id: string, timezone: string | null, job_id?: string): Promise<Today>;
  keysOf(
    project_id: string,
    timezone: string | null,
    job_id: string,
  ): Promise<
    readonly {
      readonly concurrency_key: string;
      readonly spent_microusd: number;
      readonly reserved_microusd: number;
    }[]
  >;
  events(
    project_id: string,
    limit: number,
    before?: Cursor,
  ): Promise<
    readonly ({
      readonly id: string;
      readonly type: string;
      readonly job_id: string;
      readonly concurrency_key: string;
      readonly limit_microusd: number;
      readonly created_at: string;
    } & Omit<Today, 'resets_at'>)[]
  >;
}

export interface BudgetsDependencies {
  readonly db: Database;
  readonly books: MoneyBooks;
  /** In the transaction that changed what a job, or without one the project, may spend. */
  readonly onLimitsChanged: (
    tx: Tx,
    scope: { readonly project_id: string; readonly job_id?: string },
  ) => Promise<void>;
}

export type BreachPolicy = 'reject' | 'wait' | 'pause';
type Limit = number | null | undefined;

export interface ProjectBudgetInput {
  readonly max_daily_cost_microusd?: Limit;
  readonly max_cost_per_run_microusd?: Limit;
  readonly breach_policy: BreachPolicy;
  readonly timezone?: string | undefined;
}

export interface JobBudgetInput {
  readonly max_daily_cost_microusd?: Limit;
  readonly max_daily_cost_per_key_microusd?: Limit;
  readonly cost_estimate_microusd?: Limit;
  readonly breach_policy: BreachPolicy;
}

export type Budgets = ReturnType<typeof createBudgets>;

/** 0 is none, as in every limit. */
const limitOf = (value: Limit): number | null => value || null;

const remaining = (limit: number | null, now: Today): number | null =>
  limit === null ? null : limit - now.spent_microusd - now.reserved_microusd;

export function createBudgets({ db, books, onLimitsChanged }: BudgetsDependencies) {
  const find = async (tx: Tx, project: ProjectScope, job: string) => {
    const row = await store.findJobBudget(tx, { ...project, job });
    if (!row) throw new Failure<FailureCode>('job_not_found');
    return row;
  };

  const ofProject = async (project: ProjectScope) => {
    const row = await db.tenant(project.project_id, (tx) => store.findProjectBudget(tx, project));
    const now = await books.today(project.project_id, row.timezone);
    return {
      ...row,
      breach_policy: row.breach_policy as BreachPolicy,
      timezone: row.timezone ?? 'UTC',
      ...now,
      remaining_microusd: remaining(row.max_daily_cost_microusd, now),
    };
  };

  /** @throws job_not_found */
  const ofJob = async (project: ProjectScope, job: string) => {
    const { timezone, ...row } = await db.tenant(project.project_id, (tx) =>
      find(tx, project, job),
    );
    const now = await books.today(project.project_id, timezone, row.job_id);
    return {
      ...row,
      breach_policy: row.breach_policy as BreachPolicy,
      ...now,
      remaining_microusd: remaining(row.max_daily_cost_microusd, now),
      keys: await books.keysOf(project.project_id, timezone, row.job_id),
    };
  };

  return {
    ofProject,
    ofJob,

    setProject: async (project: ProjectScope, by: AuditSource, input: ProjectBudgetInput) => {
      const { breach_policy, timezone = null } = input;
      const limits = {
        max_daily_cost_microusd: limitOf(input.max_daily_cost_microusd),
        max_cost_per_run_microusd: limitOf(input.max_cost_per_run_microusd),
      };
      await db.tenant(project.project_id, async (tx) => {
        await saveCostQuota(tx, { ...project, ...limits, breach_policy, timezone });
        await onLimitsChanged(tx, { project_id: project.project_id });
        await recordAudit(tx, project, by, {
          action: 'budget.updated',
          resource_type: 'project',
          resource_id: project.project_id,
          details: { ...limits, breach_policy, timezone },
        });
      });
      return ofProject(project);
    },

    /** @throws job_not_found */
    setJob: async (project: ProjectScope, by: AuditSource, job: string, input: JobBudgetInput) => {
      const { breach_policy } = input;
      const limits = {
        max_daily_cost_microusd: limitOf(input.max_daily_cost_microusd),
        max_daily_cost_per_key_microusd: limitOf(input.max_daily_cost_per_key_microusd),
        cost_estimate_microusd: limitOf(input.cost_estimate_microusd),
      };
      await db.tenant(project.project_id, async (tx) => {
        const { job_id } = await find(tx, project, job);
        const actor_id = by.actor_id;
        await store.saveJobBudget(tx, { ...project, job_id, ...limits, breach_policy, actor_id });
        await onLimitsChanged(tx, { project_id: project.project_id, job_id });
        await recordAudit(tx, project, by, {
          action: 'budget.updated',
          resource_type: 'job',
          resource_id: job_id,
          details: { ...limits, breach_policy },
        });
      });
      return ofJob(project, job);
    },

    events: async (
      { project_id }: ProjectScope,
      { limit, cursor }: { readonly limit: number; readonly cursor?: Cursor | undefined },
    ) => page(await books.events(project_id, limit + 1, cursor), limit),
  };
}
