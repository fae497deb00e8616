// What is read of workflow runs, as the API shows it. The operations are in contract-reads.ts.
import { z } from 'zod';
import { omitEmpty } from '../../../platform/http/json-reply.ts';
import { pageSchema } from '../../../platform/http/pagination.ts';
import { StepType } from '../definitions/schemas.ts';
import { DECISION_TYPES } from '../engine/changes.ts';
import { workflowRunStates } from '../engine/states.ts';
import {
  StepRunStatus,
  WaitReason,
  WorkflowRun,
  WorkflowRunStatus,
  WorkflowStepRun,
} from './schemas.ts';
import { PARALLEL_NAMED } from './timeline.ts';
import { workflowBlockerKinds } from './why-rules.ts';

const time = z.string().meta({ format: 'date-time' });
const ms = z.int();
const steps = z.array(z.string());

const GraphNode = z
  .object({
    step_ref: z.string(),
    type: StepType,
    status: StepRunStatus,
    wait_reason: WaitReason.optional(),
    depends_on: omitEmpty(steps),
    attempt: z.int(),
    started_at: omitEmpty(time),
    finished_at: omitEmpty(time),
    duration_ms: omitEmpty(ms),
  })
  .meta({ id: 'WorkflowRunGraphNode' });

export const WorkflowRunGraphResponse = z
  .object({
    workflow_run_id: z.string(),
    workflow_id: z.string(),
    version: z.int(),
    nodes: z.array(GraphNode),
    edges: z.array(z.object({ from: z.string(), to: z.string() })),
    roots: steps,
    runnable: steps.describe('Nothing but a limit or a pause of the run keeps them from starting'),
    critical_path: steps,
    critical_path_estimate_ms: ms,
    critical_path_remaining_ms: ms,
  })
  .meta({ id: 'WorkflowRunGraphResponse' });

const TimelineStep = z
  .object({
    step_run_id: z.string(),
    step_ref: z.string(),
    type: StepType,
    status: StepRunStatus,
    started_at: omitEmpty(time),
    finished_at: omitEmpty(time),
    duration_ms: ms,
    parallel_with: omitEmpty(steps).describe(`At most ${PARALLEL_NAMED}, by their start`),
    parallel_count: z.int().describe('Steps that ran at the same time for some of it'),
    on_critical_path: z.boolean(),
    wait_ms: ms.describe('From the end of its last dependency, or the start of the run'),
  })
  .meta({ id: 'TimelineStep' });

export const TimelineResponse = z
  .object({
    workflow_run_id: z.string(),
    status: WorkflowRunStatus,
    started_at: omitEmpty(time),
    finished_at: omitEmpty(time),
    total_ms: ms,
    steps: z.array(TimelineStep),
  })
  .meta({ id: 'TimelineResponse' });

export const DecisionType = z.enum(DECISION_TYPES);
const WorkflowStepDecision = z
  .object({
    id: z.string(),
    workflow_run_id: z.string(),
    step_run_id: z.string(),
    step_ref: z.string(),
    decision_type: DecisionType,
    decision: z.string(),
    explanation: z.string(),
    details: omitEmpty(z.unknown()),
    created_at: time,
  })
  .meta({ id: 'WorkflowStepDecision' });
export const WorkflowStepDecisionPage = pageSchema(
  'WorkflowStepDecisionPage',
  WorkflowStepDecision,
);

export const WorkflowRunLabelsResponse = z
  .object({ labels: z.record(z.string(), z.string()) })
  .meta({ id: 'WorkflowRunLabelsResponse' });

export const MAP_CHILD_STATUSES = [
  'pending',
  'running',
  'completed',
  'failed',
  'canceled',
] as const;
export const MapChildStatus = z.enum(MAP_CHILD_STATUSES);
const StepMapChild = z
  .object({
    index: z.int(),
    status: MapChildStatus,
    item: z.unknown(),
    output: z.unknown().optional(),
    error: omitEmpty(z.string()),
    job_run_id: omitEmpty(z.string()),
    child_workflow_run_id: omitEmpty(z.string()),
  })
  .meta({ id: 'StepMapChild' });
export const StepMapChildPage = z
  .object({
    data: z.array(StepMapChild),
    next_cursor: omitEmpty(z.string()),
    has_more: z.boolean(),
  })
  .meta({ id: 'StepMapChildPage' });

const ActiveVersion = z
  .object({
    version_id: z.string(),
    version: z.int(),
    pending: z.int(),
    running: z.int(),
    paused: z.int(),
    total: z.int(),
  })
  .meta({ id: 'ActiveVersion' });
export const ActiveVersionsResponse = z
  .object({ workflow_id: z.string(), versions: z.array(ActiveVersion) })
  .meta({ id: 'ActiveVersionsResponse' });

const RunCounts = z
  .object(
    Object.fromEntries(workflowRunStates.states.map((status) => [status, z.int()])) as Record<
      (typeof workflowRunStates.states)[number],
      z.ZodInt
    >,
  )
  .meta({ id: 'WorkflowRunCounts' });
export const WorkflowVersionImpactResponse = z
  .object({
    version_id: z.string(),
    version: z.int(),
    matching_runs: z.int().describe('Runs that follow this version'),
    sampled_runs: z.int().describe('How many were looked at: all of them, so the same'),
    by_status: RunCounts,
  })
  .meta({ id: 'WorkflowVersionImpactResponse' });

const Blocker = z
  .object({
    kind: z.string().meta({
      description: 'Stable name of what is in the way, e.g. `approval`',
      'x-known-values': workflowBlockerKinds,
    }),
    message: z.string(),
    step_ref: omitEmpty(z.string()).describe('Whose it is, in answers about a run'),
    until: time.optional().describe('When it ends by itself'),
    holders: omitEmpty(z.array(z.string())).describe(
      'Steps or runs that hold what the step waits for, 10 at most',
    ),
    approvers: omitEmpty(z.array(z.string())),
    see: omitEmpty(z.string()).describe('What to GET to learn more'),
    unblock: z
      .object({ method: z.string(), path: z.string(), body: z.unknown().optional() })
      .optional()
      .describe('The one call that would take it out of the way'),
  })
  .meta({ id: 'WorkflowBlocker' });

export const WorkflowRunWhy = z
  .object({
    workflow_run_id: z.string(),
    status: WorkflowRunStatus,
    unfinished_steps: z.int(),
    blockers: z
      .array(Blocker)
      .describe('Of the run and of its first 100 steps that wait for no other step'),
  })
  .meta({ id: 'WorkflowRunWhy' });

export const WorkflowStepWhy = z
  .object({
    workflow_run_id: z.string(),
    step_ref: z.string(),
    status: StepRunStatus,
    wait_reason: WaitReason.optional(),
    blockers: z.array(Blocker),
  })
  .meta({ id: 'WorkflowStepWhy' });

export const CompareResponse = z
  .object({
    run_a: WorkflowRun,
    run_b: WorkflowRun,
    status_diff: z.boolean().describe('The runs stand or ended differently'),
    step_diffs: z
      .array(
        z.object({
          step_ref: z.string(),
          status_a: StepRunStatus,
          status_b: StepRunStatus,
          duration_ms_a: ms,
          duration_ms_b: ms,
        }),
      )
      .describe('Steps that both have'),
    only_in_a: steps,
    only_in_b: steps,
  })
  .meta({ id: 'WorkflowRunComparison' });

const ended = {
  error: omitEmpty(z.string()),
  started_at: omitEmpty(time),
  finished_at: omitEmpty(time),
};
export const DebugResponse = z
  .object({
    workflow_run: WorkflowRun,
    steps: z.array(WorkflowStepRun).describe('All of them, without outputs'),
    decisions: z.array(WorkflowStepDecision),
    events: z.array(
      z.object({
        id: z.int(),
        step_ref: omitEmpty(z.string()),
        from_status: omitEmpty(z.string()),
        to_status: z.string(),
        attempt: omitEmpty(z.int()),
        reason: omitEmpty(z.string()),
        created_at: time,
      }),
    ),
    approvals: z.array(
      z.object({
        id: z.string(),
        step_ref: z.string(),
        kind: z.string(),
        status: z.string(),
        approvers: z.array(z.string()),
        approved_by: omitEmpty(z.string()),
        requested_at: time,
        approved_at: omitEmpty(time),
        expires_at: omitEmpty(time),
        error: omitEmpty(z.string()),
      }),
    ),
    event_triggers: z.array(
      z.object({
        id: z.string(),
        step_ref: z.string(),
        trigger_type: z.string(),
        event_key: z.string(),
        status: z.string(),
        requested_at: time,
        received_at: omitEmpty(time),
        expires_at: omitEmpty(time),
        error: omitEmpty(z.string()),
        sent_by: omitEmpty(z.string()),
      }),
    ),
    job_runs: z.array(
      z.object({
        id: z.string(),
        step_ref: z.string(),
        job_id: z.string(),
        status: z.string(),
        attempt: z.int(),
        created_at: time,
        ...ended,
      }),
    ),
    child_runs: z.array(
      z.object({
        id: z.string(),
        step_ref: omitEmpty(z.string()),
        workflow_id: z.string(),
        status: WorkflowRunStatus,
        created_at: time,
        ...ended,
      }),
    ),
    truncated: z
      .array(z.string())
      .describe('Lists that show only their newest 100 (the others show everything)'),
  })
  .meta({ id: 'WorkflowRunDebug' });

const change = {
  workflow_run_id: z.string(),
  workflow_id: z.string(),
  project_id: z.string(),
};
export const WorkflowRunSnapshot = z
  .object({
    type: z.literal('snapshot'),
    workflow_run: WorkflowRun,
    steps: z.array(
      z.object({
        step_ref: z.string(),
        status: StepRunStatus,
        wait_reason: WaitReason.optional(),
        attempt: z.int(),
      }),
    ),
    timestamp: time,
  })
  .meta({ id: 'WorkflowRunSnapshot' });
export const WorkflowStatusChange = z
  .object({
    type: z.literal('workflow_status_change'),
    ...change,
    from: WorkflowRunStatus,
    to: WorkflowRunStatus,
    reason: z.string(),
    timestamp: time,
  })
  .meta({ id: 'WorkflowStatusChange' });
export const WorkflowStepStatusChange = z
  .object({
    type: z.literal('workflow_step_status_change'),
    ...change,
    step_ref: z.string(),
    from: StepRunStatus,
    to: StepRunStatus,
    attempt: z.int(),
    reason: z.string(),
    timestamp: time,
  })
  .meta({ id: 'WorkflowStepStatusChange' });
