// Triggering many runs: everything is checked first, then one transaction writes all of them or none.

import { Failure } from '../../../platform/failure.ts';
import type { FailureDetail } from '../../../platform/failure.ts';
import type { Tx } from '../../../platform/db/database.ts';
import type { ProjectScope } from '../../access/index.ts';
import type { TriggerJob } from '../../jobs/index.ts';
import {
  money,
  type Enqueued,
  type NewRun,
  type RunStatus,
  type SamePayload,
} from '../../queue/index.ts';
import type { Batches } from '../batches/service.ts';
import { isControlled, queueFull } from './admission.ts';
import type { BulkTriggerResult, TriggerItem } from './contract.ts';
import { createPaidTriggers } from './paid.ts';
import { prepareRun, refusal, type PreparedRun } from './prepare.ts';
import { firstToken, type TriggerDependencies } from './trigger.ts';

const KEY_LOOKS = 3;
const MAX_DETAILS = 50;

export interface BulkTriggerInput {
  readonly job: string;
  readonly items: readonly TriggerItem[];
  readonly created_by: string;
}

export interface BulkTriggered {
  readonly batch_id: string;
  readonly results: readonly BulkTriggerResult[];
  readonly total: number;
  readonly created: number;
  readonly job_paused: boolean;
}

/** What is known of the set before anything is written. */
interface Known {
  /** By position: whose key is held already. */
  readonly held: ReadonlyMap<number, Enqueued>;
  /** By payload: what came within the dedup window. */
  readonly same: ReadonlyMap<string, SamePayload>;
  readonly compared: boolean;
}

const nothingKnown: Known = { held: new Map(), same: new Map(), compared: false };

export type BulkTriggers = ReturnType<typeof createBulkTriggers>;

export function createBulkTriggers(
  deps: Omit<TriggerDependencies, 'describeJob'> & { readonly batches: Batches },
) {
  const { db, queue, jobs, clock, settings, batches, admission } = deps;
  const paid = createPaidTriggers(deps);

  /** Every problem of every item, so that a caller mends a request once. The first code found names the refusal. */
  const prepareAll = (job: TriggerJob, input: BulkTriggerInput, now_ms: number): PreparedRun[] => {
    const prepared: PreparedRun[] = [];
    const details: FailureDetail[] = [];
    let code: string | undefined;
    input.items.forEach((item, index) => {
      try {
        const { max_payload_bytes } = settings;
        const { created_by } = input;
        prepared.push(
          prepareRun(item, `body.items[${index}]`, {
            job,
            jobs,
            now_ms,
            max_payload_bytes,
            created_by,
          }),
        );
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        code ??= error.code;
        details.push(...(error.context.details ?? []));
      }
    });
    if (code !== undefined)
      throw refusal(code as Parameters<typeof refusal>[0], details.slice(0, MAX_DETAILS));
    return prepared;
  };

  /** Items whose key's holder vanished while we looked are tried again, in later statements of the transaction. */
  async function enqueueAll(tx: Tx, runs: readonly NewRun[]): Promise<Enqueued[]> {
    const answers = await queue.enqueueMany(runs, tx);
    for (let look = 1; look < KEY_LOOKS; look++) {
      const open = runs.flatMap((run, index) =>
        answers[index]?.outcome === 'refused' && run.idempotency_key !== undefined
          ? [{ run, index }]
          : [],
      );
      if (open.length === 0) break;
      const again = await queue.enqueueMany(
        open.map(({ run }) => run),
        tx,
      );
      open.forEach(({ index }, position) => {
        const answer = again[position];
        if (answer) answers[index] = answer;
      });
    }
    return answers;
  }

  /** Undefined: the project's queue has no room for them. */
  async function ask(
    tx: Tx,
    job: TriggerJob,
    prepared: readonly PreparedRun[],
  ): Promise<Known | undefined> {
    const runs = prepared.map(({ run }) => run);
    const holders = await queue.keyHolders(runs, tx);
    const held = new Map(
      holders.flatMap((holder, index) => (holder ? [[index, holder] as const] : [])),
    );
    const keys = new Set<string>();
    const fresh = runs.filter(({ idempotency_key }, index) => {
      if (held.has(index) || keys.has(idempotency_key ?? '')) return false;
      if (idempotency_key !== undefined) keys.add(idempotency_key);
      return true;
    });
    if (fresh.length === 0) return { held, same: new Map(), compared: false };
    if (!job.enabled) throw new Failure('job_disabled');
    const same = await admission.admitSet(tx, job, fresh);
    return same && { held, same, compared: (job.dedup_window_secs ?? 0) > 0 };
  }

  return {
    /**
     * @throws job_not_found, job_disabled, invalid_payload, invalid_schedule, payload_too_large, queue_quota_exceeded,
     * job_rate_limited, daily_cost_exceeded
     */
    triggerMany: async (project: ProjectScope, input: BulkTriggerInput): Promise<BulkTriggered> => {
      if (input.items.length > settings.max_bulk_items) {
        const message = `has more than ${settings.max_bulk_items} items`;
        throw refusal('invalid_request', [{ path: 'body.items', message }]);
      }
      const job = await jobs.findForTrigger(project.project_id, input.job);
      if (!job) throw new Failure('job_not_found');
      const now_ms = clock.now();
      const prepared = prepareAll(job, input, now_ms);
      if (!job.enabled && prepared.some(({ run }) => run.idempotency_key === undefined))
        throw new Failure('job_disabled');

      const work = db.tenant(project.project_id, async (tx) => {
        const root_lane_id = job.refuses_over_budget
          ? await money.lock(tx, project.project_id)
          : undefined;
        const total = prepared.length;
        const known = isControlled(job) ? await ask(tx, job, prepared) : nothingKnown;
        if (!known) return undefined;
        const batch_id = await batches.open(tx, project, {
          job_id: job.id,
          item_count: total,
          created_by: input.created_by,
        });
        // The first of the set with a payload makes the run of all of them, where payloads are compared.
        const firsts = new Map<string, number>();
        const fresh: number[] = [];
        prepared.forEach(({ run }, index) => {
          if (known.held.has(index) || known.same.has(run.payload_hash)) return;
          if (known.compared && firsts.has(run.payload_hash)) return;
          firsts.set(run.payload_hash, index);
          fresh.push(index);
        });
        const runs = fresh.map((index): NewRun => {
          const { run } = prepared[index] as PreparedRun;
          return { ...run, extra: { ...run.extra, batch_id } };
        });
        const made = runs.length === 0 ? [] : await enqueueAll(tx, runs);
        if (root_lane_id !== undefined) await paid.requireFit(tx, root_lane_id, runs, made);
        const answers = new Map(fresh.map((index, position) => [index, made[position]]));
        const results = prepared.map(({ run, scheduled_at }, index): BulkTriggerResult => {
          const first = answers.get(firsts.get(run.payload_hash) ?? index);
          const twin =
            known.same.get(run.payload_hash) ?? (first as { id?: string; status?: string });
          const answer = known.held.get(index) ?? answers.get(index);
          if (!answer) {
            const { id = '', status } = twin;
            return {
              id,
              status: status as RunStatus,
              run_token: '',
              idempotency_hit: false,
              dedup_hit: true,
            };
          }
          // Nothing is kept of the others: the whole request is refused.
          if (answer.outcome === 'refused')
            throw new Failure(job.enabled ? 'overloaded' : 'job_disabled');
          const { id, outcome } = answer;
          const status = answer.status as RunStatus;
          if (outcome === 'held') {
            const payload_mismatch =
              answer.payload_hash !== null && answer.payload_hash !== run.payload_hash;
            return { id, status, run_token: '', idempotency_hit: true, payload_mismatch };
          }
          const run_token = firstToken(
            settings.token_key,
            job,
            id,
            answer.expires_at,
            scheduled_at,
            now_ms,
          );
          return { id, status, run_token, idempotency_hit: false };
        });
        const created = made.filter(({ outcome }) => outcome === 'created').length;
        await batches.close(tx, project, { batch_id, created_count: created });
        return { batch_id, results, total, created, job_paused: job.paused };
      });
      const done = await paid.told(work);
      if (!done) throw queueFull();
      return done;
    },
  };
}
