import { stateMachine } from '../../platform/state-machine.ts';

/** The thirteen states of a run and every legal move (engine-semantics §3.2). */
export const runStates = stateMachine('run', {
  delayed: ['queued', 'waiting', 'canceled', 'expired'],
  queued: [
    'delayed',
    'dequeued',
    'executing',
    'waiting',
    'completed',
    'failed',
    'timed_out',
    'crashed',
    'system_failed',
    'canceled',
    'expired',
    'dead_letter',
  ],
  dequeued: ['executing', 'queued', 'canceled', 'system_failed'],
  executing: [
    'completed',
    'queued',
    'dead_letter',
    'timed_out',
    'failed',
    'crashed',
    'canceled',
    'waiting',
    'system_failed',
  ],
  waiting: ['queued', 'completed', 'failed', 'canceled', 'timed_out', 'expired', 'system_failed'],
  dead_letter: ['queued', 'system_failed'], // the second by the cap on dead letters
  completed: [],
  failed: [],
  timed_out: [],
  crashed: [],
  system_failed: [],
  canceled: [],
  expired: [],
});

export type RunStatus = (typeof runStates.states)[number];

/** States a run never leaves by itself. `dead_letter` is one: replay is its only exit. */
export const TERMINAL_STATES = [
  'completed',
  'failed',
  'timed_out',
  'crashed',
  'system_failed',
  'canceled',
  'expired',
  'dead_letter',
] as const;

export type TerminalStatus = (typeof TERMINAL_STATES)[number];

const terminal: ReadonlySet<string> = new Set(TERMINAL_STATES);

export const isTerminal = (status: string): status is TerminalStatus => terminal.has(status);
