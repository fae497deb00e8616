// What a sensible request of each operation says, by operation id. An operation that needs a body and is
// not listed here fails the tests that are generated from the operation table: new ones must be added.

import type { OperationSpec } from '../../src/platform/http/define-api.ts';
import type { PopulatedProject, RunName } from './populated-project.ts';

export interface Sample {
  readonly body?: (of: PopulatedProject) => unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** Query of a sensible request, when the operation means nothing without one. */
  readonly query?: (of: PopulatedProject) => Readonly<Record<string, string>>;
  /** Path parameters it makes sense for, when they are not the usual ones. */
  readonly params?: (of: PopulatedProject) => Readonly<Record<string, string>>;
  /** The run it makes sense for. Default: the executing one. */
  readonly run?: RunName;
  /** Finds nothing instead of refusing, for strangers as for unknown ids. The status it does that with. */
  readonly finds_nothing?: 200 | 409;
  /** What a sensible request is refused with, when the rest of the test cannot give it anything better. */
  readonly refused?: 410;
}

const inAnHour = () => new Date(Date.now() + 3_600_000).toISOString();
let made = 0;
const unique = (text: string) => `${text}-${++made}`;
const newJob = (of: PopulatedProject) => ({
  name: `${of.marker} more`,
  slug: unique('sample'),
  endpoint_url: 'http://127.0.0.1:9999/more',
});

/** One of each kind that refers to something or says something of its own. */
export const workflowSteps = (of: Pick<PopulatedProject, 'free_job_id' | 'marker'>) => [
  { step_ref: 'first', job_id: of.free_job_id, payload: { secret: of.marker } },
  {
    step_ref: 'asked',
    step_type: 'approval',
    depends_on: ['first'],
    approval_approvers: [of.marker],
  },
  { step_ref: 'told', step_type: 'wait_for_event', event_key: of.marker, depends_on: ['first'] },
  {
    step_ref: 'last',
    step_type: 'sleep',
    sleep_duration_secs: 5,
    depends_on: ['asked', 'told'],
    condition: { type: 'step_status', step_ref: 'asked', status: 'completed' },
  },
];

const bodies: Readonly<Record<string, Sample['body'] & {}>> = {
  postV1Projects: () => ({ name: unique('Sample') }),
  putV1ProjectsByProjectIDQuotas: () => ({ max_queued_runs: 100_000, timezone: 'Europe/Berlin' }),
  postV1ApiKeys: () => ({ name: unique('key'), scopes: ['runs:read'] }),
  postV1Jobs: newJob,
  postV1JobsBatch: (of) => ({ jobs: [newJob(of)] }),
  postV1JobsBatchEnable: (of) => ({ ids: [of.job_id] }),
  postV1JobsBatchDisable: (of) => ({ ids: [of.job_id] }),
  patchV1JobsByJobID: (of) => ({ description: unique(of.marker) }),
  postV1JobsByJobIDClone: (of) => ({ name: of.marker, slug: unique('clone') }),
  postV1JobGroups: () => ({ name: unique('group'), slug: unique('group') }),
  patchV1JobGroupsByGroupID: (of) => ({ description: unique(of.marker) }),
  postV1JobsByJobIDDependencies: (of) => ({ depends_on_job_id: of.free_job_id }),
  postV1JobsByJobIDTrigger: (of) => ({ payload: { secret: of.marker } }),
  postV1JobsByJobIDTriggerBulk: (of) => ({ items: [{ payload: { secret: of.marker } }] }),
  putV1ProjectBudget: (of) => ({
    project_id: of.project_id,
    max_cost_per_run_microusd: 1_000_000_000,
  }),
  putV1JobsByJobIDBudget: () => ({ cost_estimate_microusd: 1_000 }),
  putV1JobsByJobIDConcurrencyKeysByConcurrencyKey: () => ({ min_concurrency: 1, weight: 5 }),
  putV1Pricing: () => ({
    prices: [
      { provider: unique('p'), model: 'm', input_cost_microusd: 1, output_cost_microusd: 2 },
    ],
  }),
  postV1RunsByRunIDReschedule: () => ({ scheduled_at: inAnHour() }),
  postV1RunsByRunIDDebug: () => ({ debug_mode: true }),
  postV1RunsBulkCancel: (of) => ({ run_ids: Object.values(of.runs) }),
  postV1RunsBulkCancelAll: (of) => ({ job_id: of.job_id }),
  postV1RunsBulkReplayAll: (of) => ({ job_id: of.job_id }),
  postV1RunsBulkReplay: (of) => ({ run_ids: Object.values(of.runs) }),
  postV1RunsBulkDlqReplay: (of) => ({ run_ids: [of.runs.dead_letter] }),
  postSdkV1RunsByRunIDLog: (of) => ({ message: of.marker }),
  postSdkV1RunsByRunIDProgress: (of) => ({ message: of.marker, percent: 50 }),
  postSdkV1RunsByRunIDAnnotate: (of) => ({ annotations: { note: of.marker } }),
  postSdkV1RunsByRunIDCheckpoint: (of) => ({ state: { at: of.marker } }),
  postSdkV1RunsByRunIDUsage: (of) => ({ provider: 'p', model: of.marker, total_tokens: 3 }),
  postSdkV1RunsByRunIDToolCall: (of) => ({ tool_name: of.marker }),
  postSdkV1RunsByRunIDOutput: (of) => ({ output_key: unique('out'), value: { of: of.marker } }),
  postSdkV1RunsByRunIDComplete: (of) => ({ result: { of: of.marker } }),
  postSdkV1RunsByRunIDFail: (of) => ({ error: of.marker }),
  postSdkV1RunsByRunIDSpawn: (of) => ({ job_slug: of.job_slug, project_id: of.project_id }),
  postSdkV1RunsByRunIDContinue: (of) => ({ payload: { of: of.marker } }),
  postSdkV1RunsByRunIDWaitForEvent: (of) => ({ event_key: unique(of.event_key) }),
  postSdkV1RunsByRunIDState: (of) => ({ key: unique(of.state_key), value: { of: of.marker } }),
  postSdkV1RunsByRunIDStream: (of) => ({ chunk: of.marker }),
  postV1JobsByJobIDSimulateLimits: () => ({ max_concurrency: 2 }),
  postSdkV1RunsByRunIDResources: () => ({ memory_mb: 5 }),
  postV1Workflows: (of) => ({
    name: of.marker,
    slug: unique('workflow'),
    tags: { team: of.marker },
    steps: workflowSteps(of),
  }),
  patchV1WorkflowsByWorkflowID: (of) => ({
    description: unique(of.marker),
    steps: workflowSteps(of),
  }),
  postV1WorkflowsByWorkflowIDTrigger: (of) => ({ payload: { secret: of.marker } }),
  // There is one.
  postV1CanaryDeployments: (of) => ({
    workflow_id: of.canary_workflow_id,
    source_version: 1,
    target_version: 2,
    traffic_pct: 5,
    auto_promote: { steps: [50], interval: '5m' },
  }),
  patchV1WorkflowsByWorkflowIDCanary: () => ({ traffic_pct: 20 }),
  postV1WorkflowsTestSuitesRun: (of) => ({
    tests: [
      {
        name: 'sample',
        workflow: of.workflow_id,
        assertions: [{ workflow_status: 'completed' }],
      },
    ],
  }),
  postV1WorkflowsByWorkflowIDSimulate: (of) => ({ payload: of.marker, failures: ['last'] }),
  postV1WorkflowsByWorkflowIDPlan: () => ({ step_overrides: [{ step_ref: 'last' }] }),
  postV1WorkflowRunsBulkCancel: (of) => ({ workflow_run_ids: [of.workflow_run_id] }),
  postV1WorkflowRunsBulkReplay: (of) => ({ workflow_run_ids: [of.workflow_run_id] }),
  postV1WorkflowRunsByWorkflowRunIDStepsByStepRefReject: (of) => ({ reason: of.marker }),
  postV1WorkflowRunsByWorkflowRunIDStepsByStepRefSkip: (of) => ({ reason: of.marker }),
  postV1WorkflowRunsByWorkflowRunIDStepsByStepRefForceComplete: (of) => ({
    result: of.marker,
    reason: of.marker,
  }),
  postV1EventsPurge: () => ({ older_than_days: 1 }),
  putV1WorkflowPoliciesByProjectID: () => ({ max_depth: 500, forbidden_step_types: ['map'] }),
};

const ofCanary = (of: PopulatedProject) => ({ workflowID: of.canary_workflow_id });
const ofWorkflowVersion = (of: PopulatedProject) => ({ versionID: of.workflow_version_id });

const others: Readonly<Record<string, Omit<Sample, 'body'>>> = {
  postV1JobsByJobIDDependencies: { params: (of) => ({ jobID: of.dependent_id }) },
  postV1WorkflowRunsByWorkflowRunIDCompensate: {
    params: (of) => ({ workflowRunID: of.failed_workflow_run_id }),
  },
  deleteV1JobsByJobIDDependenciesByDepID: { params: (of) => ({ jobID: of.dependent_id }) },
  deleteV1JobsByJobIDConcurrencyKeysByConcurrencyKey: {
    params: (of) => ({ jobID: of.free_job_id }),
  },
  getV1WorkflowsByWorkflowIDCanary: { params: ofCanary },
  patchV1WorkflowsByWorkflowIDCanary: { params: ofCanary },
  postV1WorkflowsByWorkflowIDCanaryRollback: { params: ofCanary },
  deleteV1RunsByRunID: { run: 'queued' },
  deleteV1RunsByRunIDIdempotencyKey: { run: 'completed' },
  getV1RunsByRunIDStream: { run: 'completed', headers: { 'last-event-id': '0' } },
  // Chunks of a live run would never end, those of an ended one are gone.
  getV1RunsByRunIDStreamChunks: { run: 'completed', refused: 410 },
  // The stream of a run that goes on would not end before it.
  getV1WorkflowRunsByWorkflowRunIDStream: {
    params: (of) => ({ workflowRunID: of.canceled_workflow_run_id }),
  },
  // The stream of an event that is still to come would not end before it.
  getV1EventsByEventKeyStream: { params: (of) => ({ eventKey: of.received_key }) },
  postV1EventsPrefixByPrefixSend: { finds_nothing: 200 },
  postV1RunsBulkCancel: { finds_nothing: 200 },
  postV1RunsBulkReplay: { finds_nothing: 200 },
  postV1RunsBulkDlqReplay: { finds_nothing: 409 },
  postV1WorkflowRunsBulkCancel: { finds_nothing: 200 },
  postV1WorkflowRunsBulkReplay: { finds_nothing: 200 },
  postV1JobsBatchEnable: { finds_nothing: 200 },
  postV1JobsBatchDisable: { finds_nothing: 200 },
  postV1RunsByRunIDDlqReplay: { run: 'dead_letter' },
  postV1RunsByRunIDPause: { run: 'queued' },
  postV1RunsByRunIDReplay: { run: 'completed' },
  postV1RunsByRunIDReschedule: { run: 'delayed' },
  postV1RunsByRunIDResume: { run: 'queued' },
  getV1WorkflowsByWorkflowIDVersionsByVersionIDSteps: { params: ofWorkflowVersion },
  getV1WorkflowsByWorkflowIDVersionsByVersionID: { params: ofWorkflowVersion },
  getV1WorkflowsByWorkflowIDVersionsByVersionIDImpact: { params: ofWorkflowVersion },
};

export function sampleOf({ id, body, body_required }: OperationSpec): Sample {
  if (body && body_required !== false && !bodies[id]) {
    throw new Error(`samples.ts has no body for ${id}: every new operation needs one`);
  }
  return { ...others[id], ...(bodies[id] && { body: bodies[id] }) };
}

/** The value of each path parameter, by its name. */
const parameters: Readonly<Record<string, (of: PopulatedProject, run: RunName) => string>> = {
  projectID: (of) => of.project_id,
  keyID: (of) => of.key_id,
  jobID: (of) => of.job_id,
  versionID: (of) => of.version_id,
  workflowID: (of) => of.workflow_id,
  workflowRunID: (of) => of.workflow_run_id,
  otherWorkflowRunID: (of) => of.workflow_run_id,
  stepRef: () => 'asked',
  fromVersionID: () => '1',
  toVersionID: (of) => of.workflow_version_id,
  batchID: (of) => of.batch_id,
  groupID: (of) => of.group_id,
  depID: (of) => of.dependency_id,
  concurrencyKey: (of) => of.concurrency_key,
  runID: (of, run) => of.runs[run],
  eventKey: (of) => of.event_key,
  prefix: (of) => of.event_key,
  key: (of) => of.state_key,
  asset: () => 'nothing',
};

export const parametersOf = ({ path }: OperationSpec): string[] =>
  [...path.matchAll(/:(\w+)/g)].map((match) => match[1] ?? '');

/** The path with this project's ids; `with` replaces single ones. */
export function pathOf(
  operation: OperationSpec,
  of: PopulatedProject,
  { run = 'executing', ...replaced }: { run?: RunName } & Readonly<Record<string, string>> = {},
): string {
  const usual = others[operation.id]?.params?.(of) ?? {};
  return operation.path.replace(/:(\w+)/g, (_, name: string) => {
    const value = replaced[name] ?? usual[name] ?? parameters[name]?.(of, run);
    if (value === undefined) {
      throw new Error(`samples.ts has no value for :${name} of ${operation.id}`);
    }
    return encodeURIComponent(value);
  });
}
