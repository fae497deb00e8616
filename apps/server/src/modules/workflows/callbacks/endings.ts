// Ends of job runs, told to the steps that started them. A row of step_endings goes in the transaction that acts on it: a
// crash before its commit leaves it, so that no end is lost, and none is acted on twice.
import type { Database, Tx } from '../../../platform/db/database.ts';
import type { Endings, StepEnding } from '../../queue/index.ts';
import type { JsonValue } from '../engine/definition.ts';
import type { Event } from '../engine/facts.ts';
import type { Progression } from '../progression/progression.ts';
import type { RunKey } from '../progression/run-lock.ts';
import * as store from './store.sql.ts';

export interface EndingDeps {
  /** The hot pool. */
  readonly db: Database;
  readonly endings: Pick<Endings, 'takeSteps' | 'postponeSteps' | 'dropSteps'>;
  readonly progression: Progression;
  readonly onError: (error: unknown, what: string) => void;
}

/** Ends looked at in one round, and told to one run in one transaction. */
const BATCH = 500;
const PER_RUN = 100;
/** Runs worked on at the same time. */
const PARALLEL = 4;

export function createEndingCallbacks(deps: EndingDeps) {
  const { db, endings, progression } = deps;

  /** False: another process tells this run. It lists again before it rests, and finds what it has not seen yet. */
  async function tell(tx: Tx, key: RunKey, ending_ids: readonly number[]): Promise<boolean> {
    if (!(await store.tryToTell(tx, key)).mine) return false;
    const run = await progression.open(tx, key);
    const taken = await endings.takeSteps(tx, ending_ids);
    if (!run || taken.length === 0) return true;
    if (run.facts.status === 'compensating') {
      for (const ending of taken) await progression.undoing.workEnded(tx, run, ending);
      return true;
    }
    for (const event of await eventsOf(tx, key, taken)) await progression.deliver(tx, run, event);
    return true;
  }

  /** One transaction for all ends of a run; when it fails, one for each, so that one bad end holds up no other. */
  async function tellRun(key: RunKey, ending_ids: readonly number[]): Promise<boolean> {
    try {
      return await db.transaction((tx) => tell(tx, key, ending_ids));
    } catch (error) {
      if (ending_ids.length > 1) {
        for (const id of ending_ids) await tellRun(key, [id]);
        return true;
      }
      deps.onError(error, 'the end of a run of a workflow step');
      await endings.postponeSteps(ending_ids);
      return true;
    }
  }

  return {
    /** One round; `again`: there may be more. */
    async follow(): Promise<{ again: boolean }> {
      const due = await store.listStepEndings(db, { limit: BATCH });
      const gone = due.filter(({ workflow_run_id }) => workflow_run_id === null);
      if (gone.length > 0) await endings.dropSteps(gone.map(({ ending_id }) => ending_id));
      const byRun = new Map<string, { key: RunKey; ids: number[] }>();
      for (const { ending_id, workflow_run_id, project_id } of due) {
        if (workflow_run_id === null || project_id === null) continue;
        const known = byRun.get(workflow_run_id);
        if (!known)
          byRun.set(workflow_run_id, { key: { project_id, workflow_run_id }, ids: [ending_id] });
        else if (known.ids.length < PER_RUN) known.ids.push(ending_id);
      }
      const runs = byRun.values();
      let told = false;
      const lane = async (): Promise<void> => {
        for (const { key, ids } of runs) told = (await tellRun(key, ids)) || told;
      };
      await Promise.all(Array.from({ length: PARALLEL }, lane));
      return { again: told };
    },
  };
}

/** Children of a map that ended together are one event. */
async function eventsOf(tx: Tx, key: RunKey, taken: readonly StepEnding[]): Promise<Event[]> {
  const steps = await store.stepOf(tx, {
    ...key,
    step_run_ids: taken.map(({ workflow_step_run_id }) => workflow_step_run_id),
    job_run_ids: taken.map(({ run_id }) => run_id),
  });
  const events: Event[] = [];
  const maps = new Map<string, ChildEnds>();
  for (const ending of taken) {
    const step = steps.find(
      ({ id, job_run_id }) => id === ending.workflow_step_run_id && job_run_id === ending.run_id,
    );
    if (!step) continue;
    const { step_ref, map_attempt, map_index } = step;
    const { run_id: job_run_id, status, error } = ending;
    const result = ending.result as JsonValue;
    if (map_attempt === null || map_index === null)
      events.push({ kind: 'job_ended', step_ref, job_run_id, status, result, error });
    else {
      const name = `${step.id} ${map_attempt}`;
      const ends = maps.get(name) ?? {
        step_run_id: step.id,
        step_ref,
        attempt: map_attempt,
        children: [],
      };
      maps.set(name, ends);
      const ok = status === 'completed';
      ends.children.push({
        index: map_index,
        ok,
        open: step.open === true,
        output: ok ? result : null,
        error,
      });
    }
  }
  for (const ends of maps.values()) events.push(await childrenEnded(tx, key, ends));
  return events;
}

export interface ChildEnds {
  readonly step_run_id: string;
  readonly step_ref: string;
  readonly attempt: number;
  readonly children: {
    readonly index: number;
    readonly ok: boolean;
    readonly open: boolean;
    readonly output: JsonValue;
    readonly error: string | null;
  }[];
}

/** Keeps what the children gave, for the engine to collect. */
export async function childrenEnded(tx: Tx, key: RunKey, ends: ChildEnds): Promise<Event> {
  const { step_run_id, step_ref, attempt, children } = ends;
  const open = children.filter((child) => child.open);
  if (open.length > 0)
    await store.noteMapOutputs(tx, {
      project_id: key.project_id,
      step_run_id,
      attempt,
      ends: open.map(({ index, output, error }) => ({ index, output, error })),
    });
  return {
    kind: 'map_children_ended',
    step_ref,
    attempt,
    children: children.map(({ index, ok, open: isOpen }) => ({ index, ok, open: isOpen })),
  };
}
