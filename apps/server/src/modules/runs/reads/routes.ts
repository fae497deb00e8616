import { bind } from '../../access/index.ts';
import {
  getDebugBundle,
  getRun,
  getStats,
  listDeadLetters,
  listRunCheckpoints,
  listRunChildren,
  listRunEvents,
  listRunLineage,
  listRunOutputs,
  listRuns,
  listRunState,
  listRunToolCalls,
  listRunUsage,
} from './contract.ts';
import type { RunReads } from './service.ts';

export const readRoutes = (runs: RunReads) => [
  bind(listRuns, ({ project }, { query }) => runs.list(project, query)),
  bind(listDeadLetters, ({ project }, { query }) =>
    runs.list(project, { ...query, status: ['dead_letter'] }),
  ),
  bind(getRun, ({ project }, { params }) => runs.get(project, params.runID)),
  bind(listRunChildren, ({ project }, { params, query }) =>
    runs.children(project, params.runID, query),
  ),
  bind(listRunEvents, ({ project }, { params, query }) =>
    runs.events(project, params.runID, query),
  ),
  bind(listRunCheckpoints, ({ project }, { params, query }) =>
    runs.checkpoints(project, params.runID, query),
  ),
  bind(listRunUsage, ({ project }, { params, query }) => runs.usage(project, params.runID, query)),
  bind(listRunToolCalls, ({ project }, { params, query }) =>
    runs.toolCalls(project, params.runID, query),
  ),
  bind(listRunOutputs, ({ project }, { params, query }) =>
    runs.outputs(project, params.runID, query),
  ),
  bind(listRunLineage, ({ project }, { params, query }) =>
    runs.lineage(project, params.runID, query),
  ),
  bind(listRunState, ({ project }, { params }) => runs.state(project, params.runID)),
  bind(getDebugBundle, ({ project }, { params }) => runs.debugBundle(project, params.runID)),
  bind(getStats, ({ project }) => runs.stats(project)),
];
