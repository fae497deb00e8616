// The process side of execution: claims while there is room, keeps its lease alive, copies long leases into the
// wide row, aborts what was canceled, and on stop drains or gives back.

import { hostname } from 'node:os';
import type { Clock } from '../../platform/clock.ts';
import type { Listener } from '../../platform/db/listen.ts';
import { UP, type Health, type Service } from '../../platform/services/service.ts';
import type { ClaimedRun, Queue } from '../queue/index.ts';
import { createAttempts } from './attempts.ts';
import { createClaiming } from './claiming.ts';
import { claimOf, handBack, type AttemptControl } from './dispatcher.ts';
import type { Settling } from './settling.ts';

export interface WorkerSettings {
  /** Runs in flight in this process. */
  readonly concurrency: number;
  readonly claim_batch: number;
  readonly claimers: number;
  readonly heartbeat_interval_ms: number;
  /** After this long without a heartbeat the leases of this process are reaped. */
  readonly lease_ms: number;
  readonly poll_interval_ms: number;
  /** A lease that lives longer than this is copied into job_runs. */
  readonly mark_after_ms: number;
  readonly drain_timeout_ms: number;
}

export interface WorkerDeps {
  readonly queue: Queue;
  readonly execute: (run: ClaimedRun, control: AttemptControl) => Promise<void>;
  readonly settling: Settling;
  readonly listener: Pick<Listener, 'on'>;
  readonly clock: Clock;
  readonly settings: WorkerSettings;
  readonly onError: (error: unknown, what: string) => void;
}

export interface Worker extends Service {
  /** Runs in flight here. */
  executing(): number;
  id(): number | undefined;
}

const MARK_SWEEP_MS = 10;
const MARK_BATCH = 500;

export function createWorker(deps: WorkerDeps): Worker {
  const { queue, settling, settings, onError } = deps;
  const mayStart = (): boolean => deps.clock.monotonic() - lastBeat < settings.lease_ms / 2;
  const attempts = createAttempts({
    capacity: settings.concurrency,
    monotonic: deps.clock.monotonic,
    mayStart,
  });
  const timers: NodeJS.Timeout[] = [];
  const unsubscribe: (() => void)[] = [];
  let worker_id: number | undefined;
  /** When the last heartbeat that arrived was sent. */
  let lastBeat = 0;
  let beating = false;
  let marking = false;
  let stopping: Promise<void> | undefined;

  const begin = (run: ClaimedRun): void => {
    const attempt = attempts.begin(run);
    void deps
      .execute(run, attempt.control)
      .catch((error: unknown) => onError(error, `attempt of run ${run.id}`))
      .finally(() => {
        attempts.end(attempt);
        claiming.room();
      });
  };

  /** What was claimed but may not start is settled at once; nothing of it was sent. */
  const refuse = (runs: readonly ClaimedRun[]): Promise<void> =>
    settleVerdicts(runs).catch((error: unknown) => onError(error, 'verdicts'));

  const settleVerdicts = async (runs: readonly ClaimedRun[]): Promise<void> => {
    const parked = runs.filter((run) => run.verdict === 'park');
    if (parked.length > 0) await queue.park(parked.map(claimOf));
    await Promise.all(
      runs
        .filter((run) => run.verdict === 'expire')
        .map((run) =>
          settling.settle({
            ...claimOf(run),
            to: 'expired',
            error: 'run expired',
            unstarted: true,
            level: 'warn',
            event: { attempt: run.attempt },
          }),
        ),
    );
    for (const run of runs.filter(({ verdict }) => verdict === 'drop')) {
      onError(new Error(`run ${run.id} was in the queue although it has ended`), 'claim');
      await settling.settle({ ...claimOf(run), to: 'canceled', unstarted: true });
    }
  };

  const claiming = createClaiming({
    attempts,
    settings,
    claim: (limit, cursor) => queue.claim({ worker_id: worker_id ?? 0, limit, cursor }),
    anyReady: () => queue.anyReady(),
    mayStart,
    begin,
    refuse,
    giveBack: async (runs) =>
      void (await Promise.all(
        runs.map((run) =>
          settling.settle({ ...handBack(run, 'worker_shutdown'), unstarted: true }),
        ),
      )),
    onError: (error) => onError(error, 'claim'),
  });

  const mark = async (): Promise<void> => {
    if (marking) return;
    const due = attempts.takeUnmarked(settings.mark_after_ms);
    if (due.length === 0) return;
    marking = true;
    try {
      for (let start = 0; start < due.length; start += MARK_BATCH) {
        const batch = due.slice(start, start + MARK_BATCH).filter((attempt) => !attempt.finishing);
        if (batch.length > 0)
          await queue.mark(
            batch.map(({ run, version }) => ({
              ...claimOf(run),
              version,
              started_at: run.claimed_at,
            })),
          );
      }
    } catch (error) {
      attempts.markAgain(due);
      onError(error, 'mark');
    } finally {
      marking = false;
    }
  };

  const beat = async (): Promise<void> => {
    if (beating || worker_id === undefined) return;
    beating = true;
    const sent = deps.clock.monotonic();
    try {
      if (await queue.beat(worker_id)) {
        heard(sent);
        await reconcile(worker_id);
      } else {
        // Taken for dead: the leases of the old id are being reaped; their writes are fenced off.
        worker_id = await queue.registerWorker({ hostname: hostname(), pid: process.pid });
        for (const attempt of attempts.all()) attempt.abort('canceled');
        heard(sent);
      }
    } catch (error) {
      onError(error, 'heartbeat');
    } finally {
      beating = false;
    }
  };

  const heard = (sent: number): void => {
    const doubted = !mayStart();
    lastBeat = sent;
    // Nothing was claimed meanwhile.
    if (doubted) claiming.wake();
  };

  /**
   * A claim's answer may be lost after its commit: leases nobody here knows go back, attempt unchanged (the
   * reaper never would, because this worker is alive). And attempts whose run was taken away are aborted, in case the
   * notification was lost.
   */
  const reconcile = async (id: number): Promise<void> => {
    // Known before and after the look: an attempt that ended in between has settled its lease itself.
    const before = attempts.names();
    const leases = await queue.leases(id);
    const unknown = leases.filter(
      ({ run_id, claim_seq, settled }) =>
        settled && !before.has(`${run_id} ${claim_seq}`) && !attempts.has(run_id, claim_seq),
    );
    if (unknown.length > 0) {
      await queue.settle(
        unknown.map((lease) => ({
          id: lease.run_id,
          created_at: lease.run_created_at,
          claim_seq: lease.claim_seq,
          owner: id,
          to: 'queued',
          unstarted: true,
          event: { attempt: lease.attempt, reason: 'claim_reply_lost' },
          level: 'warn' as const,
        })),
      );
    }
    const held = new Set(leases.map((lease) => `${lease.run_id} ${lease.claim_seq}`));
    const orphaned = attempts
      .all()
      .filter(
        ({ run, finishing }) =>
          !finishing &&
          before.has(`${run.id} ${run.claim_seq}`) &&
          !held.has(`${run.id} ${run.claim_seq}`),
      );
    if (orphaned.length === 0) return;
    const fates = await queue.fates(orphaned.map(({ run }) => run.id));
    const fateOf = new Map(fates.map((fate) => [fate.id, fate]));
    for (const attempt of orphaned) {
      // A run that ended or waits by its own call is left to finish its request; nobody will read the reply.
      const fate = fateOf.get(attempt.run.id);
      if (!fate || fate.status === 'canceled' || fate.attempt > attempt.run.attempt)
        attempt.abort('canceled');
    }
  };

  const drain = async (deadline: AbortSignal): Promise<void> => {
    const claimed = claiming.stop();
    const patience = AbortSignal.any([deadline, AbortSignal.timeout(settings.drain_timeout_ms)]);
    await Promise.race([attempts.idle(), new Promise((resolve) => whenAborted(patience, resolve))]);
    for (const attempt of attempts.all()) attempt.abort('shutdown');
    await attempts.idle();
    await claimed;
    await settling.drain();
    for (const off of unsubscribe) off();
    for (const timer of timers) clearInterval(timer);
    if (worker_id !== undefined)
      await queue.removeWorker(worker_id).catch((error: unknown) => onError(error, 'sign off'));
  };

  return {
    name: 'worker',
    stop_timeout_ms: settings.drain_timeout_ms + 5_000,
    executing: attempts.size,
    id: () => worker_id,
    async start() {
      lastBeat = deps.clock.monotonic();
      worker_id = await queue.registerWorker({ hostname: hostname(), pid: process.pid });
      unsubscribe.push(
        deps.listener.on('run_wake', claiming.wake),
        // Names the claim: a restart must not abort the attempt that follows.
        deps.listener.on('run_abort', (name) => attempts.named(name)?.abort('canceled')),
      );
      timers.push(
        setInterval(() => void beat(), settings.heartbeat_interval_ms),
        setInterval(() => void mark(), MARK_SWEEP_MS),
        setInterval(claiming.wake, settings.poll_interval_ms),
      );
      claiming.wake();
    },
    stop(deadline) {
      stopping ??= worker_id === undefined ? Promise.resolve() : drain(deadline);
      return stopping;
    },
    health(): Health {
      const silent_ms = deps.clock.monotonic() - lastBeat;
      return worker_id !== undefined && silent_ms > settings.heartbeat_interval_ms * 3
        ? { status: 'degraded', message: `no heartbeat for ${Math.round(silent_ms / 1000)} s` }
        : UP;
    },
  };
}

function whenAborted(signal: AbortSignal, then: (value?: unknown) => void): void {
  if (signal.aborted) then();
  else signal.addEventListener('abort', () => then(), { once: true });
}
