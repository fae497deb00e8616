// Generated from store.sql by `npm run generate`. Do not edit.
import type { JsonColumns } from '../../../platform/db/json-columns.ts';
import { count, maybe, one, type Queryable } from '../../../platform/db/query.ts';

export interface FindLeaseParams {
  readonly run_id: string;
  readonly attempt: number;
  readonly claim_seq: number | null;
}

export interface FindLeaseRow {
  readonly id: string;
  readonly created_at: string;
  readonly project_id: string;
  readonly job_id: string;
  readonly attempt: number;
  readonly priority: number;
  readonly metadata: JsonColumns['job_runs.metadata'];
  readonly lineage_depth: number;
  readonly job_version: number;
  readonly max_attempts_override: number | null;
  readonly retry_backoff: string | null;
  readonly retry_initial_delay_secs: number | null;
  readonly retry_max_delay_secs: number | null;
  readonly live_version: number;
  readonly version_policy: string;
  readonly backwards_compatible: boolean;
  readonly claim_seq: number;
  readonly waiting: boolean;
  readonly worker_id: number | null;
  readonly started_at: string | null;
}

const findLeaseText = `with active as materialized (
  select a.run_id, a.run_created_at, a.claim_seq, a.worker_id, a.started_at from run_active a
   where a.run_id = $1 and a.attempt = $2
     and (a.claim_seq = $3 or ($3::bigint is null and not exists (
          select from job_runs r where r.id = a.run_id and r.created_at = a.run_created_at and r.metadata ? '_replays')))
), waits as materialized (
  select w.run_id, w.run_created_at, w.claim_seq from run_waiting w
   where w.run_id = $1 and w.attempt = $2 and w.claim_seq <> 0
     and (w.claim_seq = $3 or ($3::bigint is null and not exists (
          select from job_runs r where r.id = w.run_id and r.created_at = w.run_created_at and r.metadata ? '_replays')))
)
select r.id, r.created_at, r.project_id, r.job_id, r.attempt, r.priority, r.metadata, r.lineage_depth, r.job_version,
       r.max_attempts_override, r.retry_backoff, r.retry_initial_delay_secs, r.retry_max_delay_secs,
       j.version as live_version, j.version_policy, j.backwards_compatible,
       p.claim_seq as "claim_seq", p.waiting as "waiting", p.worker_id as "worker_id", p.started_at as "started_at"
  from (select run_id, run_created_at, claim_seq, false as waiting, worker_id, started_at from active
        union all select run_id, run_created_at, claim_seq, true, null, null from waits) p
  join job_runs r on r.id = p.run_id and r.created_at = p.run_created_at
  join jobs j on j.id = r.job_id`;

/**
 * across projects: fenced by the claim of the run token.
 * The lease as it is now, unlocked: what is decided from it must be fenced again by the write.
 */
export function findLease(db: Queryable, params: FindLeaseParams): Promise<FindLeaseRow | undefined> {
  return maybe<FindLeaseRow>(db, {
    text: findLeaseText,
    values: [
      params.run_id,
      params.attempt,
      params.claim_seq,
    ],
    name: 'queue_lease_findLease_59b99f78',
  });
}

export interface LockLeaseParams {
  readonly run_id: string;
  readonly attempt: number;
  readonly claim_seq: number | null;
}

export interface LockLeaseRow {
  readonly id: string;
  readonly created_at: string;
  readonly project_id: string;
  readonly job_id: string;
  readonly attempt: number;
  readonly priority: number;
  readonly metadata: JsonColumns['job_runs.metadata'];
  readonly lineage_depth: number;
  readonly job_version: number;
  readonly max_attempts_override: number | null;
  readonly retry_backoff: string | null;
  readonly retry_initial_delay_secs: number | null;
  readonly retry_max_delay_secs: number | null;
  readonly live_version: number;
  readonly version_policy: string;
  readonly backwards_compatible: boolean;
  readonly claim_seq: number;
  readonly waiting: boolean;
  readonly worker_id: number | null;
  readonly started_at: string | null;
}

const lockLeaseText = `with active as materialized (
  select a.run_id, a.run_created_at, a.claim_seq, a.worker_id, a.started_at from run_active a
   where a.run_id = $1 and a.attempt = $2
     and (a.claim_seq = $3 or ($3::bigint is null and not exists (
          select from job_runs r where r.id = a.run_id and r.created_at = a.run_created_at and r.metadata ? '_replays')))
     for key share of a
), waits as materialized (
  select w.run_id, w.run_created_at, w.claim_seq from run_waiting w
   where w.run_id = $1 and w.attempt = $2 and w.claim_seq <> 0
     and (w.claim_seq = $3 or ($3::bigint is null and not exists (
          select from job_runs r where r.id = w.run_id and r.created_at = w.run_created_at and r.metadata ? '_replays')))
     for key share of w
)
select r.id, r.created_at, r.project_id, r.job_id, r.attempt, r.priority, r.metadata, r.lineage_depth, r.job_version,
       r.max_attempts_override, r.retry_backoff, r.retry_initial_delay_secs, r.retry_max_delay_secs,
       j.version as live_version, j.version_policy, j.backwards_compatible,
       p.claim_seq as "claim_seq", p.waiting as "waiting", p.worker_id as "worker_id", p.started_at as "started_at"
  from (select run_id, run_created_at, claim_seq, false as waiting, worker_id, started_at from active
        union all select run_id, run_created_at, claim_seq, true, null, null from waits) p
  join job_runs r on r.id = p.run_id and r.created_at = p.run_created_at
  join jobs j on j.id = r.job_id`;

/**
 * across projects: fenced by the claim of the run token.
 * As findLease; the place row stays until this transaction ends.
 */
export function lockLease(db: Queryable, params: LockLeaseParams): Promise<LockLeaseRow | undefined> {
  return maybe<LockLeaseRow>(db, {
    text: lockLeaseText,
    values: [
      params.run_id,
      params.attempt,
      params.claim_seq,
    ],
    name: 'queue_lease_lockLease_7890c285',
  });
}

export interface LockLeaseToEndParams {
  readonly run_id: string;
  readonly claim_seq: number;
}

export interface LockLeaseToEndRow {
  readonly run_id: string;
  readonly lanes: number;
}

const lockLeaseToEndText = `with held as materialized (
  select run_id, lane_id from run_active where run_id = $1 and claim_seq = $2 for update
), lane_locks as materialized (
  select lane_id from lanes
   where lane_id = any (array(select l.counted_lane_id from held join lane_levels l on l.lane_id = held.lane_id))
   order by parent_lane_id is not null, lane_id for no key update
)
select run_id, (select count(*) from lane_locks)::int as "lanes" from held`;

/**
 * across projects: fenced by the lease of exactly this claim.
 * For a transaction that makes runs and takes this one out of its attempt at its end: the place row and its lanes, as an end
 * takes them, before anything else is locked. Making a run may take the same root, and an end that has the row waits for it.
 */
export function lockLeaseToEnd(db: Queryable, params: LockLeaseToEndParams): Promise<LockLeaseToEndRow | undefined> {
  return maybe<LockLeaseToEndRow>(db, {
    text: lockLeaseToEndText,
    values: [
      params.run_id,
      params.claim_seq,
    ],
    name: 'queue_lease_lockLeaseToEnd_b9321cfa',
  });
}

export interface ExplainLeaseParams {
  readonly run_id: string;
}

export interface ExplainLeaseRow {
  readonly status: string;
  readonly attempt: number;
  readonly replayed: boolean;
  readonly claim_seq: number | null;
}

const explainLeaseText = `select r.status, r.attempt, r.metadata ? '_replays' as "replayed", coalesce(a.claim_seq, nullif(w.claim_seq, 0)) as "claim_seq"
  from job_runs r
  left join run_active a on a.run_id = r.id
  left join run_waiting w on w.run_id = r.id
 where r.id = $1 and r.created_at = strait_id_time($1)`;

/** across projects: asked for the run a token names, when its claim holds nothing. */
export function explainLease(db: Queryable, params: ExplainLeaseParams): Promise<ExplainLeaseRow | undefined> {
  return maybe<ExplainLeaseRow>(db, {
    text: explainLeaseText,
    values: [params.run_id],
  });
}

export interface SerializeRunParams {
  readonly run_id: string;
}

export interface SerializeRunRow {
  readonly locked: boolean;
}

const serializeRunText = `select true as "locked" from pg_advisory_xact_lock(hashtextextended($1::text, 7301))`;

/**
 * across projects: a lock, no data.
 * Writes that count what is there (sequence, budget, limits) come one at a time per run.
 */
export function serializeRun(db: Queryable, params: SerializeRunParams): Promise<SerializeRunRow> {
  return one<SerializeRunRow>(db, {
    text: serializeRunText,
    values: [params.run_id],
    name: 'queue_lease_serializeRun_f1219bc9',
  });
}

export interface LockWaitingRunParams {
  readonly run_id: string;
}

export interface LockWaitingRunRow {
  readonly run_id: string;
}

const lockWaitingRunText = `select run_id from run_waiting where run_id = $1 for update`;

/**
 * across projects: the caller names the project in what it then does.
 * Makes every other end of this wait stand in line. No row: the run does not wait.
 */
export function lockWaitingRun(db: Queryable, params: LockWaitingRunParams): Promise<LockWaitingRunRow | undefined> {
  return maybe<LockWaitingRunRow>(db, {
    text: lockWaitingRunText,
    values: [params.run_id],
    name: 'queue_lease_lockWaitingRun_d84c6666',
  });
}

export interface AddRunEventParams {
  readonly run_id: string;
  readonly attempt: number;
  readonly claim_seq: number | null;
  readonly type: string;
  readonly level: string;
  readonly message: string;
  readonly data_json: string;
}

export interface AddRunEventRow {
  readonly id: string;
  readonly run_id: string;
  readonly type: string;
  readonly level: string | null;
  readonly message: string;
  readonly data: unknown;
  readonly created_at: string;
  readonly told: number;
}

const addRunEventText = `with active as materialized (
  select a.run_id from run_active a
   where a.run_id = $1 and a.attempt = $2
     and (a.claim_seq = $3 or ($3::bigint is null and not exists (
          select from job_runs r where r.id = a.run_id and r.created_at = a.run_created_at and r.metadata ? '_replays')))
     for key share of a
), waits as materialized (
  select w.run_id from run_waiting w
   where w.run_id = $1 and w.attempt = $2 and w.claim_seq <> 0
     and (w.claim_seq = $3 or ($3::bigint is null and not exists (
          select from job_runs r where r.id = w.run_id and r.created_at = w.run_created_at and r.metadata ? '_replays')))
     for key share of w
), told as (
  insert into run_events (run_id, type, level, message, data)
  select p.run_id, $4, $5, $6, $7::jsonb
    from (select run_id from active union all select run_id from waits) p
  returning id, run_id, type, level, message, data, created_at
), live as materialized (select pg_notify('run_live', '') where exists (select from told))
select id, run_id, type, level, message as "message", data, created_at, (select count(*) from live)::int as "told" from told`;

/** across projects: fenced by the claim of the run token. */
export function addRunEvent(db: Queryable, params: AddRunEventParams): Promise<AddRunEventRow | undefined> {
  return maybe<AddRunEventRow>(db, {
    text: addRunEventText,
    values: [
      params.run_id,
      params.attempt,
      params.claim_seq,
      params.type,
      params.level,
      params.message,
      params.data_json,
    ],
    name: 'queue_lease_addRunEvent_2f11987c',
  });
}

export interface AddDropMarkerParams {
  readonly run_id: string;
  readonly message: string;
}

export interface AddDropMarkerRow {
  readonly id: string;
  readonly run_id: string;
  readonly type: string;
  readonly level: string;
  readonly message: string;
  readonly data: unknown;
  readonly created_at: string;
  readonly told: number;
}

const addDropMarkerText = `with known as materialized (
  select id, run_id, type, level, message, data, created_at from run_events
   where run_id = $1 and type = 'log' and data @> '{"_dropped": true}' order by id limit 1
), told as (
  insert into run_events (run_id, type, level, message, data)
  select $1, 'log', 'warn', $2, '{"_dropped": true}' where not exists (select from known)
  returning id, run_id, type, level, message, data, created_at
), live as materialized (select pg_notify('run_live', '') where exists (select from told))
select id as "id", run_id as "run_id", type as "type", level as "level", message as "message", data as "data", created_at as "created_at",
       (select count(*) from live)::int as "told"
  from (select * from known union all select * from told) m`;

/**
 * across projects: the caller holds the lease of this run, and has serialised it.
 * Says once per run that events are dropped from here on; answers with what said it first.
 */
export function addDropMarker(db: Queryable, params: AddDropMarkerParams): Promise<AddDropMarkerRow> {
  return one<AddDropMarkerRow>(db, {
    text: addDropMarkerText,
    values: [
      params.run_id,
      params.message,
    ],
  });
}

export interface CountRunEventsParams {
  readonly run_id: string;
  readonly cap: number;
}

export interface CountRunEventsRow {
  readonly events: number;
}

const countRunEventsText = `select count(*)::int as "events" from (select from run_events where run_id = $1 limit $2::int) e`;

/** across projects: the caller holds the lease of this run. */
export function countRunEvents(db: Queryable, params: CountRunEventsParams): Promise<CountRunEventsRow> {
  return one<CountRunEventsRow>(db, {
    text: countRunEventsText,
    values: [
      params.run_id,
      params.cap,
    ],
  });
}

export interface AnnotateRunParams {
  readonly annotations_json: string;
  readonly run_id: string;
  readonly project_id: string;
  readonly max_keys: number;
}

export interface AnnotateRunRow {
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

const annotateRunText = `update job_runs r
   set metadata = r.metadata || $1::jsonb
 where r.id = $2 and r.created_at = strait_id_time($2) and r.project_id = $3
   and (select count(*) from jsonb_object_keys(r.metadata || $1::jsonb) k where k not like '\\_%') <= $4::int
returning r.*`;

/** Merges into the metadata. No row: there would be more than :max_keys of them that are not ours. */
export function annotateRun(db: Queryable, params: AnnotateRunParams): Promise<AnnotateRunRow | undefined> {
  return maybe<AnnotateRunRow>(db, {
    text: annotateRunText,
    values: [
      params.annotations_json,
      params.run_id,
      params.project_id,
      params.max_keys,
    ],
  });
}

export interface NotifyChunksParams {
  readonly run_id: string;
  readonly attempt: number;
  readonly claim_seq: number | null;
  readonly chunks: readonly (string | null)[];
}

export interface NotifyChunksRow {
  readonly run_id: string;
  readonly sent: number;
}

const notifyChunksText = `with active as materialized (
  select a.run_id from run_active a
   where a.run_id = $1 and a.attempt = $2
     and (a.claim_seq = $3 or ($3::bigint is null and not exists (
          select from job_runs r where r.id = a.run_id and r.created_at = a.run_created_at and r.metadata ? '_replays')))
     for key share of a
), waits as materialized (
  select w.run_id from run_waiting w
   where w.run_id = $1 and w.attempt = $2 and w.claim_seq <> 0
     and (w.claim_seq = $3 or ($3::bigint is null and not exists (
          select from job_runs r where r.id = w.run_id and r.created_at = w.run_created_at and r.metadata ? '_replays')))
     for key share of w
), lease as materialized (select run_id from active union all select run_id from waits),
sent as materialized (
  select pg_notify('run_chunks', c.chunk) from lease cross join unnest($4::text[]) with ordinality as c (chunk, ord) order by c.ord
)
select run_id as "run_id", (select count(*) from sent)::int as "sent" from lease`;

/**
 * across projects: fenced by the claim of the run token.
 * Stream chunks are announced, never stored.
 */
export function notifyChunks(db: Queryable, params: NotifyChunksParams): Promise<NotifyChunksRow | undefined> {
  return maybe<NotifyChunksRow>(db, {
    text: notifyChunksText,
    values: [
      params.run_id,
      params.attempt,
      params.claim_seq,
      params.chunks,
    ],
  });
}

export interface RelaxCommitRow {
  readonly setting: string;
}

const relaxCommitText = `select set_config('synchronous_commit', 'off', true) as "setting"`;

/**
 * across projects: a setting of this transaction.
 * A beat lost with the machine is a beat that would not have helped.
 */
export function relaxCommit(db: Queryable): Promise<RelaxCommitRow> {
  return one<RelaxCommitRow>(db, {
    text: relaxCommitText,
    values: [],
  });
}

export interface BeatEndpointsParams {
  readonly run_ids: readonly (string | null)[];
  readonly claim_seqs: readonly (number | null)[];
}

const beatEndpointsText = `with held as materialized (
  select a.run_id from run_active a
    join unnest($1::text[], $2::bigint[]) as b (run_id, claim_seq) on b.run_id = a.run_id and b.claim_seq = a.claim_seq
   where a.worker_id is null
     for no key update of a skip locked
)
update run_active set endpoint_beat_at = strait_now() where run_id = any (array(select run_id from held))`;

/**
 * across projects: fenced by the claims; one write for all beats of a second.
 * Rows somebody else is changing are left out: waiting for them in any order could deadlock with a batch.
 */
export function beatEndpoints(db: Queryable, params: BeatEndpointsParams): Promise<number> {
  return count(db, {
    text: beatEndpointsText,
    values: [
      params.run_ids,
      params.claim_seqs,
    ],
  });
}

export interface HandOverParams {
  readonly run_id: string;
  readonly claim_seq: number;
  readonly deadline_secs: number;
}

export interface HandOverRow {
  readonly run_id: string;
  readonly told: number;
}

const handOverText = `with before as materialized (
  select run_id, marked from run_active where run_id = $1 and claim_seq = $2 for no key update
), held as materialized (
  update run_active
     set worker_id = null, endpoint_beat_at = strait_now(), marked = true,
         deadline_at = strait_now() + make_interval(secs => $3::float8)
   where run_id = (select run_id from before) and claim_seq = $2
  returning run_id, run_created_at, attempt, started_at
), done as (
  update job_runs r
     set status = 'executing', expires_at = null, next_retry_at = null, execution_trace = null,
         claimed_at = (select started_at from held),
         started_at = coalesce(r.started_at, (select started_at from held))
   where r.id = (select run_id from held) and r.created_at = (select run_created_at from held)
     and (r.status = 'queued') is true
  returning r.id
), told as (
  insert into run_events (run_id, type, level, message, data, created_at)
  select run_id, 'state_change', 'info', 'executing',
         jsonb_build_object('from', 'queued', 'to', 'executing', 'attempt', attempt), started_at
    from held where not (select marked from before)
), live as materialized (select pg_notify('run_live', '') where exists (select from done))
select run_id, (select count(*) from live)::int as "told" from held`;

/**
 * across projects: fenced by the lease of exactly this claim.
 * 202 with X-Strait-Async: the endpoint owns the run from here on, beats itself and must finish by the deadline. Nobody here
 * would mark it any more, so this does. Repeating it does no harm.
 */
export function handOver(db: Queryable, params: HandOverParams): Promise<HandOverRow | undefined> {
  return maybe<HandOverRow>(db, {
    text: handOverText,
    values: [
      params.run_id,
      params.claim_seq,
      params.deadline_secs,
    ],
  });
}
