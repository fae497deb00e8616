// What people do to single steps: events like any other, with an answer.
import type { Database, Tx } from '../../../platform/db/database.ts';
import type { ProjectScope } from '../../access/index.ts';
import { recordAudit, type AuditSource } from '../../audit/index.ts';
import type { StepName } from '../approvals/decisions.ts';
import type { JsonValue } from '../engine/definition.ts';
import type { Event } from '../engine/facts.ts';
import type { Delivered } from '../progression/progression.ts';
import type { RunOperations } from './operations.ts';
import type { RunReads } from './reads.ts';
import type { StepRunView } from './views.ts';

export interface StepOperationsDeps {
  /** The queue's pool. */
  readonly hot: Database;
  readonly operations: Pick<RunOperations, 'deliver'>;
  readonly reads: Pick<RunReads, 'step'>;
}

export type StepOperations = ReturnType<typeof createStepOperations>;

export function createStepOperations({ hot, operations, reads }: StepOperationsDeps) {
  async function operate(
    tx: Tx,
    project: ProjectScope,
    by: AuditSource,
    { workflow_run_id, step_ref }: StepName,
    event: Event,
    details: Readonly<Record<string, unknown>> = {},
  ): Promise<{ readonly answer: Delivered; readonly step_run: StepRunView }> {
    const answer = await operations.deliver(tx, project, workflow_run_id, event);
    const step_run = await reads.step(tx, project, workflow_run_id, step_ref);
    if (answer.kind === 'changes')
      await recordAudit(tx, project, by, {
        action: `workflow_step.${event.kind === 'retry_step' ? 'retry' : event.kind}`,
        resource_type: 'workflow_step_run',
        resource_id: step_run.id,
        details: { workflow_run_id, step_ref, ...details },
      });
    return { answer, step_run };
  }

  const onStep = (
    project: ProjectScope,
    by: AuditSource,
    step: StepName,
    event: Event,
    details?: Readonly<Record<string, unknown>>,
  ) =>
    hot.tenant(project.project_id, async (tx) => {
      const { step_run } = await operate(tx, project, by, step, event, details);
      return { step_run };
    });

  return {
    skip: (project: ProjectScope, by: AuditSource, step: StepName, reason: string) =>
      onStep(
        project,
        by,
        step,
        { kind: 'skip', step_ref: step.step_ref, reason, actor: by.actor_id },
        { reason },
      ),

    forceComplete: (
      project: ProjectScope,
      by: AuditSource,
      step: StepName,
      result: JsonValue,
      reason: string,
    ) =>
      onStep(
        project,
        by,
        step,
        { kind: 'force_complete', step_ref: step.step_ref, result, reason, actor: by.actor_id },
        { reason },
      ),

    retry: (project: ProjectScope, by: AuditSource, step: StepName) =>
      onStep(project, by, step, {
        kind: 'retry_step',
        step_ref: step.step_ref,
        actor: by.actor_id,
      }),

    replaySubtree: (project: ProjectScope, by: AuditSource, step: StepName) =>
      hot.tenant(project.project_id, async (tx) => {
        const { answer } = await operate(tx, project, by, step, {
          kind: 'replay_subtree',
          step_ref: step.step_ref,
          actor: by.actor_id,
        });
        // A step that had not started yet is one of them and does not change: each has a decision.
        const step_refs =
          answer.kind !== 'changes'
            ? []
            : answer.changes.decisions
                .filter(({ decision }) => decision === 'reset')
                .map(({ step_ref }) => step_ref);
        return { reset_steps: step_refs.length, step_refs };
      }),
  };
}
