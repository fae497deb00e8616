// Generated from store.sql by `npm run generate`. Do not edit.
import type { JsonColumns } from '../../../platform/db/json-columns.ts';
import { many, maybe, type Queryable } from '../../../platform/db/query.ts';

export interface FindStandingParams {
  readonly run_id: string;
  readonly project_id: string;
}

export interface FindStandingRow {
  readonly status: string;
  readonly held: boolean;
  readonly job_id: string;
  readonly idempotency_key: string | null;
  readonly job_version: number;
  readonly live_version: number;
  readonly version_policy: string;
  readonly backwards_compatible: boolean;
}

const findStandingText = `select case when r.status = 'queued' and exists (select from run_active a where a.run_id = r.id) then 'executing'
            else r.status end as "status",
       exists (select from run_parked p where p.run_id = r.id and p.lane_id = 0) as "held",
       r.job_id, r.idempotency_key, r.job_version,
       j.version as live_version, j.version_policy, j.backwards_compatible
  from job_runs r
  join jobs j on j.id = r.job_id
 where r.id = $1 and r.created_at = strait_id_time($1) and r.project_id = $2`;

/** Where a run stands right now. A lease that is not yet in the wide row counts as executing. */
export function findStanding(db: Queryable, params: FindStandingParams): Promise<FindStandingRow | undefined> {
  return maybe<FindStandingRow>(db, {
    text: findStandingText,
    values: [
      params.run_id,
      params.project_id,
    ],
  });
}

export interface ListRunsParams {
  readonly run_ids: readonly (string | null)[];
  readonly project_id: string;
  readonly created_from: string;
  readonly created_to: string;
}

export interface ListRunsRow {
  readonly id: string;
  readonly job_id: string;
  readonly project_id: string;
  readonly status: string;
  readonly attempt: number;
  readonly payload: unknown;
  readonly result: unknown;
  readonly error: string | null;
  readonly triggered_by: string;
  readonly scheduled_at: string | null;
  readonly claimed_at: string | null;
  readonly started_at: string | null;
  readonly finished_at: string | null;
  readonly heartbeat_at: string | null;
  readonly next_retry_at: string | null;
  readonly expires_at: string | null;
  readonly created_at: string;
  readonly parent_run_id: string | null;
  readonly priority: number;
  readonly idempotency_key: string | null;
  readonly job_version: number;
  readonly workflow_step_run_id: string | null;
  readonly error_class: string | null;
  readonly metadata: JsonColumns['job_runs.metadata'];
  readonly execution_trace: unknown;
  readonly debug_mode: boolean;
  readonly continuation_of: string | null;
  readonly continuation_created_at: string | null;
  readonly lineage_depth: number;
  readonly max_attempts_override: number | null;
  readonly timeout_secs_override: number | null;
  readonly retry_backoff: string | null;
  readonly retry_initial_delay_secs: number | null;
  readonly retry_max_delay_secs: number | null;
  readonly created_by: string | null;
  readonly job_version_id: string | null;
  readonly tags: JsonColumns['job_runs.tags'];
  readonly batch_id: string | null;
  readonly concurrency_key: string | null;
  readonly execution_mode: string;
  readonly machine_id: string | null;
}

const listRunsText = `select r.* from job_runs r
 where r.id = any ($1::text[]) and r.project_id = $2
   and r.created_at >= $3::timestamptz and r.created_at <= $4::timestamptz
 order by r.id`;

export function listRuns(db: Queryable, params: ListRunsParams): Promise<ListRunsRow[]> {
  return many<ListRunsRow>(db, {
    text: listRunsText,
    values: [
      params.run_ids,
      params.project_id,
      params.created_from,
      params.created_to,
    ],
  });
}

export interface ListReplaySourcesParams {
  readonly run_ids: readonly (string | null)[];
  readonly project_id: string;
  readonly created_from: string;
  readonly created_to: string;
}

export interface ListReplaySourcesRow {
  readonly id: string;
  readonly status: string;
  readonly job_id: string;
  readonly payload_json: string;
  readonly priority: number;
  readonly tags: JsonColumns['job_runs.tags'];
  readonly metadata: JsonColumns['job_runs.metadata'];
  readonly concurrency_key: string | null;
  readonly debug_mode: boolean;
  readonly max_attempts_override: number | null;
  readonly timeout_secs_override: number | null;
  readonly retry_backoff: string | null;
  readonly retry_initial_delay_secs: number | null;
  readonly retry_max_delay_secs: number | null;
  readonly job_version: number | null;
  readonly job_version_id: string | null;
}

const listReplaySourcesText = `select r.id, r.status, r.job_id, coalesce(r.payload::text, 'null') as "payload_json", r.priority, r.tags, r.metadata, r.concurrency_key,
       r.debug_mode, r.max_attempts_override, r.timeout_secs_override, r.retry_backoff, r.retry_initial_delay_secs,
       r.retry_max_delay_secs,
       case when j.version_policy = 'pin' then r.job_version end as "job_version",
       case when j.version_policy = 'pin' then r.job_version_id end as "job_version_id"
  from job_runs r join jobs j on j.id = r.job_id
 where r.id = any ($1::text[]) and r.project_id = $2
   and r.created_at >= $3::timestamptz and r.created_at <= $4::timestamptz`;

/** What a new run takes over. Runs of pinned jobs keep their version, others get the live one. */
export function listReplaySources(db: Queryable, params: ListReplaySourcesParams): Promise<ListReplaySourcesRow[]> {
  return many<ListReplaySourcesRow>(db, {
    text: listReplaySourcesText,
    values: [
      params.run_ids,
      params.project_id,
      params.created_from,
      params.created_to,
    ],
  });
}

export interface FindCheckpointStateParams {
  readonly run_id: string;
  readonly sequence: number;
  readonly project_id: string;
}

export interface FindCheckpointStateRow {
  readonly state_json: string;
}

const findCheckpointStateText = `select c.state::text as "state_json"
  from run_checkpoints c join job_runs r on r.id = c.run_id and r.created_at = c.run_created_at
 where c.run_id = $1 and c.sequence = $2 and r.project_id = $3`;

export function findCheckpointState(db: Queryable, params: FindCheckpointStateParams): Promise<FindCheckpointStateRow | undefined> {
  return maybe<FindCheckpointStateRow>(db, {
    text: findCheckpointStateText,
    values: [
      params.run_id,
      params.sequence,
      params.project_id,
    ],
  });
}

export interface ListDeadLetterIdsParams {
  readonly project_id: string;
  readonly limit: number;
}

export interface ListDeadLetterIdsRow {
  readonly id: string;
}

const listDeadLetterIdsText = `select r.id from job_runs r
 where r.project_id = $1 and r.status = 'dead_letter'
 order by r.created_at limit $2::int`;

/** Oldest first. */
export function listDeadLetterIds(db: Queryable, params: ListDeadLetterIdsParams): Promise<ListDeadLetterIdsRow[]> {
  return many<ListDeadLetterIdsRow>(db, {
    text: listDeadLetterIdsText,
    values: [
      params.project_id,
      params.limit,
    ],
  });
}

export interface ListUnstartedParams {
  readonly until: string | null;
  readonly statuses: readonly (string | null)[];
  readonly project_id: string;
  readonly after_created_at: string | null;
  readonly after_id: string | null;
  readonly job_id: string | null;
  readonly batch_id: string | null;
  readonly triggered_by: string | null;
  readonly limit: number;
}

export interface ListUnstartedRow {
  readonly id: string;
  readonly created_at: string;
  readonly until: string;
}

const listUnstartedText = `select r.id, r.created_at, coalesce($1::timestamptz, strait_now()) as "until"
  from unnest($2::text[]) as s(status) cross join lateral (
  select x.id, x.created_at from job_runs x
   where x.project_id = $3 and x.status = s.status and x.attempt = 1 and x.started_at is null
     and x.created_at <= coalesce($1::timestamptz, strait_now())
     and ($4::timestamptz is null or x.created_at >= $4::timestamptz)
     and ($4::timestamptz is null or (x.created_at, x.id) > ($4::timestamptz, $5::text))
     and ($6::text is null or x.job_id = $6)
     and ($7::text is null or x.batch_id = $7)
     and ($8::text is null or x.triggered_by = $8)
   order by x.created_at, x.id
   limit $9::int) r
 order by r.created_at, r.id
 limit $9::int`;

/** One chunk of pending runs that never started and existed when the caller began (:until), oldest first. */
export function listUnstarted(db: Queryable, params: ListUnstartedParams): Promise<ListUnstartedRow[]> {
  return many<ListUnstartedRow>(db, {
    text: listUnstartedText,
    values: [
      params.until,
      params.statuses,
      params.project_id,
      params.after_created_at,
      params.after_id,
      params.job_id,
      params.batch_id,
      params.triggered_by,
      params.limit,
    ],
  });
}

export interface ListEndedParams {
  readonly statuses: readonly (string | null)[];
  readonly project_id: string;
  readonly until: string;
  readonly after_created_at: string | null;
  readonly after_id: string | null;
  readonly job_id: string | null;
  readonly batch_id: string | null;
  readonly triggered_by: string | null;
  readonly error_class: string | null;
  readonly limit: number;
}

export interface ListEndedRow {
  readonly id: string;
  readonly created_at: string;
  readonly status: string;
}

const listEndedText = `select r.id, r.created_at, r.status
  from unnest($1::text[]) as s(status) cross join lateral (
  select x.id, x.created_at, x.status from job_runs x
   where x.project_id = $2 and x.status = s.status
     and x.created_at <= $3::timestamptz
     and ($4::timestamptz is null or x.created_at >= $4::timestamptz)
     and ($4::timestamptz is null or (x.created_at, x.id) > ($4::timestamptz, $5::text))
     and ($6::text is null or x.job_id = $6)
     and ($7::text is null or x.batch_id = $7)
     and ($8::text is null or x.triggered_by = $8)
     and ($9::text is null or x.error_class = $9)
   order by x.created_at, x.id
   limit $10::int) r
 order by r.created_at, r.id
 limit $10::int`;

/** One chunk of ended runs in these states that match, oldest first. */
export function listEnded(db: Queryable, params: ListEndedParams): Promise<ListEndedRow[]> {
  return many<ListEndedRow>(db, {
    text: listEndedText,
    values: [
      params.statuses,
      params.project_id,
      params.until,
      params.after_created_at,
      params.after_id,
      params.job_id,
      params.batch_id,
      params.triggered_by,
      params.error_class,
      params.limit,
    ],
  });
}

export interface LockUnstartedParams {
  readonly run_ids: readonly (string | null)[];
  readonly project_id: string;
}

export interface LockUnstartedRow {
  readonly id: string;
}

const lockUnstartedText = `with q as materialized (
  select run_id from run_queue where run_id = any ($1::text[]) and project_id = $2 and attempt = 1 order by run_id for update
), p as materialized (
  select run_id from run_parked where run_id = any ($1::text[]) and project_id = $2 and attempt = 1 order by run_id for update
), d as materialized (
  select run_id from run_delayed where run_id = any ($1::text[]) and project_id = $2 and attempt = 1 order by run_id for update
)
select run_id as "id" from q union all select run_id from p union all select run_id from d`;

/**
 * Those of the runs that still stand where nothing has started them; locked, so that no claim takes them. Waits for whoever
 * has one: it may only move it to another place, where the next look finds it (listUnlocked).
 */
export function lockUnstarted(db: Queryable, params: LockUnstartedParams): Promise<LockUnstartedRow[]> {
  return many<LockUnstartedRow>(db, {
    text: lockUnstartedText,
    values: [
      params.run_ids,
      params.project_id,
    ],
  });
}

export interface ListUnlockedParams {
  readonly run_ids: readonly (string | null)[];
  readonly project_id: string;
  readonly created_from: string;
  readonly created_to: string;
}

export interface ListUnlockedRow {
  readonly id: string;
}

const listUnlockedText = `select r.id from job_runs r
 where r.id = any ($1::text[]) and r.project_id = $2
   and r.created_at >= $3::timestamptz and r.created_at <= $4::timestamptz
   and (r.status = any ('{delayed,queued}')) is true and r.attempt = 1 and r.started_at is null
   and not exists (select from run_active a where a.run_id = r.id)`;

/** Those of the runs that nothing has started and nothing ended: they were between two places. */
export function listUnlocked(db: Queryable, params: ListUnlockedParams): Promise<ListUnlockedRow[]> {
  return many<ListUnlockedRow>(db, {
    text: listUnlockedText,
    values: [
      params.run_ids,
      params.project_id,
      params.created_from,
      params.created_to,
    ],
  });
}
