// What keeps workflow runs in order without anybody asking: once per cluster.
import { loop, type Loop, type LoopDeps } from '../../../platform/services/loop.ts';
import type { WorkflowRetention } from '../retention/retention.ts';
import type { Reaper } from './reaper.ts';

export interface WorkflowUpkeepLoopDeps extends LoopDeps {
  readonly reaper: Reaper;
  readonly retention: WorkflowRetention;
}

export const workflowUpkeepLoops = ({
  reaper,
  retention,
  ...shared
}: WorkflowUpkeepLoopDeps): Loop[] => [
  loop({ ...shared, name: 'reaper of workflow runs', every_ms: 30_000, run: reaper.sweep }),
  loop({
    ...shared,
    name: 'remove old workflow runs',
    every_ms: 600_000,
    run: retention.removeOldRuns,
  }),
];
