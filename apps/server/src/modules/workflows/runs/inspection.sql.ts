// Generated from inspection.sql by `npm run generate`. Do not edit.
import type { JsonColumns } from '../../../platform/db/json-columns.ts';
import { many, maybe, type Queryable } from '../../../platform/db/query.ts';

export interface ReadStepsParams {
  readonly project_id: string;
  readonly workflow_run_id: string;
}

export interface ReadStepsRow {
  readonly id: string;
  readonly step_ref: string;
  readonly state: string;
  readonly attempt: number;
  readonly started_at: string | null;
  readonly finished_at: string | null;
  readonly next_retry_at: string | null;
  readonly error: string | null;
  readonly job_run_id: string | null;
  readonly child_run_id: string | null;
  readonly wait_id: string | null;
  readonly map: JsonColumns['workflow_step_runs.map'] | null;
  readonly run_status: string;
  readonly run_started_at: string | null;
  readonly run_finished_at: string | null;
  readonly now: string;
}

const readStepsText = `select s.id, s.step_ref, s.state, s.attempt, s.started_at, s.finished_at, s.next_retry_at, s.error, s.job_run_id, s.child_run_id,
       s.wait_id, s.map, r.status as run_status, r.started_at as run_started_at, r.finished_at as run_finished_at, strait_now() as "now"
  from workflow_step_runs s join workflow_runs r on r.id = s.workflow_run_id and r.project_id = $1
 where r.id = $2
 order by s.step_ref collate "C"`;

/** Of one instant with the run, in the order of its graph. */
export function readSteps(db: Queryable, params: ReadStepsParams): Promise<ReadStepsRow[]> {
  return many<ReadStepsRow>(db, {
    text: readStepsText,
    values: [
      params.project_id,
      params.workflow_run_id,
    ],
  });
}

export interface ListDecisionsParams {
  readonly project_id: string;
  readonly workflow_run_id: string;
  readonly step_ref: string | null;
  readonly decision_type: string | null;
  readonly before_created_at: string | null;
  readonly before_id: string | null;
  readonly limit: number;
}

export interface ListDecisionsRow {
  readonly id: string;
  readonly workflow_run_id: string;
  readonly step_run_id: string;
  readonly step_ref: string;
  readonly decision_type: string;
  readonly decision: string;
  readonly explanation: string;
  readonly details: JsonColumns['workflow_step_decisions.details'] | null;
  readonly created_at: string;
}

const listDecisionsText = `select d.* from workflow_step_decisions d join workflow_runs r on r.id = d.workflow_run_id and r.project_id = $1
 where d.workflow_run_id = $2
   and ($3::text is null or d.step_ref = $3)
   and ($4::text is null or d.decision_type = $4)
   and ($5::timestamptz is null or (d.created_at, d.id) < ($5, $6::text))
 order by d.created_at desc, d.id desc limit $7::int`;

export function listDecisions(db: Queryable, params: ListDecisionsParams): Promise<ListDecisionsRow[]> {
  return many<ListDecisionsRow>(db, {
    text: listDecisionsText,
    values: [
      params.project_id,
      params.workflow_run_id,
      params.step_ref,
      params.decision_type,
      params.before_created_at,
      params.before_id,
      params.limit,
    ],
  });
}

export interface ListLabelsParams {
  readonly project_id: string;
  readonly workflow_run_id: string;
}

export interface ListLabelsRow {
  readonly label_key: string;
  readonly label_value: string;
}

const listLabelsText = `select l.label_key, l.label_value from workflow_run_labels l join workflow_runs r on r.id = l.workflow_run_id and r.project_id = $1
 where r.id = $2 order by l.label_key`;

export function listLabels(db: Queryable, params: ListLabelsParams): Promise<ListLabelsRow[]> {
  return many<ListLabelsRow>(db, {
    text: listLabelsText,
    values: [
      params.project_id,
      params.workflow_run_id,
    ],
  });
}

export interface ListMapChildrenParams {
  readonly project_id: string;
  readonly workflow_run_id: string;
  readonly step_ref: string;
  readonly after_index: number | null;
  readonly status: string | null;
  readonly limit: number;
}

export interface ListMapChildrenRow {
  readonly index: number;
  readonly item: JsonColumns['workflow_map_children.item'];
  readonly output: JsonColumns['workflow_map_children.output'] | null;
  readonly error: string | null;
  readonly job_run_id: string | null;
  readonly child_workflow_run_id: string | null;
  readonly status: string;
}

const listMapChildrenText = `select c.index, c.item, c.output, c.error, c.job_run_id, c.child_run_id as child_workflow_run_id,
       case when c.status <> 'open' then c.status when coalesce(c.job_run_id, c.child_run_id) is null then 'pending' else 'running' end as "status"
  from workflow_map_children c
  join workflow_step_runs s on s.id = c.step_run_id and s.attempt = c.attempt
  join workflow_runs r on r.id = s.workflow_run_id and r.project_id = $1
 where r.id = $2 and s.step_ref = $3
   and ($4::int is null or c.index > $4)
   and ($5::text is null or $5
        = case when c.status <> 'open' then c.status when coalesce(c.job_run_id, c.child_run_id) is null then 'pending' else 'running' end)
 order by c.index limit $6::int`;

/** Of the present attempt. What it starts later has neither a job run nor a child run yet. */
export function listMapChildren(db: Queryable, params: ListMapChildrenParams): Promise<ListMapChildrenRow[]> {
  return many<ListMapChildrenRow>(db, {
    text: listMapChildrenText,
    values: [
      params.project_id,
      params.workflow_run_id,
      params.step_ref,
      params.after_index,
      params.status,
      params.limit,
    ],
  });
}

export interface CountByVersionParams {
  readonly project_id: string;
  readonly workflow_id: string;
}

export interface CountByVersionRow {
  readonly version: number;
  readonly status: string;
  readonly runs: number;
}

const countByVersionText = `select r.workflow_version as "version", r.status, count(*)::int as "runs" from workflow_runs r
 where r.project_id = $1 and r.workflow_id = $2 and r.status in ('pending', 'running', 'paused')
 group by r.workflow_version, r.status`;

/** Active runs by version and status. */
export function countByVersion(db: Queryable, params: CountByVersionParams): Promise<CountByVersionRow[]> {
  return many<CountByVersionRow>(db, {
    text: countByVersionText,
    values: [
      params.project_id,
      params.workflow_id,
    ],
  });
}

export interface CountByStatusParams {
  readonly project_id: string;
  readonly workflow_id: string;
  readonly version: number;
}

export interface CountByStatusRow {
  readonly status: string;
  readonly runs: number;
}

const countByStatusText = `select r.status, count(*)::int as "runs" from workflow_runs r
 where r.project_id = $1 and r.workflow_id = $2 and r.workflow_version = $3
 group by r.status`;

export function countByStatus(db: Queryable, params: CountByStatusParams): Promise<CountByStatusRow[]> {
  return many<CountByStatusRow>(db, {
    text: countByStatusText,
    values: [
      params.project_id,
      params.workflow_id,
      params.version,
    ],
  });
}

export interface FindVersionIdsParams {
  readonly project_id: string;
  readonly workflow_id: string;
  readonly versions: readonly (number | null)[];
}

export interface FindVersionIdsRow {
  readonly version: number;
  readonly version_id: string | null;
}

const findVersionIdsText = `select v.version, v.version_id from workflow_versions v
 where v.project_id = $1 and v.workflow_id = $2 and v.version = any ($3::int[])`;

export function findVersionIds(db: Queryable, params: FindVersionIdsParams): Promise<FindVersionIdsRow[]> {
  return many<FindVersionIdsRow>(db, {
    text: findVersionIdsText,
    values: [
      params.project_id,
      params.workflow_id,
      params.versions,
    ],
  });
}

export interface ListStepsWithoutOutputsParams {
  readonly project_id: string;
  readonly workflow_run_id: string;
}

export interface ListStepsWithoutOutputsRow {
  readonly id: string;
  readonly workflow_run_id: string;
  readonly workflow_step_id: string;
  readonly step_ref: string;
  readonly job_run_id: string | null;
  readonly status: string;
  readonly deps_completed: number;
  readonly deps_required: number;
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

const listStepsWithoutOutputsText = `select s.id, s.workflow_run_id, s.workflow_step_id, s.step_ref, s.job_run_id, s.status, s.deps_completed, s.deps_required, s.error,
       s.started_at, s.finished_at, s.created_at, s.attempt, s.state, s.wait_reason, s.child_run_id, s.wait_id, s.next_retry_at,
       s.gate_passed, s.map
  from workflow_step_runs s join workflow_runs r on r.id = s.workflow_run_id and r.project_id = $1
 where r.id = $2 order by s.created_at, s.id`;

/** Outputs may be large; those of single steps can be read one by one. */
export function listStepsWithoutOutputs(db: Queryable, params: ListStepsWithoutOutputsParams): Promise<ListStepsWithoutOutputsRow[]> {
  return many<ListStepsWithoutOutputsRow>(db, {
    text: listStepsWithoutOutputsText,
    values: [
      params.project_id,
      params.workflow_run_id,
    ],
  });
}

export interface ListApprovalsParams {
  readonly project_id: string;
  readonly workflow_run_id: string;
  readonly limit: number;
}

export interface ListApprovalsRow {
  readonly id: string;
  readonly step_ref: string;
  readonly kind: string;
  readonly status: string;
  readonly approvers: readonly string[];
  readonly approved_by: string | null;
  readonly requested_at: string;
  readonly approved_at: string | null;
  readonly expires_at: string | null;
  readonly error: string | null;
}

const listApprovalsText = `select a.id, s.step_ref, a.kind, a.status, a.approvers, a.approved_by, a.requested_at, a.approved_at, a.expires_at, a.error
  from workflow_step_approvals a join workflow_runs r on r.id = a.workflow_run_id and r.project_id = $1
  join workflow_step_runs s on s.id = a.workflow_step_run_id
 where r.id = $2
 order by a.requested_at desc, a.id desc limit $3::int`;

export function listApprovals(db: Queryable, params: ListApprovalsParams): Promise<ListApprovalsRow[]> {
  return many<ListApprovalsRow>(db, {
    text: listApprovalsText,
    values: [
      params.project_id,
      params.workflow_run_id,
      params.limit,
    ],
  });
}

export interface ListTriggersParams {
  readonly project_id: string;
  readonly workflow_run_id: string;
  readonly limit: number;
}

export interface ListTriggersRow {
  readonly id: string;
  readonly step_ref: string;
  readonly trigger_type: string;
  readonly event_key: string;
  readonly status: string;
  readonly requested_at: string;
  readonly received_at: string | null;
  readonly expires_at: string;
  readonly error: string | null;
  readonly sent_by: string;
}

const listTriggersText = `select t.id, s.step_ref, t.trigger_type, t.event_key, t.status, t.requested_at, t.received_at, t.expires_at, t.error, t.sent_by
  from event_triggers t join workflow_step_runs s on s.id = t.workflow_step_run_id
  join workflow_runs r on r.id = s.workflow_run_id and r.project_id = $1
 where r.id = $2 and t.project_id = $1
 order by t.requested_at desc, t.id desc limit $3::int`;

export function listTriggers(db: Queryable, params: ListTriggersParams): Promise<ListTriggersRow[]> {
  return many<ListTriggersRow>(db, {
    text: listTriggersText,
    values: [
      params.project_id,
      params.workflow_run_id,
      params.limit,
    ],
  });
}

export interface ListJobRunsParams {
  readonly project_id: string;
  readonly workflow_run_id: string;
  readonly limit: number;
}

export interface ListJobRunsRow {
  readonly id: string;
  readonly step_ref: string;
  readonly job_id: string;
  readonly status: string;
  readonly attempt: number;
  readonly error: string | null;
  readonly created_at: string;
  readonly started_at: string | null;
  readonly finished_at: string | null;
}

const listJobRunsText = `select j.id, s.step_ref, j.job_id, j.status, j.attempt, j.error, j.created_at, j.started_at, j.finished_at
  from workflow_step_runs s join workflow_runs r on r.id = s.workflow_run_id and r.project_id = $1
  join job_runs j on j.workflow_step_run_id = s.id and j.project_id = $1
 where r.id = $2
 order by j.created_at desc, j.id desc limit $3::int`;

/** Those of children of maps and of earlier attempts included. */
export function listJobRuns(db: Queryable, params: ListJobRunsParams): Promise<ListJobRunsRow[]> {
  return many<ListJobRunsRow>(db, {
    text: listJobRunsText,
    values: [
      params.project_id,
      params.workflow_run_id,
      params.limit,
    ],
  });
}

export interface ListChildRunsParams {
  readonly project_id: string;
  readonly workflow_run_id: string;
  readonly limit: number;
}

export interface ListChildRunsRow {
  readonly id: string;
  readonly step_ref: string | null;
  readonly workflow_id: string;
  readonly status: string;
  readonly error: string | null;
  readonly created_at: string;
  readonly started_at: string | null;
  readonly finished_at: string | null;
}

const listChildRunsText = `select c.id, s.step_ref as "step_ref", c.workflow_id, c.status, c.error, c.created_at, c.started_at, c.finished_at
  from workflow_runs c join workflow_runs r on r.id = c.parent_workflow_run_id and r.project_id = $1
  left join workflow_step_runs s on s.id = c.parent_step_run_id
 where r.id = $2 and c.project_id = $1
 order by c.created_at desc, c.id desc limit $3::int`;

export function listChildRuns(db: Queryable, params: ListChildRunsParams): Promise<ListChildRunsRow[]> {
  return many<ListChildRunsRow>(db, {
    text: listChildRunsText,
    values: [
      params.project_id,
      params.workflow_run_id,
      params.limit,
    ],
  });
}

export interface ListNewestEventsParams {
  readonly workflow_run_id: string;
  readonly project_id: string;
  readonly limit: number;
}

export interface ListNewestEventsRow {
  readonly id: number;
  readonly step_ref: string | null;
  readonly from_status: string | null;
  readonly to_status: string;
  readonly attempt: number | null;
  readonly reason: string;
  readonly created_at: string;
}

const listNewestEventsText = `select e.id, e.step_ref, e.from_status, e.to_status, e.attempt, e.reason, e.created_at from workflow_run_events e
 where e.workflow_run_id = $1 and e.project_id = $2
 order by e.id desc limit $3::int`;

export function listNewestEvents(db: Queryable, params: ListNewestEventsParams): Promise<ListNewestEventsRow[]> {
  return many<ListNewestEventsRow>(db, {
    text: listNewestEventsText,
    values: [
      params.workflow_run_id,
      params.project_id,
      params.limit,
    ],
  });
}

export interface ReadSnapshotParams {
  readonly workflow_run_id: string;
  readonly project_id: string;
}

export interface ReadSnapshotRow {
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
  readonly now: string;
  readonly event_id: number;
  readonly steps: unknown;
}

const readSnapshotText = `select r.*, strait_now() as "now", coalesce((select max(e.id) from workflow_run_events e where e.workflow_run_id = r.id), 0)::float8 as "event_id",
       (select coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object('step_ref', s.step_ref, 'status', s.status, 'wait_reason', s.wait_reason,
                                                                       'attempt', s.attempt)) order by s.step_ref collate "C"), '[]')
          from workflow_step_runs s where s.workflow_run_id = r.id) as "steps"
  from workflow_runs r where r.id = $1 and r.project_id = $2`;

/** Run, steps and the newest event of one instant: later events tell all that comes after it, and nothing of it. */
export function readSnapshot(db: Queryable, params: ReadSnapshotParams): Promise<ReadSnapshotRow | undefined> {
  return maybe<ReadSnapshotRow>(db, {
    text: readSnapshotText,
    values: [
      params.workflow_run_id,
      params.project_id,
    ],
  });
}

export interface ListEventsAfterParams {
  readonly after_id: number;
  readonly limit: number;
  readonly workflow_run_id: string;
  readonly project_id: string;
}

export interface ListEventsAfterRow {
  readonly run_status: string;
  readonly id: number | null;
  readonly step_ref: string | null;
  readonly from_status: string | null;
  readonly to_status: string | null;
  readonly attempt: number | null;
  readonly reason: string | null;
  readonly created_at: string | null;
}

const listEventsAfterText = `select r.status as run_status, e.id as "id", e.step_ref as "step_ref", e.from_status as "from_status", e.to_status as "to_status",
       e.attempt as "attempt", e.reason as "reason", e.created_at as "created_at"
  from workflow_runs r
  left join lateral (select n.* from workflow_run_events n where n.workflow_run_id = r.id and n.id > $1::bigint
                      order by n.id limit $2::int) e on true
 where r.id = $3 and r.project_id = $4
 order by e.id`;

/**
 * The next events of a run in order, with its status of the same instant; a run without a next event is one row. Events of one
 * run are written under its lock, so that what has a smaller id is visible earlier.
 */
export function listEventsAfter(db: Queryable, params: ListEventsAfterParams): Promise<ListEventsAfterRow[]> {
  return many<ListEventsAfterRow>(db, {
    text: listEventsAfterText,
    values: [
      params.after_id,
      params.limit,
      params.workflow_run_id,
      params.project_id,
    ],
  });
}
