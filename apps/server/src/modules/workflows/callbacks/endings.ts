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

interface Due {
  readonly ending_id: number;
  readonly step_ref: string;
  /** Of a map. */
  readonly is_child: boolean;
}

/** Ends looked at in one round, and told to one run in one transaction. */
const BATCH = 500;
const PER_RUN = 100;
/** Runs worked on at the same time. */
const PARALLEL = 4;

export function createEndingCallbacks(deps: EndingDeps) {
  const { db, endings, progression } = deps;

  /** False: another process tells this run. It lists again before it rests, and finds what it has not seen yet. */
  async function tell(tx: Tx, key: RunKey, due: readonly Due[]): Promise<boolean> {
    if (!(await store.tryToTell(tx, key)).mine) return false;
    const run = await progression.open(tx, key);
    const taken = await endings.takeSteps(
      tx,
      due.map(({ ending_id }) => ending_id),
    );
    if (!run || taken.length === 0) return true;
    if (run.facts.status === 'compensating') {
      for (const ending of taken) await progression.undoing.workEnded(tx, run, ending);
      return true;
    }
    for (const event of await eventsOf(tx, key, due, taken))
      await progression.deliver(tx, run, event);
    return true;
  }

  /** One transaction for all ends of a run; when it fails, one for each, so that one bad end holds up no other. */
  async function tellRun(key: RunKey, due: readonly Due[]): Promise<boolean> {
    try {
      return await db.transaction((tx) => tell(tx, key, due));
    } catch (error) {
      if (due.length > 1) {
        for (const one of due) await tellRun(key, [one]);
        return true;
      }
      deps.onError(error, 'the end of a run of a workflow step');
      await endings.postponeSteps(due.map(({ ending_id }) => ending_id));
      return true;
    }
  }

  return {
    /** One round; `again`: there may be more. */
    async follow(): Promise<{ again: boolean }> {
      const found = await store.listStepEndings(db, { limit: BATCH });
      const gone = found.filter(({ workflow_run_id }) => workflow_run_id === null);
      if (gone.length > 0) await endings.dropSteps(gone.map(({ ending_id }) => ending_id));
      const byRun = new Map<string, { key: RunKey; due: Due[] }>();
      for (const { ending_id, workflow_run_id, project_id, step_ref, is_child } of found) {
        if (workflow_run_id === null || project_id === null || step_ref === null) continue;
        const one = { ending_id, step_ref, is_child };
        const known = byRun.get(workflow_run_id);
        if (!known)
          byRun.set(workflow_run_id, { key: { project_id, workflow_run_id }, due: [one] });
        else if (known.due.length < PER_RUN) known.due.push(one);
      }
      const runs = byRun.values();
      let told = false;
      const lane = async (): Promise<void> => {
        for (const { key, due } of runs) told = (await tellRun(key, due)) || told;
      };
      await Promise.all(Array.from({ length: PARALLEL }, lane));
      return { again: told };
    },
  };
}

/** Children of a map that ended together are one event. */
async function eventsOf(
  tx: Tx,
  key: RunKey,
  due: readonly Due[],
  taken: readonly StepEnding[],
): Promise<Event[]> {
  const dueOf = new Map(due.map((one) => [one.ending_id, one]));
  const ofChildren = taken.filter(({ ending_id }) => dueOf.get(ending_id)?.is_child);
  const found =
    ofChildren.length === 0
      ? []
      : await store.findMapChildren(tx, {
          ...key,
          step_run_ids: ofChildren.map(({ workflow_step_run_id }) => workflow_step_run_id),
          job_run_ids: ofChildren.map(({ run_id }) => run_id),
        });
  const childOf = new Map(found.map((child) => [child.job_run_id, child]));
  const events: Event[] = [];
  const maps = new Map<string, ChildEnds>();
  for (const { ending_id, run_id: job_run_id, status, error, result: given } of taken) {
    const one = dueOf.get(ending_id);
    if (!one) continue;
    const { step_ref } = one;
    const result = given as JsonValue;
    if (!one.is_child) {
      events.push({ kind: 'job_ended', step_ref, job_run_id, status, result, error });
      continue;
    }
    const child = childOf.get(job_run_id);
    if (!child) continue;
    const { id: step_run_id, map_attempt: attempt, map_index: index, open } = child;
    const name = `${step_run_id} ${attempt}`;
    const ends = maps.get(name) ?? { step_run_id, step_ref, attempt, children: [] };
    maps.set(name, ends);
    const ok = status === 'completed';
    ends.children.push({ index, ok, open, output: ok ? result : null, error });
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
