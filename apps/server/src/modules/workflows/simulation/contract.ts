// What a run would do, without one.
import { z } from 'zod';
import { omitEmpty } from '../../../platform/http/json-reply.ts';
import { operation } from '../../access/index.ts';
import { MAX_STEPS, MAX_STEP_REF } from '../engine/definition.ts';
import { RunWorkflowTestsRequest, RunWorkflowTestsResponse } from './suite.ts';

const stepRef = z.string().min(1).max(MAX_STEP_REF);
const json = z.unknown();

export const SimulateWorkflowRequest = z
  .strictObject({
    project_id: z.string().optional(),
    payload: json.optional(),
    mode: z
      .enum(['dry_run', 'sandbox', 'failure_injection'])
      .optional()
      .describe(
        'dry_run: only the structure. sandbox: a run with the outputs that are given; steps without one give {}. ' +
          'failure_injection: the steps in `failures` fail, with all their retries. Default: what the other fields ask for.',
      ),
    step_overrides: z
      .array(z.strictObject({ step_ref: stepRef, enabled: z.boolean().default(false) }))
      .max(MAX_STEPS)
      .optional(),
    failures: z.array(stepRef).max(20).optional(),
    step_outputs: z.record(stepRef, json).optional(),
  })
  .meta({ id: 'SimulateWorkflowRequest' });

export const WorkflowSimulationResponse = z
  .object({
    workflow_id: z.string(),
    version: z.int(),
    mode: z.enum(['dry_run', 'sandbox', 'failure_injection']),
    step_count: z.int(),
    predicted_order: z
      .array(z.string())
      .describe('In which order steps start: those that do, unless the mode is dry_run'),
    execution_plan: z.array(z.object({ step_ref: z.string(), parallel_group: z.int() })),
    dag: z.object({
      nodes: z.array(z.object({ step_ref: z.string(), step_type: z.string() })),
      edges: z.array(z.object({ from: z.string(), to: z.string() })),
    }),
    estimated_duration_secs: z
      .number()
      .describe('The longest way through the graph by `expected_duration_secs` and sleeps'),
    estimated_cost_microusd: z
      .number()
      .describe(
        'What the last completed runs of the jobs cost on average, summed over the steps that start',
      ),
    condition_results: z
      .record(z.string(), z.boolean())
      .describe('Of the conditions that were asked'),
    failure_paths: z
      .array(
        z.object({
          step_ref: z.string(),
          policy: z.string(),
          skipped: z.array(z.string()),
          run_status: z.string(),
        }),
      )
      .describe('What each of `failures` does when it alone fails'),
    final_status: omitEmpty(z.string()),
    error: omitEmpty(z.string()),
  })
  .meta({ id: 'WorkflowSimulationResponse' });

export const simulateWorkflow = operation({
  id: 'postV1WorkflowsByWorkflowIDSimulate',
  sdk: 'workflows.simulate',
  method: 'POST',
  path: '/v1/workflows/:workflowID/simulate',
  summary: 'What a run would do, without one',
  description:
    'In virtual time, by the function that runs follow. Approvals are approved, waits get what `step_outputs` says. Stores nothing.',
  tags: ['Workflows'],
  permission: 'workflows:read',
  params: z.object({
    workflowID: z.string().min(1).max(256).meta({ description: 'id or slug of the workflow' }),
  }),
  body: SimulateWorkflowRequest,
  body_required: false,
  replies: { 200: WorkflowSimulationResponse },
  failures: ['workflow_not_found', 'invalid_workflow', 'simulation_too_long'],
  rate_limit: { requests: 120, window_secs: 60 },
});

export const runWorkflowTests = operation({
  id: 'postV1WorkflowsTestSuitesRun',
  sdk: 'workflows.runTests',
  method: 'POST',
  path: '/v1/workflows/test-suites/run',
  summary: 'Run tests of workflows',
  description:
    'Each test is a run of the current version in virtual time, by the function that runs follow: steps do what the mocks say, ' +
    'everything else goes well with {}. Stores nothing. `npm run workflow-test` sends a file here.',
  tags: ['Workflows'],
  permission: 'workflows:read',
  body: RunWorkflowTestsRequest,
  replies: { 200: RunWorkflowTestsResponse },
  failures: ['simulation_too_long'],
  rate_limit: { requests: 120, window_secs: 60 },
});
