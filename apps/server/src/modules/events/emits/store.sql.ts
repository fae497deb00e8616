// Generated from store.sql by `npm run generate`. Do not edit.
import type { JsonColumns } from '../../../platform/db/json-columns.ts';
import { count, many, type Queryable } from '../../../platform/db/query.ts';

export interface InsertEmitsParams {
  readonly emits: unknown;
}

const insertEmitsText = `with told as (
  insert into event_emits (project_id, event_key, payload, sent_by, workflow_step_run_id)
  select e.project_id, e.event_key, e.payload, e.sent_by, e.workflow_step_run_id
    from jsonb_to_recordset($1::jsonb) as e(project_id text, event_key text, payload jsonb, sent_by text, workflow_step_run_id text)
  returning id
), woken as materialized (select pg_notify('event_emit', '') where exists (select from told))
select id from told where (select count(*) from woken) >= 0`;

/** across projects: the emits name their project. */
export function insertEmits(db: Queryable, params: InsertEmitsParams): Promise<number> {
  return count(db, {
    text: insertEmitsText,
    values: [JSON.stringify(params.emits)],
  });
}

export interface ListDueEmitsParams {
  readonly limit: number;
}

export interface ListDueEmitsRow {
  readonly id: number;
  readonly project_id: string;
  readonly event_key: string;
  readonly payload: JsonColumns['event_emits.payload'] | null;
  readonly sent_by: string;
}

const listDueEmitsText = `select id, project_id, event_key, payload, sent_by from event_emits where due_at <= strait_now() order by due_at, id limit $1::int`;

/** across projects: a loop serves all of them. */
export function listDueEmits(db: Queryable, params: ListDueEmitsParams): Promise<ListDueEmitsRow[]> {
  return many<ListDueEmitsRow>(db, {
    text: listDueEmitsText,
    values: [params.limit],
  });
}

export interface TakeEmitParams {
  readonly emit_id: number;
  readonly project_id: string;
}

const takeEmitText = `delete from event_emits where id = $1 and project_id = $2`;

/** 0: somebody else delivered it. */
export function takeEmit(db: Queryable, params: TakeEmitParams): Promise<number> {
  return count(db, {
    text: takeEmitText,
    values: [
      params.emit_id,
      params.project_id,
    ],
  });
}

export interface PostponeEmitParams {
  readonly emit_id: number;
  readonly project_id: string;
}

const postponeEmitText = `update event_emits
   set tries = tries + 1, due_at = strait_now() + make_interval(secs => least(power(2, least(tries, 20)), 300))
 where id = $1 and project_id = $2`;

export function postponeEmit(db: Queryable, params: PostponeEmitParams): Promise<number> {
  return count(db, {
    text: postponeEmitText,
    values: [
      params.emit_id,
      params.project_id,
    ],
  });
}
