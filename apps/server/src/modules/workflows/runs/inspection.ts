// Looking into workflow runs: each one question of the API on one transaction.
import type { FailureCode } from '../../../domain/failures.ts';
import type { Database, Tx } from '../../../platform/db/database.ts';
import { Failure } from '../../../platform/failure.ts';
import { page, type Cursor } from '../../../platform/http/pagination.ts';
import type { ProjectScope } from '../../access/index.ts';
import * as definitions from '../definitions/store.sql.ts';
import type { EngineLimits } from '../engine/facts.ts';
import { workflowRunStates } from '../engine/states.ts';
import type { Graphs } from '../progression/graphs.ts';
import { compareView } from './compare.ts';
import { graphView } from './graph-read.ts';
import { lookAt } from './look.ts';
import { timelineView } from './timeline.ts';
import { decisionView, runView, stepView, type RunStatus } from './views.ts';
import type { RunReads } from './reads.ts';
import * as store from './inspection.sql.ts';

export interface InspectionDeps {
  readonly db: Database;
  readonly graphs: Graphs;
  readonly limits: EngineLimits;
  readonly reads: RunReads;
}

export interface DecisionFilter {
  readonly step_ref?: string | undefined;
  readonly decision_type?: string | undefined;
  readonly limit: number;
  readonly cursor?: Cursor | undefined;
}

export interface ChildFilter {
  readonly status?: string | undefined;
  readonly limit: number;
  /** Index of the child before the first. */
  readonly cursor?: number | undefined;
}

/** Entries of each list of a debug bundle. */
const BUNDLED = 100;

export type RunInspection = ReturnType<typeof createRunInspection>;

export function createRunInspection({ db, graphs, limits, reads }: InspectionDeps) {
  const read = <T>(project: ProjectScope, run: (tx: Tx) => Promise<T>) =>
    db.tenant(project.project_id, run);

  async function requireWorkflow(tx: Tx, project: ProjectScope, workflow: string) {
    const row = await definitions.findWorkflow(tx, { ...project, workflow });
    if (!row) throw new Failure<FailureCode>('workflow_not_found');
    return row;
  }

  return {
    graph: (project: ProjectScope, id: string) =>
      read(project, async (tx) => graphView(await lookAt(tx, graphs, project, id), limits)),

    timeline: (project: ProjectScope, id: string) =>
      read(project, async (tx) => timelineView(await lookAt(tx, graphs, project, id))),

    compare: (project: ProjectScope, id: string, other: string) =>
      read(project, async (tx) => {
        const a = await lookAt(tx, graphs, project, id);
        return compareView(a, await lookAt(tx, graphs, project, other));
      }),

    explain: (project: ProjectScope, workflow_run_id: string, filter: DecisionFilter) =>
      read(project, async (tx) => {
        await reads.requireRun(tx, project, workflow_run_id);
        const { limit, cursor, step_ref = null, decision_type = null } = filter;
        const rows = await store.listDecisions(tx, {
          ...project,
          workflow_run_id,
          step_ref,
          decision_type,
          before_created_at: cursor?.created_at ?? null,
          before_id: cursor?.id ?? null,
          limit: limit + 1,
        });
        const found = page(rows, limit);
        return { ...found, data: found.data.map(decisionView) };
      }),

    labels: (project: ProjectScope, workflow_run_id: string) =>
      read(project, async (tx) => {
        await reads.requireRun(tx, project, workflow_run_id);
        const rows = await store.listLabels(tx, { ...project, workflow_run_id });
        return {
          labels: Object.fromEntries(
            rows.map(({ label_key, label_value }) => [label_key, label_value]),
          ),
        };
      }),

    step: (project: ProjectScope, workflow_run_id: string, step_ref: string) =>
      read(project, (tx) => reads.step(tx, project, workflow_run_id, step_ref)),

    children: (
      project: ProjectScope,
      workflow_run_id: string,
      step_ref: string,
      { status, limit, cursor }: ChildFilter,
    ) =>
      read(project, async (tx) => {
        await reads.step(tx, project, workflow_run_id, step_ref);
        const key = { ...project, workflow_run_id, step_ref };
        const rows = await store.listMapChildren(tx, {
          ...key,
          status: status ?? null,
          after_index: cursor ?? null,
          limit: limit + 1,
        });
        const data = rows.slice(0, limit);
        const last = data.at(-1);
        const has_more = rows.length > limit;
        return {
          data: data.map(({ output, ...child }) => ({
            ...child,
            status: child.status as 'pending' | 'running' | 'completed' | 'failed' | 'canceled',
            ...(output === null ? {} : { output }),
          })),
          ...(has_more && last ? { next_cursor: String(last.index) } : {}),
          has_more,
        };
      }),

    debug: (project: ProjectScope, workflow_run_id: string) =>
      read(project, async (tx) => {
        const { row, graph, states } = await reads.look(tx, project, workflow_run_id);
        const steps = await store.listStepsWithoutOutputs(tx, { ...project, workflow_run_id });
        const key = { ...project, workflow_run_id, limit: BUNDLED + 1 };
        const lists = {
          decisions: await store.listDecisions(tx, {
            ...key,
            step_ref: null,
            decision_type: null,
            before_created_at: null,
            before_id: null,
          }),
          events: await store.listNewestEvents(tx, key),
          approvals: await store.listApprovals(tx, key),
          event_triggers: await store.listTriggers(tx, key),
          job_runs: await store.listJobRuns(tx, key),
          child_runs: await store.listChildRuns(tx, key),
        };
        const truncated = Object.entries(lists).flatMap(([name, rows]) =>
          rows.length > BUNDLED ? [name] : [],
        );
        return {
          workflow_run: runView(row),
          steps: steps.map((step) => stepView({ ...step, output: null }, graph, states)),
          decisions: lists.decisions.slice(0, BUNDLED).map(decisionView),
          events: lists.events.slice(0, BUNDLED),
          approvals: lists.approvals.slice(0, BUNDLED),
          event_triggers: lists.event_triggers.slice(0, BUNDLED),
          job_runs: lists.job_runs.slice(0, BUNDLED),
          child_runs: lists.child_runs
            .slice(0, BUNDLED)
            .map((child) => ({ ...child, status: child.status as RunStatus })),
          truncated,
        };
      }),

    activeVersions: (project: ProjectScope, workflow: string) =>
      read(project, async (tx) => {
        const { id: workflow_id } = await requireWorkflow(tx, project, workflow);
        const counts = await store.countByVersion(tx, { ...project, workflow_id });
        const versions = [...new Set(counts.map(({ version }) => version))];
        const named = await store.findVersionIds(tx, { ...project, workflow_id, versions });
        const ids = new Map(named.map(({ version, version_id }) => [version, version_id]));
        return {
          workflow_id,
          versions: versions
            .sort((a, b) => b - a)
            .map((version) => {
              const of = (status: string) =>
                counts.find((row) => row.version === version && row.status === status)?.runs ?? 0;
              const [pending, running, paused] = [of('pending'), of('running'), of('paused')];
              const total = pending + running + paused;
              return {
                version_id: ids.get(version) ?? '',
                version,
                pending,
                running,
                paused,
                total,
              };
            }),
        };
      }),

    impact: (project: ProjectScope, workflow: string, version_ref: string) =>
      read(project, async (tx) => {
        const { id: workflow_id } = await requireWorkflow(tx, project, workflow);
        const key = { ...project, workflow_id };
        const found = await definitions.findVersion(tx, { ...key, version_ref });
        if (!found) throw new Failure<FailureCode>('workflow_version_not_found');
        const { version, version_id } = found;
        const counts = await store.countByStatus(tx, { ...key, version });
        const runs = counts.reduce((sum, row) => sum + row.runs, 0);
        const none = Object.fromEntries(
          workflowRunStates.states.map((status) => [status, 0]),
        ) as Record<RunStatus, number>;
        const some = Object.fromEntries(counts.map((row) => [row.status, row.runs]));
        return {
          version_id: version_id ?? '',
          version,
          matching_runs: runs,
          sampled_runs: runs,
          by_status: { ...none, ...some },
        };
      }),
  };
}
