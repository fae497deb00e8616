// Generated from store.sql by `npm run generate`. Do not edit.
import { many, maybe, type Queryable } from '../../../platform/db/query.ts';

export interface FindWatchedParams {
  readonly run_id: string;
  readonly project_id: string;
}

export interface FindWatchedRow {
  readonly id: string;
  readonly status: string;
  readonly job_id: string;
  readonly now: string;
}

const findWatchedText = `select r.id, r.status, r.job_id, strait_now() as "now" from job_runs r
 where r.id = $1 and r.created_at = strait_id_time($1) and r.project_id = $2`;

export function findWatched(db: Queryable, params: FindWatchedParams): Promise<FindWatchedRow | undefined> {
  return maybe<FindWatchedRow>(db, {
    text: findWatchedText,
    values: [
      params.run_id,
      params.project_id,
    ],
  });
}

export interface FindNewestStateChangeParams {
  readonly run_id: string;
  readonly project_id: string;
}

export interface FindNewestStateChangeRow {
  readonly id: string;
  readonly run_id: string;
  readonly type: string;
  readonly level: string;
  readonly message: string;
  readonly data: unknown;
  readonly created_at: string;
}

const findNewestStateChangeText = `select e.id, e.run_id, e.type, coalesce(e.level, '') as "level", coalesce(e.message, '') as "message", e.data, e.created_at
  from run_events e
  join job_runs r on r.id = e.run_id and r.created_at = e.run_created_at
 where e.run_id = $1 and r.project_id = $2 and e.type = 'state_change'
 order by e.id desc limit 1`;

/** Where a run stands, as an event. */
export function findNewestStateChange(db: Queryable, params: FindNewestStateChangeParams): Promise<FindNewestStateChangeRow | undefined> {
  return maybe<FindNewestStateChangeRow>(db, {
    text: findNewestStateChangeText,
    values: [
      params.run_id,
      params.project_id,
    ],
  });
}

export interface ListEventsAfterParams {
  readonly run_id: string;
  readonly project_id: string;
  readonly after_id: string;
  readonly limit: number;
}

export interface ListEventsAfterRow {
  readonly id: string;
  readonly run_id: string;
  readonly type: string;
  readonly level: string;
  readonly message: string;
  readonly data: unknown;
  readonly created_at: string;
}

const listEventsAfterText = `select e.id, e.run_id, e.type, coalesce(e.level, '') as "level", coalesce(e.message, '') as "message", e.data, e.created_at
  from run_events e
  join job_runs r on r.id = e.run_id and r.created_at = e.run_created_at
 where e.run_id = $1 and r.project_id = $2 and e.id > $3
 order by e.id
 limit $4::int`;

/** One page of history, in the order of the ids: those are what a client gives back. */
export function listEventsAfter(db: Queryable, params: ListEventsAfterParams): Promise<ListEventsAfterRow[]> {
  return many<ListEventsAfterRow>(db, {
    text: listEventsAfterText,
    values: [
      params.run_id,
      params.project_id,
      params.after_id,
      params.limit,
    ],
  });
}

export interface ListNewEventsParams {
  readonly run_ids: readonly (string | null)[];
  readonly sinces: readonly (string | null)[];
}

export interface ListNewEventsRow {
  readonly id: string;
  readonly run_id: string;
  readonly type: string;
  readonly level: string;
  readonly message: string;
  readonly data: unknown;
  readonly created_at: string;
}

const listNewEventsText = `select e.id, e.run_id, e.type, coalesce(e.level, '') as "level", coalesce(e.message, '') as "message", e.data, e.created_at
  from unnest($1::text[], $2::timestamptz[]) as w(run_id, since)
  join run_events e on e.run_id = w.run_id and e.created_at >= w.since
 order by e.id`;

/**
 * across projects: the runs were checked against their callers' projects when their streams began.
 * What is newer than each run's own moment, for all watched runs at once.
 */
export function listNewEvents(db: Queryable, params: ListNewEventsParams): Promise<ListNewEventsRow[]> {
  return many<ListNewEventsRow>(db, {
    text: listNewEventsText,
    values: [
      params.run_ids,
      params.sinces,
    ],
  });
}
