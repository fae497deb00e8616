// What bulk operations need done without anybody asking.

import { loop, type Loop, type LoopDeps } from '../../platform/services/loop.ts';

export interface RunLoopDeps extends LoopDeps {
  readonly removeOldBatches: () => Promise<{ readonly again: boolean }>;
  readonly workOnBulkOperations: () => Promise<{ readonly again: boolean }>;
}

export const runLoops = ({
  removeOldBatches,
  workOnBulkOperations,
  leader,
  ...shared
}: RunLoopDeps): Loop[] => [
  loop({ ...shared, name: 'work on bulk operations', every_ms: 1_000, run: workOnBulkOperations }),
  loop({
    ...shared,
    leader,
    name: 'remove old bulk operations',
    every_ms: 6 * 3_600_000,
    run: removeOldBatches,
  }),
];
