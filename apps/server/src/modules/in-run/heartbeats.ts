// Signs of life. A worker beats for the runs it executes itself, so their own beats only ask whether the lease still
// stands. Runs whose endpoint took them over are kept alive by nothing else: their beats are collected and written
// once a second.

import type { Database } from '../../platform/db/database.ts';
import {
  loop,
  type Loop,
  type LoopFailure,
  type LoopMetrics,
} from '../../platform/services/loop.ts';
import { leases, type RunClaim } from '../queue/index.ts';
import type { Fence } from './fence.ts';

const FLUSH_EVERY_MS = 1_000;

export interface HeartbeatDeps {
  readonly db: Database;
  readonly fence: Fence;
  readonly on_error: (error: unknown, failure: LoopFailure) => void;
  readonly metrics?: LoopMetrics | undefined;
}

export function createHeartbeats({ db, fence, on_error, metrics }: HeartbeatDeps) {
  /** Run → the newest claim that beat. */
  let pending = new Map<string, number>();

  const flush = async (): Promise<void> => {
    if (pending.size === 0) return;
    const beats = pending;
    pending = new Map();
    try {
      await db.transaction((tx) => leases.beatEndpoints(tx, beats));
    } catch (error) {
      // Newer beats win over those that could not be written.
      pending = new Map([...beats, ...pending]);
      throw error;
    }
  };

  const beats: Loop = loop({
    name: 'write endpoint heartbeats',
    every_ms: FLUSH_EVERY_MS,
    run: flush,
    on_error,
    ...(metrics && { metrics }),
  });

  return {
    /** @throws run_not_active for a run that was canceled or ended otherwise */
    beat: async (claim: RunClaim) => {
      const lease = await fence.look(claim);
      if (!lease.waiting && lease.worker_id === null) pending.set(lease.id, lease.claim_seq);
      return { status: 'ok', cancel_requested: false } as const;
    },
    loop: beats,
  };
}
