// Generated from store.sql by `npm run generate`. Do not edit.
import { count, many, maybe, type Queryable } from '../../../platform/db/query.ts';

export interface FindApprovalParams {
  readonly project_id: string;
  readonly workflow_run_id: string;
  readonly step_ref: string;
}

export interface FindApprovalRow {
  readonly id: string;
  readonly workflow_run_id: string;
  readonly workflow_step_run_id: string;
  readonly approvers: readonly string[];
  readonly status: string;
  readonly approved_by: string | null;
  readonly requested_at: string;
  readonly approved_at: string | null;
  readonly expires_at: string | null;
  readonly error: string | null;
  readonly kind: string;
  readonly reminded_at: string | null;
  readonly project_id: string;
  readonly remind_at: string | null;
  readonly step_ref: string;
  readonly current: boolean;
}

const findApprovalText = `select a.*, s.step_ref,
       coalesce(s.wait_id = a.id, false) or (a.kind = 'cost_gate' and a.status = 'approved' and s.gate_passed) as "current"
  from workflow_step_approvals a join workflow_step_runs s on s.id = a.workflow_step_run_id
 where a.project_id = $1 and a.workflow_run_id = $2 and s.step_ref = $3
 order by a.requested_at desc, a.id desc limit 1`;

/** The last one of a step. `current`: the step has not been reset since. */
export function findApproval(db: Queryable, params: FindApprovalParams): Promise<FindApprovalRow | undefined> {
  return maybe<FindApprovalRow>(db, {
    text: findApprovalText,
    values: [
      params.project_id,
      params.workflow_run_id,
      params.step_ref,
    ],
  });
}

export interface ListApprovalsParams {
  readonly project_id: string;
  readonly workflow_run_id: string;
  readonly after_requested_at: string | null;
  readonly after_id: string | null;
  readonly limit: number;
}

export interface ListApprovalsRow {
  readonly id: string;
  readonly workflow_run_id: string;
  readonly workflow_step_run_id: string;
  readonly approvers: readonly string[];
  readonly status: string;
  readonly approved_by: string | null;
  readonly requested_at: string;
  readonly approved_at: string | null;
  readonly expires_at: string | null;
  readonly error: string | null;
  readonly kind: string;
  readonly reminded_at: string | null;
  readonly project_id: string;
  readonly remind_at: string | null;
  readonly step_ref: string;
}

const listApprovalsText = `select a.*, s.step_ref
  from workflow_step_approvals a join workflow_step_runs s on s.id = a.workflow_step_run_id
 where a.project_id = $1 and a.workflow_run_id = $2
   and ($3::timestamptz is null or (a.requested_at, a.id) > ($3, $4::text))
 order by a.requested_at, a.id limit $5::int`;

export function listApprovals(db: Queryable, params: ListApprovalsParams): Promise<ListApprovalsRow[]> {
  return many<ListApprovalsRow>(db, {
    text: listApprovalsText,
    values: [
      params.project_id,
      params.workflow_run_id,
      params.after_requested_at,
      params.after_id,
      params.limit,
    ],
  });
}

export interface ListOwnParams {
  readonly project_id: string;
  readonly status: string;
  readonly entries: readonly (string | null)[];
  readonly before_requested_at: string | null;
  readonly before_id: string | null;
  readonly limit: number;
}

export interface ListOwnRow {
  readonly id: string;
  readonly workflow_run_id: string;
  readonly workflow_step_run_id: string;
  readonly approvers: readonly string[];
  readonly status: string;
  readonly approved_by: string | null;
  readonly requested_at: string;
  readonly approved_at: string | null;
  readonly expires_at: string | null;
  readonly error: string | null;
  readonly kind: string;
  readonly reminded_at: string | null;
  readonly project_id: string;
  readonly remind_at: string | null;
  readonly step_ref: string;
}

const listOwnText = `select a.*, s.step_ref
  from workflow_step_approvals a join workflow_step_runs s on s.id = a.workflow_step_run_id
 where a.project_id = $1 and a.status = $2
   and ((a.kind = 'cost_gate' and a.approvers = '{}')
     or exists (select from unnest(a.approvers) n(name) where lower(n.name collate pg_c_utf8) = any ($3::text[])))
   and ($4::timestamptz is null or (a.requested_at, a.id) < ($4, $5::text))
 order by a.requested_at desc, a.id desc limit $6::int`;

/** Entries are in lower case, as rules.ts makes them. The collation of the database may know ASCII only. */
export function listOwn(db: Queryable, params: ListOwnParams): Promise<ListOwnRow[]> {
  return many<ListOwnRow>(db, {
    text: listOwnText,
    values: [
      params.project_id,
      params.status,
      params.entries,
      params.before_requested_at,
      params.before_id,
      params.limit,
    ],
  });
}

export interface ListDueRemindersParams {
  readonly limit: number;
}

export interface ListDueRemindersRow {
  readonly approval_id: string;
  readonly project_id: string;
  readonly workflow_run_id: string;
}

const listDueRemindersText = `select a.id as approval_id, a.project_id, a.workflow_run_id from workflow_step_approvals a
 where a.status = 'pending' and a.reminded_at is null and a.remind_at <= strait_now() and a.expires_at > strait_now()
 order by a.remind_at limit $1::int`;

/**
 * across projects: a loop serves every project.
 * Half of the time to decide is over.
 */
export function listDueReminders(db: Queryable, params: ListDueRemindersParams): Promise<ListDueRemindersRow[]> {
  return many<ListDueRemindersRow>(db, {
    text: listDueRemindersText,
    values: [params.limit],
  });
}

export interface MarkRemindedParams {
  readonly approval_id: string;
  readonly project_id: string;
}

const markRemindedText = `with reminded as (
  update workflow_step_approvals a set reminded_at = strait_now()
   where a.id = $1 and a.project_id = $2 and a.status = 'pending' and a.reminded_at is null
  returning a.workflow_run_id, a.workflow_step_run_id, a.project_id
), told as (
  insert into workflow_run_events (workflow_run_id, project_id, step_ref, from_status, to_status, attempt, reason)
  select m.workflow_run_id, m.project_id, s.step_ref, s.status, s.status, s.attempt, 'approval reminder'
    from reminded m join workflow_step_runs s on s.id = m.workflow_step_run_id
  returning workflow_run_id
), woken as materialized (
  select pg_notify('workflow_live', t.workflow_run_id) from told t
)
select t.workflow_run_id from told t where (select count(*) from woken) >= 0`;

/** The caller holds the lock of the run. Nothing: reminded or decided meanwhile. */
export function markReminded(db: Queryable, params: MarkRemindedParams): Promise<number> {
  return count(db, {
    text: markRemindedText,
    values: [
      params.approval_id,
      params.project_id,
    ],
  });
}
