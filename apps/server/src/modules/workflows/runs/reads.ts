// Looking at workflow runs.
import type { Database, Tx } from '../../../platform/db/database.ts';
import { Failure } from '../../../platform/failure.ts';
import type { FailureCode } from '../../../domain/failures.ts';
import { page, type Cursor } from '../../../platform/http/pagination.ts';
import type { ProjectScope } from '../../access/index.ts';
import { readBoard } from '../engine/states.ts';
import type { Graphs } from '../progression/graphs.ts';
import { runView, stepView, type StepRunView, type WorkflowRunView } from './views.ts';
import * as store from './store.sql.ts';

interface Paging {
  readonly limit: number;
  readonly cursor?: Cursor | undefined;
}

export interface RunFilter {
  readonly workflow_id?: string | undefined;
  readonly status?: string | undefined;
  readonly triggered_by?: string | undefined;
  readonly tag_key?: string | undefined;
  readonly tag_value?: string | undefined;
  readonly label_key?: string | undefined;
  readonly label_value?: string | undefined;
}

export type RunReads = ReturnType<typeof createRunReads>;

export function createRunReads({ db, graphs }: { readonly db: Database; readonly graphs: Graphs }) {
  /** @throws workflow_run_not_found */
  async function requireRun(tx: Tx, project: ProjectScope, workflow_run_id: string) {
    const row = await store.findRun(tx, { ...project, workflow_run_id });
    if (!row) throw new Failure<FailureCode>('workflow_run_not_found');
    return row;
  }

  const graphOf = (tx: Tx, row: store.FindRunRow) =>
    graphs.of(tx, {
      project_id: row.project_id,
      workflow_id: row.workflow_id,
      version: row.workflow_version,
      step_overrides: row.step_overrides,
    });

  /** The run, its graph and the states of all its steps. */
  async function look(tx: Tx, project: ProjectScope, workflow_run_id: string) {
    const row = await requireRun(tx, project, workflow_run_id);
    const graph = await graphOf(tx, row);
    const { board } = await store.readStates(tx, { ...project, workflow_run_id });
    return { row, graph, states: readBoard(board) };
  }

  const list = async (
    tx: Tx,
    project: ProjectScope,
    filter: RunFilter,
    { limit, cursor }: Paging,
  ) => {
    const rows = await store.listRuns(tx, {
      ...project,
      workflow_id: filter.workflow_id ?? null,
      status: filter.status ?? null,
      triggered_by: filter.triggered_by ?? null,
      tag_key: filter.tag_key ?? null,
      tag_value: filter.tag_value ?? null,
      label_key: filter.label_key ?? null,
      label_value: filter.label_value ?? null,
      before_created_at: cursor?.created_at ?? null,
      before_id: cursor?.id ?? null,
      limit: limit + 1,
    });
    const found = page(rows, limit);
    return { ...found, data: found.data.map(runView) };
  };

  return {
    requireRun,
    look,

    get: (project: ProjectScope, id: string): Promise<WorkflowRunView> =>
      db.tenant(project.project_id, async (tx) => runView(await requireRun(tx, project, id))),

    list: (project: ProjectScope, filter: RunFilter, paging: Paging) =>
      db.tenant(project.project_id, async (tx) => {
        const { workflow_id: workflow } = filter;
        if (workflow === undefined) return list(tx, project, filter, paging);
        // By slug as everywhere; runs of a workflow that is deleted are found by its id.
        const found = await store.findWorkflowId(tx, { ...project, workflow });
        return list(tx, project, { ...filter, workflow_id: found?.id ?? workflow }, paging);
      }),

    listOf: (project: ProjectScope, workflow: string, paging: Paging) =>
      db.tenant(project.project_id, async (tx) => {
        const found = await store.findWorkflowId(tx, { ...project, workflow });
        if (!found) throw new Failure<FailureCode>('workflow_not_found');
        return list(tx, project, { workflow_id: found.id }, paging);
      }),

    steps: (project: ProjectScope, workflow_run_id: string, { limit, cursor }: Paging) =>
      db.tenant(project.project_id, async (tx) => {
        const { graph, states } = await look(tx, project, workflow_run_id);
        const rows = await store.listSteps(tx, {
          ...project,
          workflow_run_id,
          after_created_at: cursor?.created_at ?? null,
          after_id: cursor?.id ?? null,
          limit: limit + 1,
        });
        const found = page(rows, limit);
        return { ...found, data: found.data.map((row) => stepView(row, graph, states)) };
      }),

    /** One step on an open transaction. */
    async step(
      tx: Tx,
      project: ProjectScope,
      workflow_run_id: string,
      step_ref: string,
    ): Promise<StepRunView> {
      const { graph, states } = await look(tx, project, workflow_run_id);
      const row = await store.findStep(tx, { ...project, workflow_run_id, step_ref });
      if (!row) throw new Failure<FailureCode>('workflow_step_not_found');
      return stepView(row, graph, states);
    },
  };
}
