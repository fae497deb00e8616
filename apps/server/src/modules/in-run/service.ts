// What a run may ask for with its token. Each function is one fenced write, or one read under the lease.

import type { FailureCode } from '../../domain/failures.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Database } from '../../platform/db/database.ts';
import { Failure } from '../../platform/failure.ts';
import type { LoopFailure, LoopMetrics } from '../../platform/services/loop.ts';
import { admitEventWait, openEventWait } from '../events/index.ts';
import { resolveName, urlProblem, type Jobs, type ResolveName } from '../jobs/index.ts';
import type { AddressPolicy } from '../../platform/outbound/address-rules.ts';
import { leases, money, type Queue, type RunClaim, type WaitingVerbs } from '../queue/index.ts';
import { runDetailLimits, runDetails, runView, type UsageReport } from '../runs/index.ts';
import { createChildren, type TargetAccess } from './children.ts';
import { limits } from './contract.ts';
import { createEventLog } from './event-log.ts';
import { createFence, leaseLost } from './fence.ts';
import { createFinishing } from './finishing.ts';
import { createHeartbeats } from './heartbeats.ts';
import { schemaProblems, splitChunk } from './rules.ts';

export interface InRunDependencies {
  readonly db: Database;
  readonly queue: Pick<Queue, 'complete' | 'settle' | 'enqueueMany'>;
  readonly waiting: Pick<WaitingVerbs, 'wait' | 'end' | 'resume'>;
  readonly jobs: Pick<Jobs, 'executionConfig' | 'checkResult' | 'findForTrigger' | 'checkPayload'>;
  /** For keys of other projects. */
  readonly access: TargetAccess;
  readonly clock: Clock;
  readonly outboundPolicy: AddressPolicy;
  /** How names in notify URLs are looked up; default: the system's resolver. */
  readonly resolve?: ResolveName;
  readonly settings: {
    readonly max_result_bytes: number;
    readonly max_payload_bytes: number;
    /** Events a run may write; default 10,000. */
    readonly max_events?: number;
  };
  /** How many budgets a record of usage made reach a threshold. */
  readonly onBudgetEvents?: (events: number) => void;
  /** Of the loop that writes heartbeats. */
  readonly on_error: (error: unknown, failure: LoopFailure) => void;
  readonly metrics?: LoopMetrics;
}

export type InRun = ReturnType<typeof createInRun>;

const refusal = (code: FailureCode, message?: string) =>
  new Failure<FailureCode>(code, message === undefined ? {} : { message });

export function createInRun({
  db,
  queue,
  waiting,
  jobs,
  access,
  clock,
  outboundPolicy,
  resolve = resolveName,
  settings,
  onBudgetEvents,
  on_error,
  metrics,
}: InRunDependencies) {
  const { max_result_bytes, max_payload_bytes, max_events } = settings;
  const fence = createFence(db);
  const heartbeats = createHeartbeats({ db, fence, on_error, metrics });

  return {
    ...createEventLog({ db, fence, ...(max_events === undefined ? {} : { max_events }) }),
    ...createFinishing({ db, fence, queue, waiting, jobs, clock, max_result_bytes }),
    ...createChildren({ db, fence, queue, waiting, jobs, access, clock, max_payload_bytes }),
    heartbeat: heartbeats.beat,
    loops: [heartbeats.loop],

    payload: async (claim: RunClaim): Promise<unknown> => {
      const { id: run_id, project_id } = await fence.look(claim);
      return runDetails.payload(db, { run_id, project_id });
    },

    /** @throws annotations_limit */
    annotate: (claim: RunClaim, annotations: Readonly<Record<string, string>>) =>
      fence.write(claim, async (tx, lease) => {
        const run = await leases.annotate(tx, lease, annotations, limits.annotations);
        if (!run)
          throw refusal('annotations_limit', `a run has at most ${limits.annotations} annotations`);
        return runView(run);
      }),

    checkpoint: (
      claim: RunClaim,
      { source, state }: { readonly source: string; readonly state: unknown },
    ) =>
      fence.write(
        claim,
        (tx) => runDetails.addCheckpoint(tx, claim.run_id, source, state),
        'alone',
      ),

    /** @throws run_cost_exceeded, daily_cost_exceeded */
    usage: (claim: RunClaim, usage: UsageReport) =>
      fence.write(
        claim,
        async (tx, { project_id }) => {
          const recorded = await runDetails.addUsage(
            tx,
            { run_id: claim.run_id, project_id },
            usage,
          );
          if (!recorded) throw refusal('run_cost_exceeded');
          const { run_id } = claim;
          const { cost_microusd } = recorded;
          const events = await money.charge(tx, { project_id, run_id, cost_microusd });
          if (events > 0) onBudgetEvents?.(events);
          return recorded;
        },
        'alone',
      ),

    toolCall: (claim: RunClaim, call: Parameters<typeof runDetails.addToolCall>[2]) =>
      fence.write(claim, (tx) => runDetails.addToolCall(tx, claim.run_id, call)),

    /** @throws output_invalid, state_limit_reached */
    output: (
      claim: RunClaim,
      {
        output_key,
        schema,
        value,
      }: { readonly output_key: string; readonly schema?: unknown; readonly value: unknown },
    ) => {
      const details = schemaProblems(schema, value, 'body.value');
      if (details.length > 0) throw new Failure<FailureCode>('output_invalid', { details });
      return fence.write(
        claim,
        async (tx) => {
          const saved = await runDetails.saveOutput(
            tx,
            claim.run_id,
            output_key,
            schema ?? undefined,
            value,
          );
          if (!saved)
            throw refusal(
              'state_limit_reached',
              `a run has at most ${runDetailLimits.outputs} outputs`,
            );
          return saved;
        },
        'alone',
      );
    },

    /** @throws state_limit_reached */
    saveState: (claim: RunClaim, key: string, value: unknown) =>
      fence.write(
        claim,
        async (tx) => {
          const saved = await runDetails.saveState(tx, claim.run_id, key, value);
          if (!saved) throw refusal('state_limit_reached');
          return saved;
        },
        'alone',
      ),

    listState: async (claim: RunClaim) => {
      const { id } = await fence.look(claim);
      return runDetails.listState(db, id);
    },

    /** @throws state_key_not_found */
    getState: async (claim: RunClaim, key: string) => {
      const { id } = await fence.look(claim);
      const found = await runDetails.findState(db, id, key);
      if (!found) throw refusal('state_key_not_found');
      return found;
    },

    deleteState: (claim: RunClaim, key: string) =>
      fence.write(claim, (tx) => runDetails.removeState(tx, claim.run_id, key)),

    stream: async (
      claim: RunClaim,
      {
        chunk,
        stream_id,
        done,
      }: { readonly chunk: string; readonly stream_id: string; readonly done: boolean },
    ) => {
      const timestamp = new Date(clock.now()).toISOString();
      const parts = splitChunk({ run_id: claim.run_id, chunk, stream_id, done, timestamp });
      await fence.attempt(
        claim,
        async () => (await leases.notifyChunks(db, claim, parts)) || undefined,
      );
      return { status: 'ok' } as const;
    },

    /**
     * The run leaves its slot and comes back when the event does.
     * @throws invalid_url, run_not_executing, event_key_waiting, event_trigger_quota_exceeded
     */
    async waitForEvent(
      claim: RunClaim,
      wait: {
        readonly event_key: string;
        readonly timeout_secs: number;
        readonly notify_url?: string | undefined;
      },
    ) {
      const { event_key, timeout_secs, notify_url } = wait;
      if (notify_url) {
        const message = await urlProblem(notify_url, outboundPolicy, resolve);
        if (message !== undefined) {
          const details = [{ path: 'body.notify_url', message }];
          throw new Failure<FailureCode>('invalid_url', { message, details });
        }
      }
      return fence.attempt(claim, async () => {
        const { id: run_id, project_id, claim_seq, waiting: waits } = await fence.look(claim);
        if (waits) throw refusal('run_not_executing');
        return db.transaction(async (tx) => {
          if (!(await waiting.wait(tx, { project_id, run_id, claim_seq, event_key })))
            throw leaseLost;
          await admitEventWait(tx, project_id);
          const opened = await openEventWait(tx, waiting, {
            project_id,
            run_id,
            event_key,
            timeout_secs,
            notify_url,
          });
          if (!opened) throw refusal('event_key_waiting');
          return {
            status: 'waiting' as const,
            event_key,
            expires_at: opened.expires_at,
            trigger_id: opened.id,
          };
        });
      });
    },
  };
}
