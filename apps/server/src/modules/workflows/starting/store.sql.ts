// Generated from store.sql by `npm run generate`. Do not edit.
import type { JsonColumns } from '../../../platform/db/json-columns.ts';
import { count, many, maybe, one, type Queryable } from '../../../platform/db/query.ts';

export interface LockForRunParams {
  readonly project_id: string;
  readonly workflow: string;
}

export interface LockForRunRow {
  readonly id: string;
  readonly slug: string;
  readonly enabled: boolean;
  readonly version: number;
  readonly version_id: string | null;
  readonly timeout_secs: number;
  readonly max_concurrent_runs: number;
  readonly max_parallel_steps: number;
  readonly tags: JsonColumns['workflows.tags'];
}

const lockForRunText = `select w.id, w.slug, w.enabled, w.version, w.version_id, w.timeout_secs, w.max_concurrent_runs, w.max_parallel_steps, w.tags
  from workflows w
 where w.project_id = $1 and (w.id = $2 or w.slug = $2) and w.deleting_at is null
 order by w.id = $2 desc limit 1 for key share`;

/**
 * The key share that the foreign key takes anyway: whoever waited for a deletion finds the workflow gone. With a limit on
 * its runs those who start one pass one after the other.
 */
export function lockForRun(db: Queryable, params: LockForRunParams): Promise<LockForRunRow | undefined> {
  return maybe<LockForRunRow>(db, {
    text: lockForRunText,
    values: [
      params.project_id,
      params.workflow,
    ],
  });
}

export interface LockLimitedParams {
  readonly workflow_id: string;
  readonly project_id: string;
}

export interface LockLimitedRow {
  readonly id: string;
  readonly enabled: boolean;
  readonly max_concurrent_runs: number;
}

const lockLimitedText = `select w.id, w.enabled, w.max_concurrent_runs from workflows w
 where w.id = $1 and w.project_id = $2 and w.deleting_at is null for no key update`;

/** The same workflow again, once it turned out to have a limit. */
export function lockLimited(db: Queryable, params: LockLimitedParams): Promise<LockLimitedRow | undefined> {
  return maybe<LockLimitedRow>(db, {
    text: lockLimitedText,
    values: [
      params.workflow_id,
      params.project_id,
    ],
  });
}

export interface CountRunsParams {
  readonly project_id: string;
  readonly workflow_id: string;
}

export interface CountRunsRow {
  readonly active: number;
}

const countRunsText = `select count(*)::int as "active" from workflow_runs r
 where r.project_id = $1 and r.workflow_id = $2 and r.status in ('pending', 'running', 'paused')`;

/** A statement of its own: it sees what those before it wrote. */
export function countRuns(db: Queryable, params: CountRunsParams): Promise<CountRunsRow> {
  return one<CountRunsRow>(db, {
    text: countRunsText,
    values: [
      params.project_id,
      params.workflow_id,
    ],
  });
}

export interface FindRunVersionParams {
  readonly workflow_id: string;
  readonly project_id: string;
  readonly version: number;
}

export interface FindRunVersionRow {
  readonly id: string;
  readonly version: number;
  readonly version_id: string | null;
  readonly timeout_secs: number;
  readonly max_parallel_steps: number;
  readonly compensate_on_failure: boolean;
  readonly tags: JsonColumns['workflow_versions.tags'];
  readonly snapshot_id: string | null;
}

const findRunVersionText = `select v.id, v.version, v.version_id, v.timeout_secs, v.max_parallel_steps, v.compensate_on_failure, v.tags,
       (select s.id from workflow_snapshots s where s.workflow_id = v.workflow_id and s.version_id = v.version_id) as "snapshot_id"
  from workflow_versions v
 where v.workflow_id = $1 and v.project_id = $2 and v.version = $3`;

export function findRunVersion(db: Queryable, params: FindRunVersionParams): Promise<FindRunVersionRow | undefined> {
  return maybe<FindRunVersionRow>(db, {
    text: findRunVersionText,
    values: [
      params.workflow_id,
      params.project_id,
      params.version,
    ],
  });
}

export interface ListStepRefsParams {
  readonly workflow_id: string;
  readonly project_id: string;
  readonly version: number;
}

export interface ListStepRefsRow {
  readonly step_ref: string;
}

const listStepRefsText = `select s.step_ref from workflow_version_steps s
  join workflow_versions v on v.id = s.workflow_version_id and v.workflow_id = $1 and v.project_id = $2
 where v.version = $3`;

export function listStepRefs(db: Queryable, params: ListStepRefsParams): Promise<ListStepRefsRow[]> {
  return many<ListStepRefsRow>(db, {
    text: listStepRefsText,
    values: [
      params.workflow_id,
      params.project_id,
      params.version,
    ],
  });
}

export interface FindByKeyParams {
  readonly workflow_id: string;
  readonly project_id: string;
  readonly idempotency_key: string;
}

export interface FindByKeyRow {
  readonly id: string;
  readonly payload_hash: string | null;
}

const findByKeyText = `select r.id, r.payload_hash from workflow_runs r
 where r.workflow_id = $1 and r.project_id = $2 and r.idempotency_key = $3`;

export function findByKey(db: Queryable, params: FindByKeyParams): Promise<FindByKeyRow | undefined> {
  return maybe<FindByKeyRow>(db, {
    text: findByKeyText,
    values: [
      params.workflow_id,
      params.project_id,
      params.idempotency_key,
    ],
  });
}

export interface InsertRunParams {
  readonly project_id: string;
  readonly run: unknown;
}

export interface InsertRunRow {
  readonly id: string;
}

const insertRunText = `insert into workflow_runs (workflow_id, project_id, status, triggered_by, payload, expires_at, workflow_version, workflow_version_id,
       workflow_snapshot_id, max_parallel_steps, timeout_secs, retry_of_run_id, parent_workflow_run_id, parent_step_run_id, depth,
       continues_run_id, first_run_id, generation, created_by, tags, trace_context, step_overrides, idempotency_key, payload_hash,
       compensate_on_failure, lineage_depth)
select n.workflow_id, $1, 'pending', n.triggered_by, nullif(n.payload, 'null'),
       case when n.timeout_secs > 0 then strait_now() + make_interval(secs => n.timeout_secs) end,
       n.workflow_version, n.workflow_version_id, n.workflow_snapshot_id, n.max_parallel_steps, n.timeout_secs, n.retry_of_run_id,
       n.parent_workflow_run_id, n.parent_step_run_id, coalesce(n.depth, 0), n.continues_run_id, n.first_run_id,
       coalesce(n.generation, 0), n.created_by, coalesce(n.tags, '{}'), n.trace_context, coalesce(n.step_overrides, '[]'),
       n.idempotency_key, n.payload_hash, coalesce(n.compensate_on_failure, false),
       coalesce(n.lineage_depth, 0)
  from jsonb_populate_record(null::workflow_runs, $2::jsonb) n
    on conflict (workflow_id, idempotency_key) where idempotency_key is not null do nothing
returning id`;

/** No row: another run of the workflow has the idempotency key. */
export function insertRun(db: Queryable, params: InsertRunParams): Promise<InsertRunRow | undefined> {
  return maybe<InsertRunRow>(db, {
    text: insertRunText,
    values: [
      params.project_id,
      JSON.stringify(params.run),
    ],
  });
}

export interface InsertStepsParams {
  readonly steps: unknown;
  readonly workflow_run_id: string;
  readonly project_id: string;
  readonly workflow_version_id: string;
  readonly retry_of_run_id: string | null;
}

const insertStepsText = `insert into workflow_step_runs (workflow_run_id, workflow_step_id, step_ref, state, status, wait_reason, output, finished_at)
select r.id, f.id, f.step_ref, n.state, strait_step_status(n.state), strait_step_wait_reason(n.state),
       o.output, case when n.state = 'C' then strait_now() end
  from jsonb_to_recordset($1::jsonb) as n(step_ref text, state text)
  join workflow_runs r on r.id = $2 and r.project_id = $3
  join workflow_version_steps f on f.workflow_version_id = $4 and f.step_ref = n.step_ref
  left join workflow_step_runs o on n.state = 'C' and o.workflow_run_id = $5::text and o.step_ref = n.step_ref
 order by n.step_ref collate "C"`;

/** `states` by step; a retry brings the outputs of what it takes over. */
export function insertSteps(db: Queryable, params: InsertStepsParams): Promise<number> {
  return count(db, {
    text: insertStepsText,
    values: [
      JSON.stringify(params.steps),
      params.workflow_run_id,
      params.project_id,
      params.workflow_version_id,
      params.retry_of_run_id,
    ],
  });
}

export interface InsertLabelsParams {
  readonly labels: unknown;
  readonly workflow_run_id: string;
  readonly project_id: string;
}

const insertLabelsText = `insert into workflow_run_labels (workflow_run_id, label_key, label_value)
select r.id, l.key, l.value from workflow_runs r cross join jsonb_each_text($1::jsonb) l
 where r.id = $2 and r.project_id = $3`;

export function insertLabels(db: Queryable, params: InsertLabelsParams): Promise<number> {
  return count(db, {
    text: insertLabelsText,
    values: [
      JSON.stringify(params.labels),
      params.workflow_run_id,
      params.project_id,
    ],
  });
}

export interface CopyLabelsParams {
  readonly from_run_id: string;
  readonly project_id: string;
  readonly workflow_run_id: string;
}

const copyLabelsText = `insert into workflow_run_labels (workflow_run_id, label_key, label_value)
select r.id, l.label_key, l.label_value
  from workflow_runs r join workflow_run_labels l on l.workflow_run_id = $1
  join workflow_runs o on o.id = l.workflow_run_id and o.project_id = $2
 where r.id = $3 and r.project_id = $2`;

export function copyLabels(db: Queryable, params: CopyLabelsParams): Promise<number> {
  return count(db, {
    text: copyLabelsText,
    values: [
      params.from_run_id,
      params.project_id,
      params.workflow_run_id,
    ],
  });
}

export interface FindVersionNumberParams {
  readonly workflow_id: string;
  readonly project_id: string;
  readonly version_ref: string;
}

export interface FindVersionNumberRow {
  readonly version: number;
}

const findVersionNumberText = `select v.version from workflow_versions v
 where v.workflow_id = $1 and v.project_id = $2 and (v.version_id = $3 or v.version::text = $3)`;

export function findVersionNumber(db: Queryable, params: FindVersionNumberParams): Promise<FindVersionNumberRow | undefined> {
  return maybe<FindVersionNumberRow>(db, {
    text: findVersionNumberText,
    values: [
      params.workflow_id,
      params.project_id,
      params.version_ref,
    ],
  });
}
