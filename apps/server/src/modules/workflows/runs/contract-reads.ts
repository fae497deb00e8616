// Looking into workflow runs: as a whole, step by step, live, and at what versions are followed.
import { z } from 'zod';
import { pageQuery } from '../../../platform/http/pagination.ts';
import { operation } from '../../access/index.ts';
import { runParams } from './contract.ts';
import { WorkflowStepRun } from './schemas.ts';
import {
  ActiveVersionsResponse,
  CompareResponse,
  DebugResponse,
  DecisionType,
  MapChildStatus,
  StepMapChildPage,
  TimelineResponse,
  WorkflowRunGraphResponse,
  WorkflowRunLabelsResponse,
  WorkflowRunSnapshot,
  WorkflowRunWhy,
  WorkflowStatusChange,
  WorkflowStepDecisionPage,
  WorkflowStepStatusChange,
  WorkflowStepWhy,
  WorkflowVersionImpactResponse,
} from './schemas-reads.ts';

const ofRun = {
  method: 'GET',
  tags: ['WorkflowRuns'],
  permission: 'workflows:read',
  params: runParams,
} as const;
const stepRef = z.string().min(1).max(128);
const ofStep = { ...ofRun, params: runParams.extend({ stepRef }) } as const;
const ofWorkflow = {
  method: 'GET',
  tags: ['Workflows'],
  permission: 'workflows:read',
} as const;
const workflowID = z.string().min(1).max(256).meta({ description: 'id or slug of the workflow' });

export const getRunGraph = operation({
  ...ofRun,
  id: 'getV1WorkflowRunsByWorkflowRunIDGraph',
  sdk: 'workflows.getGraph',
  path: '/v1/workflow-runs/:workflowRunID/graph',
  summary: 'The graph of a run, where its steps stand, and its longest way',
  description:
    'The critical path is the longest by what steps took, or by their timeout or expected duration; `remaining` is what is left of it.',
  replies: { 200: WorkflowRunGraphResponse },
  failures: ['workflow_run_not_found'],
});

export const getRunTimeline = operation({
  ...ofRun,
  id: 'getV1WorkflowRunsByWorkflowRunIDTimeline',
  sdk: 'workflows.getTimeline',
  path: '/v1/workflow-runs/:workflowRunID/timeline',
  summary: 'When the steps of a run ran, by their start; those that never started come last',
  replies: { 200: TimelineResponse },
  failures: ['workflow_run_not_found'],
});

export const explainWorkflowRun = operation({
  ...ofRun,
  id: 'getV1WorkflowRunsByWorkflowRunIDExplain',
  sdk: 'workflows.getExplain',
  path: '/v1/workflow-runs/:workflowRunID/explain',
  summary: 'What was decided about the steps of a run, newest first',
  query: z.object({
    ...pageQuery,
    step_ref: z.string().max(128).optional(),
    decision_type: DecisionType.optional(),
  }),
  replies: { 200: WorkflowStepDecisionPage },
  failures: ['workflow_run_not_found'],
});

export const getRunLabels = operation({
  ...ofRun,
  id: 'getV1WorkflowRunsByWorkflowRunIDLabels',
  sdk: 'workflows.listLabels',
  path: '/v1/workflow-runs/:workflowRunID/labels',
  summary: 'The labels of a run',
  replies: { 200: WorkflowRunLabelsResponse },
  failures: ['workflow_run_not_found'],
});

export const debugWorkflowRun = operation({
  ...ofRun,
  id: 'getV1WorkflowRunsByWorkflowRunIDDebug',
  sdk: 'workflowRuns.debug',
  path: '/v1/workflow-runs/:workflowRunID/debug',
  summary: 'Everything about a run in one piece',
  description:
    'Newest first and at most 100 of each but the steps; `truncated` names what there is more of.',
  replies: { 200: DebugResponse },
  failures: ['workflow_run_not_found'],
});

export const compareWorkflowRuns = operation({
  ...ofRun,
  id: 'getV1WorkflowRunsByWorkflowRunIDCompareByOtherWorkflowRunID',
  sdk: 'workflowRuns.compare',
  path: '/v1/workflow-runs/:workflowRunID/compare/:otherWorkflowRunID',
  summary: 'Two runs side by side',
  params: runParams.extend({ otherWorkflowRunID: z.string().min(1).max(256) }),
  replies: { 200: CompareResponse },
  failures: ['workflow_run_not_found'],
});

export const whyWorkflowRun = operation({
  ...ofRun,
  id: 'getV1WorkflowRunsByWorkflowRunIDWhy',
  sdk: 'workflowRuns.why',
  path: '/v1/workflow-runs/:workflowRunID/why',
  summary: 'Why a run does not go on',
  description:
    'What its steps wait for, and the one call that would take it out of the way. docs/workflows.md lists the kinds.',
  replies: { 200: WorkflowRunWhy },
  failures: ['workflow_run_not_found'],
});

export const streamWorkflowRun = operation({
  ...ofRun,
  id: 'getV1WorkflowRunsByWorkflowRunIDStream',
  sdk: 'workflowRuns.stream',
  path: '/v1/workflow-runs/:workflowRunID/stream',
  summary: "Stream a run's changes and those of its steps until it ends",
  description:
    'Begins with `event: snapshot`, the run as it is; every later change follows in order, with ids that count up. With ' +
    '`Last-Event-ID` there is no snapshot but everything after that event (`0` = from the first one on).',
  headers: z.object({ 'last-event-id': z.string().max(64).optional() }),
  stream: true,
  replies: { 200: z.union([WorkflowRunSnapshot, WorkflowStatusChange, WorkflowStepStatusChange]) },
  failures: ['workflow_run_not_found', 'too_many_streams'],
});

export const getStepRun = operation({
  ...ofStep,
  id: 'getV1WorkflowRunsByWorkflowRunIDStepsByStepRef',
  sdk: 'workflowRuns.getStep',
  path: '/v1/workflow-runs/:workflowRunID/steps/:stepRef',
  summary: 'One step of a run',
  replies: { 200: WorkflowStepRun },
  failures: ['workflow_run_not_found', 'workflow_step_not_found'],
});

export const listStepChildren = operation({
  ...ofStep,
  id: 'getV1WorkflowRunsByWorkflowRunIDStepsByStepRefChildren',
  sdk: 'workflowRuns.listStepChildren',
  path: '/v1/workflow-runs/:workflowRunID/steps/:stepRef/children',
  summary: 'What became of the elements of a map, in their order',
  description: 'Of its present attempt. A step that is no map has none.',
  query: z.object({
    limit: pageQuery.limit,
    cursor: z
      .string()
      .regex(/^\d{1,9}$/, 'must be the next_cursor of a page')
      .transform(Number)
      .optional()
      .meta({ description: '`next_cursor` of the previous page: the index it ended with' }),
    status: MapChildStatus.optional(),
  }),
  replies: { 200: StepMapChildPage },
  failures: ['workflow_run_not_found', 'workflow_step_not_found'],
});

export const whyWorkflowStep = operation({
  ...ofStep,
  id: 'getV1WorkflowRunsByWorkflowRunIDStepsByStepRefWhy',
  sdk: 'workflowRuns.whyStep',
  path: '/v1/workflow-runs/:workflowRunID/steps/:stepRef/why',
  summary: 'Why a step has not started or does not go on',
  replies: { 200: WorkflowStepWhy },
  failures: ['workflow_run_not_found', 'workflow_step_not_found'],
});

export const listActiveVersions = operation({
  ...ofWorkflow,
  id: 'getV1WorkflowsByWorkflowIDActiveVersions',
  sdk: 'workflows.listActiveVersions',
  path: '/v1/workflows/:workflowID/active-versions',
  summary: 'Versions that pending, running or paused runs follow, newest first',
  params: z.object({ workflowID }),
  replies: { 200: ActiveVersionsResponse },
  failures: ['workflow_not_found'],
});

export const getVersionImpact = operation({
  ...ofWorkflow,
  id: 'getV1WorkflowsByWorkflowIDVersionsByVersionIDImpact',
  sdk: 'workflows.getImpact',
  path: '/v1/workflows/:workflowID/versions/:versionID/impact',
  summary: 'How many runs follow a version, by status',
  params: z.object({
    workflowID,
    versionID: z
      .string()
      .min(1)
      .max(64)
      .meta({ description: 'version_id, id or number of the version' }),
  }),
  replies: { 200: WorkflowVersionImpactResponse },
  failures: ['workflow_not_found', 'workflow_version_not_found'],
});
