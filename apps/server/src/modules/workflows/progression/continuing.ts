// Runs that continue others. What would follow is looked for before the run ends: where nothing can, the run fails.
import type { Tx } from '../../../platform/db/database.ts';
import type { Route } from '../canary/routing.ts';
import type { Changes } from '../engine/changes.ts';
import type { Graph } from '../engine/graph.ts';
import type { StepOverride } from '../engine/validation.ts';
import { insertRun } from '../starting/start-run.ts';
import * as starting from '../starting/store.sql.ts';
import { NoGraph, type Graphs } from './graphs.ts';
import type { LockedRun, RunKey } from './run-lock.ts';

/** What a run that continues another follows. */
export interface Successor {
  readonly version: starting.FindRunVersionRow;
  readonly graph: Graph;
  readonly step_overrides: readonly StepOverride[];
}

export function createContinuing({
  graphs,
  route,
}: {
  readonly graphs: Graphs;
  readonly route: Route;
}) {
  return {
    /** The version that is current now, also of a workflow that is disabled by now; or why there is none. */
    async successorOf(
      tx: Tx,
      { row, key: { project_id } }: LockedRun,
    ): Promise<Successor | { readonly error: string }> {
      const workflow = await starting.lockForRun(tx, { project_id, workflow: row.workflow_id });
      // Its runs had ended when it was deleted; a step of this one was retried since.
      if (!workflow) return { error: 'the run cannot continue: the workflow was deleted' };
      const { id: workflow_id } = workflow;
      const number = await route(tx, {
        project_id,
        workflow_id,
        version: workflow.version,
        keep_version: row.workflow_version,
      });
      const of = { project_id, workflow_id, version: number };
      const version = await starting.findRunVersion(tx, of);
      if (!version) throw new Error(`workflow ${workflow_id} has no version ${number}`);
      const step_overrides = await stillThere(tx, of, row.step_overrides);
      try {
        return { version, step_overrides, graph: await graphs.of(tx, { ...of, step_overrides }) };
      } catch (error) {
        if (!(error instanceof NoGraph)) throw error;
        return { error: `the run cannot continue with version ${number}: ${error.message}` };
      }
    },

    /** In the place of the run that ends. */
    async insert(
      tx: Tx,
      { row, key: { project_id } }: LockedRun,
      { version, graph, step_overrides }: Successor,
      { payload, generation }: NonNullable<Changes['continuation']>,
    ): Promise<RunKey> {
      const id = await insertRun(tx, {
        project_id,
        workflow_id: row.workflow_id,
        version,
        graph,
        triggered_by: 'workflow',
        created_by: row.created_by ?? 'system:workflow',
        payload,
        tags: row.tags,
        step_overrides,
        trace_context: row.trace_context,
        lineage_depth: row.lineage_depth,
        // The step that waits for a child may have given it less time than its version does.
        ...(row.parent_step_run_id !== null && row.timeout_secs > 0
          ? { timeout_secs: row.timeout_secs }
          : {}),
        parent: {
          workflow_run_id: row.parent_workflow_run_id,
          step_run_id: row.parent_step_run_id,
          depth: row.depth,
        },
        continues: { run_id: row.id, first_run_id: row.first_run_id ?? row.id, generation },
      });
      if (id === undefined) throw new Error('a continuation has no idempotency key');
      return { project_id, workflow_run_id: id };
    },
  };
}

/** A version may have left steps out that the run does without anyway. */
async function stillThere(
  tx: Tx,
  version: Parameters<typeof starting.listStepRefs>[1],
  overrides: readonly StepOverride[],
): Promise<readonly StepOverride[]> {
  if (overrides.length === 0) return overrides;
  const steps = new Set((await starting.listStepRefs(tx, version)).map(({ step_ref }) => step_ref));
  return overrides.filter(({ step_ref }) => steps.has(step_ref));
}
