// Approving and rejecting. Whoever locks the run first decides; the others find it decided.
import type { FailureCode } from '../../../domain/failures.ts';
import { Conflict, type Database, type Tx } from '../../../platform/db/database.ts';
import { Failure } from '../../../platform/failure.ts';
import { identityOf, type Caller, type ProjectScope } from '../../access/index.ts';
import { recordAudit, type AuditSource } from '../../audit/index.ts';
import type { Event } from '../engine/facts.ts';
import type { Progression } from '../progression/progression.ts';
import type { RunReads } from '../runs/reads.ts';
import { runView, type StepRunView, type WorkflowRunView } from '../runs/views.ts';
import { approvalView, type ApprovalView } from './reads.ts';
import { entriesOf, isSelf, mayDecide } from './rules.ts';
import * as store from './store.sql.ts';

export interface DecisionDeps {
  /** The queue's pool. */
  readonly hot: Database;
  readonly progression: Progression;
  readonly reads: Pick<RunReads, 'requireRun' | 'step'>;
}

export interface Decided {
  readonly workflow_run: WorkflowRunView;
  readonly step_run: StepRunView;
  readonly approval: ApprovalView;
}

export interface Decider {
  readonly caller: Caller;
  readonly by: AuditSource;
  /** Whom the body names. */
  readonly approver?: string | undefined;
}

export interface StepName {
  readonly workflow_run_id: string;
  readonly step_ref: string;
}

type Verdict = { readonly to: 'approved' } | { readonly to: 'rejected'; readonly reason: string };

export type Decisions = ReturnType<typeof createDecisions>;

const refuse = (code: FailureCode, message?: string) =>
  new Failure<FailureCode>(code, message === undefined ? {} : { message });

export function createDecisions({ hot, progression, reads }: DecisionDeps) {
  async function view(tx: Tx, project: ProjectScope, of: StepName): Promise<Decided> {
    const approval = await store.findApproval(tx, { ...project, ...of });
    if (!approval) throw new Conflict('the approval is gone');
    return {
      workflow_run: runView(await reads.requireRun(tx, project, of.workflow_run_id)),
      step_run: await reads.step(tx, project, of.workflow_run_id, of.step_ref),
      approval: approvalView(approval),
    };
  }

  const decide = (project: ProjectScope, of: StepName, who: Decider, verdict: Verdict) =>
    hot.tenant(project.project_id, async (tx): Promise<Decided> => {
      const { workflow_run_id, step_ref } = of;
      const run = await progression.open(tx, { ...project, workflow_run_id });
      if (!run) throw refuse('workflow_run_not_found');
      if (!run.graph.indexOf.has(step_ref)) throw refuse('workflow_step_not_found');
      const identity = await identityOf(tx, project, who.caller);
      if (who.approver !== undefined && !isSelf(identity, who.approver))
        throw refuse('approver_mismatch');
      const approval = await store.findApproval(tx, { ...project, ...of });
      if (!approval) throw refuse('workflow_step_not_asking');
      const actor = identity.actor_id;
      if (!mayDecide(approval, entriesOf(identity)))
        throw refuse(
          'not_an_approver',
          `the approval is for ${approval.approvers.join(', ')} to decide, not for ${actor}`,
        );

      if (approval.status !== 'pending') {
        const isSame = approval.status === verdict.to && approval.approved_by === actor;
        if (approval.current && isSame) return view(tx, project, of);
        throw refuse('approval_already_decided', `the approval is ${approval.status}`);
      }
      const event = { step_ref, approval_id: approval.id, actor };
      const answer = await progression.deliver(tx, run, eventOf(verdict, event));
      // A pending approval belongs to a step that waits for it: under the lock nothing else can be.
      if (answer.kind !== 'changes') throw new Conflict(`the approval was not ${verdict.to}`);
      await recordAudit(tx, project, who.by, {
        action: `workflow_step.${verdict.to === 'approved' ? 'approve' : 'reject'}`,
        resource_type: 'workflow_step_run',
        resource_id: approval.workflow_step_run_id,
        details: {
          workflow_run_id,
          step_ref,
          approval_id: approval.id,
          ...('reason' in verdict ? { reason: verdict.reason } : {}),
        },
      });
      return view(tx, project, of);
    });

  return {
    approve: (project: ProjectScope, of: StepName, who: Decider) =>
      decide(project, of, who, { to: 'approved' }),

    reject: (project: ProjectScope, of: StepName, who: Decider, reason: string) =>
      decide(project, of, who, { to: 'rejected', reason }),
  };
}

const eventOf = (
  verdict: Verdict,
  of: { readonly step_ref: string; readonly approval_id: string; readonly actor: string },
): Event =>
  verdict.to === 'approved'
    ? { kind: 'approved', ...of }
    : { kind: 'rejected', ...of, reason: verdict.reason };
