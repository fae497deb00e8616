// Waits for events: what a suspended run waits for and what ends that. Promises: a wait ends once, in the same
// transaction as the change of its run, and a key is waited for at most once per project.

export type { StepEvents } from './ends.ts';
export { findEarly as findEarlyEvent } from './early/early-events.ts';
export { createEmits, queueEmits, type Emits } from './emits/emits.ts';
export { createNotifications, type Notifications } from './notifications/notifications.ts';
export { createEvents, type Events, type EventsDependencies } from './service.ts';
export { createEventUpkeep, type EventUpkeep } from './upkeep.ts';
export { eventLoops, type EventLoopDeps } from './loops.ts';
export { eventRoutes } from './routes.ts';
export {
  admitEventWait,
  AWAIT_PREFIX,
  awaitKey,
  cancelLeftWaits,
  cancelWaitsOf,
  openEventWait,
  openWait,
  resumeFacts,
  type NewWait,
} from './waits.ts';
export {
  admitStepWait,
  cancelStepWaits,
  dropStepWait,
  endStepWaits,
  findKeyWaiter,
  openStepWait,
  removeStepWaits,
  type StepWaitEnd,
} from './step-waits.ts';
