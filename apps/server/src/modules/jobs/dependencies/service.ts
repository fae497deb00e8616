// Dependencies between jobs: no job waits for itself, over any number of others.

import type { z } from 'zod';
import type { FailureCode } from '../../../domain/failures.ts';
import type { Database, Tx } from '../../../platform/db/database.ts';
import { Failure } from '../../../platform/failure.ts';
import { page } from '../../../platform/http/pagination.ts';
import type { ProjectScope } from '../../access/index.ts';
import { recordAudit, type AuditSource } from '../../audit/index.ts';
import type { PageRequest } from '../service.ts';
import { findJob } from '../store.sql.ts';
import type { createDependency, JobDependency as DependencySchema } from './contract.ts';
import * as store from './store.sql.ts';

export interface DependenciesDeps {
  readonly db: Database;
  /** In the transaction that took a dependency away: runs may wait for nothing any more. */
  readonly onChanged: (tx: Tx, job_id: string) => Promise<void>;
}

export type Dependencies = ReturnType<typeof createDependencies>;

const MAX_DEPENDENCIES = 50;

const refuse = (code: FailureCode, path?: string, message?: string) =>
  new Failure<FailureCode>(
    code,
    path === undefined || message === undefined
      ? {}
      : { message: `${path}: ${message}`, details: [{ path, message }] },
  );

export function createDependencies({ db, onChanged }: DependenciesDeps) {
  const require = async (tx: Tx, project: ProjectScope, job: string) => {
    const row = await findJob(tx, { ...project, job });
    if (!row) throw refuse('job_not_found');
    return row;
  };

  return {
    /** @throws job_not_found, invalid_job, dependency_cycle, dependency_exists */
    create: (
      project: ProjectScope,
      by: AuditSource,
      job: string,
      input: z.output<(typeof createDependency)['body']>,
    ): Promise<JobDependency> =>
      db.tenant(project.project_id, async (tx) => {
        const at = 'body.depends_on_job_id';
        await store.serializeDependencies(tx, project);
        const { id: job_id } = await require(tx, project, job);
        const other = await findJob(tx, { ...project, job: input.depends_on_job_id });
        if (!other) throw refuse('invalid_job', at, 'no such job in the project');
        const pair = { ...project, job_id, depends_on_job_id: other.id };
        if (other.id === job_id) throw refuse('invalid_job', at, 'a job cannot wait for itself');
        if (await store.findCycle(tx, pair))
          throw refuse('dependency_cycle', at, 'that job waits for this one already');
        if ((await store.countDependencies(tx, { job_id })).dependencies >= MAX_DEPENDENCIES)
          throw refuse('invalid_job', at, `a job waits for at most ${MAX_DEPENDENCIES} others`);
        const made = await store.insertDependency(tx, { ...pair, condition: input.condition });
        if (!made) throw refuse('dependency_exists');
        await recordAudit(tx, project, by, {
          action: 'job.dependency_created',
          resource_type: 'job',
          resource_id: job_id,
          details: { depends_on_job_id: other.id, condition: made.condition },
        });
        return dependencyView(made);
      }),

    /** @throws job_not_found */
    list: (project: ProjectScope, job: string, { limit, cursor }: PageRequest) =>
      db.tenant(project.project_id, async (tx) => {
        const { id: job_id } = await require(tx, project, job);
        const rows = await store.listDependencies(tx, {
          ...project,
          job_id,
          limit: limit + 1,
          before_created_at: cursor?.created_at ?? null,
          before_id: cursor?.id ?? null,
        });
        return page(rows.map(dependencyView), limit);
      }),

    /** @throws job_not_found, dependency_not_found */
    delete: (
      project: ProjectScope,
      by: AuditSource,
      job: string,
      dependency_id: string,
    ): Promise<void> =>
      db.tenant(project.project_id, async (tx) => {
        await store.serializeDependencies(tx, project);
        const { id: job_id } = await require(tx, project, job);
        const gone = await store.deleteDependency(tx, { ...project, job_id, dependency_id });
        if (!gone) throw refuse('dependency_not_found');
        await store.clearFlags(tx, { ...project, job_ids: [job_id, gone.depends_on_job_id] });
        await onChanged(tx, job_id);
        await recordAudit(tx, project, by, {
          action: 'job.dependency_deleted',
          resource_type: 'job',
          resource_id: job_id,
          details: { depends_on_job_id: gone.depends_on_job_id },
        });
      }),
  };
}

export interface DependencyRow {
  readonly id: string;
  readonly job_id: string;
  readonly depends_on_job_id: string;
  readonly condition: string;
  readonly created_at: string;
}

export type JobDependency = z.input<typeof DependencySchema>;

/** The table checks what `condition` can be. */
export const dependencyView = (row: DependencyRow): JobDependency => ({
  id: row.id,
  job_id: row.job_id,
  depends_on_job_id: row.depends_on_job_id,
  condition: row.condition as JobDependency['condition'],
  created_at: row.created_at,
});
