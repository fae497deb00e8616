// Changing jobs: update (a new version), pause and enable (no version).
import type { FailureCode } from '../../domain/failures.ts';
import { newVersionId } from '../../domain/version-id.ts';
import type { Database, Tx } from '../../platform/db/database.ts';
import { Failure } from '../../platform/failure.ts';
import type { ProjectScope } from '../access/index.ts';
import { recordAudit, type AuditSource } from '../audit/index.ts';
import { slugTaken } from './create-jobs.ts';
import { SCHEDULE_SETTINGS, type ScheduleReaction } from './schedule-reaction.ts';
import {
  changedParts,
  failureOf,
  updatedDefinition,
  type Judges,
  type RequestFields,
} from './definition.ts';
import { referenceProblems } from './references.ts';
import type { JobSecrets, SecretInput } from './secrets.ts';
import { settingsOf, type JobSettings, type SettingChanges } from './settings.ts';
import * as store from './store.sql.ts';

export interface Changing {
  readonly db: Database;
  readonly judges: Judges;
  readonly secrets: JobSecrets;
  readonly onLimitsChanged: LimitsReaction;
  readonly onScheduleChanged: ScheduleReaction;
}

/** In the transaction that changed how many runs of a job may be in flight. */
export type LimitsReaction = (
  tx: Tx,
  job: { readonly project_id: string; readonly job_id: string },
) => Promise<void>;

const LIMITS = ['max_concurrency', 'max_concurrency_per_key'] as const;

export type UpdateInput = RequestFields &
  SecretInput & { readonly version_id?: string | undefined };

export async function updateJob(
  { db, judges, secrets, onLimitsChanged, onScheduleChanged }: Changing,
  project: ProjectScope,
  by: AuditSource,
  job: string,
  input: UpdateInput,
): Promise<store.UpdateJobRow> {
  const early = await changedParts(judges, input);
  if (early) throw failureOf(early);
  const write = db.tenant(project.project_id, async (tx) => {
    const current = await store.lockJob(tx, { ...project, job });
    if (!current) throw new Failure<FailureCode>('job_not_found');
    if (input.version_id !== undefined && input.version_id !== current.version_id) {
      throw versionConflict(current.version_id);
    }
    const before = settingsOf(current);
    const definition = updatedDefinition(judges, before, input);
    if ('refusal' in definition) throw failureOf(definition.refusal);
    const { changes } = definition;
    const referring = { settings: changes, at: 'body' };
    const refusal = (await referenceProblems(tx, project, [referring]))(referring);
    if (refusal) throw failureOf(refusal);

    const key = { ...project, job_id: current.id };
    const sealed = secrets.seal(input, key);
    const row = await store.updateJob(tx, {
      ...key,
      version: current.version,
      version_id: newVersionId(),
      actor_id: by.actor_id,
      changes: { ...changes, ...sealed },
    });
    if (!row) throw versionConflict(null);
    // Schedules first: who fires one holds it while he waits for slots.
    if (SCHEDULE_SETTINGS.some((setting) => row[setting] !== current[setting]))
      await onScheduleChanged(tx, project, [row]);
    if (LIMITS.some((limit) => row[limit] !== current[limit])) await onLimitsChanged(tx, key);
    if (row.enabled && !current.enabled) await store.wakePromoter(tx);
    await recordAudit(tx, project, by, {
      action: 'job.updated',
      resource_type: 'job',
      resource_id: row.id,
      details: { slug: row.slug, version: row.version, version_id: row.version_id },
      changes: differences(before, changes, Object.keys(sealed)),
    });
    return row;
  });
  return write.catch((error: unknown) => {
    throw isSlugClash(error) ? failureOf(slugTaken('body', String(input['slug']))) : error;
  });
}

/** Doing it again changes nothing and leaves no trace. */
export function setPaused(
  { db }: Changing,
  project: ProjectScope,
  by: AuditSource,
  job: string,
  paused: boolean,
): Promise<store.LockJobRow> {
  return db.tenant(project.project_id, async (tx) => {
    const current = await store.lockJob(tx, { ...project, job });
    if (!current) throw new Failure<FailureCode>('job_not_found');
    const change = { ...project, job_id: current.id, paused, actor_id: by.actor_id };
    const row = await store.setJobPaused(tx, change);
    if (!row) return current;
    if (!paused) await store.wakePromoter(tx);
    await recordAudit(tx, project, by, {
      action: paused ? 'job.paused' : 'job.resumed',
      resource_type: 'job',
      resource_id: row.id,
      details: { slug: row.slug },
    });
    return row;
  });
}

/** How many of the jobs exist, whether they had to be changed or not. */
export function setEnabled(
  { db, onScheduleChanged }: Changing,
  project: ProjectScope,
  by: AuditSource,
  refs: readonly string[],
  enabled: boolean,
): Promise<number> {
  return db.tenant(project.project_id, async (tx) => {
    const rows = await store.setJobsEnabled(tx, {
      ...project,
      refs,
      enabled,
      actor_id: by.actor_id,
    });
    const others = rows.filter(({ was_enabled }) => was_enabled !== enabled);
    const changed = others.map(({ id }) => id);
    if (changed.length === 0) return rows.length;
    const scheduled = others.filter(({ cron }) => cron !== null);
    if (scheduled.length > 0) await onScheduleChanged(tx, project, scheduled);
    if (enabled) await store.wakePromoter(tx);
    await recordAudit(tx, project, by, {
      action: enabled ? 'job.batch_enabled' : 'job.batch_disabled',
      resource_type: 'job',
      details: { job_ids: changed },
    });
    return rows.length;
  });
}

function versionConflict(current: string | null): Failure<FailureCode> {
  const message = current === null ? undefined : `the job is version ${current} by now`;
  return new Failure<FailureCode>('job_version_conflict', { message });
}

function differences(
  before: JobSettings,
  changes: SettingChanges,
  secretColumns: readonly string[],
) {
  const found: Record<string, { before: unknown; after: unknown }> = {};
  for (const [name, after] of Object.entries(changes)) {
    const was: unknown = before[name as keyof JobSettings];
    if (JSON.stringify(was) !== JSON.stringify(after)) found[name] = { before: was, after };
  }
  for (const column of secretColumns) found[column] = { before: '[redacted]', after: '[redacted]' };
  return found;
}

interface ConstraintError {
  readonly code?: string;
  readonly constraint?: string;
}

function isSlugClash(error: unknown): boolean {
  const { code, constraint } = (error ?? {}) as ConstraintError;
  return code === '23505' && constraint === 'jobs_project_id_slug_key';
}
