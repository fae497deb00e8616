// What becomes of jobs whose budget says to pause them once the money of the day is spent.

import type { Breach } from '../modules/queue/index.ts';
import type { Jobs } from '../modules/jobs/index.ts';
import { projectScope } from '../modules/access/index.ts';

const BY = { actor_id: 'system:budget', actor_type: 'system' } as const;

export async function pauseOverBudget(
  deps: {
    readonly jobs: Pick<Jobs, 'setPaused'>;
    readonly onBudgetEvents: (events: number) => void;
  },
  breaches: readonly Breach[],
): Promise<void> {
  const told = breaches[0]?.told ?? 0;
  if (told > 0) deps.onBudgetEvents(told);
  for (const { project_id, job_id, policy } of breaches)
    if (policy === 'pause') await deps.jobs.setPaused(projectScope(project_id), BY, job_id, true);
}
