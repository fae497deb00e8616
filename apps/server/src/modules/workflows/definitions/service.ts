// Definitions of workflows: what there is to follow, in which version.
import type { z } from 'zod';
import type { FailureCode } from '../../../domain/failures.ts';
import type { Database, Tx } from '../../../platform/db/database.ts';
import { Failure } from '../../../platform/failure.ts';
import { page, type Cursor } from '../../../platform/http/pagination.ts';
import type { AddressPolicy } from '../../../platform/outbound/address-rules.ts';
import type { ProjectScope } from '../../access/index.ts';
import type { AuditSource } from '../../audit/index.ts';
import { resolveName, type ResolveName } from '../../jobs/index.ts';
import { applyOverrides, type StepOverride } from '../engine/validation.ts';
import { createWorkflow, insert, judge, type CreateInput } from './create-workflow.ts';
import { deleteWorkflow, finishDeletions } from './delete-workflow.ts';
import { diffVersions } from './diff.ts';
import { adjacencyOf, dotOf, planOf } from './graph-view.ts';
import { invalid, refuseFor } from './problems.ts';
import { acceptSteps } from './references.ts';
import type { CloneWorkflowRequest, UpdateWorkflowRequest } from './schemas.ts';
import type { WorkflowScheduleReaction } from './schedule-reaction.ts';
import { settingsOf, settingsProblems } from './settings.ts';
import { definitionOf, judgedAgain, stepView, type StepRequest } from './steps.ts';
import * as store from './store.sql.ts';
import { updateWorkflow } from './update-workflow.ts';
import { versionView, withSteps, workflowView } from './view.ts';

export interface DefinitionsDependencies {
  readonly db: Database;
  readonly outboundPolicy: AddressPolicy;
  /** WF_MAX_STEP_CAP; 0 is none. */
  readonly step_cap: number;
  /** How names in notify URLs are looked up; default: the system's resolver. */
  readonly resolve?: ResolveName;
  readonly onScheduleChanged: WorkflowScheduleReaction;
}

export interface WorkflowFilter {
  readonly tag_key?: string | undefined;
  readonly tag_value?: string | undefined;
  readonly enabled?: boolean | undefined;
}

export type Definitions = ReturnType<typeof createDefinitions>;

const failure = (code: FailureCode) => new Failure<FailureCode>(code);

export function createDefinitions(dependencies: DefinitionsDependencies) {
  const { db, outboundPolicy, step_cap, resolve = resolveName } = dependencies;
  const { onScheduleChanged } = dependencies;
  const deps = { db, step_cap, onScheduleChanged, urls: { policy: outboundPolicy, resolve } };

  const read = <T>(project: ProjectScope, run: (tx: Tx) => Promise<T>) =>
    db.tenant(project.project_id, run);

  async function requireWorkflow(tx: Tx, project: ProjectScope, workflow: string) {
    const row = await store.findWorkflow(tx, { ...project, workflow });
    if (!row) throw failure('workflow_not_found');
    return { row, key: { ...project, workflow_id: row.id } };
  }

  async function requireVersion(tx: Tx, project: ProjectScope, workflow: string, ref: string) {
    const { row, key } = await requireWorkflow(tx, project, workflow);
    const version = await store.findVersion(tx, { ...key, version_ref: ref });
    if (!version) throw failure('workflow_version_not_found');
    const listSteps = () =>
      store.listVersionSteps(tx, { ...project, workflow_version_id: version.id });
    return { workflow: row, version, listSteps };
  }

  /** The workflow with its frozen steps, so that both are of one version while somebody updates it. */
  const withCurrentSteps = (project: ProjectScope, workflow: string) =>
    read(project, async (tx) => {
      const { row, key } = await requireWorkflow(tx, project, workflow);
      const version = await store.findVersion(tx, { ...key, version_ref: row.version_id ?? '' });
      if (!version) throw failure('workflow_not_found');
      const steps = await store.listVersionSteps(tx, {
        ...project,
        workflow_version_id: version.id,
      });
      return { row, steps };
    });

  return {
    async create(project: ProjectScope, by: AuditSource, input: CreateInput) {
      const { row, steps } = await createWorkflow(deps, project, by, input);
      return withSteps(row, steps);
    },

    list: (
      project: ProjectScope,
      filter: WorkflowFilter,
      { limit, cursor }: { readonly limit: number; readonly cursor?: Cursor | undefined },
    ) =>
      read(project, async (tx) => {
        const rows = await store.listWorkflows(tx, {
          ...project,
          enabled: filter.enabled ?? null,
          tag_key: filter.tag_key ?? null,
          tag_value: filter.tag_value ?? null,
          before_created_at: cursor?.created_at ?? null,
          before_id: cursor?.id ?? null,
          limit: limit + 1,
        });
        const found = page(rows, limit);
        return { ...found, data: found.data.map(workflowView) };
      }),

    /** @throws workflow_not_found */
    idOf: (project: ProjectScope, workflow: string): Promise<string> =>
      read(project, async (tx) => (await requireWorkflow(tx, project, workflow)).row.id),

    /** What a run that begins now would follow. @throws workflow_not_found */
    current: withCurrentSteps,

    async get(project: ProjectScope, workflow: string) {
      const { row, steps } = await withCurrentSteps(project, workflow);
      return withSteps(row, steps);
    },

    async update(
      project: ProjectScope,
      by: AuditSource,
      workflow: string,
      input: z.output<typeof UpdateWorkflowRequest>,
    ) {
      const { row, steps, ...more } = await updateWorkflow(deps, project, by, workflow, input);
      return { ...withSteps(row, steps), ...more };
    },

    delete: (project: ProjectScope, by: AuditSource, workflow: string) =>
      deleteWorkflow(deps, project, by, workflow),

    /** Removes what deletions left; one round. */
    finishDeletions: (signal: AbortSignal) => finishDeletions(deps, signal),

    /** Under another name, enabled, version 1, and not on a schedule. */
    async clone(
      project: ProjectScope,
      by: AuditSource,
      workflow: string,
      { name, slug }: z.output<typeof CloneWorkflowRequest> = {},
    ) {
      const { row: original, steps } = await withCurrentSteps(project, workflow);
      const settings = {
        ...settingsOf(original),
        name: name ?? `${original.name} (copy)`,
        slug: slug ?? `${original.slug}-copy`,
        enabled: true,
        cron: null,
        backwards_compatible: false,
      };
      const tooLong = (['name', 'slug'] as const).filter((field) => settings[field].length > 255);
      refuseFor([
        ...tooLong.map((field) => invalid(field, 'would be too long: give another one')),
        ...settingsProblems(settings),
      ]);
      const judged = judgedAgain(steps.map(definitionOf));
      const from = { cloned_from: original.id };
      const copy = await read(project, (tx) =>
        insert(deps, tx, project, by, settings, judged, from),
      );
      return withSteps(copy.row, copy.steps);
    },

    /** Everything a save would check, nothing stored. */
    async dryRun(project: ProjectScope, workflow: string, requests?: readonly StepRequest[]) {
      const current = await withCurrentSteps(project, workflow);
      const judged = requests
        ? await judge(deps, requests)
        : judgedAgain(current.steps.map(definitionOf));
      const steps = await read(project, (tx) => acceptSteps(tx, project, judged));
      return { valid: true as const, step_count: steps.length };
    },

    async plan(project: ProjectScope, workflow: string, overrides: readonly StepOverride[] = []) {
      const { row, steps } = await withCurrentSteps(project, workflow);
      const left = applyOverrides(steps.map(definitionOf), overrides);
      if ('message' in left) throw refusalOfOverrides(left.field, left.message);
      return { workflow_id: row.id, workflow_version: row.version, ...planOf(left.steps) };
    },

    async graph(project: ProjectScope, workflow: string, format: 'json' | 'dot') {
      const { row, steps } = await withCurrentSteps(project, workflow);
      const definitions = steps.map(definitionOf);
      const { roots } = planOf(definitions);
      return {
        workflow_id: row.id,
        roots,
        ...(format === 'dot'
          ? { dot: dotOf(definitions) }
          : { adjacency: adjacencyOf(definitions) }),
      };
    },

    /** Newest first, the current one included. */
    listVersions: (project: ProjectScope, workflow: string, limit: number) =>
      read(project, async (tx) => {
        const { key } = await requireWorkflow(tx, project, workflow);
        return (await store.listVersions(tx, { ...key, limit })).map(versionView);
      }),

    getVersion: (project: ProjectScope, workflow: string, ref: string) =>
      read(project, async (tx) =>
        versionView((await requireVersion(tx, project, workflow, ref)).version),
      ),

    versionSteps: (project: ProjectScope, workflow: string, ref: string) =>
      read(project, async (tx) => {
        const found = await requireVersion(tx, project, workflow, ref);
        return (await found.listSteps()).map((step) => stepView(step, found.workflow.id));
      }),

    diff: (project: ProjectScope, workflow: string, from_ref: string, to_ref: string) =>
      read(project, async (tx) => {
        const load = async (ref: string) => {
          const { version, listSteps } = await requireVersion(tx, project, workflow, ref);
          const steps = (await listSteps()).map(definitionOf);
          return { id: version.version_id ?? version.id, settings: settingsOf(version), steps };
        };
        const from = await load(from_ref);
        const to = await load(to_ref);
        return { from_version_id: from.id, to_version_id: to.id, ...diffVersions(from, to) };
      }),
  };
}

/** Without steps there is no field to blame. */
export function refusalOfOverrides(field: string, message: string): Failure<FailureCode> {
  const isSent = field.startsWith('step_overrides');
  const path = isSent ? `body.${field}` : field;
  return new Failure<FailureCode>('invalid_workflow', {
    message: `${path}: ${message}`,
    details: [{ path, message }],
  });
}
