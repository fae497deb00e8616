// Moves due runs into the queue on time: a timer for the earliest due instant, refreshed when an earlier one
// may have been written. Precise to a few milliseconds plus one statement; the poll is only a backstop.

import type { Listener } from '../../../platform/db/listen.ts';
import { UP, type Service } from '../../../platform/services/service.ts';
import type { Upkeep } from './upkeep.ts';

const BACKSTOP_MS = 1_000;
const AFTER_ERROR_MS = 500;

export function createMover(deps: {
  upkeep: Pick<Upkeep, 'moveDue' | 'nextDue'>;
  listener: Pick<Listener, 'on'>;
  onError: (error: unknown) => void;
}): Service {
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> | undefined;
  let asked = false;
  let stopped = true;
  let unsubscribe = (): void => {};

  const round = async (): Promise<void> => {
    let pause = AFTER_ERROR_MS;
    try {
      do asked = false;
      while (((await deps.upkeep.moveDue()).again || asked) && !stopped);
      pause = Math.min((await deps.upkeep.nextDue()) ?? BACKSTOP_MS, BACKSTOP_MS);
    } catch (error) {
      deps.onError(error);
    }
    running = undefined;
    if (!stopped) timer = setTimeout(start, asked ? 0 : Math.max(pause, 1));
  };

  const start = (): void => {
    clearTimeout(timer);
    if (running) asked = true;
    else running = round();
  };

  return {
    name: 'mover',
    start() {
      stopped = false;
      // `due`: a delayed run was written; '': reconnected, anything may have been missed.
      unsubscribe = deps.listener.on('run_wake', (payload) => {
        if (payload !== 'ready' && !stopped) start();
      });
      start();
      return Promise.resolve();
    },
    async stop() {
      stopped = true;
      unsubscribe();
      clearTimeout(timer);
      await running;
    },
    health: () => UP,
  };
}
