// An earlier version becomes what runs follow: as a new version with its steps and what runs have from their version. What
// the workflow itself says (name, enabled, cron, limit of runs) stays as it is now.
import type { Tx } from '../../../platform/db/database.ts';
import { Conflict } from '../../../platform/db/database.ts';
import { newVersionId } from '../../../domain/version-id.ts';
import type { ProjectScope } from '../../access/index.ts';
import { recordAudit, type AuditSource } from '../../audit/index.ts';
import * as store from './store.sql.ts';

/** Nothing when it is current already. The caller holds the workflow. */
export async function makeCurrent(
  tx: Tx,
  project: ProjectScope,
  by: AuditSource,
  { workflow_id, version }: { readonly workflow_id: string; readonly version: number },
): Promise<void> {
  const key = { ...project, workflow_id };
  const current = await store.lockWorkflow(tx, { ...project, workflow: workflow_id });
  const wanted = await store.findVersion(tx, { ...key, version_ref: String(version) });
  if (!current || !wanted) throw new Conflict('the workflow was deleted meanwhile');
  if (current.version === version) return;
  const { timeout_secs, max_parallel_steps, compensate_on_failure } = wanted;
  const row = await store.updateWorkflow(tx, {
    ...key,
    version: current.version,
    version_id: newVersionId(),
    actor_id: by.actor_id,
    changes: {
      timeout_secs,
      max_parallel_steps,
      compensate_on_failure,
      backwards_compatible: false,
    },
  });
  if (!row) throw new Conflict('the workflow was changed meanwhile');
  await store.deleteSteps(tx, key);
  await store.copyVersionSteps(tx, { ...key, version });
  await store.freezeVersion(tx, key);
  await recordAudit(tx, project, by, {
    action: 'workflow.updated',
    resource_type: 'workflow',
    resource_id: workflow_id,
    details: { slug: row.slug, version: row.version, version_id: row.version_id, as: version },
  });
}
