// When schedules of workflows are looked at.
import { loop, type Loop } from '../../../platform/services/loop.ts';
import { BACKSTOP_MS, HOUR_MS, type SchedulerLoopDeps } from '../loops.ts';
import type { WorkflowScheduler } from './firing.ts';

export interface WorkflowSchedulerLoopDeps extends Omit<SchedulerLoopDeps, 'scheduler'> {
  readonly scheduler: WorkflowScheduler;
}

export const workflowSchedulerLoops = ({
  scheduler,
  listener,
  leader,
  ...shared
}: WorkflowSchedulerLoopDeps): Loop[] => [
  loop({
    ...shared,
    name: 'fire schedules of workflows',
    every_ms: BACKSTOP_MS,
    wake: (wake) => listener.on('schedule_wake', wake),
    run: scheduler.round,
  }),
  loop({
    ...shared,
    leader,
    name: 'remove old fires of workflows',
    every_ms: HOUR_MS,
    run: scheduler.removeOldFires,
  }),
  loop({
    ...shared,
    leader,
    name: 'repair schedules of workflows',
    every_ms: HOUR_MS,
    run: scheduler.repair,
  }),
];
