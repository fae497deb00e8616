// What jobs need done without anybody asking.

import { loop, type Loop, type LoopDeps } from '../../platform/services/loop.ts';
import type { Jobs } from './service.ts';

export interface JobLoopDeps extends LoopDeps {
  readonly jobs: Pick<Jobs, 'finishDeletions'>;
}

export const jobLoops = ({ jobs, ...shared }: JobLoopDeps): Loop[] => [
  loop({
    ...shared,
    name: 'finish deletions of jobs',
    every_ms: 60_000,
    run: jobs.finishDeletions,
  }),
];
