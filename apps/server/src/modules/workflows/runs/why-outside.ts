// What steps wait for outside of their run: people, events, job runs, children, quotas. Read without locks.
import type { Tx } from '../../../platform/db/database.ts';
import type { ProjectScope } from '../../access/index.ts';
import { intake } from '../../queue/index.ts';
import type { StepDefinition } from '../engine/definition.ts';
import type { StepState } from '../engine/states.ts';
import type { Look, StepRow } from './look.ts';
import * as store from './obstacles.sql.ts';
import {
  approvalBlocker,
  childRunBlocker,
  eventBlocker,
  HOLDERS,
  jobRunBlocker,
  mapBlocker,
  moving,
  sleepBlocker,
  type WorkflowBlocker,
} from './why-rules.ts';

export interface StepAt {
  readonly index: number;
  readonly row: StepRow;
  readonly state: StepState;
  readonly definition: StepDefinition;
}

export interface Outside {
  /** Of a step that runs, is parked or waits for a quota. */
  of(step: StepAt): WorkflowBlocker[];
}

const present = (ids: readonly (string | null)[]): string[] => [
  ...new Set(ids.filter((id) => id !== null)),
];
const byId = <Row extends { readonly id: string }>(rows: readonly Row[]): Map<string, Row> =>
  new Map(rows.map((row) => [row.id, row]));

/** Between the look at the board and the look at this it went on. */
const wentOn = [moving('it has just gone on; ask again')];

export async function findOutside(
  tx: Tx,
  project: ProjectScope,
  { row: { id: run_id }, status }: Look,
  steps: readonly StepAt[],
): Promise<Outside> {
  const inState = (...states: StepState[]) => steps.filter(({ state }) => states.includes(state));
  const idsIn = (of: readonly StepAt[], id: (row: StepRow) => string | null) =>
    present(of.map(({ row }) => id(row)));
  const find = async <Row>(
    ids: readonly string[],
    load: (params: ProjectScope & { ids: readonly string[] }) => Promise<Row[]>,
  ): Promise<Row[]> => (ids.length === 0 ? [] : load({ ...project, ids }));

  const running = inState('running');
  const approvals = byId(
    await find(
      idsIn(inState('on_approval', 'on_cost_gate'), ({ wait_id }) => wait_id),
      (params) => store.findApprovals(tx, params),
    ),
  );
  const triggers = byId(
    await find(
      idsIn(inState('on_event', 'on_sleep'), ({ wait_id }) => wait_id),
      (params) => store.findTriggers(tx, params),
    ),
  );
  const jobRuns = byId(
    await find(
      idsIn(running, ({ job_run_id }) => job_run_id),
      (params) => store.findJobRuns(tx, params),
    ),
  );
  const children = new Map(
    (
      await find(
        idsIn(running, ({ child_run_id }) => child_run_id),
        (params) => store.findChildRuns(tx, params),
      )
    ).map((child) => [child.first_run_id, child]),
  );
  const mapWork = new Map<string, readonly string[]>();
  for (const { row } of running)
    if (row.map !== null) {
      const key = { ...project, step_run_id: row.id, limit: HOLDERS };
      mapWork.set(
        row.id,
        (await store.listMapWork(tx, key)).map(({ id }) => id),
      );
    }
  const quotas = new Map<string, WorkflowBlocker>();
  const short = running.filter((step) => status === 'running' && isShort(step));
  for (const { definition } of [...inState('blocked_quota'), ...short]) {
    const name = quotaOf(definition);
    if (!quotas.has(name)) quotas.set(name, await quotaBlocker(tx, project, definition));
  }

  const ofRunning = ({ row, definition }: StepAt): WorkflowBlocker[] => {
    if (row.map !== null) {
      const children = mapBlocker(run_id, definition.step_ref, row.map, mapWork.get(row.id) ?? []);
      const quota = quotas.get(quotaOf(definition));
      return quota && quota !== freed ? [children, quota] : [children];
    }
    const job = row.job_run_id === null ? undefined : jobRuns.get(row.job_run_id);
    if (job) return [jobRunBlocker(job.id, job.status)];
    const child = row.child_run_id === null ? undefined : children.get(row.child_run_id);
    return child ? [childRunBlocker(child.id, child.status)] : wentOn;
  };
  return {
    of(step) {
      const { row, state, definition } = step;
      const wait = row.wait_id ?? '';
      switch (state) {
        case 'on_approval':
        case 'on_cost_gate': {
          const approval = approvals.get(wait);
          const kind = state === 'on_approval' ? 'approval' : 'cost_gate';
          return approval ? [approvalBlocker(run_id, definition, kind, approval)] : wentOn;
        }
        case 'on_event': {
          const trigger = triggers.get(wait);
          return trigger ? [eventBlocker(trigger)] : wentOn;
        }
        case 'on_sleep': {
          const trigger = triggers.get(wait);
          return trigger ? [sleepBlocker(run_id, definition.step_ref, trigger)] : wentOn;
        }
        case 'blocked_quota':
          return [quotas.get(quotaOf(definition)) ?? freed];
        default:
          return ofRunning(step);
      }
    },
  };
}

/** A map that could have more children under way: it begins them as soon as its quota lets it. */
function isShort({ row: { map }, definition }: StepAt): boolean {
  if (map === null) return false;
  const underway = map.started - map.completed - map.failed;
  return map.started < map.total && underway < definition.map_max_parallel;
}

/** Steps that wait for the same quota have the same name here. */
const quotaOf = ({ step_type, sub_workflow_id }: StepDefinition): string =>
  step_type === 'wait_for_event' ? 'events' : sub_workflow_id;

const freed = moving('there is room again; whoever looks after waiting steps starts it soon');

const putQuotas = (project: ProjectScope, body: object) =>
  ({ method: 'PUT', path: `/v1/projects/${project.project_id}/quotas`, body }) as const;

/** Counted as admission counts, which locks what it counts (progression/admitting.ts). */
async function quotaBlocker(
  tx: Tx,
  project: ProjectScope,
  { step_type, sub_workflow_id: workflow_id }: StepDefinition,
): Promise<WorkflowBlocker> {
  if (step_type !== 'wait_for_event' && workflow_id !== '') {
    const found = await store.findWorkflowLimit(tx, { ...project, workflow_id });
    const { slug = workflow_id, max_concurrent_runs: limit = 0, active = 0 } = found ?? {};
    if (limit <= 0 || active < limit) return freed;
    const runs = await store.listActiveRuns(tx, { ...project, workflow_id, limit: HOLDERS });
    return {
      kind: 'workflow_limit',
      message: `workflow ${slug}: ${active} of ${limit} runs are active`,
      holders: runs.map(({ id }) => id),
      unblock: {
        method: 'PATCH',
        path: `/v1/workflows/${workflow_id}`,
        body: { max_concurrent_runs: active + 1 },
      },
    };
  }
  const found = await store.findQuotas(tx, project);
  if (!found) return freed;
  const { waits, ...quotas } = found;
  if (step_type === 'wait_for_event') {
    const most = quotas.max_active_event_triggers ?? 0;
    if (most <= 0 || waits < most) return freed;
    return {
      kind: 'event_quota',
      message: `the project waits for ${waits} events, ${most} are allowed`,
      unblock: putQuotas(project, { ...quotas, max_active_event_triggers: waits + 1 }),
    };
  }
  const standing = await intake.lookAtRoom(tx, project.project_id);
  if (!standing || standing.queued < standing.most) return freed;
  const { queued, most } = standing;
  return {
    kind: 'queue_quota',
    message: `the queue of the project is full: ${most} runs may wait to start`,
    unblock: putQuotas(project, { ...quotas, max_queued_runs: Math.max(queued, most) + 1 }),
  };
}
