// Generated from store.sql by `npm run generate`. Do not edit.
import { count, many, maybe, type Queryable } from '../../../platform/db/query.ts';

export interface InsertGroupParams {
  readonly project_id: string;
  readonly name: string;
  readonly slug: string;
  readonly description: string | null;
}

export interface InsertGroupRow {
  readonly id: string;
  readonly project_id: string;
  readonly name: string;
  readonly slug: string;
  readonly description: string | null;
  readonly paused: boolean;
  readonly created_at: string;
  readonly updated_at: string;
}

const insertGroupText = `insert into job_groups (project_id, name, slug, description)
values ($1, $2, $3, $4)
    on conflict (project_id, slug) do nothing
returning *`;

/** No row: the slug is taken. */
export function insertGroup(db: Queryable, params: InsertGroupParams): Promise<InsertGroupRow | undefined> {
  return maybe<InsertGroupRow>(db, {
    text: insertGroupText,
    values: [
      params.project_id,
      params.name,
      params.slug,
      params.description,
    ],
  });
}

export interface ListGroupsParams {
  readonly project_id: string;
  readonly before_created_at: string | null;
  readonly before_id: string | null;
  readonly limit: number;
}

export interface ListGroupsRow {
  readonly id: string;
  readonly project_id: string;
  readonly name: string;
  readonly slug: string;
  readonly description: string | null;
  readonly paused: boolean;
  readonly created_at: string;
  readonly updated_at: string;
}

const listGroupsText = `select g.* from job_groups g
 where g.project_id = $1
   and ($2::timestamptz is null or (g.created_at, g.id) < ($2, $3::text))
 order by g.created_at desc, g.id desc limit $4::int`;

export function listGroups(db: Queryable, params: ListGroupsParams): Promise<ListGroupsRow[]> {
  return many<ListGroupsRow>(db, {
    text: listGroupsText,
    values: [
      params.project_id,
      params.before_created_at,
      params.before_id,
      params.limit,
    ],
  });
}

export interface FindGroupParams {
  readonly project_id: string;
  readonly group: string;
}

export interface FindGroupRow {
  readonly id: string;
  readonly project_id: string;
  readonly name: string;
  readonly slug: string;
  readonly description: string | null;
  readonly paused: boolean;
  readonly created_at: string;
  readonly updated_at: string;
}

const findGroupText = `select g.* from job_groups g where g.project_id = $1 and (g.id = $2 or g.slug = $2)
 order by g.id = $2 desc limit 1`;

/** By id or slug; no slug looks like an id. */
export function findGroup(db: Queryable, params: FindGroupParams): Promise<FindGroupRow | undefined> {
  return maybe<FindGroupRow>(db, {
    text: findGroupText,
    values: [
      params.project_id,
      params.group,
    ],
  });
}

export interface UpdateGroupParams {
  readonly name: string | null;
  readonly slug: string | null;
  readonly description: string | null;
  readonly group_id: string;
  readonly project_id: string;
}

export interface UpdateGroupRow {
  readonly id: string;
  readonly project_id: string;
  readonly name: string;
  readonly slug: string;
  readonly description: string | null;
  readonly paused: boolean;
  readonly created_at: string;
  readonly updated_at: string;
}

const updateGroupText = `update job_groups g
   set name = coalesce($1::text, g.name), slug = coalesce($2::text, g.slug),
       description = nullif(coalesce($3::text, g.description), ''), updated_at = strait_now()
 where g.id = $4 and g.project_id = $5
returning g.*`;

/** Absent members stay; an empty description is none. */
export function updateGroup(db: Queryable, params: UpdateGroupParams): Promise<UpdateGroupRow | undefined> {
  return maybe<UpdateGroupRow>(db, {
    text: updateGroupText,
    values: [
      params.name,
      params.slug,
      params.description,
      params.group_id,
      params.project_id,
    ],
  });
}

export interface SetGroupPausedParams {
  readonly paused: boolean;
  readonly group_id: string;
  readonly project_id: string;
}

export interface SetGroupPausedRow {
  readonly id: string;
}

const setGroupPausedText = `update job_groups g set paused = $1, updated_at = strait_now()
 where g.id = $2 and g.project_id = $3 and g.paused <> $1
returning g.id`;

/** The whole of pausing: enqueue, mover, promotion and claim read the flag. No row: it is so already. */
export function setGroupPaused(db: Queryable, params: SetGroupPausedParams): Promise<SetGroupPausedRow | undefined> {
  return maybe<SetGroupPausedRow>(db, {
    text: setGroupPausedText,
    values: [
      params.paused,
      params.group_id,
      params.project_id,
    ],
  });
}

export interface LeaveGroupParams {
  readonly group_id: string;
  readonly project_id: string;
}

const leaveGroupText = `update jobs set group_id = null where group_id = $1 and project_id = $2 and deleting_at is not null`;

/** Jobs that are being removed hold no group. */
export function leaveGroup(db: Queryable, params: LeaveGroupParams): Promise<number> {
  return count(db, {
    text: leaveGroupText,
    values: [
      params.group_id,
      params.project_id,
    ],
  });
}

export interface DeleteGroupParams {
  readonly group_id: string;
  readonly project_id: string;
}

const deleteGroupText = `delete from job_groups g
 where g.id = $1 and g.project_id = $2
   and not exists (select from jobs j where j.group_id = g.id and j.project_id = $2)`;

/** Jobs that join meanwhile make the foreign key refuse it. */
export function deleteGroup(db: Queryable, params: DeleteGroupParams): Promise<number> {
  return count(db, {
    text: deleteGroupText,
    values: [
      params.group_id,
      params.project_id,
    ],
  });
}

export interface ListMemberIdsParams {
  readonly group_id: string;
  readonly project_id: string;
  readonly limit: number;
}

export interface ListMemberIdsRow {
  readonly id: string;
}

const listMemberIdsText = `select id from jobs where group_id = $1 and project_id = $2 and deleting_at is null
 order by created_at desc, id desc limit $3::int`;

export function listMemberIds(db: Queryable, params: ListMemberIdsParams): Promise<ListMemberIdsRow[]> {
  return many<ListMemberIdsRow>(db, {
    text: listMemberIdsText,
    values: [
      params.group_id,
      params.project_id,
      params.limit,
    ],
  });
}
