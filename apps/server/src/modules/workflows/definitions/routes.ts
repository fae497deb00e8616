import { bind } from '../../access/index.ts';
import { actorOf } from '../../audit/index.ts';
import * as api from './contract.ts';
import type { Policies } from './policy.ts';
import type { Definitions } from './service.ts';

export const definitionRoutes = (definitions: Definitions, policies: Policies) => [
  bind(api.createWorkflow, (context, { body }) =>
    definitions.create(context.project, actorOf(context), body),
  ),
  bind(api.listWorkflows, ({ project }, { query: { limit, cursor, enabled, ...filter } }) =>
    definitions.list(
      project,
      { ...filter, enabled: enabled && enabled === 'true' },
      { limit, cursor },
    ),
  ),
  bind(api.getWorkflow, ({ project }, { params }) => definitions.get(project, params.workflowID)),
  bind(api.updateWorkflow, (context, { params, body }) =>
    definitions.update(context.project, actorOf(context), params.workflowID, body),
  ),
  bind(api.deleteWorkflow, (context, { params }) =>
    definitions.delete(context.project, actorOf(context), params.workflowID),
  ),
  bind(api.cloneWorkflow, (context, { params, body }) =>
    definitions.clone(context.project, actorOf(context), params.workflowID, body),
  ),
  bind(api.dryRunWorkflow, ({ project }, { params, body }) =>
    definitions.dryRun(project, params.workflowID, body?.steps),
  ),
  bind(api.planWorkflow, ({ project }, { params, body }) =>
    definitions.plan(project, params.workflowID, body.step_overrides),
  ),
  bind(api.getWorkflowGraph, ({ project }, { params, query }) =>
    definitions.graph(project, params.workflowID, query.format),
  ),
  bind(api.listWorkflowVersions, ({ project }, { params, query }) =>
    definitions.listVersions(project, params.workflowID, query.limit),
  ),
  bind(api.getWorkflowVersion, ({ project }, { params }) =>
    definitions.getVersion(project, params.workflowID, params.versionID),
  ),
  bind(api.listWorkflowVersionSteps, ({ project }, { params }) =>
    definitions.versionSteps(project, params.workflowID, params.versionID),
  ),
  bind(api.diffWorkflowVersions, ({ project }, { params }) =>
    definitions.diff(project, params.workflowID, params.fromVersionID, params.toVersionID),
  ),
  bind(api.getWorkflowPolicy, ({ project }, { params }) => policies.get(project, params.projectID)),
  bind(api.putWorkflowPolicy, (context, { params, body }) =>
    policies.put(context.project, actorOf(context), params.projectID, body),
  ),
];
