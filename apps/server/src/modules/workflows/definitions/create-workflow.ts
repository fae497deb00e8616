// Making workflows: a new one, or a copy of one. Both take the same way into the tables.
import { newVersionId } from '../../../domain/version-id.ts';
import type { Database, Tx } from '../../../platform/db/database.ts';
import type { ProjectScope } from '../../access/index.ts';
import { recordAudit, type AuditSource } from '../../audit/index.ts';
import { notifyUrlProblems, type UrlCheck } from './notify-urls.ts';
import { failureOf, refuseFor, slugTaken } from './problems.ts';
import { acceptSteps } from './references.ts';
import type { WorkflowScheduleReaction } from './schedule-reaction.ts';
import {
  newSettings,
  requestProblems,
  settingsProblems,
  type RequestFields,
  type WorkflowSettings,
} from './settings.ts';
import { judgeSteps, stepRow, type JudgedSteps, type StepRequest, type StepRow } from './steps.ts';
import * as store from './store.sql.ts';

export interface Writing {
  readonly db: Database;
  readonly urls: UrlCheck;
  /** WF_MAX_STEP_CAP; 0 is none. */
  readonly step_cap: number;
  readonly onScheduleChanged: WorkflowScheduleReaction;
}

export interface Saved {
  readonly row: store.InsertWorkflowRow;
  readonly steps: readonly StepRow[];
}

export type CreateInput = RequestFields & { readonly steps?: readonly StepRequest[] | undefined };

/** The slow half of judging steps, before the transaction. @throws invalid_workflow, invalid_url */
export async function judge(
  { urls, step_cap }: Writing,
  requests: readonly StepRequest[],
): Promise<JudgedSteps> {
  const judged = judgeSteps(requests, step_cap);
  if ('code' in judged) throw failureOf(judged);
  refuseFor(await notifyUrlProblems(judged.steps, urls));
  return judged;
}

export async function createWorkflow(
  deps: Writing,
  project: ProjectScope,
  by: AuditSource,
  input: CreateInput,
): Promise<Saved> {
  const settings = newSettings(input);
  refuseFor([...requestProblems(input), ...settingsProblems(settings)]);
  const judged = await judge(deps, input.steps ?? []);
  return deps.db.tenant(project.project_id, (tx) =>
    insert(deps, tx, project, by, settings, judged, {}),
  );
}

/** @throws workflow_slug_taken, invalid_workflow, workflow_policy_violated */
export async function insert(
  { onScheduleChanged }: Pick<Writing, 'onScheduleChanged'>,
  tx: Tx,
  project: ProjectScope,
  by: AuditSource,
  settings: WorkflowSettings,
  judged: JudgedSteps,
  details: Readonly<Record<string, unknown>>,
): Promise<Saved> {
  const row = await store.insertWorkflow(tx, {
    ...project,
    version_id: newVersionId(),
    actor_id: by.actor_id,
    settings,
  });
  if (!row) throw slugTaken(settings.slug);
  const key = { ...project, workflow_id: row.id };
  // Now that the workflow is there, a step may name it: it may call itself.
  await writeSteps(tx, project, key, judged);
  const frozen = await store.freezeVersion(tx, key);
  if (row.cron !== null) await onScheduleChanged(tx, project, row);
  await recordAudit(tx, project, by, {
    action: 'workflow.created',
    resource_type: 'workflow',
    resource_id: row.id,
    details: { name: row.name, slug: row.slug, steps: judged.steps.length, ...details },
  });
  return { row, steps: await store.listVersionSteps(tx, { ...project, ...frozen }) };
}

export async function writeSteps(
  tx: Tx,
  project: ProjectScope,
  key: { readonly project_id: string; readonly workflow_id: string },
  judged: JudgedSteps,
): Promise<void> {
  const steps = await acceptSteps(tx, project, judged);
  if (steps.length > 0) await store.insertSteps(tx, { ...key, rows: steps.map(stepRow) });
}
