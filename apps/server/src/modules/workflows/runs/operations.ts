// What people do to workflow runs: events like any other, with an answer.
import type { FailureCode } from '../../../domain/failures.ts';
import type { Database, Tx } from '../../../platform/db/database.ts';
import { Failure } from '../../../platform/failure.ts';
import type { ProjectScope } from '../../access/index.ts';
import { recordAudit, type AuditSource } from '../../audit/index.ts';
import type { Refusal } from '../engine/changes.ts';
import type { Event } from '../engine/facts.ts';
import type { Delivered, Progression } from '../progression/progression.ts';
import { runView, type WorkflowRunView } from './views.ts';
import * as store from './store.sql.ts';

const CODES: Readonly<Record<Refusal, FailureCode>> = {
  run_not_pausable: 'workflow_run_not_pausable',
  run_not_resumable: 'workflow_run_not_resumable',
  run_not_cancelable: 'workflow_run_not_cancelable',
  run_not_resettable: 'workflow_run_not_resettable',
  run_not_active: 'workflow_run_not_active',
  step_not_found: 'workflow_step_not_found',
  step_not_waiting: 'workflow_step_not_waiting',
  step_not_terminal: 'workflow_step_not_terminal',
  step_not_resettable: 'workflow_step_not_resettable',
};

export interface RunOperationsDeps {
  /** The queue's pool. */
  readonly hot: Database;
  readonly progression: Progression;
}

export type RunOperations = ReturnType<typeof createRunOperations>;

export function createRunOperations({ hot, progression }: RunOperationsDeps) {
  /** @throws workflow_run_not_found and what the engine refuses */
  async function deliver(
    tx: Tx,
    project: ProjectScope,
    workflow_run_id: string,
    event: Event,
  ): Promise<Delivered> {
    const run = await progression.open(tx, { ...project, workflow_run_id });
    if (!run) throw new Failure<FailureCode>('workflow_run_not_found');
    const answer = await progression.deliver(tx, run, event);
    if (answer.kind === 'refused')
      throw new Failure<FailureCode>(CODES[answer.refusal], { message: answer.message });
    return answer;
  }

  async function view(
    tx: Tx,
    project: ProjectScope,
    workflow_run_id: string,
  ): Promise<WorkflowRunView> {
    const row = await store.findRun(tx, { ...project, workflow_run_id });
    if (!row) throw new Failure<FailureCode>('workflow_run_not_found');
    return runView(row);
  }

  /** Children of children as well, parents first. */
  async function cascade(
    tx: Tx,
    project: ProjectScope,
    workflow_run_id: string,
    event: Event,
    audit: (id: string) => Promise<unknown>,
  ): Promise<void> {
    const seen: string[] = [];
    // Until there are no new ones: a child that ended meanwhile may go on as a new run.
    for (;;) {
      const key = { ...project, workflow_run_id, except_ids: seen };
      const children = await store.listChildren(tx, key);
      if (children.length === 0) return;
      for (const { id } of children) {
        seen.push(id);
        const run = await progression.open(tx, { ...project, workflow_run_id: id });
        // A child that ended meanwhile has nothing to pause; one that has not begun would, afterwards.
        const answer =
          run && (await progression.deliver(tx, run, ofChild(event, run.facts.status)));
        if (answer?.kind === 'changes') await audit(id);
        await cascade(tx, project, id, event, audit);
      }
    }
  }

  const ofChild = (event: Event, status: string): Event =>
    event.kind === 'pause' && status === 'pending' ? { kind: 'started', paused: true } : event;

  const onRun = (
    project: ProjectScope,
    by: AuditSource,
    id: string,
    event: Event,
    options: { readonly action: string; readonly cascade?: boolean },
  ): Promise<WorkflowRunView> =>
    hot.tenant(project.project_id, async (tx) => {
      const answer = await deliver(tx, project, id, event);
      const audit = (resource_id: string) =>
        recordAudit(tx, project, by, {
          action: options.action,
          resource_type: 'workflow_run',
          resource_id,
          ...(resource_id === id ? {} : { details: { cascade_from: id } }),
        });
      if (options.cascade) await cascade(tx, project, id, event, audit);
      if (answer.kind === 'changes') await audit(id);
      return view(tx, project, id);
    });

  return {
    deliver,

    cancel: (project: ProjectScope, by: AuditSource, id: string) =>
      onRun(
        project,
        by,
        id,
        { kind: 'cancel', run_error: 'canceled by user', step_error: 'workflow canceled by user' },
        { action: 'workflow_run.cancel' },
      ),

    pause: (project: ProjectScope, by: AuditSource, id: string, isCascade: boolean) =>
      onRun(
        project,
        by,
        id,
        { kind: 'pause' },
        { action: 'workflow_run.pause', cascade: isCascade },
      ),

    resume: (project: ProjectScope, by: AuditSource, id: string, isCascade: boolean) =>
      onRun(
        project,
        by,
        id,
        { kind: 'resume' },
        { action: 'workflow_run.resume', cascade: isCascade },
      ),
  };
}
