// Whether the project allows a run of these steps today: policies may have become stricter since they were saved.
import type { Queryable } from '../../../platform/db/query.ts';
import { findPolicy } from '../definitions/store.sql.ts';
import type { StepDefinition } from '../engine/definition.ts';
import { policyViolation } from '../engine/policies.ts';

/** Why not, or undefined. */
export async function policyRefusal(
  tx: Queryable,
  project_id: string,
  steps: readonly StepDefinition[],
): Promise<string | undefined> {
  const policy = await findPolicy(tx, { project_id });
  const violation = policy && policyViolation(steps, policy);
  return violation ? `${violation.message} (${violation.rule})` : undefined;
}
