// Generated from store.sql by `npm run generate`. Do not edit.
import { count, many, maybe, type Queryable } from '../../platform/db/query.ts';

export interface UpsertProjectParams {
  readonly id: string | null;
  readonly org_id: string | null;
  readonly name: string;
}

export interface UpsertProjectRow {
  readonly id: string;
  readonly org_id: string | null;
  readonly name: string | null;
  readonly created_at: string;
  readonly created: boolean;
}

const upsertProjectText = `insert into projects as p (id, org_id, name)
values (coalesce($1, uuidv7()::text), $2, $3)
on conflict (id) do update
   set name = excluded.name, org_id = coalesce(p.org_id, excluded.org_id)
 where p.deleted_at is null
   and (p.org_id is null or p.org_id = coalesce(excluded.org_id, p.org_id))
returning id, org_id, name, created_at, (xmax = 0) as "created"`;

/** No row: the id belongs to another organization, or to a deleted project. */
export function upsertProject(db: Queryable, params: UpsertProjectParams): Promise<UpsertProjectRow | undefined> {
  return maybe<UpsertProjectRow>(db, {
    text: upsertProjectText,
    values: [
      params.id,
      params.org_id,
      params.name,
    ],
  });
}

export interface EnsureProjectParams {
  readonly project_id: string;
}

const ensureProjectText = `insert into projects (id) values ($1) on conflict (id) do nothing`;

/** 1 when the project was not known before. */
export function ensureProject(db: Queryable, params: EnsureProjectParams): Promise<number> {
  return count(db, {
    text: ensureProjectText,
    values: [params.project_id],
  });
}

export interface FindProjectParams {
  readonly id: string;
}

export interface FindProjectRow {
  readonly id: string;
  readonly org_id: string | null;
  readonly name: string | null;
  readonly created_at: string;
}

const findProjectText = `select id, org_id, name, created_at from projects where id = $1 and deleted_at is null`;

export function findProject(db: Queryable, params: FindProjectParams): Promise<FindProjectRow | undefined> {
  return maybe<FindProjectRow>(db, {
    text: findProjectText,
    values: [params.id],
  });
}

export interface ListProjectsParams {
  readonly id: string | null;
  readonly cursor_created_at: string | null;
  readonly cursor_id: string | null;
  readonly limit: number;
}

export interface ListProjectsRow {
  readonly id: string;
  readonly org_id: string | null;
  readonly name: string | null;
  readonly created_at: string;
}

const listProjectsText = `select id, org_id, name, created_at
  from projects
 where deleted_at is null
   and ($1::text is null or id = $1)
   and ($2::timestamptz is null
        or (created_at, id) < ($2, $3::text))
 order by created_at desc, id desc
 limit $4`;

/** `:id` narrows the list to one project. */
export function listProjects(db: Queryable, params: ListProjectsParams): Promise<ListProjectsRow[]> {
  return many<ListProjectsRow>(db, {
    text: listProjectsText,
    values: [
      params.id,
      params.cursor_created_at,
      params.cursor_id,
      params.limit,
    ],
  });
}
