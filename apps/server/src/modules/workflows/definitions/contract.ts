// The operations on workflow definitions. None of them needs or makes a run.
import { z } from 'zod';
import { pageQuery } from '../../../platform/http/pagination.ts';
import { operation } from '../../access/index.ts';
import {
  CloneWorkflowRequest,
  CreateWorkflowRequest,
  DryRunWorkflowRequest,
  UpdateWorkflowRequest,
  UpdateWorkflowResponse,
  UpsertWorkflowPolicyRequest,
  WorkflowDryRunResponse,
  WorkflowGraphResponse,
  WorkflowPage,
  WorkflowPlanRequest,
  WorkflowPlanResponse,
  WorkflowPolicy,
  WorkflowStep,
  WorkflowVersion,
  WorkflowVersionDiffResponse,
  WorkflowWithSteps,
} from './schemas.ts';

const tags = ['Workflows'] as const;
const params = z.object({
  workflowID: z.string().min(1).max(256).meta({ description: 'id or slug of the workflow' }),
});
const versionRef = z
  .string()
  .min(1)
  .max(64)
  .meta({ description: 'version_id, id or number of the version' });
const versionParams = params.extend({ versionID: versionRef });
const unacceptable = ['invalid_workflow', 'invalid_url', 'workflow_policy_violated'] as const;

export const createWorkflow = operation({
  id: 'postV1Workflows',
  sdk: 'workflows.create',
  method: 'POST',
  path: '/v1/workflows',
  summary: 'Create a workflow',
  description: 'With its steps, in one piece; a workflow without steps is accepted and cannot run.',
  tags,
  permission: 'workflows:write',
  body: CreateWorkflowRequest,
  replies: { 201: WorkflowWithSteps },
  failures: [...unacceptable, 'workflow_slug_taken'],
});

export const listWorkflows = operation({
  id: 'getV1Workflows',
  sdk: 'workflows.list',
  method: 'GET',
  path: '/v1/workflows',
  summary: 'Workflows of the project, newest first, without their steps',
  tags,
  permission: 'workflows:read',
  query: z
    .object({
      ...pageQuery,
      project_id: z.string().optional(),
      tag_key: z.string().max(64).optional(),
      tag_value: z.string().max(256).optional(),
      enabled: z.enum(['true', 'false']).optional(),
    })
    .refine(({ tag_key, tag_value }) => tag_value === undefined || tag_key !== undefined, {
      path: ['tag_value'],
      message: 'needs tag_key',
    }),
  replies: { 200: WorkflowPage },
  failures: [],
});

export const getWorkflow = operation({
  id: 'getV1WorkflowsByWorkflowID',
  sdk: 'workflows.get',
  method: 'GET',
  path: '/v1/workflows/:workflowID',
  summary: 'One workflow with its steps',
  tags,
  permission: 'workflows:read',
  params,
  replies: { 200: WorkflowWithSteps },
  failures: ['workflow_not_found'],
});

export const updateWorkflow = operation({
  id: 'patchV1WorkflowsByWorkflowID',
  sdk: 'workflows.update',
  method: 'PATCH',
  path: '/v1/workflows/:workflowID',
  summary: 'Change a workflow',
  description:
    'Absent members stay, null goes back to the default, `steps` replaces all of them. Makes a new version; runs that ' +
    'have begun keep theirs. With `version_id` only if that is still the current version.',
  tags,
  permission: 'workflows:write',
  params,
  body: UpdateWorkflowRequest,
  replies: { 200: UpdateWorkflowResponse },
  failures: [
    'canary_active',
    ...unacceptable,
    'workflow_not_found',
    'workflow_slug_taken',
    'workflow_version_conflict',
  ],
});

export const deleteWorkflow = operation({
  id: 'deleteV1WorkflowsByWorkflowID',
  sdk: 'workflows.delete',
  method: 'DELETE',
  path: '/v1/workflows/:workflowID',
  summary: 'Remove a workflow that has no active runs',
  description: 'Its name is free at once; versions that ended runs followed go with those runs.',
  tags,
  permission: 'workflows:write',
  params,
  replies: { 204: null },
  failures: ['workflow_not_found', 'workflow_has_active_runs'],
});

export const cloneWorkflow = operation({
  id: 'postV1WorkflowsByWorkflowIDClone',
  sdk: 'workflows.clone',
  method: 'POST',
  path: '/v1/workflows/:workflowID/clone',
  summary: 'Copy a workflow under another name and slug',
  description:
    'Enabled, version 1, without the cron expression. Default: " (copy)" and "-copy" are added.',
  tags,
  permission: 'workflows:write',
  params,
  body: CloneWorkflowRequest,
  body_required: false,
  replies: { 201: WorkflowWithSteps },
  failures: [...unacceptable, 'workflow_not_found', 'workflow_slug_taken'],
});

export const dryRunWorkflow = operation({
  id: 'postV1WorkflowsByWorkflowIDDryRun',
  sdk: 'workflows.dryRun',
  method: 'POST',
  path: '/v1/workflows/:workflowID/dry-run',
  summary: 'Whether these steps would be accepted',
  description: 'Everything an update would check; default: the steps there are. Stores nothing.',
  tags,
  permission: 'workflows:read',
  params,
  body: DryRunWorkflowRequest,
  body_required: false,
  replies: { 200: WorkflowDryRunResponse },
  failures: [...unacceptable, 'workflow_not_found'],
});

export const planWorkflow = operation({
  id: 'postV1WorkflowsByWorkflowIDPlan',
  sdk: 'workflows.plan',
  method: 'POST',
  path: '/v1/workflows/:workflowID/plan',
  summary: 'In which order the steps would run',
  description: 'Steps that overrides disable leave every `depends_on` too.',
  tags,
  permission: 'workflows:read',
  params,
  body: WorkflowPlanRequest,
  replies: { 200: WorkflowPlanResponse },
  failures: ['invalid_workflow', 'workflow_not_found'],
});

export const getWorkflowGraph = operation({
  id: 'getV1WorkflowsByWorkflowIDGraph',
  sdk: 'workflows.getGraphByWorkflowId',
  method: 'GET',
  path: '/v1/workflows/:workflowID/graph',
  summary: 'Which step leads to which',
  tags,
  permission: 'workflows:read',
  params,
  query: z.object({ format: z.enum(['json', 'dot']).default('json') }),
  replies: { 200: WorkflowGraphResponse },
  failures: ['workflow_not_found'],
});

export const listWorkflowVersions = operation({
  id: 'getV1WorkflowsByWorkflowIDVersions',
  sdk: 'workflows.listVersionsByWorkflowId',
  method: 'GET',
  path: '/v1/workflows/:workflowID/versions',
  summary: 'Versions of a workflow, newest first, the current one included',
  tags,
  permission: 'workflows:read',
  params,
  query: z.object({ limit: pageQuery.limit }),
  replies: { 200: z.array(WorkflowVersion) },
  failures: ['workflow_not_found'],
});

export const getWorkflowVersion = operation({
  id: 'getV1WorkflowsByWorkflowIDVersionsByVersionID',
  sdk: 'workflows.getVersionByWorkflowIdAndVersionId',
  method: 'GET',
  path: '/v1/workflows/:workflowID/versions/:versionID',
  summary: 'One version of a workflow',
  tags,
  permission: 'workflows:read',
  params: versionParams,
  replies: { 200: WorkflowVersion },
  failures: ['workflow_not_found', 'workflow_version_not_found'],
});

export const listWorkflowVersionSteps = operation({
  id: 'getV1WorkflowsByWorkflowIDVersionsByVersionIDSteps',
  sdk: 'workflows.listStepsByWorkflowIdAndVersionId',
  method: 'GET',
  path: '/v1/workflows/:workflowID/versions/:versionID/steps',
  summary: 'The steps of one version, in their order',
  tags,
  permission: 'workflows:read',
  params: versionParams,
  replies: { 200: z.array(WorkflowStep) },
  failures: ['workflow_not_found', 'workflow_version_not_found'],
});

export const diffWorkflowVersions = operation({
  id: 'getV1WorkflowsByWorkflowIDVersionsByFromVersionIDDiffByToVersionID',
  sdk: 'workflows.getDiff',
  method: 'GET',
  path: '/v1/workflows/:workflowID/versions/:fromVersionID/diff/:toVersionID',
  summary: 'What one version has that another has not',
  tags,
  permission: 'workflows:read',
  params: params.extend({ fromVersionID: versionRef, toVersionID: versionRef }),
  replies: { 200: WorkflowVersionDiffResponse },
  failures: ['workflow_not_found', 'workflow_version_not_found'],
});

const policyParams = z.object({
  projectID: z.string().min(1).max(255).meta({ description: "the caller's project" }),
});

export const getWorkflowPolicy = operation({
  id: 'getV1WorkflowPoliciesByProjectID',
  sdk: 'workflows.getPolicy',
  method: 'GET',
  path: '/v1/workflow-policies/:projectID',
  summary: 'What workflows of the project may look like; 0, none and false are no limit',
  tags,
  permission: 'workflows:read',
  params: policyParams,
  replies: { 200: WorkflowPolicy },
  failures: [],
});

export const putWorkflowPolicy = operation({
  id: 'putV1WorkflowPoliciesByProjectID',
  sdk: 'workflows.upsertPolicy',
  method: 'PUT',
  path: '/v1/workflow-policies/:projectID',
  summary: 'Set what workflows of the project may look like',
  description:
    'Replaces all of it: what is left out, null or 0 is no limit. Counts for workflows saved from now on.',
  tags,
  permission: 'rbac:manage',
  params: policyParams,
  body: UpsertWorkflowPolicyRequest,
  replies: { 200: WorkflowPolicy },
  failures: [],
});
