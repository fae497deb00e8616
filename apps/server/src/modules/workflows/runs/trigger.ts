// Starting a run of a workflow: every check and the run with its first steps in one transaction (workflow-semantics §10).
import type { FailureCode } from '../../../domain/failures.ts';
import type { Database, Tx } from '../../../platform/db/database.ts';
import { Failure } from '../../../platform/failure.ts';
import type { ProjectScope } from '../../access/index.ts';
import { canonicalJson, payloadHash } from '../../runs/index.ts';
import type { Route } from '../canary/routing.ts';
import { planOf } from '../definitions/graph-view.ts';
import { definitionOf } from '../definitions/steps.ts';
import { listVersionSteps } from '../definitions/store.sql.ts';
import type { JsonValue, StepDefinition } from '../engine/definition.ts';
import { compileGraph } from '../engine/graph.ts';
import { applyOverrides, type StepOverride } from '../engine/validation.ts';
import type { Progression } from '../progression/progression.ts';
import { policyRefusal } from '../starting/policy.ts';
import { requireRoom } from '../starting/room.ts';
import { insertRun } from '../starting/start-run.ts';
import * as starting from '../starting/store.sql.ts';
import { runView, type WorkflowRunView } from './views.ts';
import * as store from './store.sql.ts';

export interface TriggerInput {
  readonly payload?: unknown;
  readonly triggered_by?: string | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly tags?: Readonly<Record<string, string>> | undefined;
  readonly step_overrides?: readonly StepOverride[] | undefined;
  readonly version?: number | string | undefined;
  readonly idempotency_key?: string | undefined;
  readonly traceparent?: string | undefined;
  readonly tracestate?: string | undefined;
  readonly created_by: string;
  /** How many runs led to it, one after the other. */
  readonly lineage_depth?: number;
}

export interface WorkflowTriggerDeps {
  /** The queue's pool. */
  readonly hot: Database;
  readonly progression: Progression;
  readonly max_payload_bytes: number;
  /** Which version a trigger that names none gets; a canary may divert it. */
  readonly route: Route;
}

export type WorkflowTriggers = ReturnType<typeof createWorkflowTriggers>;

const refuse = (code: FailureCode, message?: string) =>
  new Failure<FailureCode>(code, message === undefined ? {} : { message });

export function createWorkflowTriggers(deps: WorkflowTriggerDeps) {
  const { hot, progression, max_payload_bytes } = deps;

  /** The steps of a version as this run would follow them. */
  async function stepsOf(
    tx: Tx,
    project: ProjectScope,
    version: starting.FindRunVersionRow,
    overrides: readonly StepOverride[],
  ): Promise<readonly StepDefinition[]> {
    const rows = await listVersionSteps(tx, {
      ...project,
      workflow_version_id: version.id,
    });
    const left = applyOverrides(rows.map(definitionOf), overrides);
    if ('message' in left) {
      const path = left.field.startsWith('step_overrides') ? `body.${left.field}` : 'body';
      throw new Failure<FailureCode>('invalid_workflow', {
        message: `${path}: ${left.message}`,
        details: [{ path, message: left.message }],
      });
    }
    const refusal = await policyRefusal(tx, project.project_id, left.steps);
    if (refusal !== undefined) throw refuse('workflow_policy_refused', refusal);
    return left.steps;
  }

  /** The workflow, held until the transaction ends, and what a run of it would follow. */
  async function prepare(tx: Tx, project: ProjectScope, workflow: string, input: TriggerInput) {
    const found = await starting.lockForRun(tx, { ...project, workflow });
    if (!found) throw refuse('workflow_not_found');
    if (!found.enabled) throw refuse('workflow_disabled');
    const key = { ...project, workflow_id: found.id };
    const number = await versionOf(tx, key, found.version, input.version);
    const version = await starting.findRunVersion(tx, { ...key, version: number });
    if (!version) throw refuse('workflow_version_not_found');
    const steps = await stepsOf(tx, project, version, input.step_overrides ?? []);
    return { found, key, version, steps };
  }

  async function versionOf(
    tx: Tx,
    key: { project_id: string; workflow_id: string },
    current: number,
    wanted: number | string | undefined,
  ): Promise<number> {
    if (wanted === undefined) return deps.route(tx, { ...key, version: current });
    if (typeof wanted === 'number') return wanted;
    const found = await starting.findVersionNumber(tx, { ...key, version_ref: wanted });
    if (!found) throw refuse('workflow_version_not_found');
    return found.version;
  }

  /** Undefined: nobody has the key. */
  async function holderOf(
    tx: Tx,
    key: { project_id: string; workflow_id: string },
    idempotency_key: string,
    hash: string,
  ): Promise<string | undefined> {
    const holder = await starting.findByKey(tx, { ...key, idempotency_key });
    if (holder && holder.payload_hash !== null && holder.payload_hash !== hash)
      throw refuse('workflow_key_mismatch');
    return holder?.id;
  }

  /** On the caller's transaction. */
  async function start(
    tx: Tx,
    project: ProjectScope,
    workflow: string,
    input: TriggerInput,
  ): Promise<string> {
    const payload = (input.payload ?? null) as JsonValue;
    const text = canonicalJson(payload);
    if (Buffer.byteLength(text) > max_payload_bytes) throw refuse('payload_too_large');
    const hash = payloadHash(text);
    const { idempotency_key } = input;
    if (idempotency_key !== undefined) {
      // A disabled workflow still answers for a key it knows.
      const known = await starting.lockForRun(tx, { ...project, workflow });
      const holder =
        known && (await holderOf(tx, { ...project, workflow_id: known.id }, idempotency_key, hash));
      if (holder !== undefined) return holder;
    }
    const { found, key, version, steps } = await prepare(tx, project, workflow, input);
    await requireRoom(tx, key, found.max_concurrent_runs);
    const { traceparent, tracestate } = input;
    const id = await insertRun(tx, {
      ...key,
      version,
      graph: compileGraph(steps),
      triggered_by: input.triggered_by ?? 'manual',
      created_by: input.created_by,
      payload,
      tags: { ...found.tags, ...input.tags },
      labels: input.labels ?? {},
      trace_context:
        traceparent === undefined
          ? null
          : {
              traceparent,
              ...(tracestate === undefined ? {} : { tracestate: tracestate.slice(0, 512) }),
            },
      step_overrides: (input.step_overrides ?? []).filter(({ enabled }) => !enabled),
      idempotency_key,
      payload_hash: idempotency_key === undefined ? undefined : hash,
      lineage_depth: input.lineage_depth ?? 0,
    });
    if (id === undefined) {
      const holder = await holderOf(tx, key, idempotency_key ?? '', hash);
      if (holder === undefined)
        throw refuse('overloaded', 'the idempotency key changes hands too quickly');
      return holder;
    }
    await progression.begin(tx, { ...project, workflow_run_id: id });
    return id;
  }

  return {
    start,

    trigger: (
      project: ProjectScope,
      workflow: string,
      input: TriggerInput,
    ): Promise<WorkflowRunView> =>
      hot.tenant(project.project_id, async (tx) => {
        const workflow_run_id = await start(tx, project, workflow, input);
        const row = await store.findRun(tx, { ...project, workflow_run_id });
        if (!row) throw refuse('workflow_run_not_found');
        return runView(row);
      }),

    /** What a trigger would start, and nothing else. */
    plan: (project: ProjectScope, workflow: string, input: TriggerInput) =>
      hot.tenant(project.project_id, async (tx) => {
        const { key, version, steps } = await prepare(tx, project, workflow, input);
        return {
          workflow_id: key.workflow_id,
          workflow_version: version.version,
          ...planOf(steps),
        };
      }),
  };
}
