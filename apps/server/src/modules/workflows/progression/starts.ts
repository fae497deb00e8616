// Makes what a progression starts: job runs, child runs, approvals, triggers, children of maps. Gives the new ids, by step.
import { Conflict, type Tx } from '../../../platform/db/database.ts';
import { openStepWait } from '../../events/index.ts';
import { canonicalJson, deferAll, payloadHash, runMetadata } from '../../runs/index.ts';
import type { NewRun, Queue } from '../../queue/index.ts';
import type { Start, Target } from '../engine/changes.ts';
import type { JsonValue } from '../engine/definition.ts';
import type { Route } from '../canary/routing.ts';
import { insertRun } from '../starting/start-run.ts';
import * as starting from '../starting/store.sql.ts';
import type { Graphs } from './graphs.ts';
import type { StepIds } from './loading.ts';
import type { LockedRun, RunKey } from './run-lock.ts';
import * as store from './store.sql.ts';

export interface StartDeps {
  readonly queue: Pick<Queue, 'enqueueMany'>;
  readonly graphs: Graphs;
  readonly route: Route;
  /** Begins a child run: the progression of `started`. */
  readonly begin: (tx: Tx, key: RunKey) => Promise<void>;
}

export interface NewIds {
  readonly job_run_id?: string;
  readonly child_run_id?: string;
  readonly wait_id?: string;
}

export interface Work {
  readonly step_ref: string;
  readonly step_run_id: string;
  /** Of a child of a map. */
  readonly index?: number;
  readonly target: Target;
  readonly payload: JsonValue;
  readonly timeout_secs: number;
}

type EventStart = Extract<Start, { readonly kind: 'event' }>;
type SleepStart = Extract<Start, { readonly kind: 'sleep' }>;
type WaitStart =
  | EventStart
  | SleepStart
  | Extract<Start, { readonly kind: 'approval' | 'cost_gate' }>;

/** Everything but children of maps, which have a table of their own. */
export async function begin(
  tx: Tx,
  deps: StartDeps,
  run: LockedRun,
  starts: readonly Start[],
  ids: StepIds,
): Promise<Map<string, NewIds>> {
  const idOf = (step_ref: string): string => {
    const id = ids.get(step_ref);
    if (id === undefined) throw new Error(`step ${step_ref} was not loaded before its start`);
    return id;
  };
  const made = new Map<string, NewIds>();
  const work = starts.flatMap((start) => (start.kind === 'work' ? [start] : []));
  const started = await beginWork(
    tx,
    deps,
    run,
    work.map((start) => ({ ...start, step_run_id: idOf(start.step_ref) })),
  );
  for (const [at, { step_ref }] of work.entries()) made.set(step_ref, started[at] ?? {});
  for (const start of starts) {
    const { kind, step_ref } = start;
    const step_run_id = idOf(step_ref);
    if (kind === 'map')
      await store.insertMapChildren(tx, {
        project_id: run.key.project_id,
        step_run_id,
        attempt: start.attempt,
        items: start.items,
      });
    else if (kind !== 'work' && kind !== 'map_children')
      made.set(step_ref, { wait_id: await openWait(tx, run.key, step_run_id, start) });
  }
  return made;
}

async function openWait(
  tx: Tx,
  key: RunKey,
  step_run_id: string,
  start: WaitStart,
): Promise<string> {
  switch (start.kind) {
    case 'event':
      return openStepWait(tx, {
        ...waitOf(key, step_run_id, start),
        trigger_type: 'event',
        request_payload: start.request_payload,
        notify_url: start.notify_url,
        ...(start.received ? { received: start.received } : {}),
      });
    case 'sleep':
      return openStepWait(tx, { ...waitOf(key, step_run_id, start), trigger_type: 'sleep' });
    default: {
      const { kind, approvers, expires_at } = start;
      const approval = { ...key, step_run_id, kind, approvers, expires_at };
      return (await store.insertApproval(tx, approval)).id;
    }
  }
}

const waitOf = (
  key: RunKey,
  step_run_id: string,
  { event_key, timeout_secs, expires_at }: EventStart | SleepStart,
) => ({ ...key, step_run_id, event_key, timeout_secs, expires_at });

/** Job runs in one statement, child runs one by one. @throws Conflict when what was admitted is gone */
export async function beginWork(
  tx: Tx,
  deps: StartDeps,
  run: LockedRun,
  work: readonly Work[],
): Promise<NewIds[]> {
  const jobs = work.flatMap((one, at) => (one.target.kind === 'job' ? [{ at, one }] : []));
  const made: NewIds[] = work.map(() => ({}));
  if (jobs.length > 0) {
    const wanted = jobs.map(({ one }) => newJobRun(run, one));
    const allowed = await deferAll(tx, wanted, run.now);
    const enqueued = await deps.queue.enqueueMany(allowed, tx);
    for (const [index, { at }] of jobs.entries()) {
      const answer = enqueued[index];
      if (answer?.outcome !== 'created') throw new Conflict('a job was disabled meanwhile');
      made[at] = { job_run_id: answer.id };
    }
  }
  for (const [at, one] of work.entries())
    if (one.target.kind === 'sub_workflow')
      made[at] = { child_run_id: await beginChild(tx, deps, run, one, one.target) };
  return made;
}

function newJobRun(
  { row, key }: LockedRun,
  { step_ref, step_run_id, index, target, payload, timeout_secs }: Work,
): NewRun {
  const text = canonicalJson(payload);
  const trace = row.trace_context ?? {};
  return {
    job_id: target.kind === 'job' ? target.job_id : '',
    project_id: key.project_id,
    payload: text,
    payload_hash: payloadHash(text),
    priority: 0,
    extra: {
      triggered_by: 'workflow',
      created_by: 'system:workflow',
      tags: row.tags,
      lineage_depth: row.lineage_depth,
      workflow_step_run_id: step_run_id,
      ...(timeout_secs > 0 ? { timeout_secs_override: timeout_secs } : {}),
      metadata: runMetadata({
        // The dispatch tells its handler by headers (executor/request.ts). Nobody else may write keys with an underscore.
        metadata: {
          _workflow_run_id: key.workflow_run_id,
          _workflow_step: step_ref,
          ...(index === undefined ? {} : { _workflow_map_index: String(index) }),
        },
        payload,
        traceparent: trace['traceparent'],
        tracestate: trace['tracestate'],
      }),
    },
  };
}

async function beginChild(
  tx: Tx,
  { graphs, route, begin: beginRun }: StartDeps,
  { row, key }: LockedRun,
  { step_run_id, payload, timeout_secs }: Work,
  { workflow_id, depth }: Extract<Target, { kind: 'sub_workflow' }>,
): Promise<string> {
  const { project_id } = key;
  const workflow = await starting.lockForRun(tx, { project_id, workflow: workflow_id });
  if (!workflow?.enabled) throw new Conflict('a workflow was disabled meanwhile');
  const of = { project_id, workflow_id, version: workflow.version };
  const number = await route(tx, { ...of, keep_step_run_id: step_run_id });
  const version = await starting.findRunVersion(tx, { ...of, version: number });
  if (!version) throw new Conflict('a workflow was deleted meanwhile');
  const graph = await graphs.of(tx, {
    project_id,
    workflow_id,
    version: version.version,
    step_overrides: [],
  });
  const id = await insertRun(tx, {
    project_id,
    workflow_id,
    version,
    graph,
    triggered_by: 'workflow',
    created_by: row.created_by ?? 'system:workflow',
    payload,
    tags: { ...row.tags, ...workflow.tags },
    trace_context: row.trace_context,
    lineage_depth: row.lineage_depth,
    ...(timeout_secs > 0 ? { timeout_secs } : {}),
    parent: { workflow_run_id: key.workflow_run_id, step_run_id, depth },
  });
  if (id === undefined) throw new Error('a child run has no idempotency key');
  await beginRun(tx, { project_id, workflow_run_id: id });
  return id;
}
