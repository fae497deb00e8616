// Generated from store.sql by `npm run generate`. Do not edit.
import { count, many, maybe, one, type Queryable } from '../../platform/db/query.ts';

export interface InsertTriggerParams {
  readonly event_key: string;
  readonly project_id: string;
  readonly timeout_secs: number;
  readonly request_payload_json: string | null;
  readonly notify_url: string;
  readonly run_id: string;
}

export interface InsertTriggerRow {
  readonly id: string;
  readonly event_key: string;
  readonly expires_at: string;
}

const insertTriggerText = `with made as (
  insert into event_triggers (event_key, project_id, source_type, trigger_type, job_run_id, job_run_attempt, job_run_replays, timeout_secs,
         expires_at, request_payload, notify_url, notify_status)
  select $1, $2, 'job_run', 'event', r.id, r.attempt, coalesce((r.metadata ->> '_replays')::int, 0), $3::int,
         strait_now() + make_interval(secs => $3::int), $4::jsonb, nullif($5::text, ''),
         case when $5 <> '' then 'pending' else '' end
    from job_runs r
   where r.id = $6 and r.created_at = strait_id_time($6) and r.project_id = $2
  on conflict (project_id, event_key) where status = 'waiting' do nothing
  returning id, project_id, event_key, expires_at
), told as (
  insert into event_notifications (trigger_id, project_id) select id, project_id from made where $5 <> '' returning trigger_id
), woken as materialized (
  select pg_notify('event_notify', '') where exists (select from told)
)
select id, event_key, expires_at from made where (select count(*) from woken) >= 0`;

/**
 * No row: another trigger of the project waits for this key. The attempt is the one that waits: it and later ones are told what comes.
 * With a notify URL it is told in time: the notification comes and goes with the wait.
 */
export function insertTrigger(db: Queryable, params: InsertTriggerParams): Promise<InsertTriggerRow | undefined> {
  return maybe<InsertTriggerRow>(db, {
    text: insertTriggerText,
    values: [
      params.event_key,
      params.project_id,
      params.timeout_secs,
      params.request_payload_json,
      params.notify_url,
      params.run_id,
    ],
    name: 'events_insertTrigger_b500dc31',
  });
}

export interface LockWaitLimitParams {
  readonly project_id: string;
}

export interface LockWaitLimitRow {
  readonly most: number;
}

const lockWaitLimitText = `select max_active_event_triggers as "most" from project_quotas
 where project_id = $1 and max_active_event_triggers > 0 for no key update`;

/** Makes waits of a project with a limit follow each other; no row = no limit. */
export function lockWaitLimit(db: Queryable, params: LockWaitLimitParams): Promise<LockWaitLimitRow | undefined> {
  return maybe<LockWaitLimitRow>(db, {
    text: lockWaitLimitText,
    values: [params.project_id],
  });
}

export interface CountEventWaitsParams {
  readonly project_id: string;
}

export interface CountEventWaitsRow {
  readonly waits: number;
}

const countEventWaitsText = `select count(*)::int as "waits" from event_triggers
 where project_id = $1 and status = 'waiting' and trigger_type = 'event' and not event_key ^@ 'spawn-await:'`;

/** Without waits for children and sleeps of steps, which no limit refuses: they must not use up what events may have. */
export function countEventWaits(db: Queryable, params: CountEventWaitsParams): Promise<CountEventWaitsRow> {
  return one<CountEventWaitsRow>(db, {
    text: countEventWaitsText,
    values: [params.project_id],
  });
}

export interface FindTriggerParams {
  readonly project_id: string;
  readonly event_key: string;
}

export interface FindTriggerRow {
  readonly id: string;
  readonly event_key: string;
  readonly project_id: string;
  readonly source_type: string;
  readonly trigger_type: string;
  readonly workflow_run_id: string | null;
  readonly workflow_step_run_id: string | null;
  readonly job_run_id: string | null;
  readonly status: string;
  readonly request_payload: unknown;
  readonly response_payload: unknown;
  readonly timeout_secs: number;
  readonly requested_at: string;
  readonly received_at: string | null;
  readonly expires_at: string;
  readonly error: string | null;
  readonly notify_url: string | null;
  readonly notify_status: string;
  readonly event_emit_key: string | null;
  readonly sent_by: string;
  readonly created_at: string;
  readonly updated_at: string;
  readonly job_run_attempt: number | null;
  readonly job_run_replays: number | null;
}

const findTriggerText = `select t.* from event_triggers t
 where t.project_id = $1
   and t.id = coalesce((select w.id from event_triggers w where w.project_id = $1 and w.event_key = $2 and w.status = 'waiting'),
                       (select n.id from event_triggers n where n.project_id = $1 and n.event_key = $2
                         order by n.requested_at desc, n.id desc limit 1))`;

/** The one that waits, else the newest. */
export function findTrigger(db: Queryable, params: FindTriggerParams): Promise<FindTriggerRow | undefined> {
  return maybe<FindTriggerRow>(db, {
    text: findTriggerText,
    values: [
      params.project_id,
      params.event_key,
    ],
  });
}

export interface FindTriggerByIdParams {
  readonly trigger_id: string;
  readonly project_id: string;
}

export interface FindTriggerByIdRow {
  readonly id: string;
  readonly event_key: string;
  readonly project_id: string;
  readonly source_type: string;
  readonly trigger_type: string;
  readonly workflow_run_id: string | null;
  readonly workflow_step_run_id: string | null;
  readonly job_run_id: string | null;
  readonly status: string;
  readonly request_payload: unknown;
  readonly response_payload: unknown;
  readonly timeout_secs: number;
  readonly requested_at: string;
  readonly received_at: string | null;
  readonly expires_at: string;
  readonly error: string | null;
  readonly notify_url: string | null;
  readonly notify_status: string;
  readonly event_emit_key: string | null;
  readonly sent_by: string;
  readonly created_at: string;
  readonly updated_at: string;
  readonly job_run_attempt: number | null;
  readonly job_run_replays: number | null;
}

const findTriggerByIdText = `select t.* from event_triggers t where t.id = $1 and t.project_id = $2`;

export function findTriggerById(db: Queryable, params: FindTriggerByIdParams): Promise<FindTriggerByIdRow | undefined> {
  return maybe<FindTriggerByIdRow>(db, {
    text: findTriggerByIdText,
    values: [
      params.trigger_id,
      params.project_id,
    ],
  });
}

export interface ReceiveTriggerParams {
  readonly payload_json: string | null;
  readonly sent_by: string;
  readonly trigger_id: string;
  readonly project_id: string;
}

export interface ReceiveTriggerRow {
  readonly id: string;
  readonly event_key: string;
  readonly project_id: string;
  readonly source_type: string;
  readonly trigger_type: string;
  readonly workflow_run_id: string | null;
  readonly workflow_step_run_id: string | null;
  readonly job_run_id: string | null;
  readonly status: string;
  readonly request_payload: unknown;
  readonly response_payload: unknown;
  readonly timeout_secs: number;
  readonly requested_at: string;
  readonly received_at: string | null;
  readonly expires_at: string;
  readonly error: string | null;
  readonly notify_url: string | null;
  readonly notify_status: string;
  readonly event_emit_key: string | null;
  readonly sent_by: string;
  readonly created_at: string;
  readonly updated_at: string;
  readonly job_run_attempt: number | null;
  readonly job_run_replays: number | null;
}

const receiveTriggerText = `update event_triggers
   set status = 'received', received_at = strait_now(), updated_at = strait_now(), response_payload = $1::jsonb, sent_by = $2
 where id = $3 and project_id = $4 and status = 'waiting'
returning *`;

/** No row: it does not wait any more. */
export function receiveTrigger(db: Queryable, params: ReceiveTriggerParams): Promise<ReceiveTriggerRow | undefined> {
  return maybe<ReceiveTriggerRow>(db, {
    text: receiveTriggerText,
    values: [
      params.payload_json,
      params.sent_by,
      params.trigger_id,
      params.project_id,
    ],
  });
}

export interface ExpireTriggerParams {
  readonly error: string;
  readonly trigger_id: string;
  readonly project_id: string;
}

export interface ExpireTriggerRow {
  readonly id: string;
}

const expireTriggerText = `update event_triggers set status = 'timed_out', error = $1, updated_at = strait_now()
 where id = $2 and project_id = $3 and status = 'waiting' and expires_at <= strait_now()
returning id`;

export function expireTrigger(db: Queryable, params: ExpireTriggerParams): Promise<ExpireTriggerRow | undefined> {
  return maybe<ExpireTriggerRow>(db, {
    text: expireTriggerText,
    values: [
      params.error,
      params.trigger_id,
      params.project_id,
    ],
  });
}

export interface CancelTriggerParams {
  readonly error: string;
  readonly trigger_id: string;
  readonly project_id: string;
}

export interface CancelTriggerRow {
  readonly id: string;
}

const cancelTriggerText = `update event_triggers set status = 'canceled', error = $1, updated_at = strait_now()
 where id = $2 and project_id = $3 and status = 'waiting'
returning id`;

export function cancelTrigger(db: Queryable, params: CancelTriggerParams): Promise<CancelTriggerRow | undefined> {
  return maybe<CancelTriggerRow>(db, {
    text: cancelTriggerText,
    values: [
      params.error,
      params.trigger_id,
      params.project_id,
    ],
  });
}

export interface CancelTriggersOfParams {
  readonly error: string;
  readonly run_ids: readonly (string | null)[];
  readonly project_id: string;
}

export interface CancelTriggersOfRow {
  readonly id: string;
}

const cancelTriggersOfText = `update event_triggers set status = 'canceled', error = $1, updated_at = strait_now()
 where job_run_id = any ($2::text[]) and project_id = $3 and status = 'waiting'
returning id`;

export function cancelTriggersOf(db: Queryable, params: CancelTriggersOfParams): Promise<CancelTriggersOfRow[]> {
  return many<CancelTriggersOfRow>(db, {
    text: cancelTriggersOfText,
    values: [
      params.error,
      params.run_ids,
      params.project_id,
    ],
  });
}

export interface CountWaitingOfParams {
  readonly run_id: string;
  readonly project_id: string;
}

export interface CountWaitingOfRow {
  readonly waiting: number;
}

const countWaitingOfText = `select count(*)::int as "waiting" from event_triggers
 where job_run_id = $1 and project_id = $2 and status = 'waiting'`;

export function countWaitingOf(db: Queryable, params: CountWaitingOfParams): Promise<CountWaitingOfRow> {
  return one<CountWaitingOfRow>(db, {
    text: countWaitingOfText,
    values: [
      params.run_id,
      params.project_id,
    ],
  });
}

export interface ListDueTriggersParams {
  readonly limit: number;
}

export interface ListDueTriggersRow {
  readonly id: string;
  readonly project_id: string;
  readonly job_run_id: string;
  readonly event_key: string;
  readonly timeout_secs: number;
}

const listDueTriggersText = `select id, project_id, job_run_id as "job_run_id", event_key, timeout_secs from event_triggers
 where status = 'waiting' and expires_at <= strait_now() and source_type = 'job_run' and job_run_id is not null
 order by expires_at limit $1::int`;

/** across projects: a loop serves all of them. */
export function listDueTriggers(db: Queryable, params: ListDueTriggersParams): Promise<ListDueTriggersRow[]> {
  return many<ListDueTriggersRow>(db, {
    text: listDueTriggersText,
    values: [params.limit],
  });
}

export interface RemoveOldTriggersParams {
  readonly retention_secs: number;
  readonly limit: number;
}

const removeOldTriggersText = `delete from event_triggers t
 where t.id = any (array(
   select o.id from event_triggers o
    where o.status <> 'waiting' and o.updated_at < strait_now() - make_interval(secs => $1::float8)
      and not exists (
        select from job_runs r
         where r.id = o.job_run_id and r.created_at = strait_id_time(o.job_run_id)
           and (r.status = any ('{delayed,queued,dequeued,executing,waiting}')) is true)
    order by o.updated_at limit $2::int))`;

/**
 * across projects: retention.
 * Waits that ended longer ago. What a live run received may still have to be sent to it.
 */
export function removeOldTriggers(db: Queryable, params: RemoveOldTriggersParams): Promise<number> {
  return count(db, {
    text: removeOldTriggersText,
    values: [
      params.retention_secs,
      params.limit,
    ],
  });
}

export interface ListForgottenReceiptsParams {
  readonly limit: number;
}

export interface ListForgottenReceiptsRow {
  readonly id: string;
  readonly project_id: string;
  readonly job_run_id: string;
}

const listForgottenReceiptsText = `select t.id, t.project_id, t.job_run_id as "job_run_id" from event_triggers t
 where t.status = 'received' and t.source_type = 'job_run'
   and t.received_at between strait_now() - interval '1 hour' and strait_now() - interval '30 s'
   and exists (select from run_waiting w where w.run_id = t.job_run_id)
   and not exists (select from event_triggers o where o.job_run_id = t.job_run_id and o.requested_at > t.requested_at)
 limit $1::int`;

/**
 * across projects: a loop serves all of them.
 * Received a while ago, yet the run still waits and for nothing else. Cannot happen while both are written
 * together; looked at for an hour.
 */
export function listForgottenReceipts(db: Queryable, params: ListForgottenReceiptsParams): Promise<ListForgottenReceiptsRow[]> {
  return many<ListForgottenReceiptsRow>(db, {
    text: listForgottenReceiptsText,
    values: [params.limit],
  });
}

export interface CancelOrphanedTriggersParams {
  readonly limit: number;
}

export interface CancelOrphanedTriggersRow {
  readonly id: string;
}

const cancelOrphanedTriggersText = `update event_triggers t set status = 'canceled', error = 'the run no longer waits', updated_at = strait_now()
 where t.id = any (array(
   select o.id from event_triggers o
    where o.status = 'waiting' and o.source_type = 'job_run' and o.job_run_id is not null
      and not exists (select from run_waiting w where w.run_id = o.job_run_id)
    limit $1::int))
   and t.status = 'waiting'
returning t.id`;

/**
 * across projects: a loop serves all of them.
 * A trigger waits only together with its run: both rows come and go in one transaction, so in one snapshot a
 * trigger without the run's waiting row is left over.
 */
export function cancelOrphanedTriggers(db: Queryable, params: CancelOrphanedTriggersParams): Promise<CancelOrphanedTriggersRow[]> {
  return many<CancelOrphanedTriggersRow>(db, {
    text: cancelOrphanedTriggersText,
    values: [params.limit],
  });
}

export interface ListFinishedAwaitsParams {
  readonly terminal: readonly (string | null)[];
  readonly limit: number;
}

export interface ListFinishedAwaitsRow {
  readonly id: string;
  readonly project_id: string;
  readonly job_run_id: string;
  readonly child_id: string | null;
  readonly child_status: string | null;
  readonly child_result: unknown;
  readonly child_error: string | null;
  readonly awaited_id: string;
}

const listFinishedAwaitsText = `select t.id, t.project_id, t.job_run_id as "job_run_id", c.id as "child_id", c.status as "child_status", c.result as "child_result",
       c.error as "child_error", substr(t.event_key, 13) as "awaited_id"
  from event_triggers t
  left join lateral (
       select r.id, r.status, r.result, r.error from job_runs r
        where r.id = substr(t.event_key, 13)
          and r.created_at = case when substr(t.event_key, 13) ~ '^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$'
                                  then strait_id_time(substr(t.event_key, 13)) end
        limit 1) c on true
 where t.status = 'waiting' and t.event_key >= 'spawn-await:' and t.event_key < 'spawn-await;' and t.job_run_id is not null
   and exists (select from run_waiting w where w.run_id = t.job_run_id)
   and (c.status is null or c.status = any ($1::text[]))
   and not exists (
     with recursive below (id, status, level) as (
       select d.id, d.status, 1 from job_runs d where d.parent_run_id = c.id
       union all
       select d.id, d.status, below.level + 1 from below join job_runs d on d.parent_run_id = below.id where below.level < 20
     )
     select from below where below.status <> all ($1::text[]))
 limit $2::int`;

/**
 * across projects: a child may run in another project than its parent.
 * Parents that wait for a child which has ended together with everything it spawned. Run on the queue's pool, where
 * it reads waits that are under way and never the history: 19 ms with 50,000 waits, 200 for children, on the build
 * machine. `limit 1`
 * keeps the look at each child a primary key look-up instead of a hash of all runs.
 */
export function listFinishedAwaits(db: Queryable, params: ListFinishedAwaitsParams): Promise<ListFinishedAwaitsRow[]> {
  return many<ListFinishedAwaitsRow>(db, {
    text: listFinishedAwaitsText,
    values: [
      params.terminal,
      params.limit,
    ],
  });
}

export interface FindResumeFactsParams {
  readonly run_id: string;
}

export interface FindResumeFactsRow {
  readonly checkpoint_state: string | null;
  readonly checkpoint_at: string | null;
  readonly event_payload: string | null;
}

const findResumeFactsText = `select c.state as "checkpoint_state", c.created_at as "checkpoint_at", t.response_payload as "event_payload"
  from (select 1) x
  left join lateral (select state::text as state, created_at from run_checkpoints where run_id = $1 order by sequence desc limit 1) c on true
  left join lateral (select response_payload::text as response_payload
                       from event_triggers e
                       join job_runs r on r.id = e.job_run_id and r.created_at = strait_id_time($1)
                      where e.job_run_id = $1 and e.status = 'received'
                        and coalesce(e.job_run_attempt, r.attempt) <= r.attempt
                        and coalesce(e.job_run_replays, 0) = coalesce((r.metadata ->> '_replays')::int, 0)
                      order by e.received_at desc limit 1) t on true`;

/**
 * across projects: asked by the worker that holds the run.
 * The newest checkpoint, and what ended the newest wait: a later attempt is told as well, as the one that heard it may have
 * crashed with it. A replay has waited for nothing yet.
 */
export function findResumeFacts(db: Queryable, params: FindResumeFactsParams): Promise<FindResumeFactsRow> {
  return one<FindResumeFactsRow>(db, {
    text: findResumeFactsText,
    values: [params.run_id],
    name: 'events_findResumeFacts_6a5b9859',
  });
}

export interface InsertStepTriggerParams {
  readonly event_key: string;
  readonly project_id: string;
  readonly trigger_type: string;
  readonly workflow_run_id: string;
  readonly step_run_id: string;
  readonly timeout_secs: number;
  readonly expires_at: number;
  readonly request_payload_json: string | null;
  readonly notify_url: string;
  readonly is_received: boolean;
  readonly response_payload_json: string | null;
  readonly sent_by: string;
}

export interface InsertStepTriggerRow {
  readonly id: string;
}

const insertStepTriggerText = `with made as (
  insert into event_triggers (event_key, project_id, source_type, trigger_type, workflow_run_id, workflow_step_run_id, timeout_secs, expires_at,
         request_payload, notify_url, notify_status, status, received_at, response_payload, sent_by)
  values ($1, $2, 'workflow_step', $3, $4, $5, $6::int,
          to_timestamp($7::float8 / 1000), $8::jsonb, nullif($9::text, ''),
          case when $9 <> '' then 'pending' else '' end, case when $10::boolean then 'received' else 'waiting' end,
          case when $10 then strait_now() end, $11::jsonb, $12)
  on conflict (project_id, event_key) where status = 'waiting' do nothing
  returning id, project_id
), told as (
  insert into event_notifications (trigger_id, project_id) select id, project_id from made where $9 <> '' returning trigger_id
), woken as materialized (
  select pg_notify('event_notify', '') where exists (select from told)
)
select id from made where (select count(*) from woken) >= 0`;

/** Of a step of a workflow. No row: another trigger of the project waits for this key. One whose event came early is born received. */
export function insertStepTrigger(db: Queryable, params: InsertStepTriggerParams): Promise<InsertStepTriggerRow | undefined> {
  return maybe<InsertStepTriggerRow>(db, {
    text: insertStepTriggerText,
    values: [
      params.event_key,
      params.project_id,
      params.trigger_type,
      params.workflow_run_id,
      params.step_run_id,
      params.timeout_secs,
      params.expires_at,
      params.request_payload_json,
      params.notify_url,
      params.is_received,
      params.response_payload_json,
      params.sent_by,
    ],
  });
}

export interface EndStepTriggersParams {
  readonly ends: unknown;
  readonly project_id: string;
}

const endStepTriggersText = `update event_triggers t
   set status = e.to_status, error = e.error, updated_at = strait_now(),
       received_at = case when e.to_status = 'received' then strait_now() end,
       response_payload = case when e.to_status = 'received' then e.payload else t.response_payload end,
       sent_by = case when e.to_status = 'received' then coalesce(e.actor, 'system') else t.sent_by end
  from jsonb_to_recordset($1::jsonb) as e(trigger_id text, to_status text, actor text, error text, payload jsonb)
 where t.id = e.trigger_id and t.project_id = $2 and t.status = 'waiting'`;

/** The caller holds the lock of the workflow runs; each end is guarded by the state. */
export function endStepTriggers(db: Queryable, params: EndStepTriggersParams): Promise<number> {
  return count(db, {
    text: endStepTriggersText,
    values: [
      JSON.stringify(params.ends),
      params.project_id,
    ],
  });
}

export interface CancelStepTriggersParams {
  readonly error: string;
  readonly workflow_run_id: string;
  readonly project_id: string;
}

const cancelStepTriggersText = `update event_triggers t set status = 'canceled', error = $1, updated_at = strait_now()
 where t.workflow_run_id = $2 and t.project_id = $3 and t.status = 'waiting'`;

export function cancelStepTriggers(db: Queryable, params: CancelStepTriggersParams): Promise<number> {
  return count(db, {
    text: cancelStepTriggersText,
    values: [
      params.error,
      params.workflow_run_id,
      params.project_id,
    ],
  });
}

export interface CancelTriggerByIdParams {
  readonly error: string;
  readonly trigger_id: string;
  readonly project_id: string;
}

const cancelTriggerByIdText = `update event_triggers t set status = 'canceled', error = $1, updated_at = strait_now()
 where t.id = $2 and t.project_id = $3 and t.status = 'waiting'`;

export function cancelTriggerById(db: Queryable, params: CancelTriggerByIdParams): Promise<number> {
  return count(db, {
    text: cancelTriggerByIdText,
    values: [
      params.error,
      params.trigger_id,
      params.project_id,
    ],
  });
}

export interface RemoveStepTriggersParams {
  readonly step_run_ids: readonly (string | null)[];
}

const removeStepTriggersText = `delete from event_triggers t where t.workflow_step_run_id = any ($1::text[])`;

/** across projects: retention of the workflow runs that these steps belong to. */
export function removeStepTriggers(db: Queryable, params: RemoveStepTriggersParams): Promise<number> {
  return count(db, {
    text: removeStepTriggersText,
    values: [params.step_run_ids],
  });
}

export interface FindKeyWaiterParams {
  readonly project_id: string;
  readonly event_key: string;
}

export interface FindKeyWaiterRow {
  readonly id: string;
  readonly workflow_step_run_id: string | null;
}

const findKeyWaiterText = `select t.id, t.workflow_step_run_id from event_triggers t
 where t.project_id = $1 and t.event_key = $2 and t.status = 'waiting'`;

/** Who waits for this key now. */
export function findKeyWaiter(db: Queryable, params: FindKeyWaiterParams): Promise<FindKeyWaiterRow | undefined> {
  return maybe<FindKeyWaiterRow>(db, {
    text: findKeyWaiterText,
    values: [
      params.project_id,
      params.event_key,
    ],
  });
}

export interface FindWaiterParams {
  readonly project_id: string;
  readonly event_key: string;
}

export interface FindWaiterRow {
  readonly id: string;
  readonly event_key: string;
  readonly project_id: string;
  readonly source_type: string;
  readonly trigger_type: string;
  readonly workflow_run_id: string | null;
  readonly workflow_step_run_id: string | null;
  readonly job_run_id: string | null;
  readonly status: string;
  readonly request_payload: unknown;
  readonly response_payload: unknown;
  readonly timeout_secs: number;
  readonly requested_at: string;
  readonly received_at: string | null;
  readonly expires_at: string;
  readonly error: string | null;
  readonly notify_url: string | null;
  readonly notify_status: string;
  readonly event_emit_key: string | null;
  readonly sent_by: string;
  readonly created_at: string;
  readonly updated_at: string;
  readonly job_run_attempt: number | null;
  readonly job_run_replays: number | null;
}

const findWaiterText = `select t.* from event_triggers t
 where t.project_id = $1 and t.event_key = $2 and t.status = 'waiting' and t.trigger_type = 'event'
   and not t.event_key ^@ 'spawn-await:'`;

/** Who waits for an event of this key: no sleep, no parent that waits for a child. */
export function findWaiter(db: Queryable, params: FindWaiterParams): Promise<FindWaiterRow | undefined> {
  return maybe<FindWaiterRow>(db, {
    text: findWaiterText,
    values: [
      params.project_id,
      params.event_key,
    ],
  });
}
