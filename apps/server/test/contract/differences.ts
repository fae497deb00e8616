// Where we leave the reference contract on purpose, and why. `*` stands for any text. A line here that
// matches no difference fails the conformance test, as does a difference that no line matches.

export interface Difference {
  readonly because: string;
  readonly lines: readonly string[];
}

export const differences: readonly Difference[] = [
  {
    because:
      'Every text, list and number has a bound here: what is not bounded can be made to hurt.',
    lines: ['*: maxLength none → *', '*: maxItems none → *', '*: maximum none → *'],
  },
  {
    because:
      'What must not be empty or negative says so, instead of failing or meaning nothing later.',
    lines: ['*: minLength none → 1', '*: minItems none → 1', '*: minimum none → *'],
  },
  {
    because: 'Conventions §2: a caller bound to a project need not name it; lists may always.',
    lines: [
      '*.project_id: required → optional',
      'BatchJobIDsRequest.project_id: added',
      'getV1Stats.query.project_id: added',
      'getV1Events.query.project_id: added',
    ],
  },
  {
    because: 'Conventions §5: a larger limit counts as 100, so the schema has no maximum.',
    lines: ['*.query.limit: maximum 100 → none'],
  },
  {
    because: 'Null clears a setting on update and means the default on create, as SDKs send it.',
    lines: [
      'CreateJobRequest.*: nullable',
      'UpdateJobRequest.*: nullable',
      'CreateWorkflowRequest.*: nullable',
      'UpdateWorkflowRequest.*: nullable',
      'UpsertWorkflowPolicyRequest.*: nullable',
      'WorkflowStepRequest.*: nullable',
    ],
  },
  {
    because: '0 means the default on update as well, as it always did on create.',
    lines: [
      'UpdateJobRequest.max_attempts: minimum 1 → 0',
      'UpdateJobRequest.timeout_secs: minimum 1 → 0',
    ],
  },
  {
    because: 'Settings that the reference stored on jobs, and answered with, can be set as well.',
    lines: [
      'CreateJobRequest.*: added',
      'UpdateJobRequest.*: added',
      'Job.cron_catchup: added',
      'Job.cron_overlap_policy: added',
      'Job.on_complete_trigger_job: added',
      'Job.on_failure_*: added',
      'Job.poison_pill_threshold: added',
    ],
  },
  {
    because: 'Whoever has to can start a run outside the window of its job.',
    lines: ['RescheduleRunRequest.ignore_execution_window: added'],
  },
  {
    because: 'A version is the whole definition, so that it can be compared and run.',
    lines: ['JobVersion.*: added', 'WorkflowVersion.*: added'],
  },
  {
    because: 'Conventions §4: secrets are never echoed; a flag says that there is one.',
    lines: [
      'Job.webhook_secret: missing',
      'JobVersion.webhook_secret: missing',
      'Job.has_*_secret: added',
    ],
  },
  {
    because:
      'Code runs on its own infrastructure: execution is by HTTP, in no region or machine of ours.',
    lines: [
      'CreateJobRequest.endpoint_url: optional → required',
      'CreateJobRequest.machine_preset: values * → "any"',
      'CreateJobRequest.preferred_regions[]: values * → "any"',
      'CreateJobRequest.region: type union → string',
      'UpdateJobRequest.machine_preset: type union → string',
      'UpdateJobRequest.preferred_regions[]: values * → "any"',
      'UpdateJobRequest.region: type union → string',
      'RestartRunRequest.machine_preset: values * → "any"',
      'Job.image_uri: missing',
      'Job.machine_preset: missing',
      'Job.preferred_regions: missing',
      'Job.region: missing',
      'JobVersion.image_uri: missing',
      'JobVersion.machine_preset: missing',
      'JobVersion.region: missing',
      'JobRun.execution_mode: values ["http","managed"] → ["http"]',
      'getV1Runs.query.execution_mode: values * → "any"',
      'postV1JobsByJobIDTrigger.header.fly-region: missing',
    ],
  },
  {
    because: 'Engine §3: a run has thirteen states; `paused` and `replay_staged` were never used.',
    lines: ['RunStatus: values *'],
  },
  {
    because: 'Null is a result, payload or output like any other and is told from none.',
    lines: [
      'DryRunValidationResult.payload: omitted when empty → optional',
      'EventTrigger.re*_payload: omitted when empty → optional',
      'JobRun.payload: omitted when empty → optional',
      'JobRun.result: omitted when empty → optional',
      'RunOutput.schema: omitted when empty → optional',
      'WorkflowStep.payload: omitted when empty → optional',
      'WorkflowRun.payload: omitted when empty → optional',
      'WorkflowStepRun.output: omitted when empty → optional',
      'RunToolCall.*put: omitted when empty → optional',
    ],
  },
  {
    because:
      'Conventions §8, §12 and §17: spellings the SDK sends; per-run settings for bulk items and children too.',
    lines: [
      'TriggerRequest.idempotency_key: added',
      'TriggerRequest.metadata: added',
      'BulkTriggerItem.metadata: added',
      'SDKProgressRequest.eta_secs: added',
      'SDKSpawnRequest.*: added',
      'SDKSpawnRequest.job_slug: required → optional',
      'SDKSpawnRequest.project_id: required → optional',
      'BatchJobIDsRequest.ids: required → optional',
      'BatchJobIDsRequest.job_ids: added',
      'postV1JobsBatch reply 201: type object → union',
      'BatchCreateJobsRequest: type object → union',
    ],
  },
  {
    because: 'Engine §8.6: a handler may say that its failure is worth another attempt.',
    lines: ['SDKFailRequest.error_class: added', 'SDKFailRequest.retryable: added'],
  },
  {
    because:
      'What a reply can say now that it could not before; clients drop what they do not know.',
    lines: [
      'TriggerResponse.*: added',
      'TriggerResponse.idempotency_hit: omitted when empty → always there',
      'BulkTriggerResponse.job_paused: added',
      'BulkTriggerResult.*: added',
      'BatchOperation.kind: added',
      'BatchOperation.status: added',
      'DebugBundle.truncated: added',
      'Job.paused: added',
      'JobGroup.paused: added',
      'JobGroupStats.truncated: added',
      'JobDependency.satisfied: added',
      'JobHealthResponse.*: added',
      'JobRun.claimed_at: added',
      'JobRun.error_class: added',
      'JobRun.held: added',
      'deleteV1RunsByRunIDIdempotencyKey reply 200.had_key: added',
      'QueueStats.waiting: added',
      'StatusOK.cancel_requested: added',
      'postV1RunsBulkCancelAll reply 200.has_more: added',
      'postV1RunsBulkCancelAll reply 200.batch_id: added',
      'postV1RunsBulkCancelAll: also answers 202',
      'BulkCancelResult.status: values "any" → ["canceled","failed"]',
    ],
  },
  {
    because: 'Filters that the issue asks for, and others that cost nothing.',
    lines: [
      'getV1Jobs.query.enabled: added',
      'getV1Workflows.query.enabled: added',
      'getV1Jobs.query.group_id: added',
      'getV1Runs.query.error_class: added',
      'getV1Runs.query.from: added',
      'getV1Runs.query.job_id: added',
      'getV1Runs.query.parent_run_id: added',
      'getV1Runs.query.to: added',
      'getV1RunsDlq.query.job_id: added',
    ],
  },
  {
    because:
      'Lists of states are written with commas, maps as JSON text: a query holds texts only.',
    lines: [
      'getV1Runs.query.status: values * → "any"',
      'getV1Runs.query.metadata: type object → string',
      'getV1Runs.query.tags: type object → string',
    ],
  },
  {
    because: 'Conventions §11: streams can be replayed.',
    lines: ['getV1RunsByRunIDStream.header.last-event-id: added'],
  },
  {
    because: 'Workflow §18.2: the reference checked no permission here.',
    lines: [
      'getV1Events*: permission authenticated → jobs:read or workflows:read',
      'getV1EventsStats: permission authenticated → stats:read',
      'postV1Events*Send: permission authenticated → jobs:trigger or workflows:trigger',
      'postV1EventsPurge: permission authenticated → rbac:manage',
      'deleteV1EventsByEventKey: permission authenticated → runs:write or workflows:write',
    ],
  },
  {
    because:
      'Said in another way: the token is a security scheme, the header is on the whole in-run API.',
    lines: [
      'getV1EventsByEventKeyStream.query.token: missing',
      'getSdkV1RunsByRunIDPayload.header.x-sdk-version: added',
      'postSdkV1RunsByRunIDContinue: body may be missing',
      'RescheduleRunRequest.scheduled_at: minLength 1 → none',
      'UpdateJobRequest.retry_strategy: values *',
      'BulkCancelAllRequest: minProperties 1 → none',
      'RotateAPIKeyResponse.expires_at: optional → omitted when empty',
      'CreateAPIKeyRequest.scopes[]: values * → "any"',
    ],
  },
  {
    because:
      'Workflow §2: names that clients send for fields; those that mean nothing here are taken and ignored.',
    lines: ['CreateWorkflowRequest.*: added'],
  },
  {
    because: 'An update can say which version it was made for, as that of a job.',
    lines: ['UpdateWorkflowRequest.*: added'],
  },
  {
    because: 'Workflow §3 and issue 4: what steps can say now, and the names clients send for it.',
    lines: ['WorkflowStepRequest.*: added', 'WorkflowStep.*: added', 'WorkflowStepType: values *'],
  },
  {
    because:
      'Conditions nest, so the engine judges them and names the place; a schema would say only that no case fits.',
    lines: [
      'WorkflowStepRequest.condition: type union → any',
      'WorkflowStep.condition: type union → any',
    ],
  },
  {
    because:
      'Workflow §10: a trigger says which version, may be a plan only, and is repeated safely.',
    lines: [
      'TriggerWorkflowRequest.dry_run: added',
      'TriggerWorkflowRequest.version: added',
      'postV1WorkflowsByWorkflowIDTrigger.header.*: added',
      'postV1WorkflowsByWorkflowIDTrigger: also answers 200',
      'getV1WorkflowRuns.query.label_*: added',
      'getV1WorkflowRuns.query.triggered_by: added',
      'getV1WorkflowRuns.query.workflow_id: added',
    ],
  },
  {
    because:
      'Workflow §6.2, §13, §25: why a step waits, what it started, runs that continue others or are undone.',
    lines: [
      'WorkflowRun.continues_run_id: added',
      'WorkflowRunStatus: values ["canceled","completed","failed","paused","pending","running","timed_out"] → ["canceled","compensated","compensating","compensation_failed","completed","failed","paused","pending","running","timed_out"]',
      'WorkflowStepRun.child_workflow_run_id: added',
      'WorkflowStepRun.map: added',
      'WorkflowStepRun.next_retry_at: added',
      'WorkflowStepRun.wait_reason: added',
      'postV1WorkflowRunsByWorkflowRunID*.query.cascade: added',
    ],
  },
  {
    because: 'A step that is completed by force says why, as one that is skipped does.',
    lines: ['ForceCompleteStepRequest.reason: added'],
  },
  {
    because: 'Workflow §25: a workflow can say that its runs are undone when they fail.',
    lines: [
      'Workflow.compensate_on_failure: added',
      'WorkflowWithSteps.compensate_on_failure: added',
      'UpdateWorkflowResponse.compensate_on_failure: added',
    ],
  },
  {
    because:
      'Workflow §14, §17: approvals are decided by who calls, reasons are optional, replies say what was done.',
    lines: [
      'ApprovalStatus: values ["approved","pending","rejected"] → ["approved","canceled","pending","rejected","timed_out"]',
      'ApproveWorkflowStepRequest.approver: required → optional',
      'StepApprovalResponse.workflow_run: added',
      'WorkflowStepApproval.*: added',
      'postV1WorkflowRunsBulkCancel reply 200.skipped: added',
      'postV1WorkflowRunsByWorkflowRunIDStepsByStepRefReplaySubtree reply 200.step_refs: added',
      'postV1WorkflowRunsByWorkflowRunIDStepsByStepRef*: body may be missing',
    ],
  },
  {
    because: 'Workflow §16: a simulation tells more than the order, and can be told what happens.',
    lines: [
      'WorkflowSimulationResponse.*: added',
      'postV1WorkflowsByWorkflowIDSimulate: takes a body',
    ],
  },
  {
    because: 'Workflow §18.2: a project may keep events that nobody waits for yet.',
    lines: ['postV1EventsByEventKeySend: also answers 202'],
  },
  {
    because:
      'Workflow §15 and §16: reads say what a step is and waits for, count exactly, and every decision is explained.',
    lines: [
      'TimelineStep.parallel_count: added',
      'TimelineStep.type: added',
      'WorkflowRunGraphNode.status: type union → string',
      'WorkflowRunGraphNode.wait_reason: added',
      'WorkflowStepDecision.decision*: values *',
      'WorkflowVersionImpactResponse.by_status: added',
      'WorkflowVersionImpactResponse.version: added',
      'getV1WorkflowRunsByWorkflowRunIDExplain.query.decision_type: values "any" → *',
    ],
  },
  {
    because: 'Workflow §16: a diff says what changed, not only what came and went.',
    lines: ['WorkflowVersionDiffResponse.*: added'],
  },
  {
    because: 'Workflow §16: without steps a dry run looks at those that are there.',
    lines: [
      'DryRunWorkflowRequest.steps: required → optional',
      'postV1WorkflowsByWorkflowIDDryRun: body may be missing',
    ],
  },
  {
    because: 'Workflow §5: whoever writes workflows must not be able to switch their rules off.',
    lines: ['putV1WorkflowPoliciesByProjectID: permission workflows:write → rbac:manage'],
  },
  {
    because: 'Limits of its own for a key are a setting of the key.',
    lines: ['CreateAPIKeyRequest.rate_limit_*: added'],
  },
  {
    because: 'Health has a middle.',
    lines: ['ComponentResult.status: values ["down","up"] → ["degraded","down","up"]'],
  },
  {
    because: 'Closed lists where the reference took any text and clients only ever send these.',
    lines: [
      'BulkCancelAllRequest.triggered_by: values "any" → *',
      'getV1Runs.query.triggered_by: values "any" → *',
      'getV1RunsByRunIDEvents.query.*: values "any" → *',
      'SDKLogRequest.level: values "any" → *',
      'SDKLogRequest.type: values "any" → *',
      'SDKOutputRequest.schema: type any → object',
    ],
  },
];
