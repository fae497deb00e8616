// Trying a run that has ended again, as a run of its own on the same version (workflow-semantics §14.1).
import type { FailureCode } from '../../../domain/failures.ts';
import type { Database, Tx } from '../../../platform/db/database.ts';
import { Failure } from '../../../platform/failure.ts';
import type { ProjectScope } from '../../access/index.ts';
import { recordAudit, type AuditSource } from '../../audit/index.ts';
import type { JsonValue } from '../engine/definition.ts';
import { descendantsOf, type Graph } from '../engine/graph.ts';
import { isOver, readBoard } from '../engine/states.ts';
import type { Progression } from '../progression/progression.ts';
import type { LockedRun } from '../progression/run-lock.ts';
import { policyRefusal } from '../starting/policy.ts';
import { requireRoom } from '../starting/room.ts';
import { insertRun } from '../starting/start-run.ts';
import * as starting from '../starting/store.sql.ts';
import { runView, type WorkflowRunView } from './views.ts';
import * as store from './store.sql.ts';

export interface RunRetryDeps {
  /** The queue's pool. */
  readonly hot: Database;
  readonly progression: Progression;
}

export type RunRetries = ReturnType<typeof createRunRetries>;

const refuse = (code: FailureCode, message?: string) =>
  new Failure<FailureCode>(code, message === undefined ? {} : { message });

export function createRunRetries({ hot, progression }: RunRetryDeps) {
  /** The old run stays locked: nobody may start it again while its steps are taken over. */
  async function openEnded(tx: Tx, project: ProjectScope, id: string): Promise<LockedRun> {
    const run = await progression.open(tx, { ...project, workflow_run_id: id });
    if (!run) throw refuse('workflow_run_not_found');
    const { status, continued } = run.facts;
    if (!isOver(status)) throw refuse('workflow_run_not_retryable', `the run is ${status}`);
    if (continued)
      throw refuse('workflow_run_not_retryable', 'the run goes on as a new one: retry that one');
    return run;
  }

  async function requireAllowed(tx: Tx, project: ProjectScope, { graph }: LockedRun) {
    const refusal = await policyRefusal(tx, project.project_id, graph.steps);
    if (refusal !== undefined) throw refuse('workflow_policy_refused', refusal);
  }

  /** What was undone is done again, and so is whatever built on it. */
  async function takenOver(tx: Tx, { key, graph, board }: LockedRun): Promise<Set<string>> {
    const states = readBoard(board);
    const undone = await store.listUndone(tx, key);
    const again = stepsFrom(
      graph,
      undone.map(({ step_ref }) => step_ref),
    );
    return new Set(
      graph.steps.flatMap(({ step_ref }, index) =>
        states[index] === 'completed' && !again.has(index) ? [step_ref] : [],
      ),
    );
  }

  async function start(
    tx: Tx,
    project: ProjectScope,
    by: AuditSource,
    id: string,
  ): Promise<string> {
    const run = await openEnded(tx, project, id);
    const { row, facts, graph } = run;
    const found = await starting.lockForRun(tx, { ...project, workflow: row.workflow_id });
    if (!found) throw refuse('workflow_not_found');
    if (!found.enabled) throw refuse('workflow_disabled');
    const key = { ...project, workflow_id: found.id };
    const version = await starting.findRunVersion(tx, { ...key, version: row.workflow_version });
    if (!version) throw refuse('workflow_version_not_found');
    await requireAllowed(tx, project, run);
    await requireRoom(tx, key, found.max_concurrent_runs);
    const old = await store.findRun(tx, run.key);
    const made = await insertRun(tx, {
      ...key,
      version,
      graph,
      triggered_by: 'retry',
      created_by: by.actor_id,
      payload: (old?.payload ?? null) as JsonValue,
      tags: row.tags,
      step_overrides: row.step_overrides,
      lineage_depth: row.lineage_depth,
      timeout_secs: facts.timeout_secs,
      max_parallel_steps: facts.max_parallel_steps,
      retry_of: { run_id: id, completed: await takenOver(tx, run) },
    });
    if (made === undefined) throw new Error('a retry has no idempotency key');
    await progression.begin(tx, { ...project, workflow_run_id: made });
    await recordAudit(tx, project, by, {
      action: 'workflow_run.retry',
      resource_type: 'workflow_run',
      resource_id: id,
      details: { new_run_id: made },
    });
    return made;
  }

  return {
    retry: (project: ProjectScope, by: AuditSource, id: string): Promise<WorkflowRunView> =>
      hot.tenant(project.project_id, async (tx) => {
        const workflow_run_id = await start(tx, project, by, id);
        const row = await store.findRun(tx, { ...project, workflow_run_id });
        if (!row) throw refuse('workflow_run_not_found');
        return runView(row);
      }),
  };
}

/** These steps and all that depend on them, by index. */
function stepsFrom(graph: Graph, step_refs: readonly string[]): Set<number> {
  const found = new Set<number>();
  for (const step_ref of step_refs) {
    const index = graph.indexOf.get(step_ref);
    if (index === undefined) continue;
    found.add(index);
    for (const below of descendantsOf(graph, index)) found.add(below);
  }
  return found;
}
