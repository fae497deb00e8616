// Every change of a workflow run goes through here: lock, ask the engine, write what it decided. A transaction that
// delivers events to two runs takes parents before children.
import type { Tx } from '../../../platform/db/database.ts';
import { findTriggerJobs, type Jobs } from '../../jobs/index.ts';
import type { OperatorVerbs, Queue } from '../../queue/index.ts';
import type { Route } from '../canary/routing.ts';
import { createUndoing } from '../compensation/undoing.ts';
import type { Changes, Progress } from '../engine/changes.ts';

import type { Admission, EngineLimits, Event } from '../engine/facts.ts';
import { firstKnown, learn } from '../engine/loading.ts';
import { progress } from '../engine/progress.ts';
import { isOver } from '../engine/states.ts';
import { admit } from './admitting.ts';
import { createContinuing } from './continuing.ts';
import { createGraphs } from './graphs.ts';
import { areLoadable, foresee, load, type StepIds } from './loading.ts';
import { lockRun, type LockedRun, type RunKey } from './run-lock.ts';
import * as store from './store.sql.ts';
import { write, type WritingDeps } from './writing.ts';

/** Runs that one transaction begins below the one it is about. */
const MOST_BEGUN = 50;

export interface ProgressionDeps {
  readonly queue: Pick<Queue, 'enqueueMany'>;
  readonly operator: Pick<OperatorVerbs, 'cancel'>;
  readonly jobs: Pick<Jobs, 'checkPayload'>;
  readonly limits: EngineLimits;
  readonly route: Route;
  readonly onWarning: (warning: string, key: RunKey) => void;
}

export type Progression = ReturnType<typeof createProgression>;

/** What a delivery came to. */
export type Delivered = Exclude<Progress, { kind: 'need' }>;

export function createProgression(deps: ProgressionDeps) {
  const { queue, operator, jobs, limits, route, onWarning } = deps;
  const graphs = createGraphs();
  const continuing = createContinuing({ graphs, route });

  const checkPayload: WritingDeps['checkPayload'] = async (
    tx,
    { key, checked },
    job_id,
    payload,
  ) => {
    if (!checked.has(job_id)) {
      const [found] = await findTriggerJobs(tx, [{ project_id: key.project_id, ref: job_id }]);
      checked.set(job_id, found);
    }
    const job = checked.get(job_id);
    const [problem] = job ? jobs.checkPayload(job, payload) : [];
    return problem && `payload${problem.path}: ${problem.message}`;
  };

  /** Jobs refuse payloads by schema: such a start is a refusal, and the engine is asked again. */
  async function refusedStarts(
    tx: Tx,
    run: LockedRun,
    { starts }: Changes,
  ): Promise<Map<string, Admission>> {
    const refused = new Map<string, Admission>();
    for (const start of starts) {
      if (start.kind !== 'work' || start.target.kind !== 'job') continue;
      const { job_id } = start.target;
      if (run.takeAll.has(job_id)) continue;
      const error = await checkPayload(tx, run, job_id, start.payload);
      if (error !== undefined) refused.set(start.step_ref, { kind: 'refused', error });
    }
    return refused;
  }

  async function decide(tx: Tx, run: LockedRun, event: Event, ids: StepIds): Promise<Delivered> {
    const { now, facts, graph, board } = run;
    const wanted = foresee(run, event);
    const outputs = (await areLoadable(tx, run, wanted.outputs)) ? wanted.outputs : [];
    const foreseen = await load(tx, run, { ...wanted, outputs }, ids, limits.max_payload_bytes);
    let known = firstKnown({ now, run: facts, graph, board, limits }, foreseen);
    const granted = new Map<string, number>();
    for (;;) {
      const answer = progress(known, event);
      if (answer.kind === 'need') {
        const { need } = answer;
        if (!(await areLoadable(tx, run, need.outputs))) {
          const error = `the outputs of ${need.outputs.length} steps that others need are too large together`;
          return cannotGoOn(tx, run, error, ids);
        }
        const loaded = await load(tx, run, need, ids, limits.max_payload_bytes);
        const admissions = await admit({ tx, run, ids, graphs, granted }, need.admissions);
        known = learn(known, need, { ...loaded, admissions });
        continue;
      }
      if (answer.kind !== 'changes') return answer;
      if (answer.changes.continuation) {
        const next = await continuing.successorOf(tx, run);
        if ('error' in next) return cannotGoOn(tx, run, next.error, ids);
        run.successor = next;
      }
      const refused = await refusedStarts(tx, run, answer.changes);
      if (refused.size === 0) return answer;
      known = { ...known, admissions: new Map([...known.admissions, ...refused]) };
    }
  }

  /** Instead of what happened: a run that fails is better than one whose every progression fails. */
  async function cannotGoOn(
    tx: Tx,
    run: LockedRun,
    error: string,
    ids: StepIds,
  ): Promise<Delivered> {
    if (isOver(run.facts.status))
      return { kind: 'refused', refusal: 'run_not_resettable', message: error };
    return decide(tx, run, { kind: 'fail', error }, ids);
  }

  /** Under the lock. Events that follow at once are delivered as well. */
  async function deliver(
    tx: Tx,
    run: LockedRun,
    event: Event,
    reason: string = event.kind,
  ): Promise<Delivered> {
    const ids: StepIds = new Map();
    const answer = await decide(tx, run, event, ids);
    if (answer.kind !== 'changes') return answer;
    if (run.facts.status === 'compensating' && answer.changes.cancel_everything !== null)
      await undoing.stop(tx, run, answer.changes.cancel_everything);
    const follow = await write(tx, writing, run, answer.changes, ids, reason);
    const to = answer.changes.run?.to;
    // In the transaction that ends the run. Its parent hears of that end at once and does not wait for what is undone.
    if (run.row.compensate_on_failure && (to === 'failed' || to === 'timed_out'))
      await undoing.start(tx, run, 'compensate_on_failure');
    for (const next of follow) await deliver(tx, run, next);
    return answer;
  }

  const open = (tx: Tx, key: RunKey) => lockRun(tx, graphs, key);

  async function begin(tx: Tx, key: RunKey, event: Event = { kind: 'started' }): Promise<void> {
    const run = await open(tx, key);
    if (!run) throw new Error(`there is no workflow run ${key.workflow_run_id}`);
    await deliver(tx, run, event);
  }

  const begun = new WeakMap<Tx, number>();

  /** Of a run that another starts: a tree of many runs is not one transaction. Timers begin what is left pending. */
  async function beginBelow(tx: Tx, key: RunKey): Promise<void> {
    const count = (begun.get(tx) ?? 0) + 1;
    begun.set(tx, count);
    if (count <= MOST_BEGUN) await begin(tx, key);
    else if (count === MOST_BEGUN + 1) await store.wakeLoops(tx, { what: ['timer'] });
  }

  const writing: WritingDeps = {
    queue,
    operator,
    graphs,
    route,
    begin: beginBelow,
    checkPayload,
    max_payload_bytes: limits.max_payload_bytes,
    onWarning,
    async cancelChild(tx, key, why) {
      const run = await open(tx, key);
      if (run) await deliver(tx, run, { kind: 'cancel', ...why }, 'parent');
    },
    async continueAs(tx, run, continuation, paused) {
      if (!run.successor) throw new Error('nothing was found that continues the run');
      const next = await continuing.insert(tx, run, run.successor, continuation);
      // One that is paused starts nothing: no chain of beginnings grows from it.
      if (paused) await begin(tx, next, { kind: 'started', paused });
      else await beginBelow(tx, next);
    },
  };

  const undoing = createUndoing({ ...writing });

  return {
    graphs,
    /** Locks the run, until the transaction ends; undefined: the project has no such run. */
    open,
    deliver,
    /** The first progression of a run that was just inserted. */
    begin,
    /** Compensation; under the lock too. */
    undoing,
  };
}
