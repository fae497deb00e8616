// Groups of jobs. Pausing one writes one flag that the queue reads wherever it decides about a start.

import type { z } from 'zod';
import type { FailureCode } from '../../../domain/failures.ts';
import type { Database, Tx } from '../../../platform/db/database.ts';
import { Failure } from '../../../platform/failure.ts';
import { page } from '../../../platform/http/pagination.ts';
import type { ProjectScope } from '../../access/index.ts';
import { recordAudit, type AuditSource } from '../../audit/index.ts';
import type { JobHistory } from '../history.ts';
import type { Jobs, PageRequest } from '../service.ts';
import { wakePromoter } from '../store.sql.ts';
import type { createGroup, updateGroup } from './contract.ts';
import * as store from './store.sql.ts';

export interface GroupsDependencies {
  readonly db: Database;
  readonly jobs: Pick<Jobs, 'list'>;
  readonly history: Pick<JobHistory, 'countByState'>;
}

export type Groups = ReturnType<typeof createGroups>;

/** What the statistics of one group read at most. */
const COUNTED_JOBS = 500;
const COUNTED_RUNS = 50_000;

const refusal = (code: FailureCode) => new Failure<FailureCode>(code);

export function createGroups({ db, jobs, history }: GroupsDependencies) {
  const require = async (tx: Tx, project: ProjectScope, group: string) => {
    const row = await store.findGroup(tx, { ...project, group });
    if (!row) throw refusal('job_group_not_found');
    return row;
  };

  const find = (project: ProjectScope, group: string) =>
    db.tenant(project.project_id, (tx) => require(tx, project, group));

  const audit = (
    tx: Tx,
    project: ProjectScope,
    by: AuditSource,
    action: string,
    { id, slug }: { readonly id: string; readonly slug: string },
  ) =>
    recordAudit(tx, project, by, {
      action: `job_group.${action}`,
      resource_type: 'job_group',
      resource_id: id,
      details: { slug },
    });

  return {
    /** @throws job_group_slug_taken */
    create: (
      project: ProjectScope,
      by: AuditSource,
      { name, slug, description }: z.output<(typeof createGroup)['body']>,
    ) =>
      db.tenant(project.project_id, async (tx) => {
        const input = { ...project, name, slug, description: description || null };
        const row = await store.insertGroup(tx, input);
        if (!row) throw refusal('job_group_slug_taken');
        await audit(tx, project, by, 'created', row);
        return row;
      }),

    list: (project: ProjectScope, { limit, cursor }: PageRequest) =>
      db.tenant(project.project_id, async (tx) => {
        const rows = await store.listGroups(tx, {
          ...project,
          limit: limit + 1,
          before_created_at: cursor?.created_at ?? null,
          before_id: cursor?.id ?? null,
        });
        return page(rows, limit);
      }),

    /** @throws job_group_not_found */
    get: find,

    /** @throws job_group_not_found, job_group_slug_taken */
    update: (
      project: ProjectScope,
      by: AuditSource,
      group: string,
      changes: z.output<(typeof updateGroup)['body']>,
    ) =>
      db
        .tenant(project.project_id, async (tx) => {
          const { id: group_id } = await require(tx, project, group);
          const row = await store.updateGroup(tx, {
            ...project,
            group_id,
            name: changes.name ?? null,
            slug: changes.slug ?? null,
            description: changes.description ?? null,
          });
          if (!row) throw refusal('job_group_not_found');
          await audit(tx, project, by, 'updated', row);
          return row;
        })
        .catch((error: unknown) => {
          throw breaks(error, '23505') ? refusal('job_group_slug_taken') : error;
        }),

    /** @throws job_group_not_found, job_group_not_empty */
    delete: (project: ProjectScope, by: AuditSource, group: string): Promise<void> =>
      db
        .tenant(project.project_id, async (tx) => {
          const row = await require(tx, project, group);
          const key = { ...project, group_id: row.id };
          await store.leaveGroup(tx, key);
          if ((await store.deleteGroup(tx, key)) === 0) throw refusal('job_group_not_empty');
          await audit(tx, project, by, 'deleted', row);
        })
        .catch((error: unknown) => {
          throw breaks(error, '23503') ? refusal('job_group_not_empty') : error;
        }),

    /** @throws job_group_not_found */
    jobs: async (project: ProjectScope, group: string, paging: PageRequest) =>
      jobs.list(project, { group_id: (await find(project, group)).id }, paging),

    /** Doing it again changes nothing. @throws job_group_not_found */
    setPaused: (project: ProjectScope, by: AuditSource, group: string, paused: boolean) =>
      db.tenant(project.project_id, async (tx): Promise<void> => {
        const row = await require(tx, project, group);
        if (!(await store.setGroupPaused(tx, { ...project, group_id: row.id, paused }))) return;
        if (!paused) await wakePromoter(tx);
        await audit(tx, project, by, paused ? 'paused' : 'resumed', row);
      }),

    /** @throws job_group_not_found */
    stats: (project: ProjectScope, group: string) =>
      db.tenant(project.project_id, async (tx) => {
        const { id: group_id } = await require(tx, project, group);
        const members = await store.listMemberIds(tx, {
          ...project,
          group_id,
          limit: COUNTED_JOBS + 1,
        });
        const job_ids = members.slice(0, COUNTED_JOBS).map(({ id }) => id);
        const per_job = Math.floor(COUNTED_RUNS / Math.max(job_ids.length, 1));
        const { counts, truncated } = await history.countByState(tx, {
          ...project,
          job_ids,
          per_job,
        });
        return {
          group_id,
          run_counts: counts,
          truncated: truncated || members.length > COUNTED_JOBS,
        };
      }),
  };
}

const breaks = (error: unknown, constraint: string): boolean =>
  error instanceof Error && 'code' in error && error.code === constraint;
