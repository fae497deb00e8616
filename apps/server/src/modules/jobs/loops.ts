// What jobs need done without anybody asking.

import type { Leader } from '../../platform/services/leader.ts';
import {
  loop,
  type Loop,
  type LoopFailure,
  type LoopMetrics,
} from '../../platform/services/loop.ts';
import type { Jobs } from './service.ts';

export interface JobLoopDeps {
  readonly jobs: Pick<Jobs, 'finishDeletions'>;
  readonly leader: Leader;
  readonly on_error: (error: unknown, failure: LoopFailure) => void;
  readonly metrics?: LoopMetrics | undefined;
}

export const jobLoops = ({ jobs, leader, on_error, metrics }: JobLoopDeps): Loop[] => [
  loop({
    name: 'finish deletions of jobs',
    every_ms: 60_000,
    leader,
    on_error,
    ...(metrics && { metrics }),
    run: jobs.finishDeletions,
  }),
];
