import type { z } from 'zod';
import type { FailureCode } from '../../domain/failures.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Keyring } from '../../platform/crypto/keyring.ts';
import type { Database } from '../../platform/db/database.ts';
import { Failure } from '../../platform/failure.ts';
import { page, type Cursor } from '../../platform/http/pagination.ts';
import type { AddressPolicy } from '../../platform/outbound/address-rules.ts';
import type { ProjectScope } from '../access/index.ts';
import type { AuditSource } from '../audit/index.ts';
import { createBatch, type BatchRequest } from './batch.ts';
import {
  setEnabled,
  setPaused,
  updateJob,
  type LimitsReaction,
  type UpdateInput,
} from './change-jobs.ts';
import { createAll } from './create-jobs.ts';
import { failureOf } from './definition.ts';
import { deleteJob, finishDeletions, type JobUsers } from './delete-job.ts';
import { resolveName, type ResolveName } from './endpoint-check.ts';
import type { JobHistory } from './history.ts';
import { createExecutionConfigs, createTriggerLookup } from './live-settings.ts';
import { healthScore, healthWindows } from './rules.ts';
import type { ScheduleReaction } from './schedule-reaction.ts';
import { createSchemaChecks } from './schema-check.ts';
import type { CloneJobRequest, CreateJobRequest } from './schemas.ts';
import { createJobSecrets } from './secrets.ts';
import { defaultSettings, settingsOf, type OptionalSettings } from './settings.ts';
import * as store from './store.sql.ts';
import { currentVersionView, jobView, versionView } from './view.ts';

export interface JobsDependencies {
  readonly db: Database;
  /** Undefined: jobs cannot have secrets. */
  readonly keyring: Keyring | undefined;
  readonly outboundPolicy: AddressPolicy;
  readonly clock: Clock;
  readonly history: JobHistory;
  /** Default: nobody refers to jobs. */
  readonly users?: JobUsers;
  /** How names of endpoints are looked up when a job is saved; default: the system's resolver. */
  readonly resolve?: ResolveName;
  /** Default: nothing else keeps count of limits. */
  readonly onLimitsChanged?: LimitsReaction;
  /** Default: nobody triggers jobs by themselves. */
  readonly onScheduleChanged?: ScheduleReaction;
  /** Defaults of this installation, on top of the built-in ones. */
  readonly defaults?: Partial<Pick<OptionalSettings, 'max_attempts' | 'timeout_secs'>>;
}

export interface PageRequest {
  readonly limit: number;
  readonly cursor?: Cursor | undefined;
}

export interface JobFilter {
  readonly tag_key?: string | undefined;
  readonly tag_value?: string | undefined;
  readonly enabled?: boolean | undefined;
  readonly group_id?: string | undefined;
}

export type Jobs = ReturnType<typeof createJobs>;

export function createJobs({
  db,
  keyring,
  outboundPolicy,
  clock,
  history,
  users = { isUsed: async () => false },
  resolve,
  defaults,
  onLimitsChanged = async () => {},
  onScheduleChanged = async () => {},
}: JobsDependencies) {
  const schemas = createSchemaChecks(clock);
  const secrets = createJobSecrets(keyring);
  const endpoints = { policy: outboundPolicy, resolve: resolve ?? resolveName };
  const deps = {
    db,
    history,
    users,
    secrets,
    onLimitsChanged,
    onScheduleChanged,
    judges: { endpoints, schemas, defaults: { ...defaultSettings, ...defaults } },
  };

  const read = <T>(project: ProjectScope, run: Parameters<typeof db.tenant<T>>[1]) =>
    db.tenant(project.project_id, run);

  async function requireJob(project: ProjectScope, job: string) {
    const row = await read(project, (tx) => store.findJob(tx, { ...project, job }));
    if (!row) throw new Failure<FailureCode>('job_not_found');
    return row;
  }

  async function createOne(
    project: ProjectScope,
    by: AuditSource,
    input: Readonly<Record<string, unknown>>,
    audit: Parameters<typeof createAll>[4],
  ) {
    const [outcome] = await createAll(deps, project, by, [{ input, at: 'body' }], audit);
    if (!outcome) throw new Error('a request for a job got no outcome');
    if ('refusal' in outcome) throw failureOf(outcome.refusal);
    return jobView(outcome.row);
  }

  return {
    create: (project: ProjectScope, by: AuditSource, input: z.output<typeof CreateJobRequest>) =>
      createOne(project, by, input, { action: 'job.created' }),

    /** Items are judged one by one; never throws because of one of them. */
    createBatch: (project: ProjectScope, by: AuditSource, request: BatchRequest) =>
      createBatch(deps, project, by, request),

    /** All settings and secrets under another name; enabled and not paused. */
    async clone(
      project: ProjectScope,
      by: AuditSource,
      job: string,
      { name, slug }: z.output<typeof CloneJobRequest>,
    ) {
      const original = await requireJob(project, job);
      const place = { ...project, job_id: original.id };
      const input = {
        ...settingsOf(original),
        name,
        slug,
        enabled: true,
        endpoint_signing_secret: secrets.openSigningSecret(
          original.endpoint_signing_secret_enc,
          place,
        ),
        webhook_secret: secrets.openWebhookSecret(original.webhook_secret, place),
      };
      const details = { cloned_from: original.id, version: original.version };
      return createOne(project, by, input, { action: 'job.cloned', details });
    },

    get: async (project: ProjectScope, job: string) => jobView(await requireJob(project, job)),

    /** Newest first. */
    async list(project: ProjectScope, filter: JobFilter, { limit, cursor }: PageRequest) {
      const rows = await read(project, (tx) =>
        store.listJobs(tx, {
          ...project,
          tag_key: filter.tag_key ?? null,
          tag_value: filter.tag_value ?? null,
          enabled: filter.enabled ?? null,
          group_id: filter.group_id ?? null,
          before_created_at: cursor?.created_at ?? null,
          before_id: cursor?.id ?? null,
          limit: limit + 1,
        }),
      );
      const found = page(rows, limit);
      return { ...found, data: found.data.map(jobView) };
    },

    /** Every update makes a version, also one that changes nothing. */
    update: async (project: ProjectScope, by: AuditSource, job: string, input: UpdateInput) =>
      jobView(await updateJob(deps, project, by, job, input)),

    setPaused: async (project: ProjectScope, by: AuditSource, job: string, paused: boolean) =>
      jobView(await setPaused(deps, project, by, job, paused)),

    setEnabled: (
      project: ProjectScope,
      by: AuditSource,
      refs: readonly string[],
      enabled: boolean,
    ) => setEnabled(deps, project, by, refs, enabled),

    delete: (project: ProjectScope, by: AuditSource, job: string) =>
      deleteJob(deps, project, by, job),

    /** Removes what interrupted deletions left; one round. */
    finishDeletions: (signal: AbortSignal) => finishDeletions(deps, signal),

    /** Kept versions, newest first; the current one is the job itself. */
    async listVersions(project: ProjectScope, job: string, { limit, cursor }: PageRequest) {
      const { id: job_id } = await requireJob(project, job);
      // Numbers, not times, are the order: an update that waited for a lock has the older time.
      const number = cursor && /^\d{1,9}$/.test(cursor.id) ? Number(cursor.id) : null;
      const rows = await read(project, (tx) =>
        store.listJobVersions(tx, {
          ...project,
          job_id,
          before_version: number,
          before_created_at: number === null ? (cursor?.created_at ?? null) : null,
          limit: limit + 1,
        }),
      );
      const found = page(rows, limit, ({ created_at, version }) => ({
        created_at,
        id: String(version),
      }));
      return { ...found, data: found.data.map(versionView) };
    },

    /** By version id, number or row id; the current version too. */
    async getVersion(project: ProjectScope, job: string, version_ref: string) {
      const live = await requireJob(project, job);
      if (version_ref === live.version_id || version_ref === String(live.version)) {
        return currentVersionView(live);
      }
      const key = { ...project, job_id: live.id, version_ref };
      const row = await read(project, (tx) => store.findJobVersion(tx, key));
      if (!row) throw new Failure<FailureCode>('job_version_not_found');
      return versionView(row);
    },

    async health(project: ProjectScope, job: string, window: keyof typeof healthWindows) {
      const { id: job_id } = await requireJob(project, job);
      const window_secs = healthWindows[window];
      const facts = await history.healthFacts(db, { ...project, job_id, window_secs });
      const { avg_duration_secs, p95_duration_secs } = facts;
      const counts = {
        completed_runs: facts.completed,
        failed_runs: facts.failed,
        timed_out_runs: facts.timed_out,
        crashed_runs: facts.crashed,
        system_failed_runs: facts.system_failed,
        canceled_runs: facts.canceled,
        expired_runs: facts.expired,
        dead_letter_runs: facts.dead_letter,
      };
      const total_runs = Object.values(counts).reduce((sum, count) => sum + count, 0);
      const score = healthScore({ total_runs, ...counts, avg_duration_secs, p95_duration_secs });
      return {
        job_id,
        window,
        since: facts.since,
        total_runs,
        ...counts,
        ...score,
        avg_duration_secs,
        p95_duration_secs,
      };
    },

    /** The live job by id or slug; look-ups of the same turn of the event loop share one statement. */
    findForTrigger: createTriggerLookup(db),

    /** Settings of the version that the run runs (cached), or of the live job when that one was never kept. */
    executionConfig: createExecutionConfigs(db, secrets),

    checkPayload: schemas.checkPayload,
    checkResult: schemas.checkResult,
  };
}
