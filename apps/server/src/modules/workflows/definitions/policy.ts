// What a project allows its workflows to look like.
import type { z } from 'zod';
import type { FailureCode } from '../../../domain/failures.ts';
import type { Database } from '../../../platform/db/database.ts';
import { Failure } from '../../../platform/failure.ts';
import type { ProjectScope } from '../../access/index.ts';
import { recordAudit, type AuditSource } from '../../audit/index.ts';
import { isStepType } from '../engine/step-input.ts';
import { invalid, refuseFor } from './problems.ts';
import type { UpsertWorkflowPolicyRequest } from './schemas.ts';
import * as store from './store.sql.ts';

const NONE = {
  max_fan_out: 0,
  max_depth: 0,
  forbidden_step_types: [] as readonly string[],
  require_approval_for_deploy: false,
};
const never = '1970-01-01T00:00:00.000Z';

export type Policies = ReturnType<typeof createPolicies>;

export function createPolicies({ db }: { readonly db: Database }) {
  const requireOwn = (project: ProjectScope, project_id: string) => {
    if (project_id !== project.project_id) throw new Failure<FailureCode>('project_not_found');
  };
  return {
    /** Without limits when none were set. @throws project_not_found for any other than the caller's */
    async get(project: ProjectScope, project_id: string) {
      requireOwn(project, project_id);
      const row = await db.tenant(project.project_id, (tx) => store.findPolicy(tx, project));
      return row ?? { id: '', ...project, ...NONE, created_at: never, updated_at: never };
    },

    /** @throws project_not_found, invalid_workflow */
    async put(
      project: ProjectScope,
      by: AuditSource,
      project_id: string,
      input: z.output<typeof UpsertWorkflowPolicyRequest>,
    ) {
      requireOwn(project, project_id);
      const types = (input.forbidden_step_types ?? []).map((type) => type.trim().toLowerCase());
      refuseFor(
        types.flatMap((type, index) =>
          isStepType(type)
            ? []
            : [invalid(`forbidden_step_types[${index}]`, 'is no type of steps')],
        ),
      );
      const policy = {
        max_fan_out: input.max_fan_out ?? 0,
        max_depth: input.max_depth ?? 0,
        forbidden_step_types: [...new Set(types)],
        require_approval_for_deploy: input.require_approval_for_deploy ?? false,
      };
      return db.tenant(project.project_id, async (tx) => {
        const row = await store.savePolicy(tx, { ...project, ...policy });
        await recordAudit(tx, project, by, {
          action: 'workflow_policy.updated',
          resource_type: 'workflow_policy',
          resource_id: row.id,
          details: policy,
        });
        return row;
      });
    },
  };
}
