import { z } from 'zod';
import { omitEmpty } from '../../../platform/http/json-reply.ts';
import { pageSchema } from '../../../platform/http/pagination.ts';
import { WorkflowRun, WorkflowStepRun } from '../runs/schemas.ts';

const time = z.string().meta({ format: 'date-time' });

export const ApprovalStatus = z
  .enum(['pending', 'approved', 'rejected', 'timed_out', 'canceled'])
  .meta({ id: 'ApprovalStatus' });

export const WorkflowStepApproval = z
  .object({
    id: z.string(),
    workflow_run_id: z.string(),
    workflow_step_run_id: z.string(),
    step_ref: z.string(),
    kind: z.enum(['approval', 'cost_gate']),
    approvers: z
      .array(z.string())
      .describe('Actor ids, e-mails, `role:<name>` or `*`; of a cost gate empty: anybody'),
    status: ApprovalStatus,
    approved_by: omitEmpty(z.string()).describe('Who decided, be it to reject'),
    requested_at: time,
    approved_at: omitEmpty(time),
    expires_at: omitEmpty(time),
    reminded_at: omitEmpty(time),
    error: omitEmpty(z.string()),
  })
  .meta({ id: 'WorkflowStepApproval' });
export const WorkflowStepApprovalPage = pageSchema(
  'WorkflowStepApprovalPage',
  WorkflowStepApproval,
);

export const StepApprovalResponse = z
  .object({ workflow_run: WorkflowRun, step_run: WorkflowStepRun, approval: WorkflowStepApproval })
  .meta({ id: 'StepApprovalResponse' });

const approver = z
  .string()
  .min(1)
  .max(512)
  .optional()
  .describe('Only by the caller itself, by id or e-mail: nobody decides for another');

export const ApproveWorkflowStepRequest = z
  .strictObject({ approver })
  .meta({ id: 'ApproveWorkflowStepRequest' });

export const RejectWorkflowStepRequest = z
  .strictObject({ approver, reason: z.string().max(1000).optional() })
  .meta({ id: 'RejectWorkflowStepRequest' });
