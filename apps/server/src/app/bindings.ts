// Every operation the API serves, besides the platform's own (health, metrics, reference).

import type { Binding } from '../platform/http/define-api.ts';
import type { AnyCaller, ProjectScope } from '../domain/caller.ts';
import { apiKeyRoutes } from '../modules/access/index.ts';
import { eventRoutes } from '../modules/events/index.ts';
import { endpointRoutes } from '../modules/executor/index.ts';
import { inRunRoutes } from '../modules/in-run/index.ts';
import {
  budgetRoutes,
  dependencyRoutes,
  groupRoutes,
  jobRoutes,
  keyLimitRoutes,
  projectQueueRoutes,
} from '../modules/jobs/index.ts';
import { projectRoutes } from '../modules/projects/index.ts';
import { relationRoutes } from '../modules/relations/index.ts';
import { runRoutes } from '../modules/runs/index.ts';
import { statsRoutes } from '../modules/stats/index.ts';
import { whyRoutes } from '../modules/why/index.ts';
import {
  compensationRoutes,
  definitionRoutes,
  canaryRoutes,
  simulationRoutes,
  workflowRunRoutes,
} from '../modules/workflows/index.ts';
import { scheduleRoutes } from '../modules/scheduler/index.ts';
import type { Modules } from './modules.ts';

export const bindingsOf = (modules: Modules): readonly Binding<AnyCaller, ProjectScope>[] => [
  ...projectRoutes(modules.projects),
  ...apiKeyRoutes(modules.access.keys),
  ...jobRoutes(modules.jobs),
  ...scheduleRoutes(modules.schedules, modules.workflowSchedules),
  ...groupRoutes(modules.groups),
  ...dependencyRoutes(modules.dependencies),
  ...budgetRoutes(modules.budgets),
  ...keyLimitRoutes(modules.keyLimits),
  ...projectQueueRoutes(modules.projectQueue),
  ...runRoutes(modules.runs),
  ...relationRoutes(modules.dependencyReads),
  ...endpointRoutes(modules.endpoints),
  ...eventRoutes(modules.events),
  ...definitionRoutes(modules.workflowDefinitions, modules.workflowPolicies),
  ...workflowRunRoutes(modules.workflowRuns),
  ...simulationRoutes(modules.simulating),
  ...canaryRoutes(modules.workflowRuns),
  ...compensationRoutes(modules.workflowRuns.compensations),
  ...statsRoutes(modules.stats, modules.whatIf),
  ...whyRoutes(modules.why),
  ...inRunRoutes(modules.inRun),
];
