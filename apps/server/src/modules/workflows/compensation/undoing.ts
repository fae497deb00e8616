// Undoing a run under its lock: what engine/compensation.ts decides, written. Every change is one transaction with the job
// run it starts or whose end it hears of, so that a crash loses no step and undoes none twice.
import { Conflict, type Tx } from '../../../platform/db/database.ts';
import type { OperatorVerbs } from '../../queue/index.ts';
import {
  compensate,
  compensationPayload,
  compensationPlan,
  type CompensationChanges,
  type CompensationEvent,
  type CompensationRow,
} from '../engine/compensation.ts';
import type { JsonValue } from '../engine/definition.ts';
import { readBoard, workflowRunStates, type WorkflowRunStatus } from '../engine/states.ts';
import { admit } from '../progression/admitting.ts';
import type { MapDeps } from '../progression/map-children.ts';
import type { LockedRun } from '../progression/run-lock.ts';
import { beginWork } from '../progression/starts.ts';
import { insertEvents } from '../progression/store.sql.ts';
import * as store from './store.sql.ts';

export interface UndoingDeps extends Omit<MapDeps, 'max_payload_bytes'> {
  readonly operator: Pick<OperatorVerbs, 'cancel'>;
}

export type Undoing = ReturnType<typeof createUndoing>;

/** What is known of the end of a job run. */
export interface WorkEnd {
  readonly run_id: string;
  readonly status: string;
  readonly error: string | null;
}

export function createUndoing(deps: UndoingDeps) {
  async function moveRun(
    tx: Tx,
    run: LockedRun,
    to: WorkflowRunStatus,
    reason: string,
  ): Promise<void> {
    const { status: from } = run.facts;
    workflowRunStates.assert(from, to);
    const moved = await store.moveRun(tx, { ...run.key, from_status: from, to_status: to });
    if (!moved) throw new Conflict('the run is not in the status it was read in');
    const events = [{ from_status: from, to_status: to, reason }];
    await insertEvents(tx, { ...run.key, events });
    run.facts = { ...run.facts, status: to };
  }

  /** Undefined: it runs, or the queue of the project is full and it is tried again. Else why it cannot be started. */
  async function startRow(tx: Tx, run: LockedRun, step_ref: string): Promise<string | undefined> {
    const { graph, key } = run;
    const step = graph.steps[graph.indexOf.get(step_ref) ?? -1];
    if (!step) throw new Error(`the run has no step ${step_ref}`);
    const { step_run_id, job_id, output } = await store.findUndone(tx, { ...key, step_ref });
    const asking = { tx, run, ids: new Map(), graphs: deps.graphs, granted: new Map() };
    const request = { kind: 'job', job_id, count: 1 } as const;
    const admission = (await admit(asking, [{ step_ref, request }])).get(step_ref);
    if (!admission || admission.kind === 'full') return undefined;
    if (admission.kind === 'refused') return admission.error;
    const payload = compensationPayload(key.workflow_run_id, step_ref, output as JsonValue);
    const refused = await deps.checkPayload(tx, run, job_id, payload);
    if (refused !== undefined) return refused;
    const [made] = await beginWork(tx, deps, run, [
      {
        step_ref,
        step_run_id,
        target: { kind: 'job', job_id },
        payload,
        timeout_secs: step.compensation_timeout_secs,
      },
    ]);
    const job_run_id = made?.job_run_id;
    if (job_run_id === undefined) throw new Error('a job was started without a run');
    if ((await store.startRow(tx, { ...key, step_ref, job_run_id })) !== 1)
      throw new Conflict('the step is undone by somebody else');
    return undefined;
  }

  async function endRow(
    tx: Tx,
    { key }: LockedRun,
    { step_ref, from, to, error }: NonNullable<CompensationChanges['ended']>,
  ): Promise<void> {
    const end = { ...key, step_ref, from_status: from, to_status: to, error };
    if ((await store.endRow(tx, end)) !== 1)
      throw new Conflict('the compensation was not in the status it was read in');
  }

  /** Until a job runs or all have ended: a job that cannot be started is a failure, and the next one has its turn. */
  async function advance(tx: Tx, run: LockedRun, first: CompensationEvent): Promise<void> {
    let event: CompensationEvent | undefined = first;
    while (event) {
      const rows = (await store.listRows(tx, run.key)).map(rowOf);
      const changes = compensate(run.facts.status, rows, event);
      if (!changes) return;
      if (changes.ended) await endRow(tx, run, changes.ended);
      if (changes.run) return moveRun(tx, run, changes.run.to, outcomeOf(rows, changes));
      const { start: step_ref } = changes;
      if (step_ref === null) return;
      const error: string | undefined = await startRow(tx, run, step_ref);
      event = error === undefined ? undefined : { kind: 'refused', step_ref, error };
    }
  }

  return {
    /** Of a run that has failed or timed out; with nothing to undo it is compensated at once. */
    async start(tx: Tx, run: LockedRun, reason: string): Promise<void> {
      const plan = compensationPlan(run.graph, readBoard(run.board));
      await moveRun(tx, run, 'compensating', reason);
      const written = await store.insertRows(tx, {
        ...run.key,
        step_refs: plan.map(({ step_ref }) => step_ref),
        job_ids: plan.map(({ compensation_job_id }) => compensation_job_id),
      });
      if (written !== plan.length) throw new Conflict('a step of the run is gone');
      await advance(tx, run, { kind: 'next' });
    },

    /** Nothing when the job run belongs to no step that is being undone. */
    workEnded: (tx: Tx, run: LockedRun, { run_id, status, error }: WorkEnd): Promise<void> =>
      advance(tx, run, { kind: 'job_ended', job_run_id: run_id, status, error }),

    /** Where nothing is under way. */
    next: (tx: Tx, run: LockedRun): Promise<void> => advance(tx, run, { kind: 'next' }),

    /** What is not undone yet stays as it is. */
    async stop(tx: Tx, { key }: LockedRun, error: string): Promise<void> {
      const stopped = await store.stopRows(tx, { ...key, error });
      const run_ids = stopped.map(({ job_run_id }) => job_run_id);
      if (run_ids.length === 0) return;
      await deps.operator.cancel(tx, {
        project_id: key.project_id,
        run_ids,
        reason: error,
        child_reason: 'parent canceled',
      });
    },
  };
}

// The database allows no other status.
const rowOf = ({ step_ref, status, job_run_id }: store.ListRowsRow): CompensationRow => ({
  step_ref,
  status: status as CompensationRow['status'],
  job_run_id,
});

function outcomeOf(rows: readonly CompensationRow[], { ended }: CompensationChanges): string {
  const failed = rows.filter(({ step_ref, status }) =>
    step_ref === ended?.step_ref ? ended.to === 'failed' : status === 'failed',
  );
  return failed.length === 0
    ? `${rows.length} steps undone`
    : `${failed.length} of ${rows.length} steps could not be undone`;
}
