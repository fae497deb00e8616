// Triggering one run. The usual path is one shared look-up of the job and one shared insert; nothing else.

import { signRunToken } from '../../../platform/crypto/run-token.ts';
import type { Clock } from '../../../platform/clock.ts';
import type { Database } from '../../../platform/db/database.ts';
import { Failure } from '../../../platform/failure.ts';
import type { ProjectScope } from '../../access/index.ts';
import type { JobView, TriggerJob } from '../../jobs/index.ts';
import type { Queue, RunStatus } from '../../queue/index.ts';
import { isControlled, type Admission, type Admitted, type BufferKeys } from './admission.ts';
import type {
  DryRunValidationResult,
  TriggerAccepted,
  TriggerItem,
  TriggerResponse,
} from './contract.ts';
import { foresee } from './foresee.ts';
import { createPaidTriggers } from './paid.ts';
import { prepareRun, type PayloadCheck, type PreparedRun } from './prepare.ts';
import { timeToLive, tokenExpiry } from './rules.ts';
import * as store from './store.sql.ts';

/** What triggers need of modules/jobs. */
export interface TriggerJobs extends PayloadCheck {
  /** The live job by id or slug, never from a cache that outlives the call. */
  findForTrigger(project_id: string, id_or_slug: string): Promise<TriggerJob | undefined>;
}

export interface TriggerSettings {
  /** Bytes of canonical JSON. */
  readonly max_payload_bytes: number;
  readonly max_bulk_items: number;
  /** Time to live of runs whose trigger and job name none; 0 = for ever. */
  readonly default_ttl_secs: number;
  /** Signs run tokens. */
  readonly token_key: string;
}

export interface TriggerDependencies {
  readonly db: Database;
  /** The queue's pool. Default: `db`. */
  readonly hot?: Database;
  /** How many budgets a refusal made reach their limit. Default: nobody counts. */
  readonly onBudgetEvents?: ((events: number) => void) | undefined;
  readonly queue: Pick<Queue, 'enqueue' | 'enqueueMany' | 'keyHolders'>;
  readonly jobs: TriggerJobs;
  /** The API's view of a job, for dry runs. */
  readonly describeJob: (project: ProjectScope, job_id: string) => Promise<JobView>;
  readonly clock: Clock;
  readonly settings: TriggerSettings;
  readonly admission: Admission;
}

const keysOf = ({ debounce_key = '', batch_key = '' }: Partial<BufferKeys>): BufferKeys => ({
  debounce_key,
  batch_key,
});

export interface TriggerInput {
  readonly job: string;
  readonly item: TriggerItem & Partial<BufferKeys>;
  readonly created_by: string;
  readonly traceparent?: string | undefined;
  readonly tracestate?: string | undefined;
}

/** A key whose holder vanished between two looks is looked for again, this often. */
const KEY_LOOKS = 3;

export type Triggers = ReturnType<typeof createTriggers>;

export function createTriggers(deps: TriggerDependencies) {
  const { db, queue, jobs, describeJob, clock, settings, admission } = deps;
  const paid = createPaidTriggers(deps);

  const requireJob = async (project: ProjectScope, id_or_slug: string): Promise<TriggerJob> => {
    const job = await jobs.findForTrigger(project.project_id, id_or_slug);
    if (!job) throw new Failure('job_not_found');
    return job;
  };

  const prepare = (job: TriggerJob, input: TriggerInput, now_ms: number): PreparedRun =>
    prepareRun(input.item, 'body', {
      job,
      jobs,
      now_ms,
      max_payload_bytes: settings.max_payload_bytes,
      created_by: input.created_by,
      traceparent: input.traceparent,
      tracestate: input.tracestate,
      may_wait_in_buffer: true,
    });

  /** Creates the run or finds who holds its key. A disabled job still answers for a key it knows. */
  async function enqueue(
    job: TriggerJob,
    { run }: PreparedRun,
    keys: BufferKeys,
  ): Promise<Exclude<Admitted, { outcome: 'refused' }>> {
    if (!job.enabled && run.idempotency_key === undefined) throw new Failure('job_disabled');
    const controlled = isControlled(job);
    for (let look = 0; look < KEY_LOOKS; look++) {
      const enqueued = controlled
        ? await paid.told(admission.admit(job, run, keys))
        : await (job.refuses_over_budget ? paid.enqueue(run) : queue.enqueue(run));
      if (enqueued.outcome !== 'refused') return enqueued;
      if (run.idempotency_key === undefined) break;
      if (!(await jobs.findForTrigger(run.project_id, run.job_id))?.enabled) break;
    }
    const now = await jobs.findForTrigger(run.project_id, run.job_id);
    if (!now) throw new Failure('job_not_found');
    if (!now.enabled) throw new Failure('job_disabled');
    throw new Failure('overloaded', { message: 'the idempotency key changes hands too quickly' });
  }

  return {
    /**
     * @throws job_not_found, job_disabled, invalid_payload, invalid_schedule, payload_too_large, queue_quota_exceeded,
     * job_rate_limited, daily_cost_exceeded
     */
    trigger: async (
      project: ProjectScope,
      input: TriggerInput,
    ): Promise<TriggerResponse | TriggerAccepted> => {
      const job = await requireJob(project, input.job);
      const now_ms = clock.now();
      const prepared = prepare(job, input, now_ms);
      const { run, scheduled_at } = prepared;
      const enqueued = await enqueue(job, prepared, keysOf(input.item));
      if (enqueued.outcome === 'debounced') return { debounced: true, fire_at: enqueued.fire_at };
      if (enqueued.outcome === 'buffered') return { buffered: true };
      const { id } = enqueued;
      const status = enqueued.status as RunStatus;
      if (enqueued.outcome === 'batch') {
        return { id, status, idempotency_hit: false, batch: true, job_paused: job.paused };
      }
      if (enqueued.outcome === 'duplicate') {
        const { payload_hash } = run;
        return { id, status, payload_hash, idempotency_hit: false, dedup_hit: true };
      }
      if (enqueued.outcome === 'held') {
        const payload_mismatch =
          enqueued.payload_hash !== null && enqueued.payload_hash !== run.payload_hash;
        return { id, status, idempotency_hit: true, payload_mismatch };
      }
      return {
        id,
        status,
        payload_hash: run.payload_hash,
        run_token: firstToken(
          settings.token_key,
          job,
          id,
          enqueued.expires_at,
          scheduled_at,
          now_ms,
        ),
        idempotency_hit: false,
        job_paused: job.paused,
      };
    },

    /** What the same request would do; stores nothing. */
    dryRun: async (project: ProjectScope, input: TriggerInput): Promise<DryRunValidationResult> => {
      const job = await requireJob(project, input.job);
      const now_ms = clock.now();
      const { run, scheduled_at } = prepare(job, input, now_ms);
      const { idempotency_key } = run;
      const holder =
        idempotency_key === undefined
          ? undefined
          : await db.tenant(project.project_id, (tx) =>
              store.findKeyHolder(tx, { ...project, job_id: job.id, idempotency_key }),
            );
      if (!holder && !job.enabled) throw new Failure('job_disabled');
      if (!holder && job.refuses_over_budget && scheduled_at === undefined) await paid.look(run);
      const foreseen = holder
        ? []
        : await db.tenant(project.project_id, (tx) => foresee(tx, job, run, keysOf(input.item)));

      const start_ms = Math.max(now_ms, scheduled_at === undefined ? 0 : Date.parse(scheduled_at));
      const ttl_secs = timeToLive(input.item.ttl_secs, job.run_ttl_secs, settings.default_ttl_secs);
      const expires_at =
        ttl_secs === undefined ? null : new Date(start_ms + ttl_secs * 1000).toISOString();
      const token_ends = tokenExpiry({
        expires_at,
        scheduled_at,
        timeout_secs: job.timeout_secs,
        now_ms,
      });
      return {
        job: await describeJob(project, job.id),
        payload_hash: run.payload_hash,
        payload: JSON.parse(run.payload) as unknown,
        scheduled_at,
        expires_at: expires_at ?? new Date(token_ends * 1000).toISOString(),
        validation_warnings: [
          ...(holder
            ? [
                `the idempotency key belongs to run ${holder.id}, which is ${holder.status}: the trigger would answer with it`,
              ]
            : []),
          ...(holder && holder.payload_hash !== null && holder.payload_hash !== run.payload_hash
            ? ['that run has another payload']
            : []),
          ...foreseen,
          ...(job.paused ? ['the job is paused: the run would be held'] : []),
          ...(expires_at === null
            ? ['no time to live is set: the run waits for ever, expires_at is that of its token']
            : []),
        ],
      };
    },

    /** @throws job_not_found */
    requireJob,
  };
}

/** The token a trigger answers with: bound to attempt 1, whatever claim serves it. */
export function firstToken(
  key: string,
  job: Pick<TriggerJob, 'timeout_secs'>,
  run_id: string,
  expires_at: string | null,
  scheduled_at: string | undefined,
  now_ms: number,
): string {
  return signRunToken(
    {
      run_id,
      attempt: 1,
      claim_seq: null,
      issued_at_secs: Math.floor(now_ms / 1000),
      expires_at_secs: tokenExpiry({
        expires_at,
        scheduled_at,
        timeout_secs: job.timeout_secs,
        now_ms,
      }),
    },
    key,
  );
}
