// Rows as the API shows them.
import type { z } from 'zod';
import type { DeepReadonly } from '../../../platform/http/define-api.ts';
import type { Graph } from '../engine/graph.ts';
import { dependencyCounts } from '../engine/new-run.ts';
import type { StepState } from '../engine/states.ts';
import type { ListDecisionsRow } from './inspection.sql.ts';
import type { WorkflowRun, WorkflowStepRun } from './schemas.ts';
import type { DecisionType } from './schemas-reads.ts';
import type { FindRunRow, ListStepsRow } from './store.sql.ts';

export type WorkflowRunView = DeepReadonly<z.input<typeof WorkflowRun>>;
export type RunStatus = WorkflowRunView['status'];
export type StepRunView = DeepReadonly<z.input<typeof WorkflowStepRun>>;

export function runView(row: FindRunRow): WorkflowRunView {
  const { payload, status, ...rest } = row;
  return {
    ...rest,
    // The engine writes no other.
    status: status as WorkflowRunView['status'],
    ...(payload === null ? {} : { payload }),
  };
}

/** `states` is the board of the run: what a step depends on is counted, never stored. */
export function stepView(
  row: ListStepsRow,
  graph: Graph,
  states: readonly StepState[],
): StepRunView {
  const { output, map, wait_reason, child_run_id, status, ...rest } = row;
  const index = graph.indexOf.get(row.step_ref) ?? -1;
  return {
    ...rest,
    ...dependencyCounts(graph, states, index),
    child_workflow_run_id: child_run_id,
    status: status as StepRunView['status'],
    ...(wait_reason === null ? {} : { wait_reason: wait_reason as StepRunView['wait_reason'] }),
    ...(map === null ? {} : { map }),
    ...(output === null ? {} : { output }),
  };
}

export const decisionView = ({ decision_type, ...row }: ListDecisionsRow) => ({
  ...row,
  // The engine writes no other.
  decision_type: decision_type as z.output<typeof DecisionType>,
});
