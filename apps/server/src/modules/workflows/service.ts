// The parts of the module that deal with runs, put together.
import type { Database } from '../../platform/db/database.ts';
import type { Listener } from '../../platform/db/listen.ts';
import type { Endings, OperatorVerbs, Queue } from '../queue/index.ts';
import type { Jobs } from '../jobs/index.ts';
import { createDecisions } from './approvals/decisions.ts';
import { createApprovalReads } from './approvals/reads.ts';
import { createReminders } from './approvals/reminders.ts';
import { createCanaries } from './canary/service.ts';
import { createRouting } from './canary/routing.ts';
import { createEndingCallbacks } from './callbacks/endings.ts';
import type { Callbacks } from './callbacks/loops.ts';
import { createNews } from './callbacks/news.ts';
import { createStepEvents } from './callbacks/step-events.ts';
import { createTimers } from './callbacks/timers.ts';
import { createCompensations } from './compensation/service.ts';
import type { EngineLimits } from './engine/facts.ts';
import { createProgression } from './progression/progression.ts';
import { createBulkOperations } from './runs/bulk.ts';
import { createReaper, type Reaped, type ReaperSettings } from './reaper/reaper.ts';
import { createWorkflowRetention } from './retention/retention.ts';
import { createRunInspection } from './runs/inspection.ts';
import { createRunOperations } from './runs/operations.ts';
import { createRunReads } from './runs/reads.ts';
import { createRunRetries } from './runs/retry-run.ts';
import { createStepOperations } from './runs/step-operations.ts';
import { createRunStreams } from './runs/stream.ts';
import { createWorkflowTriggers } from './runs/trigger.ts';
import { createWorkflowWhy } from './runs/why.ts';

export interface WorkflowRunsDependencies {
  readonly db: Database;
  /** The queue's pool. */
  readonly hot: Database;
  readonly listener: Pick<Listener, 'on'>;
  readonly queue: Pick<Queue, 'enqueueMany'>;
  readonly operator: Pick<OperatorVerbs, 'cancel'>;
  readonly endings: Pick<Endings, 'takeSteps' | 'postponeSteps' | 'dropSteps' | 'tellStepsAgain'>;
  readonly jobs: Pick<Jobs, 'checkPayload'>;
  readonly limits: EngineLimits;
  /** From 0 to below 1: shares out triggers. Default Math.random. */
  readonly random?: () => number;
  readonly upkeep: ReaperSettings & { readonly retention_secs: number };
  /** What should never happen. */
  readonly onReaped: (reaped: Reaped) => void;
  readonly onWarning: (warning: string, of: { readonly workflow_run_id: string }) => void;
  readonly onError: (error: unknown, what: string) => void;
}

export type WorkflowRuns = ReturnType<typeof createWorkflowRuns>;

export function createWorkflowRuns(deps: WorkflowRunsDependencies) {
  const { db, hot, limits, onError } = deps;
  const route = createRouting(deps.random);
  const progression = createProgression({ ...deps, route });
  const triggers = createWorkflowTriggers({
    hot,
    progression,
    max_payload_bytes: limits.max_payload_bytes,
    route,
  });
  const callbacks: Callbacks = {
    endings: createEndingCallbacks({
      db: hot,
      endings: deps.endings,
      progression,
      onError,
    }),
    news: createNews({ db: hot, progression, onError }),
    timers: createTimers({ db: hot, progression, onError }),
  };
  const { graphs } = progression;
  const reads = createRunReads({ db, graphs });
  const operations = createRunOperations({ hot, progression });
  const retries = createRunRetries({ hot, progression });
  return {
    progression,
    triggers,
    callbacks,
    stepEvents: createStepEvents(progression),
    reads,
    reaper: createReaper({ ...deps, db: hot, progression, settings: deps.upkeep }),
    retention: createWorkflowRetention({ db: hot, retention_secs: deps.upkeep.retention_secs }),
    inspection: createRunInspection({ db, graphs, limits, reads }),
    why: createWorkflowWhy({ db, graphs, limits }),
    streams: createRunStreams({ db, listener: deps.listener }),
    canaries: createCanaries({ db, onError }),
    compensations: createCompensations({ db, hot, progression, reads }),
    operations,
    steps: createStepOperations({ hot, operations, reads }),
    decisions: createDecisions({ hot, progression, reads }),
    approvals: createApprovalReads({ db, reads }),
    reminders: createReminders({ db: hot, onError }),
    retries,
    bulk: createBulkOperations({ operations, retries, onError }),
  };
}
