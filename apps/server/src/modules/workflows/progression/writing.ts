// Writes what the engine decided, in the order of the fields of `Changes`, in the transaction that holds the lock.
import { Conflict, type Tx } from '../../../platform/db/database.ts';
import { cancelStepWaits, endStepWaits, queueEmits, type StepWaitEnd } from '../../events/index.ts';
import type { OperatorVerbs } from '../../queue/index.ts';
import type { Changes, RunChange, StepChange } from '../engine/changes.ts';
import type { Event } from '../engine/facts.ts';
import {
  codeOf,
  isOver,
  isTerminalStep,
  readBoard,
  statusOf,
  waitReasonOf,
  writeBoard,
  type StepState,
  type WorkflowRunStatus,
} from '../engine/states.ts';
import type { StepIds } from './loading.ts';
import { beginChildren, type MapDeps } from './map-children.ts';
import type { LockedRun, RunKey } from './run-lock.ts';
import { begin, type NewIds } from './starts.ts';
import * as store from './store.sql.ts';

export interface WritingDeps extends MapDeps {
  readonly operator: Pick<OperatorVerbs, 'cancel'>;
  /** Cancels a child run by a progression of its own. */
  readonly cancelChild: (
    tx: Tx,
    key: RunKey,
    why: { run_error: string; step_error: string },
  ) => Promise<void>;
  /** Starts the run that continues this one; `paused` as this one was until now. */
  readonly continueAs: (
    tx: Tx,
    run: LockedRun,
    continuation: NonNullable<Changes['continuation']>,
    paused: boolean,
  ) => Promise<void>;
  readonly onWarning: (warning: string, key: RunKey) => void;
}

/** Brings `run` up to date and gives the events that follow at once. @throws Conflict when a guard did not hold */
export async function write(
  tx: Tx,
  deps: WritingDeps,
  run: LockedRun,
  changes: Changes,
  ids: StepIds,
  reason: string,
): Promise<Event[]> {
  const { key } = run;
  await endWaits(tx, deps, run, changes);
  if (changes.children_ended.length > 0)
    await store.endMapChildren(tx, { ...key, ends: changes.children_ended });
  if (changes.cancel_work.length > 0)
    await cancelWork(tx, deps, run, changes.cancel_work, 'the step was ended', 'canceled');
  if (changes.cancel_everything !== null) {
    const { cancel_everything: error } = changes;
    await cancelWork(tx, deps, run, null, error, changes.run?.to ?? 'ended');
    await store.cancelApprovals(tx, { ...key, error });
    await cancelStepWaits(tx, { ...key, error });
  }
  const plain = changes.starts.filter(({ kind }) => kind !== 'map_children');
  const made = await begin(tx, deps, run, plain, ids);
  await writeSteps(tx, run, changes.steps, made);
  run.board = boardAfter(run, changes.steps);

  const follow: Event[] = [];
  for (const start of changes.starts) {
    if (start.kind !== 'map_children') continue;
    const event = await beginChildren(tx, deps, run, start, ids);
    if (event) follow.push(event);
  }
  if (changes.decisions.length > 0)
    await store.insertDecisions(tx, { ...key, decisions: changes.decisions });
  if (changes.run) await writeRun(tx, run, changes);
  await tell(tx, run, changes, reason);
  if (changes.continuation)
    await deps.continueAs(tx, run, changes.continuation, changes.run?.from === 'paused');
  await emit(tx, run, changes, ids);
  for (const warning of changes.warnings) deps.onWarning(warning, key);
  return follow;
}

async function endWaits(
  tx: Tx,
  deps: WritingDeps,
  { key }: LockedRun,
  { waits }: Changes,
): Promise<void> {
  if (waits.length === 0) return;
  const step_refs = waits.map(({ step_ref }) => step_ref);
  const triggers = new Map(
    (await store.findWaits(tx, { ...key, step_refs })).map(({ step_ref, wait_id }) => [
      step_ref,
      wait_id,
    ]),
  );
  const ends: StepWaitEnd[] = [];
  const approvals: object[] = [];
  for (const { step_ref, to, actor, error, payload = null } of waits) {
    const trigger_id = triggers.get(step_ref);
    if (trigger_id === undefined) approvals.push({ step_ref, to_status: to, actor, error });
    else {
      const to_status = to === 'received' || to === 'timed_out' ? to : 'canceled';
      ends.push({ trigger_id, to_status, actor, error, payload });
    }
  }
  if (approvals.length > 0) await store.endApprovals(tx, { ...key, ends: approvals });
  // The step is the truth: a trigger that somebody took away must not keep it waiting for ever.
  if (ends.length > 0 && (await endStepWaits(tx, key.project_id, ends)) !== ends.length)
    deps.onWarning('the trigger of a step ended without it', key);
}

async function cancelWork(
  tx: Tx,
  deps: WritingDeps,
  { key }: LockedRun,
  step_refs: readonly string[] | null,
  error: string,
  ended: string,
): Promise<void> {
  const work = await store.findWork(tx, { ...key, step_refs });
  await store.closeMapChildren(tx, { ...key, step_refs });
  const run_ids = work.flatMap(({ job_run_id }) => (job_run_id === null ? [] : [job_run_id]));
  if (run_ids.length > 0)
    await deps.operator.cancel(tx, {
      project_id: key.project_id,
      run_ids,
      reason: error,
      child_reason: 'parent canceled',
    });
  const first_run_ids = work.flatMap(({ child_run_id }) =>
    child_run_id === null ? [] : [child_run_id],
  );
  if (first_run_ids.length === 0) return;
  const why = `parent workflow ${ended}`;
  // Until none is left: one that was waited for may go on as a new run.
  for (;;) {
    const open = await store.listChildRuns(tx, { ...key, first_run_ids });
    if (open.length === 0) return;
    for (const { id: workflow_run_id } of open)
      await deps.cancelChild(
        tx,
        { project_id: key.project_id, workflow_run_id },
        { run_error: why, step_error: why },
      );
  }
}

interface StepWrite {
  readonly step_ref: string;
  readonly from_state: string;
  readonly to_state: string;
  readonly patch: object;
}

async function writeSteps(
  tx: Tx,
  run: LockedRun,
  steps: readonly StepChange[],
  made: ReadonlyMap<string, NewIds>,
): Promise<void> {
  const ways = steps.map((step) => ({ step, way: wayOf(step) }));
  for (let hop = 1; ; hop += 1) {
    const writes = ways.flatMap(({ step, way }) => {
      const to = way[hop];
      if (to === undefined) return [];
      const isLast = hop === way.length - 1;
      return {
        step_ref: step.step_ref,
        from_state: codeOf(way[hop - 1] ?? step.from),
        to_state: codeOf(to),
        patch: isLast ? { ...step.patch, ...made.get(step.step_ref) } : {},
      };
    });
    if (writes.length === 0) return;
    await writeAll(tx, run, writes);
  }
}

/** The states a step goes through, one after the other: none is left by a step nobody may take, also when it is reset. */
function wayOf({ from, to, reset }: StepChange): readonly StepState[] {
  if (!reset) return [from, to];
  const way: StepState[] = from === 'running' ? [from, 'canceled_work'] : [from];
  const hasEnded = from === 'running' || isTerminalStep(from);
  const goesOn = to !== 'pending' && to !== 'needs_dependencies';
  return [...way, ...(hasEnded && goesOn ? (['pending'] as const) : []), to];
}

async function writeAll(tx: Tx, { key }: LockedRun, writes: readonly StepWrite[]): Promise<void> {
  const written = await store.writeSteps(tx, { ...key, changes: writes });
  if (written.length !== writes.length)
    throw new Conflict('a step was not in the state it was read in');
}

function boardAfter({ board, graph }: LockedRun, steps: readonly StepChange[]): string {
  const states = readBoard(board);
  for (const { step_ref, to } of steps) states[graph.indexOf.get(step_ref) ?? -1] = to;
  return writeBoard(states);
}

async function writeRun(
  tx: Tx,
  run: LockedRun,
  { run: change, continuation }: Changes,
): Promise<void> {
  if (!change) return;
  const { to, error, started_at = null, finished_at = null, expires_at } = change;
  const way = runWay(change);
  for (const [at, from_status] of way.slice(0, -1).entries()) {
    const isLast = at === way.length - 2;
    const written = await store.writeRun(tx, {
      ...run.key,
      from_status,
      to_status: way[at + 1] ?? to,
      error: isLast ? error : null,
      started_at,
      finished_at: isLast ? finished_at : null,
      sets_expiry: expires_at !== undefined,
      expires_at: expires_at ?? null,
      continues: isLast && continuation !== null,
      has_news: isLast && isOver(to),
    });
    if (!written) throw new Conflict('the run is not in the status it was read in');
    if (written.has_news) await store.wakeLoops(tx, { what: ['news'] });
  }
  run.facts = {
    ...run.facts,
    status: to,
    expires_at: expires_at === undefined ? run.facts.expires_at : expires_at,
    continued: run.facts.continued || continuation !== null,
  };
}

/** One that began, or was reopened, and ended in the same progression ran in between. */
function runWay({ from, to, started_at }: RunChange): readonly WorkflowRunStatus[] {
  const hasBegun = started_at !== undefined && to !== 'running';
  return hasBegun || (isOver(from) && isOver(to)) ? [from, 'running', to] : [from, to];
}

/** The history: changes people see. A step that is blocked by another limit than before waits for capacity, as it did. */
async function tell(tx: Tx, { key }: LockedRun, changes: Changes, reason: string): Promise<void> {
  const events: object[] = changes.steps.flatMap((step) =>
    hops(wayOf(step))
      .filter(
        ([from, to]) =>
          statusOf(from) !== statusOf(to) ||
          waitReasonOf(from) !== waitReasonOf(to) ||
          step.patch.attempt !== undefined,
      )
      .map(([from, to]) => ({
        step_ref: step.step_ref,
        from_status: statusOf(from),
        to_status: statusOf(to),
        attempt: step.patch.attempt,
        // What it waits for now: without this `waiting` to `waiting` would say nothing.
        reason: step.patch.error ?? waitReasonOf(to) ?? '',
      })),
  );
  if (changes.run) {
    const { error } = changes.run;
    for (const [from_status, to_status] of hops(runWay(changes.run)))
      events.push({ from_status, to_status, reason: error ?? reason });
  }
  if (events.length > 0) await store.insertEvents(tx, { ...key, events: events });
  if (
    changes.starts.some(({ kind }) => kind !== 'work' && kind !== 'map' && kind !== 'map_children')
  )
    await store.wakeLoops(tx, { what: ['timer'] });
  else if (changes.steps.some(({ to }) => to === 'on_retry'))
    await store.wakeLoops(tx, { what: ['timer'] });
}

const hops = <State>(way: readonly State[]): (readonly [State, State])[] =>
  way.slice(1).map((to, at) => [way[at] as State, to] as const);

async function emit(tx: Tx, { key }: LockedRun, { emits }: Changes, ids: StepIds): Promise<void> {
  if (emits.length === 0) return;
  await queueEmits(
    tx,
    emits.map(({ step_ref, event_key, payload }) => ({
      project_id: key.project_id,
      event_key,
      payload,
      sent_by: 'auto-emit',
      workflow_step_run_id: ids.get(step_ref) ?? '',
    })),
  );
}
