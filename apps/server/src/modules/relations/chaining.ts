// Starts what follows the end of a run. The end and what it starts are one transaction: a crash before its commit leaves
// the end where it was, and nothing started.

import type { Clock } from '../../platform/clock.ts';
import type { Database, Tx } from '../../platform/db/database.ts';
import type { Jobs } from '../jobs/index.ts';
import type { Ending, Endings, NewRun, Queue } from '../queue/index.ts';
import { canonicalJson, deferAll, payloadHash, runMetadata } from '../runs/index.ts';
import { chainKey, chainKind, failurePayload, mapPayload, MAX_LINEAGE_DEPTH } from './rules.ts';

export interface ChainedWorkflow {
  readonly project_id: string;
  /** Slug or id. */
  readonly workflow: string;
  readonly payload: unknown;
  readonly triggered_by: string;
  readonly created_by: string;
  readonly lineage_depth: number;
  readonly idempotency_key: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly traceparent: string | undefined;
  readonly tracestate: string | undefined;
}

/** Undefined: it was started, now or before. Throws when it shall be tried again later. */
export type StartWorkflow = (
  tx: Tx,
  wanted: ChainedWorkflow,
) => Promise<{ readonly dropped: string } | undefined>;

export interface ChainingDeps {
  /** The hot pool. */
  readonly db: Database;
  readonly endings: Endings;
  readonly queue: Pick<Queue, 'enqueueMany'>;
  readonly jobs: Pick<Jobs, 'findForTrigger' | 'checkPayload'>;
  readonly startWorkflow: StartWorkflow;
  readonly clock: Clock;
  readonly max_payload_bytes: number;
  readonly onError: (error: unknown, what: string) => void;
}

export type Chaining = ReturnType<typeof createChaining>;

/** Ends acted on in one transaction. */
const BATCH = 100;

type Next =
  | { readonly run: NewRun }
  | { readonly workflow: ChainedWorkflow }
  | { readonly dropped: string }
  | undefined;

/** Ends a transaction that took several ends of which one starts a workflow: those have one of their own. */
class OneByOne extends Error {}

export function createChaining(deps: ChainingDeps) {
  const { db, endings, queue, jobs, startWorkflow, clock, max_payload_bytes } = deps;

  /** What follows this end, or why there is nothing although there should be. */
  const nextOf = async (ending: Ending): Promise<Next> => {
    const { run_id, project_id, target, target_workflow, metadata } = ending;
    const kind = chainKind(ending.status);
    if (kind === undefined || (target ?? target_workflow) === null) return undefined;
    const lineage_depth = ending.lineage_depth + 1;
    if (lineage_depth > MAX_LINEAGE_DEPTH)
      return { dropped: `${MAX_LINEAGE_DEPTH} runs led to this one, as many as may` };
    const source = kind === 'completion' ? (ending.result ?? {}) : failurePayload(ending);
    const payload = mapPayload(source, ending.mapping);
    const text = canonicalJson(payload);
    const isTooLarge = Buffer.byteLength(text) > max_payload_bytes;
    const tooLarge = `its payload would be larger than ${max_payload_bytes} bytes`;
    const traceparent = metadata['_trace_parent'];
    const tracestate = metadata['_trace_state'];
    const shared = {
      triggered_by: `job_${kind}`,
      created_by: `run:${run_id}`,
      lineage_depth,
      tags: { source_job_id: ending.job_id, source_run_id: run_id },
    };
    const idempotency_key = chainKey(run_id, kind);
    if (target_workflow !== null) {
      if (isTooLarge) return { dropped: tooLarge };
      const of = { project_id, workflow: target_workflow, payload, idempotency_key };
      return { workflow: { ...shared, ...of, traceparent, tracestate } };
    }
    const job = await jobs.findForTrigger(project_id, target ?? '');
    if (!job) return { dropped: 'there is no such job' };
    if (!job.enabled) return { dropped: 'the job is disabled' };
    if (isTooLarge) return { dropped: tooLarge };
    const [problem] = jobs.checkPayload(job, payload);
    if (problem) return { dropped: `payload${problem.path}: ${problem.message}` };
    const run_metadata = { metadata: undefined, payload, traceparent, tracestate };
    return {
      run: {
        job_id: job.id,
        project_id,
        payload: text,
        payload_hash: payloadHash(text),
        priority: 0,
        idempotency_key,
        extra: { ...shared, metadata: runMetadata(run_metadata) },
      },
    };
  };

  const drop = (tx: Tx, { run_id, target, target_workflow }: Ending, why: string) =>
    target_workflow === null
      ? endings.note(tx, run_id, `the job that follows was not started: ${why}`, { job: target })
      : endings.note(tx, run_id, `the workflow that follows was not started: ${why}`, {
          workflow: target_workflow,
        });

  /** Everything that follows these ends, or nothing of it. */
  const act = async (tx: Tx, taken: readonly Ending[]): Promise<void> => {
    if (taken.length > 1 && taken.some(({ target_workflow }) => target_workflow !== null))
      throw new OneByOne();
    const runs: { readonly ending: Ending; readonly run: NewRun }[] = [];
    for (const ending of taken) {
      const next = await nextOf(ending);
      if (next && 'run' in next) runs.push({ ending, run: next.run });
      else {
        const refused = next && 'workflow' in next ? await startWorkflow(tx, next.workflow) : next;
        if (refused) await drop(tx, ending, refused.dropped);
      }
    }
    await endings.markDependents(tx, taken);
    if (runs.length === 0) return;
    const allowed = await deferAll(
      tx,
      runs.map(({ run }) => run),
      clock.now(),
    );
    const made = await queue.enqueueMany(allowed, tx);
    for (const [index, { ending }] of runs.entries())
      if (made[index]?.outcome === 'refused') await drop(tx, ending, 'the job is gone or disabled');
  };

  /** One end by itself, so that one that cannot be acted on holds up no other. */
  const followOne = async (ending_id: number): Promise<void> => {
    try {
      await db.transaction(async (tx) =>
        act(tx, await endings.take(tx, { limit: 1, only: ending_id })),
      );
    } catch (error) {
      deps.onError(error, 'what follows the end of a run');
      await endings.postpone(ending_id);
    }
  };

  return {
    /** Acts on due ends; `again`: there may be more. */
    follow: async (): Promise<{ again: boolean }> => {
      let ids: readonly number[] = [];
      try {
        await db.transaction(async (tx) => {
          const taken = await endings.take(tx, { limit: BATCH });
          ids = taken.map(({ ending_id }) => ending_id);
          if (taken.length > 0) await act(tx, taken);
        });
      } catch (error) {
        if (ids.length === 0) throw error;
        for (const id of ids) await followOne(id);
      }
      return { again: ids.length === BATCH };
    },
  };
}
