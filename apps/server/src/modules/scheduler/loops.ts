import type { Listener } from '../../platform/db/listen.ts';
import { loop, type Loop, type LoopDeps } from '../../platform/services/loop.ts';
import type { Scheduler } from './firing.ts';

export interface SchedulerLoopDeps extends LoopDeps {
  readonly scheduler: Scheduler;
  readonly listener: Pick<Listener, 'on'>;
}

export const HOUR_MS = 3_600_000;
/** The timer is set for the earliest fire, and edits tell; this is only for what nobody told. */
export const BACKSTOP_MS = 5_000;

export const schedulerLoops = ({
  scheduler,
  listener,
  leader,
  on_error,
  metrics,
}: SchedulerLoopDeps): Loop[] => {
  const shared = { on_error, metrics };
  return [
    loop({
      ...shared,
      name: 'fire schedules',
      every_ms: BACKSTOP_MS,
      wake: (wake) => listener.on('schedule_wake', wake),
      run: scheduler.round,
    }),
    loop({
      ...shared,
      leader,
      name: 'remove old fires',
      every_ms: HOUR_MS,
      run: scheduler.removeOldFires,
    }),
    loop({ ...shared, leader, name: 'repair schedules', every_ms: HOUR_MS, run: scheduler.repair }),
  ];
};
