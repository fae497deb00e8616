// What triggers and bulk operations need done without anybody asking.

import { loop, type Loop, type LoopDeps } from '../../platform/services/loop.ts';
import type { Firing } from './trigger/firing.ts';

export interface RunLoopDeps extends LoopDeps {
  readonly removeOldBatches: () => Promise<{ readonly again: boolean }>;
  readonly workOnBulkOperations: () => Promise<{ readonly again: boolean }>;
  readonly firing: Firing;
  /** What windows and limits left behind. */
  readonly tidyAdmission: () => Promise<{ readonly again: boolean }>;
}

export const runLoops = ({
  removeOldBatches,
  workOnBulkOperations,
  firing,
  tidyAdmission,
  leader,
  ...shared
}: RunLoopDeps): Loop[] => [
  loop({ ...shared, name: 'work on bulk operations', every_ms: 1_000, run: workOnBulkOperations }),
  loop({ ...shared, name: 'fire debounced triggers', every_ms: 1_000, run: firing.fire }),
  loop({ ...shared, name: 'flush batches', every_ms: 1_000, run: firing.flush }),
  loop({ ...shared, name: 'tidy flow control', every_ms: 600_000, run: tidyAdmission }),
  loop({
    ...shared,
    leader,
    name: 'remove old bulk operations',
    every_ms: 6 * 3_600_000,
    run: removeOldBatches,
  }),
];
