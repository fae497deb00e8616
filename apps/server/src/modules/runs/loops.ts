// What bulk operations need done without anybody asking.

import { loop, type Loop, type LoopDeps } from '../../platform/services/loop.ts';

export interface RunLoopDeps extends LoopDeps {
  readonly removeOldBatches: () => Promise<{ readonly again: boolean }>;
}

export const runLoops = ({ removeOldBatches, ...shared }: RunLoopDeps): Loop[] => [
  loop({
    ...shared,
    name: 'remove old bulk operations',
    every_ms: 6 * 3_600_000,
    run: removeOldBatches,
  }),
];
