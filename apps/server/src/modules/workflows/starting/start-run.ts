// One new workflow run with its steps, begun in the transaction that makes it: a crash leaves it whole or not at all.
import { Conflict, type Tx } from '../../../platform/db/database.ts';
import type { JsonValue } from '../engine/definition.ts';
import type { Graph } from '../engine/graph.ts';
import { initialStates } from '../engine/new-run.ts';
import { codeOf } from '../engine/states.ts';
import type { StepOverride } from '../engine/validation.ts';
import * as store from './store.sql.ts';

export interface NewWorkflowRun {
  readonly project_id: string;
  readonly workflow_id: string;
  readonly version: store.FindRunVersionRow;
  readonly graph: Graph;
  readonly triggered_by: string;
  readonly created_by: string;
  readonly payload: JsonValue;
  readonly tags: Readonly<Record<string, string>>;
  readonly labels?: Readonly<Record<string, string>>;
  readonly trace_context?: Readonly<Record<string, string>> | null;
  readonly step_overrides?: readonly StepOverride[];
  readonly idempotency_key?: string | undefined;
  readonly payload_hash?: string | undefined;
  /** Runs that led to it: ends of jobs that start workflows, whose jobs end. */
  readonly lineage_depth: number;
  /** Instead of that of the version; 0 is none. */
  readonly timeout_secs?: number;
  readonly max_parallel_steps?: number;
  readonly parent?: {
    readonly workflow_run_id: string | null;
    readonly step_run_id: string | null;
    readonly depth: number;
  };
  readonly continues?: {
    readonly run_id: string;
    readonly first_run_id: string;
    readonly generation: number;
  };
  /** Completed steps of this run are taken over. */
  readonly retry_of?: { readonly run_id: string; readonly completed: ReadonlySet<string> };
}

/** Undefined: another run of the workflow has the idempotency key. The caller holds the workflow (`lockForRun`). */
export async function insertRun(tx: Tx, run: NewWorkflowRun): Promise<string | undefined> {
  const { project_id, version, graph, parent, continues, retry_of } = run;
  const row = {
    workflow_id: run.workflow_id,
    triggered_by: run.triggered_by,
    payload: run.payload,
    workflow_version: version.version,
    workflow_version_id: version.version_id,
    workflow_snapshot_id: version.snapshot_id,
    max_parallel_steps: run.max_parallel_steps ?? version.max_parallel_steps,
    timeout_secs: run.timeout_secs ?? version.timeout_secs,
    compensate_on_failure: version.compensate_on_failure,
    retry_of_run_id: retry_of?.run_id,
    parent_workflow_run_id: parent?.workflow_run_id,
    parent_step_run_id: parent?.step_run_id,
    depth: parent?.depth,
    continues_run_id: continues?.run_id,
    first_run_id: continues?.first_run_id,
    generation: continues?.generation,
    created_by: run.created_by,
    tags: run.tags,
    trace_context: run.trace_context,
    step_overrides: run.step_overrides,
    idempotency_key: run.idempotency_key,
    payload_hash: run.payload_hash,
    lineage_depth: run.lineage_depth,
  };
  const made = await store.insertRun(tx, { project_id, run: row });
  if (!made) return undefined;
  const key = { project_id, workflow_run_id: made.id };
  const states = initialStates(graph, retry_of?.completed);
  const steps = graph.steps.map(({ step_ref }, index) => ({
    step_ref,
    state: codeOf(states[index] ?? 'pending'),
  }));
  const inserted = await store.insertSteps(tx, {
    ...key,
    workflow_version_id: version.id,
    retry_of_run_id: retry_of?.run_id ?? null,
    steps: steps,
  });
  if (inserted !== steps.length) throw new Conflict('the version is gone');
  const labels = run.labels ?? {};
  if (Object.keys(labels).length > 0) await store.insertLabels(tx, { ...key, labels: labels });
  const from_run_id = (retry_of ?? continues)?.run_id;
  if (from_run_id !== undefined) await store.copyLabels(tx, { ...key, from_run_id });
  return made.id;
}
