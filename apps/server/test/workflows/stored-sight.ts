// What is to be seen of a workflow run on the database: for the driver, and by itself: nothing of it may be open that its
// steps do not know of, and no step may wait for what is not there.
import assert from 'node:assert/strict';
import type { JsonValue } from '../../src/modules/workflows/engine/definition.ts';
import type { Start } from '../../src/modules/workflows/engine/changes.ts';
import type { MemoryStep, OpenItem } from '../../src/modules/workflows/engine/memory-run.ts';
import {
  isParked,
  readBoard,
  stepStatuses,
  workflowRunStates,
  type WorkflowRunStatus,
} from '../../src/modules/workflows/engine/states.ts';
import type { Sight } from './driver.ts';

type Sql = <Row>(text: string, ...values: unknown[]) => Promise<Row[]>;

interface StepRowHere {
  readonly step_ref: string;
  readonly state: string;
  readonly attempt: number;
  readonly work_id: string | null;
  readonly wait_id: string | null;
  readonly started_at: number | null;
  readonly finished_at: number | null;
  readonly next_retry_at: number | null;
  readonly error: string | null;
  readonly output: JsonValue;
  readonly gate_passed: boolean;
  readonly map: MemoryStep['map'];
}

interface OpenRow {
  readonly id: string;
  readonly step_ref: string;
  readonly attempt: number;
  readonly kind: Start['kind'];
  readonly index: number | null;
  /** The step has it as its own. */
  readonly known: boolean;
}

const STEPS = `
  select step_ref, state, attempt, coalesce(job_run_id, child_run_id) as work_id, wait_id, error, output, gate_passed, map,
         (extract(epoch from started_at) * 1000)::float8 as started_at,
         (extract(epoch from finished_at) * 1000)::float8 as finished_at,
         (extract(epoch from next_retry_at) * 1000)::float8 as next_retry_at
    from workflow_step_runs where workflow_run_id = $1 order by step_ref collate "C"`;

/** Job runs by the place they are in: none is alive without one. */
const OPEN = `
  with steps as materialized (select * from workflow_step_runs where workflow_run_id = $1),
  alive as materialized (
    select j.id, j.workflow_step_run_id from job_runs j
     where (j.id, j.created_at) in (select run_id, run_created_at from run_active union all select run_id, run_created_at from run_queue
                                    union all select run_id, run_created_at from run_parked)
       and j.workflow_step_run_id is not null)
  select j.id, s.step_ref, s.attempt, case when c.index is null then 'work' else 'map_children' end as kind, c.index,
         coalesce(s.state = 'r' and (s.job_run_id = j.id or c.attempt = s.attempt and c.status = 'open'), false) as known
    from alive j join steps s on s.id = j.workflow_step_run_id
    left join workflow_map_children c on c.step_run_id = s.id and c.job_run_id = j.id
  union all
  select r.id, s.step_ref, s.attempt, 'work', null, s.state = 'r' and s.child_run_id = coalesce(r.first_run_id, r.id)
    from workflow_runs r join steps s on s.id = r.parent_step_run_id where r.status in ('pending', 'running', 'paused')
  union all
  select t.id, s.step_ref, s.attempt, t.trigger_type, null, s.state in ('e', 's') and s.wait_id = t.id
    from event_triggers t join steps s on s.id = t.workflow_step_run_id where t.status = 'waiting'
  union all
  select a.id, s.step_ref, s.attempt, a.kind, null, s.state in ('a', 'g') and s.wait_id = a.id
    from workflow_step_approvals a join steps s on s.id = a.workflow_step_run_id where a.status = 'pending'
  order by 2, 5, 1`;

/** Words for the driver: times from the start of the case, names of the case instead of ids. */
export type Plain = <Value extends JsonValue | string | null>(value: Value) => Value;

export async function look(
  sql: Sql,
  workflow_run_id: string,
  base: number,
  plain: Plain,
  startOf: (row: Pick<OpenRow, 'step_ref' | 'attempt' | 'kind'>) => Start,
): Promise<Sight> {
  const [run] = await sql<{
    status: WorkflowRunStatus;
    error: string | null;
    continued: boolean;
    expires_at: number | null;
  }>(
    `select status, error, continued, (extract(epoch from expires_at) * 1000)::float8 as expires_at
       from workflow_runs where id = $1`,
    workflow_run_id,
  );
  assert.ok(run);
  const since = (at: number | null) => (at === null ? null : Math.round(at - base));
  const rows = await sql<StepRowHere>(STEPS, workflow_run_id);
  const board = readBoard(rows.map(({ state }) => state).join(''));
  const steps = rows.map((row, at): MemoryStep => ({
    ...row,
    state: board[at] ?? 'pending',
    error: plain(row.error),
    output: plain(row.output),
    started_at: since(row.started_at),
    finished_at: since(row.finished_at),
    next_retry_at: since(row.next_retry_at),
  }));
  const open = (await sql<OpenRow>(OPEN, workflow_run_id)).map(
    ({ known, kind, ...row }): OpenItem => {
      assert.ok(known, `${row.step_ref} has a ${kind} that it does not know of: ${row.id}`);
      return { ...row, start: startOf({ ...row, kind }) };
    },
  );
  for (const step of steps) {
    const { length } = open.filter(({ step_ref }) => step_ref === step.step_ref);
    const { map } = step;
    const expected =
      step.state === 'running' && map
        ? map.started - map.completed - map.failed
        : Number(step.state === 'running' || isParked(step.state));
    assert.equal(length, expected, `${step.step_ref} is ${step.state}: what it waits for`);
  }
  const expires_at = since(run.expires_at);
  return { run: { ...run, error: plain(run.error), expires_at }, steps, open };
}

/** The history of a run tells one story, in order, that ends where the run is. */
export async function checkHistory(sql: Sql, workflow_run_id: string): Promise<void> {
  const events = await sql<{ step_ref: string | null; from_status: string; to_status: string }>(
    'select step_ref, from_status, to_status from workflow_run_events where workflow_run_id = $1 order by id',
    workflow_run_id,
  );
  const at = new Map<string | null, string>();
  for (const { step_ref, from_status, to_status } of events) {
    assert.equal(from_status, at.get(step_ref) ?? from_status, `the history of ${step_ref} jumps`);
    const moves: { allows(from: string, to: string): boolean } =
      step_ref === null ? workflowRunStates : stepStatuses;
    const isMove = from_status === to_status || moves.allows(from_status, to_status);
    assert.ok(isMove, `${step_ref ?? 'the run'} went from ${from_status} to ${to_status}`);
    at.set(step_ref, to_status);
  }
  const now = await sql<{ step_ref: string | null; status: string }>(
    `select null as step_ref, status from workflow_runs where id = $1
     union all select step_ref, status from workflow_step_runs where workflow_run_id = $1`,
    workflow_run_id,
  );
  for (const { step_ref, status } of now)
    assert.equal(at.get(step_ref), status, `the end of ${step_ref}`);
}
