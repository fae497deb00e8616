// A workflow run under its lock: what every progression begins with.
import type { Tx } from '../../../platform/db/database.ts';
import type { TriggerJob } from '../../jobs/index.ts';
import type { RunFacts } from '../engine/facts.ts';
import type { Graph } from '../engine/graph.ts';
import type { WorkflowRunStatus } from '../engine/states.ts';
import type { Successor } from './continuing.ts';
import type { Graphs } from './graphs.ts';
import * as store from './store.sql.ts';

export interface RunKey {
  readonly project_id: string;
  readonly workflow_run_id: string;
}

export interface LockedRun {
  readonly key: RunKey;
  readonly row: store.LockRunRow;
  readonly graph: Graph;
  /** Milliseconds since 1970, by the database's clock. */
  readonly now: number;
  facts: RunFacts;
  board: string;
  /** What the run that continues this one follows, once it is known that one does. */
  successor?: Successor;
  /** Jobs that were found to take any payload. */
  readonly takeAll: Set<string>;
  /** Jobs whose schema payloads were held against, looked up once. */
  readonly checked: Map<string, TriggerJob | undefined>;
}

/** Waits for whoever works on the run; undefined: the project has no such run. */
export async function lockRun(tx: Tx, graphs: Graphs, key: RunKey): Promise<LockedRun | undefined> {
  const row = await store.lockRun(tx, key);
  if (!row) return undefined;
  const { now, board, parent_step_over } = await store.readBoard(tx, {
    ...key,
    first_run_id: row.first_run_id ?? row.id,
    parent_step_run_id: row.parent_step_run_id,
  });
  const graph = await graphs.of(tx, {
    project_id: row.project_id,
    workflow_id: row.workflow_id,
    version: row.workflow_version,
    step_overrides: row.step_overrides,
  });
  const facts: RunFacts = {
    id: row.id,
    workflow_id: row.workflow_id,
    status: row.status as WorkflowRunStatus,
    max_parallel_steps: row.max_parallel_steps,
    timeout_secs: row.timeout_secs,
    expires_at: row.expires_at,
    depth: row.depth,
    generation: row.generation,
    parent_step_over,
    continued: row.continued,
  };
  return { key, row, graph, now, facts, board, takeAll: new Set(), checked: new Map() };
}
