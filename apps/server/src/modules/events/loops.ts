import type { Listener } from '../../platform/db/listen.ts';
import { loop, type Loop, type LoopDeps } from '../../platform/services/loop.ts';
import type { Emits } from './emits/emits.ts';
import type { Notifications } from './notifications/notifications.ts';
import type { EventUpkeep } from './upkeep.ts';

export interface EventLoopDeps extends LoopDeps {
  readonly upkeep: EventUpkeep;
  readonly emits: Emits;
  readonly notifications: Notifications;
  readonly listener: Pick<Listener, 'on'>;
}

/** Every change of a run notifies `run_live`; parents are looked for at most this often because of it. */
const THROTTLE_MS = 200;

export const eventLoops = ({
  upkeep,
  emits,
  notifications,
  listener,
  leader,
  on_error,
  metrics,
}: EventLoopDeps): Loop[] => {
  const shared = { on_error, metrics };
  return [
    loop({
      ...shared,
      name: 'resume awaiting parents',
      every_ms: 1_000,
      wake: (wake) => {
        let timer: NodeJS.Timeout | undefined;
        const unsubscribe = listener.on('run_live', () => {
          timer ??= setTimeout(() => {
            timer = undefined;
            wake();
          }, THROTTLE_MS);
        });
        return () => {
          clearTimeout(timer);
          unsubscribe();
        };
      },
      run: upkeep.resumeAwaitingParents,
    }),
    loop({ ...shared, name: 'time out waits', every_ms: 1_000, run: upkeep.timeOutWaits }),
    loop({
      ...shared,
      name: 'deliver emitted events',
      every_ms: 1_000,
      wake: (wake) => listener.on('event_emit', wake),
      run: emits.follow,
    }),
    loop({
      ...shared,
      name: 'notify of waits',
      every_ms: 5_000,
      wake: (wake) => listener.on('event_notify', wake),
      run: notifications.send,
    }),
    loop({ ...shared, leader, name: 'tidy early events', every_ms: 30_000, run: upkeep.tidyEarly }),
    loop({ ...shared, name: 'reconcile waits', every_ms: 30_000, run: upkeep.reconcileWaits }),
    loop({
      ...shared,
      leader,
      name: 'remove old waits',
      every_ms: 6 * 3_600_000,
      run: upkeep.removeOldTriggers,
    }),
  ];
};
