import { stateMachine } from '../../platform/state-machine.ts';

/** States of one wait for an event. */
export const triggerStates = stateMachine('event trigger', {
  waiting: ['received', 'timed_out', 'canceled'],
  received: [],
  timed_out: [],
  canceled: [],
});
