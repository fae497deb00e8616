// Why a workflow run or one of its steps does not go on. What the engine would decide is asked of the engine itself.
import type { FailureCode } from '../../../domain/failures.ts';
import type { Database, Tx } from '../../../platform/db/database.ts';
import { Failure } from '../../../platform/failure.ts';
import type { ProjectScope } from '../../access/index.ts';
import type { EngineLimits, Known } from '../engine/facts.ts';
import { isAllowed, standingOf, type Standing } from '../engine/standing.ts';
import { isOver, isTerminalStep, statusOf, waitReasonOf } from '../engine/states.ts';
import type { Graphs } from '../progression/graphs.ts';
import { knownOf, lookAt, timeOf, type Look } from './look.ts';
import { findActor, findLastRuns, readParent } from './obstacles.sql.ts';
import { findOutside, type Outside, type StepAt } from './why-outside.ts';
import {
  dependencyBlocker,
  endedBlocker,
  failedWork,
  limitBlocker,
  moving,
  pausedBlocker,
  retryBlocker,
  runPath,
  stepPath,
  undoneBlocker,
  type WorkflowBlocker,
} from './why-rules.ts';

/** Steps whose obstacles one answer about a run names, and dependencies one about a step does. */
const NAMED = 100;

export interface WorkflowWhyDeps {
  readonly db: Database;
  readonly graphs: Graphs;
  readonly limits: EngineLimits;
}

export type WorkflowWhy = ReturnType<typeof createWorkflowWhy>;

/** Ends that somebody may want to try again. */
const RETRIED: ReadonlySet<string> = new Set(['failed', 'timed_out', 'canceled']);

/** Ends that steps may have brought about. */
const FAILURES: ReadonlySet<string> = new Set(['failed', 'compensated', 'compensation_failed']);

interface Case {
  readonly tx: Tx;
  readonly project: ProjectScope;
  readonly look: Look;
  readonly known: Known;
  readonly standing: Standing;
}

export function createWorkflowWhy({ db, graphs, limits }: WorkflowWhyDeps) {
  const open = async (tx: Tx, project: ProjectScope, workflow_run_id: string): Promise<Case> => {
    const look = await lookAt(tx, graphs, project, workflow_run_id);
    const { step_over } = await readParent(tx, { ...project, workflow_run_id });
    const known = knownOf(look, limits, step_over);
    return { tx, project, look, known, standing: standingOf(known) };
  };

  return {
    /** @throws workflow_run_not_found */
    ofRun: (project: ProjectScope, id: string) =>
      db.tenant(project.project_id, async (tx) => {
        const on = await open(tx, project, id);
        const { row, status, states } = on.look;
        const unfinished = [...states.keys()].filter(
          (at) => !isTerminalStep(states[at] ?? 'failed'),
        );
        const answer = { workflow_run_id: id, status, unfinished_steps: unfinished.length };
        if (isOver(status)) {
          const retry = { method: 'POST', path: `${runPath(id)}/retry` } as const;
          const unblock = RETRIED.has(status) ? retry : undefined;
          const ended = endedBlocker({ what: 'run', status, error: row.error, unblock });
          return { ...answer, blockers: [ended, ...(await culpritsOf(on))] };
        }
        if (status === 'compensating') return { ...answer, blockers: [undoneBlocker(id)] };
        // What waits for other steps only follows from those.
        const front = unfinished.filter((at) => on.standing.unmet(at).length === 0);
        const steps = stepsAt(on, front.slice(0, NAMED));
        const outside = await findOutside(tx, project, on.look, steps);
        const blockers = [
          ...(await pauseOf(on)),
          ...steps.flatMap((step) =>
            obstaclesOf(on, step, outside).map((blocker) => ({
              ...blocker,
              step_ref: step.row.step_ref,
            })),
          ),
        ];
        return { ...answer, blockers };
      }),

    /** @throws workflow_run_not_found, workflow_step_not_found */
    ofStep: (project: ProjectScope, id: string, step_ref: string) =>
      db.tenant(project.project_id, async (tx) => {
        const on = await open(tx, project, id);
        const index = on.look.graph.indexOf.get(step_ref);
        const [step] = index === undefined ? [] : stepsAt(on, [index]);
        if (!step) throw new Failure<FailureCode>('workflow_step_not_found');
        const answer = {
          workflow_run_id: id,
          step_ref,
          status: statusOf(step.state),
          wait_reason: waitReasonOf(step.state) ?? undefined,
        };
        if (isTerminalStep(step.state)) return { ...answer, blockers: await endsOf(on, [step]) };
        const outside = await findOutside(tx, project, on.look, [step]);
        const goesOnAlone = ALONE.has(step.state) && !isUnfinishedMap(step);
        const blockers = [
          ...(goesOnAlone ? [] : await pauseOf(on)),
          ...dependenciesOf(on, step),
          ...obstaclesOf(on, step, outside),
        ];
        return { ...answer, blockers };
      }),
  };
}

const stepsAt = ({ look }: Case, indexes: readonly number[]): StepAt[] =>
  indexes.flatMap((index) => {
    const [row, state, definition] = [
      look.steps[index],
      look.states[index],
      look.graph.steps[index],
    ];
    return row && state && definition ? [{ index, row, state, definition }] : [];
  });

/** What has begun ends also while its run is paused; only children of a map are not begun any more. */
const ALONE: ReadonlySet<string> = new Set([
  'running',
  'on_approval',
  'on_cost_gate',
  'on_event',
  'on_sleep',
]);
const isUnfinishedMap = ({ row: { map } }: StepAt): boolean =>
  map !== null && map.started < map.total;

async function pauseOf({ tx, project, look }: Case): Promise<WorkflowBlocker[]> {
  if (look.status !== 'paused') return [];
  const workflow_run_id = look.row.id;
  const action = 'workflow_run.pause';
  const found = await findActor(tx, { ...project, workflow_run_id, action });
  return [pausedBlocker(workflow_run_id, found?.actor_id ?? undefined)];
}

/** Steps that made their run fail. What was canceled or skipped because of them begins again with them. */
async function culpritsOf(on: Case): Promise<WorkflowBlocker[]> {
  const { status, states, graph } = on.look;
  if (!FAILURES.has(status)) return [];
  const failed = [...states.keys()].filter(
    (at) =>
      (states[at] === 'failed' || states[at] === 'canceled_work') &&
      graph.steps[at]?.on_failure !== 'continue',
  );
  const steps = stepsAt(on, failed.slice(0, NAMED));
  const ends = await endsOf(on, steps);
  return ends.map((end, at) => ({ ...end, step_ref: steps[at]?.row.step_ref ?? '' }));
}

async function endsOf(on: Case, steps: readonly StepAt[]): Promise<WorkflowBlocker[]> {
  const ids = steps.flatMap(({ row }) => row.child_run_id ?? []);
  const step_run_ids = steps.map(({ row }) => row.id);
  const key = { ...on.project, step_run_ids, ids };
  const found = ids.length === 0 ? [] : await findLastRuns(on.tx, key);
  const last = new Map(found.map(({ first_run_id, id }) => [first_run_id, id]));
  return steps.map((step) => endOf(on, step, last.get(step.row.child_run_id ?? '')));
}

function endOf({ look, known }: Case, { row, state }: StepAt, child?: string): WorkflowBlocker {
  const { step_ref, error } = row;
  const retry = { kind: 'retry_step', step_ref, actor: '' } as const;
  const canRetry = state !== 'completed' && isAllowed(known, retry);
  return endedBlocker({
    what: 'step',
    status: statusOf(state),
    error,
    see: state === 'failed' ? failedWork(look.row.id, row, child) : undefined,
    unblock: canRetry
      ? { method: 'POST', path: `${stepPath(look.row.id, step_ref)}/retry` }
      : undefined,
  });
}

function dependenciesOf({ look, known, standing }: Case, { index }: StepAt): WorkflowBlocker[] {
  return standing
    .unmet(index)
    .slice(0, NAMED)
    .map((dependency) => {
      const step_ref = look.graph.steps[dependency]?.step_ref ?? '';
      const status = statusOf(look.states[dependency] ?? 'pending');
      const skippable = isAllowed(known, { kind: 'skip', step_ref, reason: '', actor: '' });
      return dependencyBlocker(look.row.id, { step_ref, status, skippable });
    });
}

/** Besides the pause of its run and its dependencies. */
function obstaclesOf(on: Case, step: StepAt, outside: Outside): WorkflowBlocker[] {
  const { look, standing } = on;
  const { index, row, state } = step;
  if (ALONE.has(state)) return outside.of(step);
  if (standing.unmet(index).length > 0) return [];
  const due = timeOf(row.next_retry_at);
  if (state === 'on_retry' && due !== null && due > look.now)
    return [retryBlocker(row.attempt, row.next_retry_at ?? '', row.error)];
  const limit = standing.limit(index);
  if (limit) return [limitBlocker(limit, (at) => look.graph.steps[at]?.step_ref ?? '')];
  if (state === 'blocked_quota') return outside.of(step);
  return look.status === 'running' ? [moving('it is about to start; ask again')] : [];
}
