// What single concurrency keys of a job get, as people set and read it. Setting it goes through the lock that promotion
// holds, so from its commit on slots are handed out by it.

import type { FailureCode } from '../../../domain/failures.ts';
import type { Database, Tx } from '../../../platform/db/database.ts';
import { Failure } from '../../../platform/failure.ts';
import type { ProjectScope } from '../../access/index.ts';
import { recordAudit, type AuditSource } from '../../audit/index.ts';
import * as store from './store.sql.ts';

export interface KeyLimitsDependencies {
  readonly db: Database;
  /** In the transaction that changed what a job may do. */
  readonly onLimitsChanged: (
    tx: Tx,
    scope: { readonly project_id: string; readonly job_id: string },
  ) => Promise<void>;
}

export interface KeyLimitInput {
  readonly min_concurrency: number;
  readonly max_concurrency?: number | null | undefined;
  readonly weight: number;
}

interface KeyOfJob {
  readonly jobID: string;
  readonly concurrencyKey: string;
}

export type KeyLimits = ReturnType<typeof createKeyLimits>;

const EVERY_OTHER = '*';
/** All of them are answered in one list. */
const MAX_KEYS = 1_000;

const refuse = (path: string, message: string) =>
  new Failure<FailureCode>('invalid_job', {
    message: `${path}: ${message}`,
    details: [{ path, message }],
  });

export function createKeyLimits({ db, onLimitsChanged }: KeyLimitsDependencies) {
  const find = async (tx: Tx, project: ProjectScope, job: string) => {
    const row = await store.findJobOfKeys(tx, { ...project, job });
    if (!row) throw new Failure<FailureCode>('job_not_found');
    return row;
  };

  const lock = async (tx: Tx, project: ProjectScope, job: string) => {
    const { id } = await find(tx, project, job);
    const row = await store.lockJobOfKeys(tx, { ...project, job_id: id });
    if (!row) throw new Failure<FailureCode>('job_not_found');
    return row;
  };

  return {
    /** @throws job_not_found */
    list: (project: ProjectScope, job: string) =>
      db.tenant(project.project_id, async (tx) => {
        const { id: job_id } = await find(tx, project, job);
        return { job_id, data: await store.listKeyLimits(tx, { ...project, job_id }) };
      }),

    /** @throws job_not_found, invalid_job */
    set: (
      project: ProjectScope,
      by: AuditSource,
      { jobID, concurrencyKey: concurrency_key }: KeyOfJob,
      { min_concurrency, max_concurrency, weight }: KeyLimitInput,
    ) =>
      db.tenant(project.project_id, async (tx) => {
        const job = await lock(tx, project, jobID);
        const key = { ...project, job_id: job.id, concurrency_key };
        const limits = { min_concurrency, max_concurrency: max_concurrency || null, weight };
        const others = await store.sumOtherKeys(tx, key);
        check(job, concurrency_key, limits, others);
        const saved = await store.saveKeyLimit(tx, { ...key, ...limits, actor_id: by.actor_id });
        await store.flagKeys(tx, key);
        await onLimitsChanged(tx, { project_id: project.project_id, job_id: job.id });
        await recordAudit(tx, project, by, {
          action: 'job.key_limit_set',
          resource_type: 'job',
          resource_id: job.id,
          details: { concurrency_key, ...limits },
        });
        return saved;
      }),

    /** @throws job_not_found, key_limit_not_found */
    remove: (
      project: ProjectScope,
      by: AuditSource,
      { jobID, concurrencyKey: concurrency_key }: KeyOfJob,
    ): Promise<void> =>
      db.tenant(project.project_id, async (tx) => {
        const { id: job_id } = await lock(tx, project, jobID);
        const key = { ...project, job_id, concurrency_key };
        if ((await store.deleteKeyLimit(tx, key)) === 0)
          throw new Failure<FailureCode>('key_limit_not_found');
        await store.flagKeys(tx, key);
        await onLimitsChanged(tx, { project_id: project.project_id, job_id });
        await recordAudit(tx, project, by, {
          action: 'job.key_limit_removed',
          resource_type: 'job',
          resource_id: job_id,
          details: { concurrency_key },
        });
      }),
  };
}

/**
 * A minimum that cannot be kept is refused. The job's own limit may fall below them later: then they share it, and whoever
 * changes a key without asking for more is let through.
 */
function check(
  job: store.LockJobOfKeysRow,
  concurrency_key: string,
  limits: { readonly min_concurrency: number; readonly max_concurrency: number | null },
  others: store.SumOtherKeysRow,
): void {
  const { min_concurrency } = limits;
  const min = 'body.min_concurrency';
  if (concurrency_key === EVERY_OTHER && min_concurrency > 0)
    throw refuse(min, 'only a single key can be guaranteed slots');
  const cap = limits.max_concurrency ?? job.max_concurrency_per_key;
  if (cap !== null && min_concurrency > cap)
    throw refuse(min, `must not be above the limit of the key, ${cap}`);
  const sum = min_concurrency + others.min_concurrency;
  if (min_concurrency > others.before && job.max_concurrency !== null && sum > job.max_concurrency)
    throw refuse(min, `all keys together would be guaranteed ${sum} of ${job.max_concurrency}`);
  if (others.keys >= MAX_KEYS)
    throw refuse(
      'path.concurrencyKey',
      `a job has at most ${MAX_KEYS} keys with limits of their own`,
    );
}
