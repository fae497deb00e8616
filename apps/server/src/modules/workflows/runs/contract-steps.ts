// What people do to single steps. Approvals are in approvals/contract.ts.
import { z } from 'zod';
import { operation } from '../../access/index.ts';
import { runParams } from './contract.ts';
import { WorkflowStepRun } from './schemas.ts';

export const stepParams = runParams.extend({ stepRef: z.string().min(1).max(128) });

const shared = {
  method: 'POST',
  tags: ['WorkflowRuns'],
  permission: 'workflows:write',
  params: stepParams,
} as const;
const ofStep = ['workflow_run_not_found', 'workflow_step_not_found'] as const;

export const StepRunEnvelope = z
  .object({ step_run: WorkflowStepRun })
  .meta({ id: 'StepRunEnvelope' });

export const skipStep = operation({
  ...shared,
  id: 'postV1WorkflowRunsByWorkflowRunIDStepsByStepRefSkip',
  sdk: 'workflowRuns.skipStep',
  path: '/v1/workflow-runs/:workflowRunID/steps/:stepRef/skip',
  summary: 'Skip a step that has not started or waits',
  description: 'Its dependents go on without it. What it waits for is given up.',
  body: z.strictObject({ reason: z.string().max(1000).optional() }).meta({ id: 'SkipStepRequest' }),
  body_required: false,
  replies: { 200: StepRunEnvelope },
  failures: [...ofStep, 'workflow_run_not_active', 'workflow_step_not_waiting'],
});

export const forceCompleteStep = operation({
  ...shared,
  id: 'postV1WorkflowRunsByWorkflowRunIDStepsByStepRefForceComplete',
  sdk: 'workflowRuns.forceCompleteStep',
  path: '/v1/workflow-runs/:workflowRunID/steps/:stepRef/force-complete',
  summary: 'Complete a step that has not started or waits',
  description:
    '`result` is its output as it is: `output_transform` is not applied. `reason` is kept with the decision.',
  body: z
    .strictObject({ result: z.unknown().optional(), reason: z.string().max(1000).optional() })
    .meta({ id: 'ForceCompleteStepRequest' }),
  body_required: false,
  replies: { 200: StepRunEnvelope },
  failures: [...ofStep, 'workflow_run_not_active', 'workflow_step_not_waiting'],
});

const resets = [
  ...ofStep,
  'workflow_run_not_resettable',
  'workflow_step_not_terminal',
  'workflow_step_not_resettable',
] as const;

export const retryStep = operation({
  ...shared,
  id: 'postV1WorkflowRunsByWorkflowRunIDStepsByStepRefRetry',
  sdk: 'workflowRuns.retryStep',
  path: '/v1/workflow-runs/:workflowRunID/steps/:stepRef/retry',
  summary: 'Run a step that has ended again, with what was canceled or skipped because of it',
  description: 'A run that has ended goes on, with its whole time.',
  replies: { 200: StepRunEnvelope },
  failures: resets,
});

export const replaySubtree = operation({
  ...shared,
  id: 'postV1WorkflowRunsByWorkflowRunIDStepsByStepRefReplaySubtree',
  sdk: 'workflowRuns.replaySubtreeStep',
  path: '/v1/workflow-runs/:workflowRunID/steps/:stepRef/replay-subtree',
  summary: 'Run a step that has ended and all that depends on it again',
  description:
    'A run that has ended goes on, with its whole time. Steps below that run are canceled first.',
  replies: {
    200: z
      .object({ reset_steps: z.int(), step_refs: z.array(z.string()) })
      .meta({ id: 'ReplaySubtreeResponse' }),
  },
  failures: resets,
});
