// Generated from store.sql by `npm run generate`. Do not edit.
import { count, many, one, type Queryable } from '../../../platform/db/query.ts';

export interface ClaimNotificationsParams {
  readonly limit: number;
  readonly hold_secs: number;
}

export interface ClaimNotificationsRow {
  readonly id: string;
  readonly attempts: number;
  readonly trigger_id: string;
  readonly project_id: string;
  readonly event_key: string;
  readonly expires_at: string;
  readonly notify_url: string;
  readonly job_run_id: string | null;
  readonly job_id: string | null;
}

const claimNotificationsText = `with due as materialized (
  select n.id from event_notifications n where n.due_at <= strait_now() order by n.due_at limit $1::int for update skip locked
), held as (
  update event_notifications n
     set attempts = n.attempts + 1, due_at = strait_now() + make_interval(secs => $2::int)
   where n.id = any (array(select id from due))
  returning n.id, n.attempts, n.trigger_id, n.project_id
)
select h.id, h.attempts, h.trigger_id, h.project_id, t.event_key, t.expires_at, t.notify_url as "notify_url", t.job_run_id as "job_run_id",
       (select r.job_id from job_runs r where r.id = t.job_run_id and r.created_at = strait_id_time(t.job_run_id)) as "job_id"
  from held h join event_triggers t on t.id = h.trigger_id order by h.id`;

/** across projects: a loop serves all of them. */
export function claimNotifications(db: Queryable, params: ClaimNotificationsParams): Promise<ClaimNotificationsRow[]> {
  return many<ClaimNotificationsRow>(db, {
    text: claimNotificationsText,
    values: [
      params.limit,
      params.hold_secs,
    ],
  });
}

export interface EndNotificationParams {
  readonly id: string;
  readonly project_id: string;
  readonly attempts: number;
  readonly status: string;
}

const endNotificationText = `with gone as (
  delete from event_notifications where id = $1 and project_id = $2 and attempts = $3 returning trigger_id
)
update event_triggers t set notify_status = $4 from gone where t.id = gone.trigger_id and t.project_id = $2`;

/** 0: somebody else sends it by now. */
export function endNotification(db: Queryable, params: EndNotificationParams): Promise<number> {
  return count(db, {
    text: endNotificationText,
    values: [
      params.id,
      params.project_id,
      params.attempts,
      params.status,
    ],
  });
}

export interface PostponeNotificationParams {
  readonly secs: number;
  readonly uncounted: boolean;
  readonly id: string;
  readonly project_id: string;
  readonly attempts: number;
}

const postponeNotificationText = `update event_notifications
   set due_at = strait_now() + make_interval(secs => $1::float8), attempts = attempts - case when $2::boolean then 1 else 0 end
 where id = $3 and project_id = $4 and attempts = $5`;

export function postponeNotification(db: Queryable, params: PostponeNotificationParams): Promise<number> {
  return count(db, {
    text: postponeNotificationText,
    values: [
      params.secs,
      params.uncounted,
      params.id,
      params.project_id,
      params.attempts,
    ],
  });
}

export interface NextNotificationRow {
  readonly next_ms: number | null;
}

const nextNotificationText = `select (extract(epoch from (select min(due_at) from event_notifications) - strait_now()) * 1000)::float8 as "next_ms"`;

/**
 * across projects: a loop serves all of them.
 * In milliseconds from now; null: there is none.
 */
export function nextNotification(db: Queryable): Promise<NextNotificationRow> {
  return one<NextNotificationRow>(db, {
    text: nextNotificationText,
    values: [],
  });
}
