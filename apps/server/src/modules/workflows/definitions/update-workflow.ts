// Changing a workflow makes a version; runs that have begun keep theirs.
import type { z } from 'zod';
import type { FailureCode } from '../../../domain/failures.ts';
import { newVersionId } from '../../../domain/version-id.ts';
import type { Tx } from '../../../platform/db/database.ts';
import { Failure } from '../../../platform/failure.ts';
import type { ProjectScope } from '../../access/index.ts';
import { recordAudit, type AuditSource } from '../../audit/index.ts';
import { judge, writeSteps, type Saved, type Writing } from './create-workflow.ts';
import { refuseFor, slugTaken } from './problems.ts';
import type { UpdateWorkflowRequest } from './schemas.ts';
import { changesOf, requestProblems, settingsOf, settingsProblems } from './settings.ts';
import * as store from './store.sql.ts';

export interface Updated extends Saved {
  readonly previous_version_id: string | null;
  readonly active_runs_on_previous_version: number;
}

/** What runs have from their version: nobody would get a change of it while a canary shares out two others. */
const FROZEN = ['timeout_secs', 'max_parallel_steps', 'compensate_on_failure'] as const;

const isInCanary = async (tx: Tx, { id, project_id }: store.LockWorkflowRow): Promise<boolean> =>
  (await store.hasActiveCanary(tx, { project_id, workflow_id: id })).active;

/** @throws canary_active, workflow_not_found, workflow_version_conflict, workflow_slug_taken, invalid_workflow, invalid_url, workflow_policy_violated */
export async function updateWorkflow(
  deps: Writing,
  project: ProjectScope,
  by: AuditSource,
  workflow: string,
  input: z.output<typeof UpdateWorkflowRequest>,
): Promise<Updated> {
  const { steps, version_id } = input;
  refuseFor(requestProblems(input));
  const judged = steps && (await judge(deps, steps));
  const write = deps.db.tenant(project.project_id, async (tx): Promise<Updated> => {
    const current = await store.lockWorkflow(tx, { ...project, workflow });
    if (!current) throw new Failure<FailureCode>('workflow_not_found');
    if (version_id !== undefined && version_id !== current.version_id)
      throw versionConflict(current.version_id);
    const before = settingsOf(current);
    if (
      (judged || FROZEN.some((name) => input[name] !== undefined)) &&
      (await isInCanary(tx, current))
    )
      throw new Failure<FailureCode>('canary_active');
    // That nothing breaks is said of one change: it does not carry over.
    const changes = { backwards_compatible: false, ...changesOf(input) };
    refuseFor(settingsProblems({ ...before, ...changes }));

    const key = { ...project, workflow_id: current.id };
    const row = await store.updateWorkflow(tx, {
      ...key,
      version: current.version,
      version_id: newVersionId(),
      actor_id: by.actor_id,
      changes,
    });
    if (!row) throw versionConflict(null);
    if (judged) {
      await store.deleteSteps(tx, key);
      await writeSteps(tx, project, key, judged);
    }
    const frozen = await store.freezeVersion(tx, key);
    if (before.cron !== null || row.cron !== null) await deps.onScheduleChanged(tx, project, row);
    const { runs } = await store.countActiveRuns(tx, { ...key, version: current.version });
    const details = { slug: row.slug, version: row.version, version_id: row.version_id };
    const about = { resource_type: 'workflow', resource_id: row.id };
    await recordAudit(tx, project, by, {
      action: 'workflow.updated',
      ...about,
      details: { ...details, ...(judged && { steps: judged.steps.length }) },
      changes: differences(before, changes),
    });
    if (runs > 0 && !row.backwards_compatible) {
      const breaking = { ...details, active_runs: runs, previous_version_id: current.version_id };
      await recordAudit(tx, project, by, {
        action: 'workflow.updated_breaking',
        ...about,
        details: breaking,
      });
    }
    return {
      row,
      steps: await store.listVersionSteps(tx, { ...project, ...frozen }),
      previous_version_id: current.version_id,
      active_runs_on_previous_version: runs,
    };
  });
  return write.catch((error: unknown) => {
    throw isSlugClash(error) ? slugTaken(input.slug ?? '') : error;
  });
}

function versionConflict(current: string | null): Failure<FailureCode> {
  const message = current === null ? undefined : `the workflow is version ${current} by now`;
  return new Failure<FailureCode>('workflow_version_conflict', { message });
}

function differences(before: object, changes: object) {
  const was = before as Readonly<Record<string, unknown>>;
  const found: Record<string, { before: unknown; after: unknown }> = {};
  for (const [name, after] of Object.entries(changes))
    if (JSON.stringify(was[name]) !== JSON.stringify(after))
      found[name] = { before: was[name], after };
  return found;
}

function isSlugClash(error: unknown): boolean {
  const { code, constraint } = (error ?? {}) as {
    readonly code?: string;
    readonly constraint?: string;
  };
  return code === '23505' && constraint === 'workflows_project_id_slug_key';
}
