// Ends of child runs, told to the steps that started them: a transaction of its own, which locks the parent first. The child
// carries the news until it is told.
import type { Database, Tx } from '../../../platform/db/database.ts';
import type { JsonValue } from '../engine/definition.ts';
import type { Event } from '../engine/facts.ts';
import type { Progression } from '../progression/progression.ts';
import type { RunKey } from '../progression/run-lock.ts';
import { childrenEnded } from './endings.ts';
import * as store from './store.sql.ts';

const BATCH = 200;
/** Of all outputs of a child together; one value in the database holds little more. */
const MOST_OUTPUT_BYTES = 64 * 1024 * 1024;

export interface NewsDeps {
  /** The hot pool. */
  readonly db: Database;
  readonly progression: Progression;
  readonly onError: (error: unknown, what: string) => void;
}

export function createNews({ db, progression, onError }: NewsDeps) {
  async function tell(tx: Tx, child: RunKey, parent: RunKey): Promise<void> {
    const run = await progression.open(tx, parent);
    const news = await store.takeNews(tx, child);
    if (!news) return void (await store.forgetStaleNews(tx, child));
    if (!run || news.parent_step_run_id === null) return;
    const event = await eventOf(tx, child, parent, {
      ...news,
      step_run_id: news.parent_step_run_id,
    });
    if (event) await progression.deliver(tx, run, event);
  }

  return {
    /** One round; `again`: there may be more. */
    async follow(): Promise<{ again: boolean }> {
      const due = await store.listNews(db, { limit: BATCH });
      for (const { id, project_id, parent_run_id } of due) {
        const child = { project_id, workflow_run_id: id };
        try {
          if (parent_run_id === null) await store.forgetNews(db, child);
          else
            await db.transaction((tx) =>
              tell(tx, child, { project_id, workflow_run_id: parent_run_id }),
            );
        } catch (error) {
          onError(error, 'the end of a child run');
          await store.postponeNews(db, child);
        }
      }
      return { again: due.length > 0 };
    },
  };
}

interface News {
  readonly status: string;
  readonly error: string | null;
  readonly first_run_id: string;
  readonly step_run_id: string;
}

async function eventOf(tx: Tx, child: RunKey, parent: RunKey, news: News): Promise<Event | null> {
  const { first_run_id: child_run_id, step_run_id } = news;
  const step = await store.parentStep(tx, { ...parent, step_run_id, child_run_id });
  if (!step) return null;
  const { step_ref, map_attempt, map_index } = step;
  const { status, error, output } = await resultOf(tx, child, news);
  if (map_attempt === null || map_index === null)
    return { kind: 'child_ended', step_ref, child_run_id, status, output, error };
  const ok = status === 'completed';
  const end = { index: map_index, ok, open: step.open === true, output, error };
  return childrenEnded(tx, parent, {
    step_run_id,
    step_ref,
    attempt: map_attempt,
    children: [end],
  });
}

/** A child that completed has the outputs of its steps as its own, unless there would be no room for them. */
async function resultOf(
  tx: Tx,
  child: RunKey,
  { status, error }: News,
): Promise<{
  readonly status: string;
  readonly error: string | null;
  readonly output: JsonValue;
}> {
  if (status !== 'completed') return { status, error, output: null };
  const { bytes } = await store.sumOutputs(tx, child);
  if (bytes > MOST_OUTPUT_BYTES)
    return { status: 'failed', error: 'the outputs of the workflow are too large', output: null };
  return { status, error, output: (await store.outputsOf(tx, child)).outputs as JsonValue };
}
