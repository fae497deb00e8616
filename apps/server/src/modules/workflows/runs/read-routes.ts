import { bind } from '../../access/index.ts';
import * as api from './contract-reads.ts';
import type { RunInspection } from './inspection.ts';
import type { RunStreams } from './stream.ts';
import type { WorkflowWhy } from './why.ts';

export interface ReadServices {
  readonly inspection: RunInspection;
  readonly why: WorkflowWhy;
  readonly streams: RunStreams;
}

export const readRoutes = ({ inspection, why, streams }: ReadServices) => [
  bind(api.getRunGraph, ({ project }, { params }) =>
    inspection.graph(project, params.workflowRunID),
  ),
  bind(api.getRunTimeline, ({ project }, { params }) =>
    inspection.timeline(project, params.workflowRunID),
  ),
  bind(api.explainWorkflowRun, ({ project }, { params, query }) =>
    inspection.explain(project, params.workflowRunID, query),
  ),
  bind(api.getRunLabels, ({ project }, { params }) =>
    inspection.labels(project, params.workflowRunID),
  ),
  bind(api.debugWorkflowRun, ({ project }, { params }) =>
    inspection.debug(project, params.workflowRunID),
  ),
  bind(api.compareWorkflowRuns, ({ project }, { params }) =>
    inspection.compare(project, params.workflowRunID, params.otherWorkflowRunID),
  ),
  bind(api.whyWorkflowRun, ({ project }, { params }) => why.ofRun(project, params.workflowRunID)),
  bind(api.streamWorkflowRun, ({ project }, { params, headers }) =>
    streams.stream(project, params.workflowRunID, headers['last-event-id']),
  ),
  bind(api.getStepRun, ({ project }, { params }) =>
    inspection.step(project, params.workflowRunID, params.stepRef),
  ),
  bind(api.listStepChildren, ({ project }, { params, query }) =>
    inspection.children(project, params.workflowRunID, params.stepRef, query),
  ),
  bind(api.whyWorkflowStep, ({ project }, { params }) =>
    why.ofStep(project, params.workflowRunID, params.stepRef),
  ),
  bind(api.listActiveVersions, ({ project }, { params }) =>
    inspection.activeVersions(project, params.workflowID),
  ),
  bind(api.getVersionImpact, ({ project }, { params }) =>
    inspection.impact(project, params.workflowID, params.versionID),
  ),
];
