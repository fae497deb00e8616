// Running something again as a new run: what the new one takes over and what it does not.

import type { Clock } from '../../../platform/clock.ts';
import type { Tx } from '../../../platform/db/database.ts';
import type { ProjectScope } from '../../access/index.ts';
import {
  givenPriority,
  isTerminal,
  runTimes,
  type Enqueued,
  type NewRun,
  type Queue,
} from '../../queue/index.ts';
import { deferAll } from '../trigger/starts.ts';
import * as store from './store.sql.ts';

/** A completed run has nothing to repeat, a dead letter is replayed as itself. */
const REPLAYABLE = new Set([
  'failed',
  'timed_out',
  'crashed',
  'system_failed',
  'canceled',
  'expired',
]);

export const isReplayable = (status: string): boolean => REPLAYABLE.has(status);

export function whyNotReplayable(status: string): string {
  if (status === 'dead_letter') return 'the run is dead_letter: dlq-replay queues it again';
  return isTerminal(status)
    ? `the run is ${status}: it has nothing to repeat`
    : `the run is still ${status}; only finished runs can be replayed`;
}

export type ReplaySource = store.ListReplaySourcesRow;

export const replaySources = (
  tx: Tx,
  project: Pick<ProjectScope, 'project_id'>,
  run_ids: readonly string[],
): Promise<ReplaySource[]> =>
  store.listReplaySources(tx, { ...project, run_ids, ...runTimes(run_ids) });

export interface ReplayDeps {
  readonly queue: Pick<Queue, 'enqueueMany'>;
  readonly clock: Clock;
}

export async function enqueueReplays(
  tx: Tx,
  { queue, clock }: ReplayDeps,
  runs: readonly NewRun[],
): Promise<Enqueued[]> {
  return queue.enqueueMany(await deferAll(tx, runs, clock.now()), tx);
}

/** Neither the idempotency key nor a parent: whoever waited for the original has its answer. */
export function replayOf(
  project: Pick<ProjectScope, 'project_id'>,
  source: ReplaySource,
  created_by: string,
  checkpoint?: { readonly state_json: string; readonly sequence: number },
): NewRun {
  const kept = Object.entries(source.metadata).filter(([key]) => !key.startsWith('_'));
  return {
    ...project,
    job_id: source.job_id,
    payload: checkpoint?.state_json ?? source.payload_json,
    priority: givenPriority(source),
    extra: {
      triggered_by: 'manual',
      created_by,
      tags: source.tags,
      metadata: {
        ...Object.fromEntries(kept),
        replay_of: source.id,
        ...(checkpoint ? { replay_checkpoint: String(checkpoint.sequence) } : {}),
      },
      concurrency_key: source.concurrency_key ?? undefined,
      debug_mode: source.debug_mode || checkpoint !== undefined,
      job_version: source.job_version ?? undefined,
      job_version_id: source.job_version_id ?? undefined,
      max_attempts_override: source.max_attempts_override ?? undefined,
      timeout_secs_override: source.timeout_secs_override ?? undefined,
      retry_backoff: source.retry_backoff ?? undefined,
      retry_initial_delay_secs: source.retry_initial_delay_secs ?? undefined,
      retry_max_delay_secs: source.retry_max_delay_secs ?? undefined,
    },
  };
}
