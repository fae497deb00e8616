// The API of workflow definitions: shapes of requests and replies. The operations are in contract.ts.
import { z } from 'zod';
import { omitEmpty } from '../../../platform/http/json-reply.ts';
import { pageSchema } from '../../../platform/http/pagination.ts';
import { Tags } from '../../jobs/index.ts';
import { FAILURE_POLICIES, MAX_STEPS, RESOURCE_CLASSES, STEP_TYPES } from '../engine/definition.ts';

const int32 = 2_147_483_647;
const count = z.int().min(0).max(int32);
const text = (max: number) => z.string().max(max);
const ref = text(128);
const id = text(256);
const json = z.unknown();

export const StepType = z.enum(STEP_TYPES).meta({ id: 'WorkflowStepType' });
const FailurePolicy = z.enum(FAILURE_POLICIES).meta({ id: 'FailurePolicy' });
const VersionPolicy = z.enum(['pin', 'latest', 'minor']).meta({ id: 'VersionPolicy' });
const Backoff = z.enum(['exponential', 'fixed']).meta({ id: 'RetryBackoffPolicy' });
const CostGateAction = z.enum(['approve', 'fail']);

/** What the types and ranges say; the rules of steps are engine/validation.ts. null is the same as absent. */
export const WorkflowStepRequest = z
  .strictObject({
    step_ref: z.string().min(1).max(128),
    step_type: StepType.nullish(),
    depends_on: z.array(ref).max(MAX_STEPS).nullish(),
    condition: json.optional().meta({ description: 'When the step runs; null is always.' }),
    on_failure: FailurePolicy.nullish(),
    payload: json.optional(),
    job_id: id.nullish(),
    sub_workflow_id: id.nullish(),
    max_nesting_depth: count.nullish(),
    approval_approvers: z.array(text(256)).max(100).nullish(),
    approval_timeout_secs: count.nullish(),
    event_key: text(512).nullish(),
    event_timeout_secs: count.nullish(),
    event_notify_url: text(2048).nullish(),
    event_emit_key: text(512).nullish(),
    sleep_duration_secs: count.nullish(),
    retry_max_attempts: count.nullish(),
    retry_backoff: Backoff.nullish(),
    retry_initial_delay_secs: count.nullish(),
    retry_max_delay_secs: count.nullish(),
    timeout_secs_override: count.nullish(),
    output_transform: text(4096).nullish(),
    concurrency_key: ref.nullish(),
    resource_class: z.enum([...RESOURCE_CLASSES, '']).nullish(),
    expected_duration_secs: count.nullish(),
    cost_gate_threshold_microusd: z.int().min(0).nullish(),
    cost_gate_timeout_secs: count.nullish(),
    cost_gate_default_action: CostGateAction.nullish(),
    compensation_job_id: id.nullish(),
    compensation_timeout_secs: count.nullish(),
    map_items: json.optional().meta({ description: 'A list, or one placeholder that gives one.' }),
    map_max_parallel: count.nullish(),
    map_tolerated_failures: count.nullish(),
    map_collect: z.boolean().nullish(),
    type: StepType.nullish().meta({ description: 'Means step_type.' }),
    approvers: z.array(text(256)).max(100).nullish().meta({
      description: 'Means approval_approvers.',
    }),
    timeout_secs: count.nullish().meta({
      description: 'Means the timeout that steps of this type have.',
    }),
    sleep_duration: text(64).nullish().meta({ description: 'E.g. "1h30m"; rounded up.' }),
    workflow_id: id.nullish().meta({ description: 'Means sub_workflow_id.' }),
    job_slug: id.nullish().meta({ description: 'Instead of job_id.' }),
    job_ref: id.nullish().meta({ description: 'Means job_slug.' }),
    sub_workflow_slug: id.nullish().meta({ description: 'Instead of sub_workflow_id.' }),
  })
  .meta({ id: 'WorkflowStepRequest' });

const steps = z.array(WorkflowStepRequest).max(MAX_STEPS);
const name = z.string().min(1).max(255);
const slug = z.string().min(1).max(255);

/** Settings of create and update. null and, for texts, "" go back to the default. */
const settings = {
  description: text(2000).nullish(),
  tags: Tags.nullish(),
  enabled: z.boolean().optional(),
  timeout_secs: count.nullish(),
  max_concurrent_runs: count.nullish(),
  max_parallel_steps: count.nullish(),
  cron: text(256).nullish(),
  cron_timezone: text(64).nullish(),
  timezone: text(64).nullish().meta({ description: 'Means cron_timezone.' }),
  skip_if_running: z.boolean().nullish(),
  version_policy: VersionPolicy.nullish(),
  compensate_on_failure: z.boolean().nullish().meta({
    description: 'Undo the completed steps of a run as soon as it has failed or timed out.',
  }),
  steps: steps.optional(),
};

const ignored = z
  .unknown()
  .optional()
  .meta({ description: 'Ignored: clients send it, and workflows have no such setting.' });

export const CreateWorkflowRequest = z
  .strictObject({
    project_id: z.string().min(1).optional(),
    name,
    slug,
    ...settings,
    environment_id: ignored,
    max_attempts: ignored,
    retry_strategy: ignored,
    webhook_url: ignored,
    webhook_secret: ignored,
  })
  .meta({ id: 'CreateWorkflowRequest' });

export const UpdateWorkflowRequest = z
  .strictObject({
    name: name.optional(),
    slug: slug.optional(),
    ...settings,
    backwards_compatible: z.boolean().nullish().meta({
      description: 'Said of the version that this makes; not carried over from the one before.',
    }),
    version_id: text(64).optional().meta({
      description: 'The version the change was made for; another one by now is a conflict.',
    }),
  })
  .meta({ id: 'UpdateWorkflowRequest' });

export const CloneWorkflowRequest = z
  .strictObject({
    project_id: z.string().min(1).optional(),
    name: name.optional(),
    slug: slug.optional(),
  })
  .meta({ id: 'CloneWorkflowRequest' });

export const DryRunWorkflowRequest = z
  .strictObject({ steps: steps.optional() })
  .meta({ id: 'DryRunWorkflowRequest' });

const StepOverride = z
  .strictObject({ step_ref: z.string().min(1).max(128), enabled: z.boolean().default(false) })
  .meta({ id: 'StepOverride' });

export const WorkflowPlanRequest = z
  .strictObject({ step_overrides: z.array(StepOverride).max(MAX_STEPS).optional() })
  .meta({ id: 'WorkflowPlanRequest' });

export const UpsertWorkflowPolicyRequest = z
  .strictObject({
    max_fan_out: count.nullish(),
    max_depth: count.nullish(),
    forbidden_step_types: z.array(text(64)).max(50).nullish(),
    require_approval_for_deploy: z.boolean().nullish(),
  })
  .meta({ id: 'UpsertWorkflowPolicyRequest' });

const shown = omitEmpty(z.string());
const number = omitEmpty(z.int());

const described = {
  project_id: z.string(),
  name: z.string(),
  slug: z.string(),
  description: shown,
  tags: omitEmpty(z.record(z.string(), z.string())),
  enabled: z.boolean(),
  version: z.int(),
  version_id: shown,
  cron: shown,
  cron_timezone: shown,
  skip_if_running: omitEmpty(z.boolean()),
  version_policy: omitEmpty(VersionPolicy),
  backwards_compatible: omitEmpty(z.boolean()),
  compensate_on_failure: omitEmpty(z.boolean()),
  created_by: shown,
  updated_by: shown,
  created_at: z.string(),
};

const workflow = {
  id: z.string(),
  ...described,
  timeout_secs: number,
  max_concurrent_runs: number,
  max_parallel_steps: number,
  updated_at: z.string(),
};

export const Workflow = z.object(workflow).meta({ id: 'Workflow' });
export const WorkflowPage = pageSchema('WorkflowPage', Workflow);

export const WorkflowStep = z
  .object({
    id: z.string(),
    workflow_id: z.string(),
    job_id: shown,
    step_ref: z.string(),
    depends_on: z.array(z.string()),
    condition: omitEmpty(json),
    on_failure: FailurePolicy,
    payload: json.optional(),
    step_type: omitEmpty(StepType),
    approval_timeout_secs: number,
    approval_approvers: omitEmpty(z.array(z.string())),
    retry_max_attempts: number,
    retry_backoff: omitEmpty(Backoff),
    retry_initial_delay_secs: number,
    retry_max_delay_secs: number,
    timeout_secs_override: number,
    output_transform: shown,
    sub_workflow_id: shown,
    max_nesting_depth: number,
    event_key: shown,
    event_timeout_secs: number,
    event_notify_url: shown,
    sleep_duration_secs: number,
    event_emit_key: shown,
    concurrency_key: shown,
    resource_class: omitEmpty(z.enum(RESOURCE_CLASSES)),
    expected_duration_secs: number,
    cost_gate_threshold_microusd: number,
    cost_gate_timeout_secs: number,
    cost_gate_default_action: omitEmpty(CostGateAction),
    compensation_job_id: shown,
    compensation_timeout_secs: number,
    map_items: json.optional(),
    map_max_parallel: number,
    map_tolerated_failures: number,
    map_collect: z.boolean().optional(),
    created_at: z.string(),
  })
  .meta({ id: 'WorkflowStep' });

export const WorkflowWithSteps = z
  .object({ ...workflow, steps: z.array(WorkflowStep) })
  .meta({ id: 'WorkflowWithSteps' });

export const UpdateWorkflowResponse = z
  .object({
    ...workflow,
    steps: z.array(WorkflowStep),
    active_runs_on_previous_version: number,
    previous_version_id: shown,
  })
  .meta({ id: 'UpdateWorkflowResponse' });

export const WorkflowVersion = z
  .object({
    id: z.string(),
    workflow_id: z.string(),
    ...described,
    timeout_secs: z.int(),
    max_concurrent_runs: z.int(),
    max_parallel_steps: z.int(),
  })
  .meta({ id: 'WorkflowVersion' });

const FieldChange = z.object({ name: z.string(), from: json, to: json });

export const WorkflowVersionDiffResponse = z
  .object({
    from_version_id: z.string(),
    to_version_id: z.string(),
    added_steps: z.array(z.string()),
    removed_steps: z.array(z.string()),
    changed_steps: z.array(z.object({ step_ref: z.string(), fields: z.array(FieldChange) })),
    workflow_changes: z.array(FieldChange),
  })
  .meta({ id: 'WorkflowVersionDiffResponse' });

export const WorkflowDryRunResponse = z
  .object({ valid: z.literal(true), step_count: z.int() })
  .meta({ id: 'WorkflowDryRunResponse' });

export const WorkflowPlanResponse = z
  .object({
    workflow_id: z.string(),
    workflow_version: z.int(),
    step_count: z.int(),
    roots: z.array(z.string()),
    topological_order: z.array(z.string()),
  })
  .meta({ id: 'WorkflowPlanResponse' });

export const WorkflowGraphResponse = z
  .object({
    workflow_id: z.string(),
    roots: z.array(z.string()),
    adjacency: omitEmpty(z.record(z.string(), z.array(z.string()))),
    dot: shown,
  })
  .meta({ id: 'WorkflowGraphResponse' });

export const WorkflowPolicy = z
  .object({
    id: z.string(),
    project_id: z.string(),
    max_fan_out: z.int(),
    max_depth: z.int(),
    forbidden_step_types: omitEmpty(z.array(z.string())),
    require_approval_for_deploy: z.boolean(),
    created_at: z.string(),
    updated_at: z.string(),
  })
  .meta({ id: 'WorkflowPolicy' });
