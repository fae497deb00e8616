// A workflow run with its graph and all its steps, of one instant: what everything that shows a run as a whole starts from.
import type { FailureCode } from '../../../domain/failures.ts';
import type { Tx } from '../../../platform/db/database.ts';
import { Failure } from '../../../platform/failure.ts';
import type { ProjectScope } from '../../access/index.ts';
import type { EngineLimits, Known } from '../engine/facts.ts';
import type { Graph } from '../engine/graph.ts';
import { firstKnown } from '../engine/loading.ts';
import { readBoard, type StepState, type WorkflowRunStatus } from '../engine/states.ts';
import type { Graphs } from '../progression/graphs.ts';
import { readSteps, type ReadStepsRow } from './inspection.sql.ts';
import { findRun, type FindRunRow } from './store.sql.ts';

export type StepRow = Pick<
  ReadStepsRow,
  | 'id'
  | 'step_ref'
  | 'attempt'
  | 'started_at'
  | 'finished_at'
  | 'next_retry_at'
  | 'error'
  | 'job_run_id'
  | 'child_run_id'
  | 'wait_id'
  | 'map'
>;

/** `steps` and `states` in the order of `graph.steps`. Times are milliseconds since 1970, by the database's clock. */
export interface Look {
  readonly row: FindRunRow;
  readonly status: WorkflowRunStatus;
  readonly started_at: string | null;
  readonly finished_at: string | null;
  readonly graph: Graph;
  readonly board: string;
  readonly steps: readonly StepRow[];
  readonly states: readonly StepState[];
  readonly now: number;
}

/** @throws workflow_run_not_found */
export async function lookAt(
  tx: Tx,
  graphs: Graphs,
  project: ProjectScope,
  workflow_run_id: string,
): Promise<Look> {
  const row = await findRun(tx, { ...project, workflow_run_id });
  const steps = row ? await readSteps(tx, { ...project, workflow_run_id }) : [];
  const [first] = steps;
  // A run has steps, unless retention took it between the two looks.
  if (!row || !first) throw new Failure<FailureCode>('workflow_run_not_found');
  const graph = await graphs.of(tx, {
    project_id: row.project_id,
    workflow_id: row.workflow_id,
    version: row.workflow_version,
    step_overrides: row.step_overrides,
  });
  const board = steps.map(({ state }) => state).join('');
  return {
    row,
    status: first.run_status as WorkflowRunStatus,
    started_at: first.run_started_at,
    finished_at: first.run_finished_at,
    graph,
    board,
    steps,
    states: readBoard(board),
    now: Date.parse(first.now),
  };
}

/** What the engine would know to begin with. */
export const knownOf = (
  { row, status, graph, board, now }: Look,
  limits: EngineLimits,
  parent_step_over = false,
): Known =>
  firstKnown({
    now,
    graph,
    board,
    limits,
    run: {
      id: row.id,
      workflow_id: row.workflow_id,
      status,
      max_parallel_steps: row.max_parallel_steps,
      timeout_secs: row.timeout_secs,
      expires_at: timeOf(row.expires_at),
      depth: row.depth,
      generation: row.generation,
      continued: row.continued,
      parent_step_over,
    },
  });

export const timeOf = (text: string | null): number | null =>
  text === null ? null : Date.parse(text);

/** How long a step took, or takes so far; null when it has not started. */
export function durationOf({ started_at, finished_at }: StepRow, now: number): number | null {
  const began = timeOf(started_at);
  return began === null ? null : Math.max(0, (timeOf(finished_at) ?? now) - began);
}
