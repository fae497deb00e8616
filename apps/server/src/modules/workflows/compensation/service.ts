// What people ask about undoing a run: what would be undone or was, and to do it.
import type { z } from 'zod';
import type { FailureCode } from '../../../domain/failures.ts';
import type { Database } from '../../../platform/db/database.ts';
import { Failure } from '../../../platform/failure.ts';
import type { DeepReadonly } from '../../../platform/http/define-api.ts';
import type { ProjectScope } from '../../access/index.ts';
import { recordAudit, type AuditSource } from '../../audit/index.ts';
import { compensationPlan } from '../engine/compensation.ts';
import type { Progression } from '../progression/progression.ts';
import type { RunReads } from '../runs/reads.ts';
import { runView, type WorkflowRunView } from '../runs/views.ts';
import type { CompensationPlan } from './contract.ts';
import * as store from './store.sql.ts';

export interface CompensationDeps {
  readonly db: Database;
  /** The queue's pool. */
  readonly hot: Database;
  readonly progression: Progression;
  readonly reads: Pick<RunReads, 'look' | 'requireRun'>;
}

export type Compensations = ReturnType<typeof createCompensations>;
type PlanView = DeepReadonly<z.input<typeof CompensationPlan>>;
type StepView = PlanView['steps'][number];

/** Runs that can be undone. */
const isUndoable = (status: string): boolean => status === 'failed' || status === 'timed_out';

export function createCompensations({ db, hot, progression, reads }: CompensationDeps) {
  return {
    /** In the order in which steps are undone. Once that has begun: how far it is. */
    plan: (project: ProjectScope, workflow_run_id: string): Promise<PlanView> =>
      db.tenant(project.project_id, async (tx) => {
        const { row, graph, states } = await reads.look(tx, project, workflow_run_id);
        const rows = await store.listRows(tx, { ...project, workflow_run_id });
        const timeouts = new Map(
          graph.steps.map((step) => [step.step_ref, step.compensation_timeout_secs]),
        );
        const begun = rows.map(({ job_id, status, ...rest }): StepView => ({
          ...rest,
          compensation_job_id: job_id,
          compensation_timeout_secs: timeouts.get(rest.step_ref) ?? 0,
          // The database allows no other.
          status: status as StepView['status'],
        }));
        const planned = compensationPlan(graph, states).map(
          ({ step_ref, compensation_job_id, compensation_timeout_secs }): StepView => ({
            step_ref,
            compensation_job_id,
            compensation_timeout_secs,
            status: 'planned',
          }),
        );
        return {
          workflow_run_id,
          status: row.status as PlanView['status'],
          can_compensate: isUndoable(row.status),
          steps: row.ended_as === null ? planned : begun,
        };
      }),

    /** @throws workflow_run_not_found, workflow_run_not_compensable */
    compensate: (
      project: ProjectScope,
      by: AuditSource,
      workflow_run_id: string,
    ): Promise<WorkflowRunView> =>
      hot.tenant(project.project_id, async (tx) => {
        const run = await progression.open(tx, { ...project, workflow_run_id });
        if (!run) throw new Failure<FailureCode>('workflow_run_not_found');
        const { status } = run.facts;
        if (!isUndoable(status))
          throw new Failure<FailureCode>('workflow_run_not_compensable', {
            message: `the run is ${status}`,
          });
        await progression.undoing.start(tx, run, 'compensate');
        await recordAudit(tx, project, by, {
          action: 'workflow_run.compensate',
          resource_type: 'workflow_run',
          resource_id: workflow_run_id,
        });
        return runView(await reads.requireRun(tx, project, workflow_run_id));
      }),
  };
}
