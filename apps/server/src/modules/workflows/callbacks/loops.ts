import type { Listener } from '../../../platform/db/listen.ts';
import { loop, type Loop, type LoopDeps } from '../../../platform/services/loop.ts';
import type { createEndingCallbacks } from './endings.ts';
import type { createNews } from './news.ts';
import type { createTimers } from './timers.ts';

export interface Callbacks {
  readonly endings: ReturnType<typeof createEndingCallbacks>;
  readonly news: ReturnType<typeof createNews>;
  readonly timers: ReturnType<typeof createTimers>;
}

export interface CallbackLoopDeps extends LoopDeps {
  readonly callbacks: Callbacks;
  readonly listener: Pick<Listener, 'on'>;
}

/** Notifications make these quick; the pauses are for those that got lost. */
export const callbackLoops = ({
  callbacks,
  listener,
  leader,
  ...shared
}: CallbackLoopDeps): Loop[] => {
  const on = (what: string) => (wake: () => void) =>
    listener.on('workflow_due', (payload) => {
      if (payload === what || payload === '') wake();
    });
  return [
    loop({
      ...shared,
      name: 'tell steps of ended runs',
      every_ms: 1_000,
      wake: (wake) => listener.on('step_ended', wake),
      run: callbacks.endings.follow,
    }),
    loop({
      ...shared,
      name: 'tell parents of ended workflow runs',
      every_ms: 1_000,
      wake: on('news'),
      run: callbacks.news.follow,
    }),
    loop({
      ...shared,
      // In every process: the next leader comes seconds after the death of one.
      name: 'timers of workflow runs',
      every_ms: 1_000,
      wake: on('timer'),
      run: callbacks.timers.ring,
    }),
    loop({
      ...shared,
      leader,
      name: 'workflow steps that wait for a quota',
      every_ms: 2_000,
      run: callbacks.timers.reconsider,
    }),
    loop({
      ...shared,
      leader,
      name: 'reconcile waits of steps',
      every_ms: 30_000,
      run: callbacks.timers.dropForsakenWaits,
    }),
  ];
};
