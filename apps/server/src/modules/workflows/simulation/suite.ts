// What a file of workflow tests says (workflow-semantics §23).
import { z } from 'zod';
import { MAX_STEP_REF } from '../engine/definition.ts';
import { stepStatuses, workflowRunStates } from '../engine/states.ts';
import { durationMs } from '../engine/step-input.ts';

const json = z.unknown();
const stepRef = z.string().min(1).max(MAX_STEP_REF);
const MAX_LATENCY_MS = 30 * 86_400_000;

export const WorkflowTestMock = z
  .strictObject({
    response: json.optional().describe('What the step gives; default {}'),
    status_code: z.int().min(100).max(599).optional().describe('400 and more fail the step'),
    headers: z.record(z.string().max(256), z.string().max(8192)).optional(),
    latency_ms: z.number().min(0).max(MAX_LATENCY_MS).optional().describe('In virtual time'),
    approve: z.boolean().optional().describe('false rejects an approval or a cost gate'),
    event: json.optional().describe('What a wait receives; without it the wait times out'),
  })
  .meta({ id: 'WorkflowTestMock' });

export const WorkflowTestAssertion = z
  .strictObject({
    step: stepRef.optional(),
    status: z.enum(stepStatuses.states).optional(),
    output_contains: json
      .optional()
      .describe('Every member that is named, however deep; a text: part of the output'),
    workflow_status: z.enum(workflowRunStates.states).optional(),
    duration_under: z
      .string()
      .max(64)
      .refine((text) => durationMs(text) !== undefined, {
        message: 'must be a duration such as "500ms", "30s" or "1h30m"',
      })
      .optional()
      .describe('Of the whole run, in virtual time'),
  })
  .refine(({ step, workflow_status }) => step !== undefined || workflow_status !== undefined, {
    message: 'must name a step or a workflow_status',
  })
  .refine(
    (it) =>
      it.step !== undefined || (it.status === undefined && !Object.hasOwn(it, 'output_contains')),
    { path: ['step'], message: 'is needed for status and output_contains' },
  )
  .refine(
    (it) =>
      it.step === undefined ||
      it.status !== undefined ||
      it.workflow_status !== undefined ||
      it.duration_under !== undefined ||
      Object.hasOwn(it, 'output_contains'),
    { path: ['step'], message: 'is named, but nothing is said of it' },
  )
  .meta({ id: 'WorkflowTestAssertion' });

export const WorkflowTest = z
  .strictObject({
    name: z.string().min(1).max(256),
    workflow: z.string().min(1).max(256).describe('slug or id'),
    payload: json.optional(),
    mocks: z.record(stepRef, WorkflowTestMock).optional(),
    assertions: z.array(WorkflowTestAssertion).min(1).max(1000),
  })
  .meta({ id: 'WorkflowTest' });
export type WorkflowTest = z.output<typeof WorkflowTest>;
export type WorkflowTestAssertion = z.output<typeof WorkflowTestAssertion>;

export const RunWorkflowTestsRequest = z
  .strictObject({
    project_id: z.string().optional(),
    tests: z.array(WorkflowTest).min(1).max(200),
  })
  .meta({ id: 'RunWorkflowTestsRequest' });

export const RunWorkflowTestsResponse = z
  .object({
    passed: z.boolean(),
    total: z.int(),
    failed: z.int(),
    results: z.array(
      z.object({
        name: z.string(),
        workflow: z.string(),
        passed: z.boolean(),
        failures: z.array(z.string()).describe('One text for each assertion that does not hold'),
        workflow_status: z.string().optional(),
        error: z.string().optional(),
        duration_ms: z.number().optional().describe('Virtual'),
        steps: z.array(z.object({ step_ref: z.string(), status: z.string() })),
      }),
    ),
  })
  .meta({ id: 'RunWorkflowTestsResponse' });
