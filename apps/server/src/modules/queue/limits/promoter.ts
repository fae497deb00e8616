// Promotes when there is a reason: a run came to wait, a slot came back, a limit rose. Reasons for the same tree are
// taken together; a tree somebody else is working on is looked at again, because he may not have seen ours.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Listener } from '../../../platform/db/listen.ts';
import { UP, type Service } from '../../../platform/services/service.ts';
import type { Limits } from './limits.ts';

export interface Promoter extends Service {
  /** Soon, once however often it is said. */
  ask(root_lane_ids: Iterable<number>): void;
  /** Resolves when everything asked for so far has been done. */
  idle(): Promise<void>;
}

/** Until the other promoter of a tree is probably through. */
const BUSY_MS = 5;
/**
 * Busy for so long, a tree is waited for: ends wait in line for its root, so where commits are slow it passes from one to the
 * next, and who only looks whether it is free may not find it for seconds.
 */
const PATIENCE_MS = 50;
/** Between two promotions of a tree: slots that come back meanwhile go out together. */
const GATHER_MS = 4;
const AFTER_ERROR_MS = 500;
/** Trees promoted at a time; each takes one connection of the hot pool. */
const PARALLEL = 2;
const REMEMBERED = 10_000;

export function createPromoter(deps: {
  limits: Pick<Limits, 'promote' | 'recount'>;
  listener: Pick<Listener, 'on'>;
  onError: (error: unknown) => void;
}): Promoter {
  const asked = new Set<number>();
  const done = new Map<number, number>();
  const busy_since = new Map<number, number>();
  let working = 0;
  let stopped = false;
  const unsubscribe: (() => void)[] = [];
  const recounts = new Set<Promise<void>>();
  let waiters: (() => void)[] = [];

  const work = async (): Promise<void> => {
    working += 1;
    for (let root = next(); root !== undefined && !stopped; root = next()) {
      const rest = GATHER_MS - (performance.now() - (done.get(root) ?? -GATHER_MS));
      if (rest > 0) {
        await sleep(rest);
        asked.delete(root);
      }
      try {
        const since = busy_since.get(root);
        const wait = since !== undefined && performance.now() - since >= PATIENCE_MS;
        const { busy, more } = await deps.limits.promote(root, { wait });
        done.set(root, performance.now());
        if (done.size > REMEMBERED) done.clear();
        if (!busy) busy_since.delete(root);
        else if (since === undefined) busy_since.set(root, performance.now());
        if (busy) await sleep(BUSY_MS);
        if (busy || more) asked.add(root);
      } catch (error) {
        deps.onError(error);
        asked.add(root);
        await sleep(AFTER_ERROR_MS);
      }
    }
    working -= 1;
    if (working === 0 && (asked.size === 0 || stopped)) {
      for (const wake of waiters) wake();
      waiters = [];
    }
  };

  const next = (): number | undefined => {
    const [root] = asked;
    if (root !== undefined) asked.delete(root);
    return root;
  };

  const ask = (roots: Iterable<number>): void => {
    for (const root of roots) if (root !== 0) asked.add(root);
    while (!stopped && working < Math.min(PARALLEL, asked.size)) void work();
  };

  const idle = (): Promise<void> =>
    working === 0 && asked.size === 0
      ? Promise.resolve()
      : new Promise((resolve) => waiters.push(resolve));

  return {
    name: 'promoter',
    ask,
    idle,
    start() {
      unsubscribe.push(
        deps.listener.on('run_promote', (payload) => {
          if (payload !== '') ask([Number(payload)]);
        }),
        deps.listener.on('run_recount', (payload) => {
          if (payload === '') return;
          const done = deps.limits
            .recount(Number(payload))
            .catch(deps.onError)
            .finally(() => recounts.delete(done));
          recounts.add(done);
        }),
      );
      return Promise.resolve();
    },
    async stop() {
      for (const off of unsubscribe) off();
      stopped = true;
      asked.clear();
      if (working > 0) await idle();
      await Promise.all(recounts);
    },
    health: () => UP,
  };
}
