// The mechanics of background work: timer, wake-up, back-off, lease, metrics. What is done is the caller's `run`.
import type { Leader } from './leader.ts';
import { UP, type Health, type Service } from './service.ts';

export interface LoopOptions {
  readonly name: string;
  /** Pause between the end of one round and the start of the next. */
  readonly every_ms: number;
  /**
   * How long to pause at least after a round that took so long, also after one that failed or has more to do: bounds the
   * share of the time that the work takes.
   */
  readonly rest_ms?: (took_ms: number) => number;
  /** Calls `wake` when there may be work, until the returned function is called. Wakes during a round start another. */
  readonly wake?: (wake: () => void) => () => void;
  /** Spreads `every_ms` by up to this share either way, so that processes do not march in step. Default 0.1. */
  readonly jitter?: number;
  /**
   * `again` starts the next round at once: there was more than one round could take. `next_ms` starts it that soon, to
   * the millisecond: work is known to fall due then.
   */
  readonly run: (signal: AbortSignal) => Promise<RoundResult | void>;
  /** Told about every failed round; the loop itself goes on. */
  readonly on_error?: (error: unknown, failure: LoopFailure) => void;
  /** Once per cluster: rounds run only while this process holds the lease, and are aborted when it is lost. */
  readonly leader?: Leader;
  readonly metrics?: LoopMetrics;
}

export interface RoundResult {
  readonly again?: boolean;
  readonly next_ms?: number;
}

/** What loops of one process have in common. */
export interface LoopDeps {
  readonly leader: Leader;
  readonly on_error: (error: unknown, failure: LoopFailure) => void;
  readonly metrics: LoopMetrics;
}

export interface LoopFailure {
  readonly loop: string;
  readonly consecutive: number;
  readonly retry_in_ms: number;
}

export interface LoopMetrics {
  observe(loop: string, duration_ms: number, outcome: 'ok' | 'failed'): void;
}

export interface Loop extends Service {
  /**
   * One round now, in this process whoever leads; rejects as `run` does. For tests and for work on demand.
   * Waits for a round that is under way and then does its own.
   */
  runOnce(): Promise<void>;
  wake(): void;
}

const FIRST_BACK_OFF_MS = 500;
const MAX_BACK_OFF_MS = 30_000;

export function loop(options: LoopOptions): Loop {
  const { name, every_ms, run, leader, jitter = 0.1 } = options;
  const ended = new AbortController();
  let finished: Promise<void> | undefined;
  let round: Promise<unknown> = Promise.resolve();
  let interruptPause = () => {};
  let woken = false;
  let failures = 0;
  let lastError: unknown;

  function wake(): void {
    woken = true;
    interruptPause();
  }

  /** Never two rounds at once: each waits for the one before it, however it ended. */
  function enter(signal: AbortSignal): Promise<RoundResult> {
    const mine = round.then(() => measured(signal));
    round = mine.catch(() => {});
    return mine;
  }

  async function measured(signal: AbortSignal): Promise<RoundResult> {
    const began = performance.now();
    let outcome: 'ok' | 'failed' = 'failed';
    try {
      const result = await run(signal);
      outcome = 'ok';
      return result ?? {};
    } finally {
      options.metrics?.observe(name, performance.now() - began, outcome);
    }
  }

  /** How long to pause after this round. */
  async function tick(): Promise<number> {
    const tenure = leader?.tenure();
    if (leader && !tenure) return spread(every_ms);
    const began = performance.now();
    const rest = (): number => options.rest_ms?.(performance.now() - began) ?? 0;
    const signal = tenure ? AbortSignal.any([ended.signal, tenure.signal]) : ended.signal;
    try {
      const { again, next_ms = Infinity } = await enter(signal);
      failures = 0;
      return Math.max(again ? 0 : Math.min(spread(every_ms), next_ms), rest());
    } catch (error) {
      // Work that was told to stop and says so has not failed.
      if (signal.aborted) return spread(every_ms);
      failures += 1;
      lastError = error;
      const back_off_ms = Math.min(FIRST_BACK_OFF_MS * 2 ** (failures - 1), MAX_BACK_OFF_MS);
      const retry_in_ms = Math.max(back_off_ms, rest());
      options.on_error?.(error, { loop: name, consecutive: failures, retry_in_ms });
      return spread(retry_in_ms);
    }
  }

  async function keepRunning(): Promise<void> {
    while (!ended.signal.aborted) {
      woken = false;
      const ms = await tick();
      // A failing round waits its back-off out even when woken: a storm of wakes must not become a storm of errors.
      if (ms > 0 && (failures > 0 || !woken)) await pause(ms);
      else await new Promise(setImmediate);
    }
  }

  function pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      if (ended.signal.aborted) return resolve();
      const timer = setTimeout(resolve, ms);
      const end = () => {
        clearTimeout(timer);
        resolve();
      };
      interruptPause = () => {
        if (failures === 0 || ended.signal.aborted) end();
      };
      return undefined;
    });
  }

  const spread = (ms: number) => ms * (1 + jitter * (2 * Math.random() - 1));

  return {
    name,
    wake,
    async runOnce() {
      await enter(ended.signal);
    },
    async start() {
      if (finished || ended.signal.aborted) return;
      const unsubscribe = [options.wake?.(wake), leader?.onTenure(wake)];
      finished = keepRunning().finally(() => {
        for (const end of unsubscribe) end?.();
      });
    },
    async stop() {
      ended.abort(new Error(`${name} is stopping`));
      interruptPause();
      await finished;
      await round;
    },
    health(): Health {
      if (failures < 3) return UP;
      const reason = lastError instanceof Error ? lastError.message : String(lastError);
      return { status: 'degraded', message: `failed ${failures} times in a row: ${reason}` };
    },
  };
}
