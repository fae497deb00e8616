// The worker against a queue that answers when the test says so.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { systemClock } from '../../platform/clock.ts';
import { until } from '../../../test/until.ts';
import { createWorker, type WorkerDeps } from './worker.ts';

const settings = {
  concurrency: 10,
  claim_batch: 10,
  claimers: 2,
  heartbeat_interval_ms: 60_000,
  lease_ms: 120_000,
  poll_interval_ms: 60_000,
  mark_after_ms: 60_000,
  drain_timeout_ms: 1000,
};
const claimed = (attempt: number, claim_seq: number) => ({
  id: 'r',
  attempt,
  claim_seq,
  created_at: 'now',
  verdict: 'go',
  project_id: 'p',
  job_id: 'j',
});

function scripted(parts: {
  claim: () => Promise<unknown>;
  anyReady?: () => boolean;
  frozen_ms?: () => number;
  beat?: () => Promise<boolean>;
  heartbeat_interval_ms?: number;
  execute: WorkerDeps['execute'];
}) {
  const log: string[] = [];
  const handlers = new Map<string, (payload: string) => void>();
  const queue = {
    registerWorker: async () => 7,
    removeWorker: async () => void log.push('signed off'),
    claim: parts.claim,
    anyReady: async () => parts.anyReady?.() ?? false,
    leases: async () => [],
    beat: parts.beat ?? (async () => true),
    mark: async () => new Set(),
    park: async () => {},
  };
  const settling = {
    settle: async ({ to, unstarted }: { to: string; unstarted?: boolean }) => {
      log.push(`settled ${to}${unstarted ? ', unstarted' : ''}`);
      return true;
    },
    drain: async () => {},
  };
  const worker = createWorker({
    queue: queue as never,
    settling: settling as never,
    execute: parts.execute,
    listener: {
      on: (channel: string, handler: (payload: string) => void) => {
        handlers.set(channel, handler);
        return () => {};
      },
    },
    clock: {
      ...systemClock,
      monotonic: () => systemClock.monotonic() + (parts.frozen_ms?.() ?? 0),
    },
    onError: (error) => void log.push(String(error)),
    settings: { ...settings, heartbeat_interval_ms: parts.heartbeat_interval_ms ?? 60_000 },
  });
  return { worker, log, notify: (channel: string, text: string) => handlers.get(channel)?.(text) };
}

describe('a worker', () => {
  it('looks again when others were claiming all that it came by', async (t) => {
    const started = Promise.withResolvers<void>();
    const claims = [[], [], [claimed(1, 1)]];
    const { worker } = scripted({
      claim: async () => claims.shift() ?? [],
      anyReady: () => claims.length > 0,
      execute: async () => started.resolve(),
    });
    t.after(() => worker.stop(AbortSignal.timeout(1000)));
    await worker.start();
    await started.promise;
  });

  it('knows after a freeze that its leases may be gone', async (t) => {
    const may: boolean[] = [];
    let frozen_ms = 0;
    const { promise: seen, resolve } = Promise.withResolvers<void>();
    const claims = [[claimed(1, 1)]];
    const { worker } = scripted({
      claim: async () => claims.shift() ?? [],
      frozen_ms: () => frozen_ms,
      execute: async (_run, control) => {
        may.push(control.mayStart());
        frozen_ms = 60_001;
        may.push(control.mayStart());
        resolve();
      },
    });
    t.after(() => worker.stop(AbortSignal.timeout(1000)));
    await worker.start();
    await seen;
    assert.deepEqual(may, [true, false]);
  });

  it('claims nothing while it cannot be sure of its leases, and at once with the next good beat', async (t) => {
    let [claims, beats, frozen_ms, reachable] = [0, 0, 0, true];
    const { worker, notify } = scripted({
      claim: async () => {
        claims += 1;
        return [];
      },
      frozen_ms: () => frozen_ms,
      heartbeat_interval_ms: 5,
      beat: async () => {
        beats += 1;
        if (!reachable) throw new Error('no');
        return true;
      },
      execute: async () => {},
    });
    t.after(() => worker.stop(AbortSignal.timeout(1000)));
    await worker.start();
    await until('a beat', () => beats > 0);
    reachable = false;
    frozen_ms = 60_001;
    const [claimed, beaten] = [claims, beats];
    for (let n = 0; n < 5; n++) notify('run_wake', 'ready');
    await until('failed beats', () => beats > beaten + 2);
    assert.equal(claims, claimed);
    reachable = true;
    await until('a claim', () => claims === claimed + 1);
  });

  it('gives back what a claim brings after the stop, before it signs off', async () => {
    const answer = Promise.withResolvers<unknown>();
    const { worker, log } = scripted({
      claim: () => answer.promise,
      execute: async () => void log.push('dispatched'),
    });
    await worker.start();
    const stopped = worker.stop(AbortSignal.timeout(5000));
    answer.resolve([claimed(1, 1)]);
    await stopped;
    assert.deepEqual(log, ['settled queued, unstarted', 'signed off']);
  });

  it('aborts the attempt a notification names, never the one that followed it', async () => {
    let claims = 0;
    const { worker, log, notify } = scripted({
      claim: async () => (claims++ === 0 ? [claimed(2, 5)] : []),
      execute: (run, { signal }) =>
        new Promise((resolve) => {
          log.push('begun');
          signal.addEventListener('abort', () => {
            log.push(`attempt ${run.attempt} aborted`);
            resolve();
          });
        }),
    });
    await worker.start();
    await until('the attempt to begin', () => log.includes('begun'));
    notify('run_abort', 'r 4');
    assert.deepEqual(log, ['begun']);
    notify('run_abort', 'r 5');
    assert.deepEqual(log, ['begun', 'attempt 2 aborted']);
    await worker.stop(AbortSignal.timeout(2000));
  });
});
