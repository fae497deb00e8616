// Generated from store.sql by `npm run generate`. Do not edit.
import type { JsonColumns } from '../../../platform/db/json-columns.ts';
import { many, maybe, one, type Queryable } from '../../../platform/db/query.ts';

export interface FindRunParams {
  readonly workflow_run_id: string;
  readonly project_id: string;
}

export interface FindRunRow {
  readonly id: string;
  readonly workflow_id: string;
  readonly project_id: string;
  readonly status: string;
  readonly triggered_by: string;
  readonly payload: JsonColumns['workflow_runs.payload'] | null;
  readonly error: string | null;
  readonly started_at: string | null;
  readonly finished_at: string | null;
  readonly expires_at: string | null;
  readonly created_at: string;
  readonly workflow_version: number;
  readonly max_parallel_steps: number;
  readonly retry_of_run_id: string | null;
  readonly parent_workflow_run_id: string | null;
  readonly created_by: string | null;
  readonly workflow_version_id: string | null;
  readonly tags: JsonColumns['workflow_runs.tags'];
  readonly parent_step_run_id: string | null;
  readonly trace_context: JsonColumns['workflow_runs.trace_context'] | null;
  readonly workflow_snapshot_id: string | null;
  readonly timeout_secs: number;
  readonly depth: number;
  readonly continues_run_id: string | null;
  readonly first_run_id: string | null;
  readonly generation: number;
  readonly continued: boolean;
  readonly step_overrides: JsonColumns['workflow_runs.step_overrides'];
  readonly idempotency_key: string | null;
  readonly payload_hash: string | null;
  readonly news_due_at: string | null;
  readonly news_tries: number;
  readonly lineage_depth: number;
  readonly compensate_on_failure: boolean;
  readonly ended_as: string | null;
}

const findRunText = `select r.* from workflow_runs r where r.id = $1 and r.project_id = $2`;

export function findRun(db: Queryable, params: FindRunParams): Promise<FindRunRow | undefined> {
  return maybe<FindRunRow>(db, {
    text: findRunText,
    values: [
      params.workflow_run_id,
      params.project_id,
    ],
  });
}

export interface ListRunsParams {
  readonly project_id: string;
  readonly workflow_id: string | null;
  readonly status: string | null;
  readonly triggered_by: string | null;
  readonly tag_key: string | null;
  readonly tag_value: string | null;
  readonly label_key: string | null;
  readonly label_value: string | null;
  readonly before_created_at: string | null;
  readonly before_id: string | null;
  readonly limit: number;
}

export interface ListRunsRow {
  readonly id: string;
  readonly workflow_id: string;
  readonly project_id: string;
  readonly status: string;
  readonly triggered_by: string;
  readonly payload: JsonColumns['workflow_runs.payload'] | null;
  readonly error: string | null;
  readonly started_at: string | null;
  readonly finished_at: string | null;
  readonly expires_at: string | null;
  readonly created_at: string;
  readonly workflow_version: number;
  readonly max_parallel_steps: number;
  readonly retry_of_run_id: string | null;
  readonly parent_workflow_run_id: string | null;
  readonly created_by: string | null;
  readonly workflow_version_id: string | null;
  readonly tags: JsonColumns['workflow_runs.tags'];
  readonly parent_step_run_id: string | null;
  readonly trace_context: JsonColumns['workflow_runs.trace_context'] | null;
  readonly workflow_snapshot_id: string | null;
  readonly timeout_secs: number;
  readonly depth: number;
  readonly continues_run_id: string | null;
  readonly first_run_id: string | null;
  readonly generation: number;
  readonly continued: boolean;
  readonly step_overrides: JsonColumns['workflow_runs.step_overrides'];
  readonly idempotency_key: string | null;
  readonly payload_hash: string | null;
  readonly news_due_at: string | null;
  readonly news_tries: number;
  readonly lineage_depth: number;
  readonly compensate_on_failure: boolean;
  readonly ended_as: string | null;
}

const listRunsText = `select r.* from workflow_runs r
 where r.project_id = $1
   and ($2::text is null or r.workflow_id = $2)
   and ($3::text is null or r.status = $3)
   and ($4::text is null or r.triggered_by = $4)
   and ($5::text is null or r.tags ? $5)
   and ($6::text is null or r.tags @> jsonb_build_object($5, $6))
   and ($7::text is null or exists (
         select from workflow_run_labels l where l.workflow_run_id = r.id and l.label_key = $7
            and ($8::text is null or l.label_value = $8)))
   and ($9::timestamptz is null or (r.created_at, r.id) < ($9, $10::text))
 order by r.created_at desc, r.id desc limit $11::int`;

export function listRuns(db: Queryable, params: ListRunsParams): Promise<ListRunsRow[]> {
  return many<ListRunsRow>(db, {
    text: listRunsText,
    values: [
      params.project_id,
      params.workflow_id,
      params.status,
      params.triggered_by,
      params.tag_key,
      params.tag_value,
      params.label_key,
      params.label_value,
      params.before_created_at,
      params.before_id,
      params.limit,
    ],
  });
}

export interface FindWorkflowIdParams {
  readonly project_id: string;
  readonly workflow: string;
}

export interface FindWorkflowIdRow {
  readonly id: string;
}

const findWorkflowIdText = `select w.id from workflows w
 where w.project_id = $1 and (w.id = $2 or w.slug = $2) and w.deleting_at is null
 order by w.id = $2 desc limit 1`;

export function findWorkflowId(db: Queryable, params: FindWorkflowIdParams): Promise<FindWorkflowIdRow | undefined> {
  return maybe<FindWorkflowIdRow>(db, {
    text: findWorkflowIdText,
    values: [
      params.project_id,
      params.workflow,
    ],
  });
}

export interface ListStepsParams {
  readonly project_id: string;
  readonly workflow_run_id: string;
  readonly after_created_at: string | null;
  readonly after_id: string | null;
  readonly limit: number;
}

export interface ListStepsRow {
  readonly id: string;
  readonly workflow_run_id: string;
  readonly workflow_step_id: string;
  readonly step_ref: string;
  readonly job_run_id: string | null;
  readonly status: string;
  readonly deps_completed: number;
  readonly deps_required: number;
  readonly output: JsonColumns['workflow_step_runs.output'] | null;
  readonly error: string | null;
  readonly started_at: string | null;
  readonly finished_at: string | null;
  readonly created_at: string;
  readonly attempt: number;
  readonly state: string;
  readonly wait_reason: string | null;
  readonly child_run_id: string | null;
  readonly wait_id: string | null;
  readonly next_retry_at: string | null;
  readonly gate_passed: boolean;
  readonly map: JsonColumns['workflow_step_runs.map'] | null;
}

const listStepsText = `select s.* from workflow_step_runs s join workflow_runs r on r.id = s.workflow_run_id and r.project_id = $1
 where r.id = $2
   and ($3::timestamptz is null or (s.created_at, s.id) > ($3, $4::text))
 order by s.created_at, s.id limit $5::int`;

export function listSteps(db: Queryable, params: ListStepsParams): Promise<ListStepsRow[]> {
  return many<ListStepsRow>(db, {
    text: listStepsText,
    values: [
      params.project_id,
      params.workflow_run_id,
      params.after_created_at,
      params.after_id,
      params.limit,
    ],
  });
}

export interface FindStepParams {
  readonly project_id: string;
  readonly workflow_run_id: string;
  readonly step_ref: string;
}

export interface FindStepRow {
  readonly id: string;
  readonly workflow_run_id: string;
  readonly workflow_step_id: string;
  readonly step_ref: string;
  readonly job_run_id: string | null;
  readonly status: string;
  readonly deps_completed: number;
  readonly deps_required: number;
  readonly output: JsonColumns['workflow_step_runs.output'] | null;
  readonly error: string | null;
  readonly started_at: string | null;
  readonly finished_at: string | null;
  readonly created_at: string;
  readonly attempt: number;
  readonly state: string;
  readonly wait_reason: string | null;
  readonly child_run_id: string | null;
  readonly wait_id: string | null;
  readonly next_retry_at: string | null;
  readonly gate_passed: boolean;
  readonly map: JsonColumns['workflow_step_runs.map'] | null;
}

const findStepText = `select s.* from workflow_step_runs s join workflow_runs r on r.id = s.workflow_run_id and r.project_id = $1
 where r.id = $2 and s.step_ref = $3`;

export function findStep(db: Queryable, params: FindStepParams): Promise<FindStepRow | undefined> {
  return maybe<FindStepRow>(db, {
    text: findStepText,
    values: [
      params.project_id,
      params.workflow_run_id,
      params.step_ref,
    ],
  });
}

export interface ReadStatesParams {
  readonly project_id: string;
  readonly workflow_run_id: string;
}

export interface ReadStatesRow {
  readonly board: string;
}

const readStatesText = `select coalesce(string_agg(s.state, '' order by s.step_ref collate "C"), '') as "board"
  from workflow_step_runs s join workflow_runs r on r.id = s.workflow_run_id and r.project_id = $1
 where r.id = $2`;

export function readStates(db: Queryable, params: ReadStatesParams): Promise<ReadStatesRow> {
  return one<ReadStatesRow>(db, {
    text: readStatesText,
    values: [
      params.project_id,
      params.workflow_run_id,
    ],
  });
}

export interface ListChildrenParams {
  readonly project_id: string;
  readonly workflow_run_id: string;
  readonly except_ids: readonly (string | null)[];
}

export interface ListChildrenRow {
  readonly id: string;
}

const listChildrenText = `select c.id from workflow_runs c
 where c.project_id = $1 and c.parent_workflow_run_id = $2 and c.status in ('pending', 'running', 'paused')
   and c.id <> all ($3::text[])
 order by c.id`;

/** Child runs that have not ended, for a pause of a whole tree. */
export function listChildren(db: Queryable, params: ListChildrenParams): Promise<ListChildrenRow[]> {
  return many<ListChildrenRow>(db, {
    text: listChildrenText,
    values: [
      params.project_id,
      params.workflow_run_id,
      params.except_ids,
    ],
  });
}

export interface ListUndoneParams {
  readonly project_id: string;
  readonly workflow_run_id: string;
}

export interface ListUndoneRow {
  readonly step_ref: string;
}

const listUndoneText = `select c.step_ref from compensation_runs c join workflow_runs r on r.id = c.workflow_run_id and r.project_id = $1
 where r.id = $2 and c.started_at is not null`;

/** Steps that a compensation undid, or tried to. */
export function listUndone(db: Queryable, params: ListUndoneParams): Promise<ListUndoneRow[]> {
  return many<ListUndoneRow>(db, {
    text: listUndoneText,
    values: [
      params.project_id,
      params.workflow_run_id,
    ],
  });
}
