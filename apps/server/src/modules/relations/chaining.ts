// Starts what follows the end of a run. The end and what it starts are one transaction: a crash before its commit leaves
// the end where it was, and nothing started.

import type { Clock } from '../../platform/clock.ts';
import type { Database, Tx } from '../../platform/db/database.ts';
import type { Jobs } from '../jobs/index.ts';
import type { Ending, Endings, NewRun, Queue } from '../queue/index.ts';
import { canonicalJson, deferAll, payloadHash, runMetadata } from '../runs/index.ts';
import { chainKey, chainKind, failurePayload, mapPayload, MAX_LINEAGE_DEPTH } from './rules.ts';

export interface ChainingDeps {
  /** The hot pool. */
  readonly db: Database;
  readonly endings: Endings;
  readonly queue: Pick<Queue, 'enqueueMany'>;
  readonly jobs: Pick<Jobs, 'findForTrigger' | 'checkPayload'>;
  readonly clock: Clock;
  readonly max_payload_bytes: number;
  readonly onError: (error: unknown, what: string) => void;
}

export type Chaining = ReturnType<typeof createChaining>;

/** Ends acted on in one transaction. */
const BATCH = 100;

type Next = { readonly run: NewRun } | { readonly dropped: string } | undefined;

export function createChaining(deps: ChainingDeps) {
  const { db, endings, queue, jobs, clock, max_payload_bytes } = deps;

  /** The run that follows this end, or why there is none although there should be. */
  const nextOf = async (ending: Ending): Promise<Next> => {
    const { run_id, project_id, target, metadata } = ending;
    const kind = chainKind(ending.status);
    if (kind === undefined || target === null) return undefined;
    const lineage_depth = ending.lineage_depth + 1;
    if (lineage_depth > MAX_LINEAGE_DEPTH)
      return { dropped: `${MAX_LINEAGE_DEPTH} runs led to this one, as many as may` };
    const job = await jobs.findForTrigger(project_id, target);
    if (!job) return { dropped: 'there is no such job' };
    if (!job.enabled) return { dropped: 'the job is disabled' };
    const source = kind === 'completion' ? (ending.result ?? {}) : failurePayload(ending);
    const payload = mapPayload(source, ending.mapping);
    const text = canonicalJson(payload);
    if (Buffer.byteLength(text) > max_payload_bytes)
      return { dropped: `its payload would be larger than ${max_payload_bytes} bytes` };
    const [problem] = jobs.checkPayload(job, payload);
    if (problem) return { dropped: `payload${problem.path}: ${problem.message}` };
    return {
      run: {
        job_id: job.id,
        project_id,
        payload: text,
        payload_hash: payloadHash(text),
        priority: 0,
        idempotency_key: chainKey(run_id, kind),
        extra: {
          triggered_by: `job_${kind}`,
          created_by: `run:${run_id}`,
          lineage_depth,
          tags: { source_job_id: ending.job_id, source_run_id: run_id },
          metadata: runMetadata({
            metadata: undefined,
            payload,
            traceparent: metadata['_trace_parent'],
            tracestate: metadata['_trace_state'],
          }),
        },
      },
    };
  };

  /** Everything that follows these ends, or nothing of it. */
  const act = async (tx: Tx, taken: readonly Ending[]): Promise<void> => {
    await endings.markDependents(tx, taken);
    const runs: { readonly ending: Ending; readonly run: NewRun }[] = [];
    const drop = (ending: Ending, why: string) =>
      endings.note(tx, ending.run_id, `the job that follows was not started: ${why}`, {
        job: ending.target,
      });
    for (const ending of taken) {
      const next = await nextOf(ending);
      if (next && 'run' in next) runs.push({ ending, run: next.run });
      else if (next) await drop(ending, next.dropped);
    }
    if (runs.length === 0) return;
    const allowed = await deferAll(
      tx,
      runs.map(({ run }) => run),
      clock.now(),
    );
    const made = await queue.enqueueMany(allowed, tx);
    for (const [index, { ending }] of runs.entries())
      if (made[index]?.outcome === 'refused') await drop(ending, 'the job is gone or disabled');
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
