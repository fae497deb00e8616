// Generated from store.sql by `npm run generate`. Do not edit.
import { count, many, one, type Queryable } from '../../../platform/db/query.ts';

export interface ListTriggersParams {
  readonly project_id: string;
  readonly status: string | null;
  readonly workflow_run_id: string | null;
  readonly source_types: readonly (string | null)[];
  readonly before_requested_at: string | null;
  readonly before_id: string | null;
  readonly limit: number;
}

export interface ListTriggersRow {
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

const listTriggersText = `select t.* from event_triggers t
 where t.project_id = $1
   and ($2::text is null or t.status = $2)
   and ($3::text is null or t.workflow_run_id = $3)
   and t.source_type = any ($4::text[])
   and ($5::timestamptz is null or (t.requested_at, t.id) < ($5, $6::text))
 order by t.requested_at desc, t.id desc limit $7::int`;

/** Newest first. */
export function listTriggers(db: Queryable, params: ListTriggersParams): Promise<ListTriggersRow[]> {
  return many<ListTriggersRow>(db, {
    text: listTriggersText,
    values: [
      params.project_id,
      params.status,
      params.workflow_run_id,
      params.source_types,
      params.before_requested_at,
      params.before_id,
      params.limit,
    ],
  });
}

export interface ListWaitingUnderParams {
  readonly project_id: string;
  readonly prefix: string;
  readonly limit: number;
}

export interface ListWaitingUnderRow {
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

const listWaitingUnderText = `select t.* from event_triggers t
 where t.project_id = $1 and t.status = 'waiting' and t.trigger_type = 'event' and t.event_key ^@ $2::text
   and not t.event_key ^@ 'spawn-await:'
 order by t.requested_at, t.id limit $3::int`;

/** Waits for events whose key begins with these letters, oldest first: no sleeps, no parents that wait for a child. */
export function listWaitingUnder(db: Queryable, params: ListWaitingUnderParams): Promise<ListWaitingUnderRow[]> {
  return many<ListWaitingUnderRow>(db, {
    text: listWaitingUnderText,
    values: [
      params.project_id,
      params.prefix,
      params.limit,
    ],
  });
}

export interface CountTriggersParams {
  readonly project_id: string;
}

export interface CountTriggersRow {
  readonly total_count: number;
  readonly waiting_count: number;
  readonly received_count: number;
  readonly timed_out_count: number;
  readonly canceled_count: number;
  readonly avg_wait_duration_secs: number;
}

const countTriggersText = `select count(*)::int as "total_count", (count(*) filter (where t.status = 'waiting'))::int as "waiting_count",
       (count(*) filter (where t.status = 'received'))::int as "received_count",
       (count(*) filter (where t.status = 'timed_out'))::int as "timed_out_count",
       (count(*) filter (where t.status = 'canceled'))::int as "canceled_count",
       coalesce(avg(extract(epoch from t.received_at - t.requested_at)) filter (where t.status = 'received'), 0)::float8 as "avg_wait_duration_secs"
  from event_triggers t where t.project_id = $1`;

export function countTriggers(db: Queryable, params: CountTriggersParams): Promise<CountTriggersRow> {
  return one<CountTriggersRow>(db, {
    text: countTriggersText,
    values: [params.project_id],
  });
}

export interface CountOldParams {
  readonly project_id: string;
  readonly days: number;
}

export interface CountOldRow {
  readonly old: number;
}

const countOldText = `select count(*)::int as "old" from event_triggers t
 where t.project_id = $1 and t.status <> 'waiting' and t.updated_at < strait_now() - make_interval(days => $2::int)
   and not exists (select from job_runs r where r.id = t.job_run_id and r.created_at = strait_id_time(t.job_run_id)
                      and (r.status = any ('{delayed,queued,dequeued,executing,waiting}')) is true)`;

/** What a live run received may still have to be sent to it. */
export function countOld(db: Queryable, params: CountOldParams): Promise<CountOldRow> {
  return one<CountOldRow>(db, {
    text: countOldText,
    values: [
      params.project_id,
      params.days,
    ],
  });
}

export interface RemoveOldParams {
  readonly project_id: string;
  readonly days: number;
  readonly limit: number;
}

const removeOldText = `delete from event_triggers d
 where d.project_id = $1 and d.id = any (array(
   select t.id from event_triggers t
    where t.project_id = $1 and t.status <> 'waiting' and t.updated_at < strait_now() - make_interval(days => $2::int)
      and not exists (select from job_runs r where r.id = t.job_run_id and r.created_at = strait_id_time(t.job_run_id)
                         and (r.status = any ('{delayed,queued,dequeued,executing,waiting}')) is true)
    order by t.updated_at limit $3::int))`;

export function removeOld(db: Queryable, params: RemoveOldParams): Promise<number> {
  return count(db, {
    text: removeOldText,
    values: [
      params.project_id,
      params.days,
      params.limit,
    ],
  });
}
