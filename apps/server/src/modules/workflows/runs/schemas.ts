// Workflow runs and their steps as the API shows them.
import { z } from 'zod';
import { omitEmpty } from '../../../platform/http/json-reply.ts';
import { pageSchema } from '../../../platform/http/pagination.ts';
import { Tags } from '../../runs/index.ts';
import { stepStatuses, workflowRunStates } from '../engine/states.ts';

const time = z.string().meta({ format: 'date-time' });

export const WorkflowRunStatus = z.enum(workflowRunStates.states).meta({ id: 'WorkflowRunStatus' });
export const StepRunStatus = z.enum(stepStatuses.states).meta({ id: 'StepRunStatus' });
export const WaitReason = z
  .enum(['dependencies', 'capacity', 'approval', 'cost_gate', 'event', 'sleep', 'retry'])
  .meta({ id: 'StepWaitReason' });

export const WorkflowRun = z
  .object({
    id: z.string(),
    workflow_id: z.string(),
    project_id: z.string(),
    tags: omitEmpty(z.record(z.string(), z.string())),
    status: WorkflowRunStatus,
    triggered_by: z.string(),
    workflow_version: z.int(),
    workflow_version_id: omitEmpty(z.string()),
    workflow_snapshot_id: omitEmpty(z.string()),
    max_parallel_steps: omitEmpty(z.int()),
    payload: z.unknown().optional(),
    error: omitEmpty(z.string()),
    started_at: omitEmpty(time),
    finished_at: omitEmpty(time),
    expires_at: omitEmpty(time),
    retry_of_run_id: omitEmpty(z.string()),
    parent_workflow_run_id: omitEmpty(z.string()),
    parent_step_run_id: omitEmpty(z.string()),
    continues_run_id: omitEmpty(z.string()).describe('The run that this one continues as new'),
    created_by: omitEmpty(z.string()),
    trace_context: omitEmpty(z.record(z.string(), z.string())),
    created_at: time,
  })
  .meta({ id: 'WorkflowRun' });
export const WorkflowRunPage = pageSchema('WorkflowRunPage', WorkflowRun);

export const MapCounts = z
  .object({ total: z.int(), started: z.int(), completed: z.int(), failed: z.int() })
  .meta({ id: 'StepMapCounts' });

export const WorkflowStepRun = z
  .object({
    id: z.string(),
    workflow_run_id: z.string(),
    workflow_step_id: z.string(),
    step_ref: z.string(),
    job_run_id: omitEmpty(z.string()),
    child_workflow_run_id: omitEmpty(z.string()),
    attempt: z.int(),
    status: StepRunStatus,
    wait_reason: WaitReason.optional(),
    deps_completed: z.int(),
    deps_required: z.int(),
    map: MapCounts.optional().describe('How far a map has come'),
    output: z.unknown().optional(),
    error: omitEmpty(z.string()),
    started_at: omitEmpty(time),
    finished_at: omitEmpty(time),
    next_retry_at: omitEmpty(time),
    created_at: time,
  })
  .meta({ id: 'WorkflowStepRun' });
export const WorkflowStepRunPage = pageSchema('WorkflowStepRunPage', WorkflowStepRun);

const labelKey = z.string().min(1).max(128);
const Labels = z
  .record(labelKey, z.string().max(256))
  .refine((map) => Object.keys(map).length <= 50, {
    message: 'has more than 50 labels',
  });

export const TriggerWorkflowRequest = z
  .strictObject({
    project_id: z.string().optional(),
    payload: z.unknown().optional(),
    triggered_by: z.string().min(1).max(64).optional(),
    labels: Labels.optional(),
    tags: Tags.optional(),
    step_overrides: z
      .array(
        z.strictObject({
          step_ref: z.string().min(1).max(128),
          enabled: z.boolean().default(false),
        }),
      )
      .max(1000)
      .optional(),
    version: z
      .union([z.int().min(1).max(2_147_483_647), z.string().min(1).max(64)])
      .optional()
      .describe('Of the workflow, by number or version_id; default: the current one'),
    dry_run: z.boolean().optional().describe('Only the plan'),
  })
  .meta({ id: 'TriggerWorkflowRequest' });
