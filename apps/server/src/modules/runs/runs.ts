// The parts of the module, put together.

import type { Clock } from '../../platform/clock.ts';
import type { Database } from '../../platform/db/database.ts';
import type { Listener } from '../../platform/db/listen.ts';
import type { ProjectScope } from '../access/index.ts';
import type { JobView } from '../jobs/index.ts';
import { jobRates } from '../limits/index.ts';
import { intake, type OperatorVerbs, type Queue } from '../queue/index.ts';
import { createBackground } from './actions/background.ts';
import { createBulkRunActions } from './actions/bulk.ts';
import { actionRoutes } from './actions/routes.ts';
import { createRunActions, type RunVersions } from './actions/single.ts';
import { batchRoutes } from './batches/routes.ts';
import { createPricing } from './pricing/service.ts';
import { pricingRoutes } from './pricing/routes.ts';
import { createBatches } from './batches/service.ts';
import { liveRoutes } from './live/routes.ts';
import { createRunLive } from './live/run-live.ts';
import { readRoutes } from './reads/routes.ts';
import { createRunReads } from './reads/service.ts';
import { createAdmission } from './trigger/admission.ts';
import { createBulkTriggers } from './trigger/bulk.ts';
import { createFiring } from './trigger/firing.ts';
import { triggerRoutes } from './trigger/routes.ts';
import { createTriggers, type TriggerJobs, type TriggerSettings } from './trigger/trigger.ts';

export interface RunsSettings extends TriggerSettings {
  /** Of bulk operations. */
  readonly batch_retention_secs: number;
}

export interface RunsDependencies {
  readonly db: Database;
  /** The queue's pool: bulk triggers insert with its planner settings. Default: `db`. */
  readonly hot?: Database;
  readonly listener: Pick<Listener, 'on'>;
  readonly queue: Pick<Queue, 'enqueue' | 'enqueueMany' | 'keyHolders'>;
  readonly operator: OperatorVerbs;
  /** modules/jobs; `get` is the API's view of a job, shown by dry runs. */
  readonly jobs: TriggerJobs &
    RunVersions & { get(project: ProjectScope, job: string): Promise<JobView> };
  readonly clock: Clock;
  readonly settings: RunsSettings;
  /** How many budgets a refused trigger made reach their limit. */
  readonly onBudgetEvents?: ((events: number) => void) | undefined;
  /** Failed polls of live streams, which go on. */
  readonly onLiveError?: (error: unknown) => void;
  /** Failed chunks of bulk operations, which are tried again. */
  readonly onBackgroundError?: (error: unknown) => void;
}

export type Runs = ReturnType<typeof createRuns>;

export function createRuns(deps: RunsDependencies) {
  const { db, hot, listener, jobs, onLiveError } = deps;
  const batches = createBatches({ db });
  const own = hot ?? db;
  const { max_payload_bytes } = deps.settings;
  const { queue, clock } = deps;
  const admitting = createAdmission({ hot: own, queue, clock, max_payload_bytes });
  const firing = createFiring({ hot: own, queue, jobs, admission: admitting, clock });
  const triggers = createTriggers({
    ...deps,
    admission: admitting,
    describeJob: (project, job_id) => jobs.get(project, job_id),
  });
  const bulkTriggers = createBulkTriggers({ ...deps, db: own, batches, admission: admitting });
  const reads = createRunReads({ db, jobs });
  const actions = createRunActions(deps);
  const background = createBackground({
    ...deps,
    hot: hot ?? db,
    onError: deps.onBackgroundError ?? (() => {}),
  });
  const bulkActions = createBulkRunActions({ ...deps, background });
  const live = createRunLive({ db, listener, onError: onLiveError });
  const routes = [
    ...triggerRoutes(triggers, bulkTriggers),
    ...batchRoutes(batches),
    ...readRoutes(reads),
    ...actionRoutes(actions, bulkActions),
    ...liveRoutes(live),
    ...pricingRoutes(createPricing({ db })),
  ];
  const removeOldBatches = () => batches.removeOld(own, deps.settings.batch_retention_secs);
  const tidyAdmission = async () => {
    await jobRates.trim(own);
    return intake.tidy(own);
  };
  return {
    triggers,
    bulkTriggers,
    batches,
    reads,
    actions,
    bulkActions,
    live,
    routes,
    background,
    removeOldBatches,
    firing,
    tidyAdmission,
  };
}

export const runRoutes = (runs: Runs) => runs.routes;
