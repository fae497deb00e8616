// Generated from store.sql by `npm run generate`. Do not edit.
import type { JsonColumns } from '../../../platform/db/json-columns.ts';
import { count, many, maybe, one, type Queryable } from '../../../platform/db/query.ts';

export interface LockKeyParams {
  readonly project_id: string;
  readonly event_key: string;
}

export interface LockKeyRow {
  readonly locked: boolean;
}

const lockKeyText = `select true as "locked" from pg_advisory_xact_lock(hashtextextended($1::text || ' ' || $2::text, 7305))`;

/**
 * Who opens a wait and who keeps an event for one come one after the other: else both could miss each other. Taken after locks of
 * runs, never before them; a statement of its own, so that what follows sees what the other one did.
 */
export function lockKey(db: Queryable, params: LockKeyParams): Promise<LockKeyRow> {
  return one<LockKeyRow>(db, {
    text: lockKeyText,
    values: [
      params.project_id,
      params.event_key,
    ],
  });
}

export interface FindBufferParams {
  readonly project_id: string;
}

export interface FindBufferRow {
  readonly secs: number;
}

const findBufferText = `select event_buffer_secs as "secs" from project_quotas where project_id = $1 and event_buffer_secs > 0`;

/** No row: the project keeps no events. */
export function findBuffer(db: Queryable, params: FindBufferParams): Promise<FindBufferRow | undefined> {
  return maybe<FindBufferRow>(db, {
    text: findBufferText,
    values: [params.project_id],
  });
}

export interface FindEarlyEventParams {
  readonly project_id: string;
  readonly event_key: string;
}

export interface FindEarlyEventRow {
  readonly id: number;
  readonly payload: JsonColumns['early_events.payload'] | null;
  readonly sent_by: string;
}

const findEarlyEventText = `select e.id, e.payload, e.sent_by from early_events e
 where e.project_id = $1 and e.event_key = $2 and e.expires_at > strait_now()
 order by e.id limit 1 for update`;

/** The first that came; kept from others who would take it. */
export function findEarlyEvent(db: Queryable, params: FindEarlyEventParams): Promise<FindEarlyEventRow | undefined> {
  return maybe<FindEarlyEventRow>(db, {
    text: findEarlyEventText,
    values: [
      params.project_id,
      params.event_key,
    ],
  });
}

export interface TakeEarlyEventParams {
  readonly project_id: string;
  readonly event_key: string;
}

export interface TakeEarlyEventRow {
  readonly payload: JsonColumns['early_events.payload'] | null;
  readonly sent_by: string;
}

const takeEarlyEventText = `delete from early_events e
 where e.project_id = $1
   and e.id = (select o.id from early_events o where o.project_id = $1 and o.event_key = $2 and o.expires_at > strait_now()
                order by o.id limit 1)
returning e.payload, e.sent_by`;

export function takeEarlyEvent(db: Queryable, params: TakeEarlyEventParams): Promise<TakeEarlyEventRow | undefined> {
  return maybe<TakeEarlyEventRow>(db, {
    text: takeEarlyEventText,
    values: [
      params.project_id,
      params.event_key,
    ],
  });
}

export interface ListKeptParams {
  readonly project_id: string;
  readonly event_key: string;
}

export interface ListKeptRow {
  readonly payload: JsonColumns['early_events.payload'] | null;
  readonly expires_at: string;
}

const listKeptText = `select e.payload, e.expires_at from early_events e
 where e.project_id = $1 and e.event_key = $2 and e.expires_at > strait_now() order by e.id limit 100`;

/** Of one key, to tell a repeated send. */
export function listKept(db: Queryable, params: ListKeptParams): Promise<ListKeptRow[]> {
  return many<ListKeptRow>(db, {
    text: listKeptText,
    values: [
      params.project_id,
      params.event_key,
    ],
  });
}

export interface CountKeptParams {
  readonly project_id: string;
  readonly most: number;
}

export interface CountKeptRow {
  readonly kept: number;
}

const countKeptText = `select count(*)::int as "kept" from (select from early_events e where e.project_id = $1 limit $2::int) x`;

export function countKept(db: Queryable, params: CountKeptParams): Promise<CountKeptRow> {
  return one<CountKeptRow>(db, {
    text: countKeptText,
    values: [
      params.project_id,
      params.most,
    ],
  });
}

export interface KeepEventParams {
  readonly project_id: string;
  readonly event_key: string;
  readonly payload_json: string;
  readonly sent_by: string;
  readonly secs: number;
}

export interface KeepEventRow {
  readonly expires_at: string;
}

const keepEventText = `insert into early_events (project_id, event_key, payload, sent_by, expires_at)
values ($1, $2, $3::jsonb, $4, strait_now() + make_interval(secs => $5::int))
returning expires_at`;

export function keepEvent(db: Queryable, params: KeepEventParams): Promise<KeepEventRow> {
  return one<KeepEventRow>(db, {
    text: keepEventText,
    values: [
      params.project_id,
      params.event_key,
      params.payload_json,
      params.sent_by,
      params.secs,
    ],
  });
}

export interface RemoveExpiredParams {
  readonly limit: number;
}

const removeExpiredText = `delete from early_events where id = any (array(select id from early_events where expires_at <= strait_now() order by expires_at limit $1::int))`;

/** across projects: retention. */
export function removeExpired(db: Queryable, params: RemoveExpiredParams): Promise<number> {
  return count(db, {
    text: removeExpiredText,
    values: [params.limit],
  });
}

export interface SendKeptOfParams {
  readonly project_id: string;
  readonly event_key: string;
}

const sendKeptOfText = `with gone as (
  delete from early_events e
   where e.project_id = $1
     and e.id = (select o.id from early_events o where o.project_id = $1 and o.event_key = $2 and o.expires_at > strait_now()
                  order by o.id limit 1)
  returning e.project_id, e.event_key, e.payload, e.sent_by
), sent as (
  insert into event_emits (project_id, event_key, payload, sent_by) select project_id, event_key, payload, sent_by from gone
  returning id
), woken as materialized (select pg_notify('event_emit', '') where exists (select from sent))
select id from sent where (select count(*) from woken) >= 0`;

/** The oldest of this key is sent again, to who waits for it by now. */
export function sendKeptOf(db: Queryable, params: SendKeptOfParams): Promise<number> {
  return count(db, {
    text: sendKeptOfText,
    values: [
      params.project_id,
      params.event_key,
    ],
  });
}

export interface SendKeptParams {
  readonly limit: number;
}

export interface SendKeptRow {
  readonly id: number;
}

const sendKeptText = `with gone as (
  delete from early_events where id = any (array(
    select e.id from early_events e
     where e.expires_at > strait_now()
       and exists (select from event_triggers t where t.project_id = e.project_id and t.event_key = e.event_key
                      and t.status = 'waiting' and t.trigger_type = 'event')
     order by e.id limit $1::int for update skip locked))
  returning project_id, event_key, payload, sent_by, id
), sent as (
  insert into event_emits (project_id, event_key, payload, sent_by) select project_id, event_key, payload, sent_by from gone order by id
  returning id
), woken as materialized (select pg_notify('event_emit', '') where exists (select from sent))
select id from sent where (select count(*) from woken) >= 0`;

/**
 * across projects: a loop serves all of them.
 * A net: kept events whose key is waited for, as when a project began to keep events at that very moment.
 */
export function sendKept(db: Queryable, params: SendKeptParams): Promise<SendKeptRow[]> {
  return many<SendKeptRow>(db, {
    text: sendKeptText,
    values: [params.limit],
  });
}
