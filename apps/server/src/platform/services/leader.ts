// Once per cluster: a lease row that one process holds at a time, renewed while it lives.
import type { Queryable } from '../db/query.ts';
import { UP, type Service } from './service.ts';
import * as store from './store.sql.ts';

export interface LeaderOptions {
  readonly db: Queryable;
  /** What is led; one lease per name. */
  readonly name: string;
  /** This process, unique in the cluster and never reused. */
  readonly holder: string;
  /** How long the lease outlives its holder. Default 15 s. */
  readonly lease_ms?: number;
  /** Also how often the others look whether it is free. Default a third of the lease. */
  readonly renew_every_ms?: number;
  readonly on_change?: (leading: boolean, fence: number) => void;
  readonly on_error?: (error: unknown) => void;
}

/** One uninterrupted time of holding the lease. */
export interface Tenure {
  /** Larger than that of every tenure before it. */
  readonly fence: number;
  /** Aborted when the lease may be lost, by our own clock and always before anybody else can take it. */
  readonly signal: AbortSignal;
  /**
   * For writes that must not come from a former leader: locks the lease until the transaction ends.
   * Keep such transactions far shorter than the lease, since they also hold back its renewal.
   * @throws LeadershipLost
   */
  guard(tx: Queryable): Promise<void>;
}

export class LeadershipLost extends Error {
  constructor(name: string) {
    super(`this process no longer leads ${name}`);
    this.name = 'LeadershipLost';
  }
}

export interface Leader extends Service {
  tenure(): Tenure | undefined;
  /** Calls `listener` at the start of every tenure until the returned function is called. */
  onTenure(listener: () => void): () => void;
  /** One attempt to take or renew the lease, as the timer does. For tests. */
  beat(): Promise<void>;
}

interface Held {
  readonly tenure: Tenure;
  readonly ending: AbortController;
  expiry: NodeJS.Timeout;
}

export function createLeader(options: LeaderOptions): Leader {
  const { db, name, holder, lease_ms = 15_000 } = options;
  const renew_every_ms = options.renew_every_ms ?? lease_ms / 3;
  if (renew_every_ms >= lease_ms) throw new RangeError('a lease must be renewed before it ends');
  const listeners = new Set<() => void>();
  let held: Held | undefined;
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  let beating: Promise<void> | undefined;

  function lose(): void {
    if (!held) return;
    const { ending, expiry, tenure } = held;
    held = undefined;
    clearTimeout(expiry);
    ending.abort(new LeadershipLost(name));
    options.on_change?.(false, tenure.fence);
  }

  /** `until_ms` on our monotonic clock, counted from before the statement was sent: never later than the database's. */
  function keep(fence: number, until_ms: number): void {
    const left = until_ms - performance.now();
    if (held && held.tenure.fence !== fence) lose();
    if (left <= 0) return lose();
    if (held) {
      clearTimeout(held.expiry);
      held.expiry = setTimeout(lose, left);
      return undefined;
    }
    const ending = new AbortController();
    const tenure: Tenure = {
      fence,
      signal: ending.signal,
      async guard(tx) {
        const row = await store.holdLease(tx, { name, holder, fence });
        if (!row) throw new LeadershipLost(name);
      },
    };
    held = { tenure, ending, expiry: setTimeout(lose, left) };
    options.on_change?.(true, fence);
    for (const listener of listeners) listener();
    return undefined;
  }

  async function tryBeat(): Promise<void> {
    const sent = performance.now();
    try {
      const row = await store.acquireLease(db, { name, holder, lease_ms });
      if (!row) lose();
      else if (!stopped) keep(row.fence, sent + lease_ms);
      else await store.releaseLease(db, { name, holder, fence: row.fence });
    } catch (error) {
      // The lease may still be ours; the expiry timer decides when it is not.
      options.on_error?.(error);
    }
  }

  function beat(): Promise<void> {
    beating ??= tryBeat().finally(() => {
      beating = undefined;
    });
    return beating;
  }

  function schedule(): void {
    if (stopped) return;
    timer = setTimeout(() => void beat().then(schedule), renew_every_ms);
  }

  return {
    name: `leader:${name}`,
    tenure: () => held?.tenure,
    onTenure(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    beat,
    async start() {
      if (stopped || timer) return;
      await beat();
      schedule();
    },
    async stop() {
      if (stopped) return;
      stopped = true;
      clearTimeout(timer);
      const fence = held?.tenure.fence;
      lose();
      await beating;
      if (fence === undefined) return;
      // Only a courtesy to the next one: without it the lease ends by itself.
      await store
        .releaseLease(db, { name, holder, fence })
        .catch((error: unknown) => options.on_error?.(error));
    },
    health: () => UP,
  };
}
