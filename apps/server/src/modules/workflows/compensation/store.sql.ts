// Generated from store.sql by `npm run generate`. Do not edit.
import type { JsonColumns } from '../../../platform/db/json-columns.ts';
import { count, many, maybe, one, type Queryable } from '../../../platform/db/query.ts';

export interface MoveRunParams {
  readonly to_status: string;
  readonly workflow_run_id: string;
  readonly project_id: string;
  readonly from_status: string;
}

export interface MoveRunRow {
  readonly id: string;
}

const moveRunText = `update workflow_runs r
   set status = $1, ended_as = coalesce(r.ended_as, r.status),
       finished_at = case when $1 = 'compensating' then null else strait_now() end
 where r.id = $2 and r.project_id = $3 and r.status = $4
returning r.id`;

/** The error stays that of the run. What a parent is told does not change: it has heard of the end that is undone. */
export function moveRun(db: Queryable, params: MoveRunParams): Promise<MoveRunRow | undefined> {
  return maybe<MoveRunRow>(db, {
    text: moveRunText,
    values: [
      params.to_status,
      params.workflow_run_id,
      params.project_id,
      params.from_status,
    ],
  });
}

export interface InsertRowsParams {
  readonly step_refs: readonly (string | null)[];
  readonly job_ids: readonly (string | null)[];
  readonly workflow_run_id: string;
  readonly project_id: string;
}

const insertRowsText = `insert into compensation_runs (workflow_run_id, step_run_id, step_ref, job_id, position)
select r.id, s.id, s.step_ref, p.job_id, p.n::int
  from unnest($1::text[], $2::text[]) with ordinality as p(step_ref, job_id, n)
  join workflow_runs r on r.id = $3 and r.project_id = $4
  join workflow_step_runs s on s.workflow_run_id = r.id and s.step_ref = p.step_ref`;

export function insertRows(db: Queryable, params: InsertRowsParams): Promise<number> {
  return count(db, {
    text: insertRowsText,
    values: [
      params.step_refs,
      params.job_ids,
      params.workflow_run_id,
      params.project_id,
    ],
  });
}

export interface ListRowsParams {
  readonly project_id: string;
  readonly workflow_run_id: string;
}

export interface ListRowsRow {
  readonly step_ref: string;
  readonly status: string;
  readonly job_run_id: string | null;
  readonly job_id: string;
  readonly error: string | null;
  readonly started_at: string | null;
  readonly finished_at: string | null;
}

const listRowsText = `select c.step_ref, c.status, c.job_run_id, c.job_id, c.error, c.started_at, c.finished_at
  from compensation_runs c join workflow_runs r on r.id = c.workflow_run_id and r.project_id = $1
 where r.id = $2 order by c.position`;

export function listRows(db: Queryable, params: ListRowsParams): Promise<ListRowsRow[]> {
  return many<ListRowsRow>(db, {
    text: listRowsText,
    values: [
      params.project_id,
      params.workflow_run_id,
    ],
  });
}

export interface FindUndoneParams {
  readonly project_id: string;
  readonly workflow_run_id: string;
  readonly step_ref: string;
}

export interface FindUndoneRow {
  readonly step_run_id: string;
  readonly job_id: string;
  readonly output: JsonColumns['workflow_step_runs.output'] | null;
}

const findUndoneText = `select c.step_run_id, c.job_id, s.output
  from compensation_runs c join workflow_runs r on r.id = c.workflow_run_id and r.project_id = $1
  join workflow_step_runs s on s.id = c.step_run_id
 where r.id = $2 and c.step_ref = $3`;

/** What is to be undone next, with what it has done. */
export function findUndone(db: Queryable, params: FindUndoneParams): Promise<FindUndoneRow> {
  return one<FindUndoneRow>(db, {
    text: findUndoneText,
    values: [
      params.project_id,
      params.workflow_run_id,
      params.step_ref,
    ],
  });
}

export interface StartRowParams {
  readonly job_run_id: string;
  readonly workflow_run_id: string;
  readonly project_id: string;
  readonly step_ref: string;
}

const startRowText = `update compensation_runs c set status = 'running', job_run_id = $1, started_at = strait_now()
  from workflow_runs r
 where r.id = $2 and r.project_id = $3 and c.workflow_run_id = r.id and c.step_ref = $4
   and c.status = 'pending'`;

export function startRow(db: Queryable, params: StartRowParams): Promise<number> {
  return count(db, {
    text: startRowText,
    values: [
      params.job_run_id,
      params.workflow_run_id,
      params.project_id,
      params.step_ref,
    ],
  });
}

export interface EndRowParams {
  readonly to_status: string;
  readonly error: string | null;
  readonly workflow_run_id: string;
  readonly project_id: string;
  readonly step_ref: string;
  readonly from_status: string;
}

const endRowText = `update compensation_runs c set status = $1, error = $2::text, finished_at = strait_now()
  from workflow_runs r
 where r.id = $3 and r.project_id = $4 and c.workflow_run_id = r.id and c.step_ref = $5
   and c.status = $6`;

export function endRow(db: Queryable, params: EndRowParams): Promise<number> {
  return count(db, {
    text: endRowText,
    values: [
      params.to_status,
      params.error,
      params.workflow_run_id,
      params.project_id,
      params.step_ref,
      params.from_status,
    ],
  });
}

export interface StopRowsParams {
  readonly project_id: string;
  readonly workflow_run_id: string;
  readonly error: string;
}

export interface StopRowsRow {
  readonly job_run_id: string;
}

const stopRowsText = `with open as materialized (
  select c.id, c.job_run_id from compensation_runs c join workflow_runs r on r.id = c.workflow_run_id and r.project_id = $1
   where r.id = $2 and c.status in ('pending', 'running')
), stopped as (
  update compensation_runs c set status = 'failed', error = $3, finished_at = strait_now() from open
   where c.id = open.id and c.status in ('pending', 'running')
)
select open.job_run_id as "job_run_id" from open where open.job_run_id is not null`;

/** All that have not ended; job runs of those that run. */
export function stopRows(db: Queryable, params: StopRowsParams): Promise<StopRowsRow[]> {
  return many<StopRowsRow>(db, {
    text: stopRowsText,
    values: [
      params.project_id,
      params.workflow_run_id,
      params.error,
    ],
  });
}

export interface ListIdleParams {
  readonly after_id: string;
  readonly limit: number;
}

export interface ListIdleRow {
  readonly workflow_run_id: string;
  readonly project_id: string;
}

const listIdleText = `select r.id as workflow_run_id, r.project_id from workflow_runs r
 where r.status = 'compensating' and r.id > $1
   and not exists (select from compensation_runs c where c.workflow_run_id = r.id and c.status = 'running')
 order by r.id limit $2::int`;

/**
 * across projects: a loop serves every project.
 * Runs that are undone, with nothing under way: the queue of the project was full. In pages.
 */
export function listIdle(db: Queryable, params: ListIdleParams): Promise<ListIdleRow[]> {
  return many<ListIdleRow>(db, {
    text: listIdleText,
    values: [
      params.after_id,
      params.limit,
    ],
  });
}
