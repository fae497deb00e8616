// Whether the world outside a run lets something start. What is granted here is locked until the transaction ends, so that
// the start finds it as it was.
import type { Tx } from '../../../platform/db/database.ts';
import { admitStepWait, findEarlyEvent, findKeyWaiter } from '../../events/index.ts';
import { intake } from '../../queue/index.ts';
import type { Admission, AdmissionRequest, Need } from '../engine/facts.ts';
import { policyRefusal } from '../starting/policy.ts';
import * as starting from '../starting/store.sql.ts';
import { NoGraph, type Graphs } from './graphs.ts';
import type { StepIds } from './loading.ts';
import type { LockedRun } from './run-lock.ts';
import * as store from './store.sql.ts';

export interface Admitting {
  readonly tx: Tx;
  readonly run: LockedRun;
  readonly ids: StepIds;
  readonly graphs: Graphs;
  /** Granted before in this progression: job runs of the project (key ''), waits for events, child runs by workflow. */
  readonly granted: Map<string, number>;
}

/** In the order asked. */
export async function admit(
  on: Admitting,
  asked: Need['admissions'],
): Promise<Map<string, Admission>> {
  const answers = new Map<string, Admission>();
  const jobs = await admittedJobs(on, asked);
  for (const { step_ref, request } of asked)
    answers.set(
      step_ref,
      request.kind === 'job'
        ? await admitJob(on, jobs, step_ref, request)
        : request.kind === 'sub_workflow'
          ? await admitChildRun(on, request)
          : await admitWait(on, request),
    );
  return answers;
}

type JobRequest = Extract<AdmissionRequest, { kind: 'job' }>;
type AdmittedJobs = ReadonlyMap<string, store.FindAdmittedJobsRow>;

async function admittedJobs(
  { tx, run }: Admitting,
  asked: Need['admissions'],
): Promise<AdmittedJobs> {
  const job_ids = [
    ...new Set(asked.flatMap(({ request }) => (request.kind === 'job' ? [request.job_id] : []))),
  ];
  if (job_ids.length === 0) return new Map();
  const { project_id } = run.key;
  const found = await store.findAdmittedJobs(tx, { project_id, job_ids });
  for (const job of found) if (job.takes_all) run.takeAll.add(job.id);
  return new Map(found.map((job) => [job.id, job]));
}

async function admitJob(
  on: Admitting,
  jobs: AdmittedJobs,
  step_ref: string,
  { job_id, count }: JobRequest,
): Promise<Admission> {
  const { tx, run } = on;
  const { project_id } = run.key;
  const job = jobs.get(job_id);
  if (!job) return { kind: 'refused', error: 'the job was deleted' };
  if (!job.enabled) return { kind: 'refused', error: 'the job is disabled' };
  let room = count;
  if (job.counted) {
    const before = on.granted.get('') ?? 0;
    room = Math.min(count, (await intake.roomFor(tx, project_id, before + count)) - before);
    if (room <= 0) return { kind: 'full', explanation: 'the queue of the project is full' };
  }
  on.granted.set('', (on.granted.get('') ?? 0) + room);
  const index = run.graph.indexOf.get(step_ref) ?? -1;
  const isGated = (run.graph.steps[index]?.cost_gate_threshold_microusd ?? 0) > 0;
  if (!isGated) return { kind: 'granted', room };
  const { average } = await store.averageCost(tx, { project_id, job_id });
  return { kind: 'granted', room, average_cost_microusd: average };
}

async function admitChildRun(
  { tx, run, graphs, granted }: Admitting,
  { workflow_id, count }: Extract<AdmissionRequest, { kind: 'sub_workflow' }>,
): Promise<Admission> {
  const { project_id } = run.key;
  const workflow = await starting.lockForRun(tx, { project_id, workflow: workflow_id });
  if (!workflow) return { kind: 'refused', error: 'the workflow was deleted' };
  if (!workflow.enabled) return { kind: 'refused', error: 'the workflow is disabled' };
  const graph = await graphs
    .of(tx, { project_id, workflow_id: workflow.id, version: workflow.version, step_overrides: [] })
    .catch((error: unknown) => {
      // What the database has to say is not about the workflow.
      if (error instanceof NoGraph) return undefined;
      throw error;
    });
  if (!graph) return { kind: 'refused', error: 'the workflow has no steps' };
  const error = await policyRefusal(tx, project_id, graph.steps);
  if (error !== undefined) return { kind: 'refused', error };
  if (workflow.max_concurrent_runs <= 0) return { kind: 'granted', room: count };

  const limited = await starting.lockLimited(tx, { project_id, workflow_id: workflow.id });
  const limit = limited?.max_concurrent_runs ?? 0;
  const { active } = await starting.countRuns(tx, { project_id, workflow_id: workflow.id });
  const before = granted.get(workflow.id) ?? 0;
  const room = limit <= 0 ? count : Math.min(count, limit - active - before);
  if (room <= 0)
    return {
      kind: 'full',
      explanation: `workflow ${workflow.slug} has as many runs as it may have`,
      details: { active, limit },
    };
  granted.set(workflow.id, before + room);
  return { kind: 'granted', room };
}

async function admitWait(
  { tx, run, ids, granted }: Admitting,
  { event_key, freed_by }: Extract<AdmissionRequest, { kind: 'event' }>,
): Promise<Admission> {
  const { project_id } = run.key;
  const waiter = await findKeyWaiter(tx, { project_id, event_key });
  if (waiter) {
    const freed = await store.findStepRows(tx, { ...run.key, step_refs: freed_by });
    for (const { step_ref, id } of freed) ids.set(step_ref, id);
    if (!freed.some(({ id }) => id === waiter.workflow_step_run_id))
      return { kind: 'refused', error: 'event key is already waited for' };
  }
  const before = granted.get('events') ?? 0;
  if (!(await admitStepWait(tx, project_id, before)))
    return { kind: 'full', explanation: 'the project waits for as many events as it may' };
  const early = await findEarlyEvent(tx, { project_id, event_key });
  if (early) return { kind: 'granted', early_event: { payload: early.payload } };
  granted.set('events', before + 1);
  return { kind: 'granted' };
}
