// Generated from store.sql by `npm run generate`. Do not edit.
import { count, many, maybe, one, type Queryable } from '../../platform/db/query.ts';

export interface FindKeysParams {
  readonly key_hashes: readonly (string | null)[];
}

export interface FindKeysRow {
  readonly id: string;
  readonly key_hash: string;
  readonly project_id: string;
  readonly scopes: readonly string[];
  readonly environment_id: string | null;
  readonly rate_limit_requests: number | null;
  readonly rate_limit_window_secs: number | null;
  readonly limit_of_project: boolean;
}

const findKeysText = `select k.id, k.key_hash, k.project_id, k.scopes, k.environment_id,
       coalesce(k.rate_limit_requests, q.rate_limit_requests) as "rate_limit_requests",
       case when k.rate_limit_requests is not null then k.rate_limit_window_secs
            else q.rate_limit_window_secs end as "rate_limit_window_secs",
       (k.rate_limit_requests is null) as "limit_of_project"
  from api_keys k
  left join project_quotas q on q.project_id = k.project_id
 where k.key_hash = any($1::text[])
   and k.revoked_at is null
   and (k.expires_at is null or k.expires_at > strait_now())
   and (k.grace_expires_at is null or k.grace_expires_at > strait_now())`;

/**
 * Keys that open something now; one statement for all requests of a moment.
 * across projects: the key itself says which project it opens
 */
export function findKeys(db: Queryable, params: FindKeysParams): Promise<FindKeysRow[]> {
  return many<FindKeysRow>(db, {
    text: findKeysText,
    values: [params.key_hashes],
    name: 'access_findKeys_2e4c20a2',
  });
}

export interface TouchKeysParams {
  readonly key_ids: readonly (string | null)[];
}

const touchKeysText = `update api_keys
   set last_used_at = strait_now()
 where id in (select id from api_keys
               where id = any($1::text[])
                 and (last_used_at is null or last_used_at < strait_now() - interval '1 minute')
               order by id
                 for update skip locked)`;

/**
 * Rows somebody else is changing are left out: the next use comes soon enough.
 * across projects: one write for all keys used in the last seconds
 */
export function touchKeys(db: Queryable, params: TouchKeysParams): Promise<number> {
  return count(db, {
    text: touchKeysText,
    values: [params.key_ids],
  });
}

export interface InsertKeyParams {
  readonly project_id: string;
  readonly name: string;
  readonly key_hash: string;
  readonly key_prefix: string;
  readonly scopes: readonly (string | null)[];
  readonly expires_in_days: number | null;
  readonly environment_id: string | null;
  readonly rate_limit_requests: number | null;
  readonly rate_limit_window_secs: number | null;
  readonly rotation_interval_days: number | null;
}

export interface InsertKeyRow {
  readonly id: string;
  readonly project_id: string;
  readonly name: string;
  readonly key_prefix: string;
  readonly scopes: readonly string[];
  readonly expires_at: string | null;
  readonly created_at: string;
}

const insertKeyText = `insert into api_keys (project_id, name, key_hash, key_prefix, scopes, expires_at, environment_id,
                      rate_limit_requests, rate_limit_window_secs,
                      rotation_interval_days, next_rotation_at)
values ($1, $2, $3, $4, $5::text[],
        strait_now() + $6::int * interval '1 day', $7,
        $8, $9,
        $10, strait_now() + $10::int * interval '1 day')
returning id, project_id, name, key_prefix, scopes, expires_at, created_at`;

export function insertKey(db: Queryable, params: InsertKeyParams): Promise<InsertKeyRow> {
  return one<InsertKeyRow>(db, {
    text: insertKeyText,
    values: [
      params.project_id,
      params.name,
      params.key_hash,
      params.key_prefix,
      params.scopes,
      params.expires_in_days,
      params.environment_id,
      params.rate_limit_requests,
      params.rate_limit_window_secs,
      params.rotation_interval_days,
    ],
  });
}

export interface ListKeysParams {
  readonly project_id: string;
  readonly cursor_created_at: string | null;
  readonly cursor_id: string | null;
  readonly limit: number;
}

export interface ListKeysRow {
  readonly id: string;
  readonly project_id: string;
  readonly name: string;
  readonly key_prefix: string;
  readonly scopes: readonly string[];
  readonly expires_at: string | null;
  readonly last_used_at: string | null;
  readonly created_at: string;
  readonly revoked_at: string | null;
  readonly replaced_by_key_id: string | null;
  readonly grace_expires_at: string | null;
  readonly rate_limit_requests: number | null;
  readonly rate_limit_window_secs: number | null;
  readonly environment_id: string | null;
  readonly rotation_interval_days: number | null;
  readonly next_rotation_at: string | null;
  readonly rotation_webhook_url: string | null;
}

const listKeysText = `select id, project_id, name, key_prefix, scopes, expires_at, last_used_at, created_at, revoked_at,
       replaced_by_key_id, grace_expires_at, rate_limit_requests, rate_limit_window_secs,
       environment_id, rotation_interval_days, next_rotation_at, rotation_webhook_url
  from api_keys
 where project_id = $1
   and revoked_at is null
   and ($2::timestamptz is null
        or (created_at, id) < ($2, $3::text))
 order by created_at desc, id desc
 limit $4`;

export function listKeys(db: Queryable, params: ListKeysParams): Promise<ListKeysRow[]> {
  return many<ListKeysRow>(db, {
    text: listKeysText,
    values: [
      params.project_id,
      params.cursor_created_at,
      params.cursor_id,
      params.limit,
    ],
  });
}

export interface RevokeKeyParams {
  readonly key_id: string;
  readonly project_id: string;
}

export interface RevokeKeyRow {
  readonly id: string;
  readonly name: string;
  readonly key_prefix: string;
}

const revokeKeyText = `update api_keys
   set revoked_at = strait_now()
 where id = $1 and project_id = $2 and revoked_at is null
returning id, name, key_prefix`;

/** No row: unknown, of another project, or revoked before. */
export function revokeKey(db: Queryable, params: RevokeKeyParams): Promise<RevokeKeyRow | undefined> {
  return maybe<RevokeKeyRow>(db, {
    text: revokeKeyText,
    values: [
      params.key_id,
      params.project_id,
    ],
  });
}

export interface LockKeyParams {
  readonly key_id: string;
  readonly project_id: string;
}

export interface LockKeyRow {
  readonly id: string;
  readonly scopes: readonly string[];
  readonly rotatable: boolean;
}

const lockKeyText = `select id, scopes, (revoked_at is null and replaced_by_key_id is null) as "rotatable"
  from api_keys
 where id = $1 and project_id = $2
   for update`;

export function lockKey(db: Queryable, params: LockKeyParams): Promise<LockKeyRow | undefined> {
  return maybe<LockKeyRow>(db, {
    text: lockKeyText,
    values: [
      params.key_id,
      params.project_id,
    ],
  });
}

export interface CopyKeyParams {
  readonly key_hash: string;
  readonly key_prefix: string;
  readonly key_id: string;
  readonly project_id: string;
}

export interface CopyKeyRow {
  readonly id: string;
  readonly project_id: string;
  readonly name: string;
  readonly key_prefix: string;
  readonly scopes: readonly string[];
  readonly expires_at: string | null;
  readonly created_at: string;
}

const copyKeyText = `insert into api_keys (project_id, name, key_hash, key_prefix, scopes, expires_at, environment_id,
                      rate_limit_requests, rate_limit_window_secs,
                      rotation_interval_days, next_rotation_at, rotation_webhook_url)
select project_id, name || ' (rotated)', $1, $2, scopes,
       strait_now() + (expires_at - created_at), environment_id,
       rate_limit_requests, rate_limit_window_secs,
       rotation_interval_days, strait_now() + rotation_interval_days * interval '1 day',
       rotation_webhook_url
  from api_keys
 where id = $3 and project_id = $4
returning id, project_id, name, key_prefix, scopes, expires_at, created_at`;

/** The successor of a key: as long a life, the same rights and limits. */
export function copyKey(db: Queryable, params: CopyKeyParams): Promise<CopyKeyRow> {
  return one<CopyKeyRow>(db, {
    text: copyKeyText,
    values: [
      params.key_hash,
      params.key_prefix,
      params.key_id,
      params.project_id,
    ],
  });
}

export interface ReplaceKeyParams {
  readonly new_key_id: string;
  readonly grace_minutes: number;
  readonly key_id: string;
  readonly project_id: string;
}

export interface ReplaceKeyRow {
  readonly grace_expires_at: string;
}

const replaceKeyText = `update api_keys
   set replaced_by_key_id = $1,
       grace_expires_at = strait_now() + $2::int * interval '1 minute',
       next_rotation_at = null
 where id = $3 and project_id = $4
returning grace_expires_at as "grace_expires_at"`;

export function replaceKey(db: Queryable, params: ReplaceKeyParams): Promise<ReplaceKeyRow> {
  return one<ReplaceKeyRow>(db, {
    text: replaceKeyText,
    values: [
      params.new_key_id,
      params.grace_minutes,
      params.key_id,
      params.project_id,
    ],
  });
}

export interface MemberPermissionsParams {
  readonly project_id: string;
  readonly user_id: string;
}

export interface MemberPermissionsRow {
  readonly permissions: readonly string[];
}

const memberPermissionsText = `with recursive lineage as (
  select r.id, r.parent_role_id, r.permissions, 1 as depth
    from project_member_roles m
    join project_roles r on r.id = m.role_id and r.project_id = m.project_id
   where m.project_id = $1 and m.user_id = $2
  union all
  select p.id, p.parent_role_id, p.permissions, l.depth + 1
    from lineage l
    join project_roles p on p.id = l.parent_role_id and p.project_id = $1
   where l.depth < 20
)
select array(select distinct unnest(permissions) from lineage order by 1) as "permissions"`;

/** What a user's role and its parents allow; an empty list for somebody without a role. */
export function memberPermissions(db: Queryable, params: MemberPermissionsParams): Promise<MemberPermissionsRow> {
  return one<MemberPermissionsRow>(db, {
    text: memberPermissionsText,
    values: [
      params.project_id,
      params.user_id,
    ],
  });
}

export interface InsertSystemRolesParams {
  readonly project_id: string;
  readonly names: readonly (string | null)[];
  readonly descriptions: readonly (string | null)[];
  readonly permissions: readonly (string | null)[];
}

const insertSystemRolesText = `insert into project_roles (project_id, name, description, permissions, is_system)
select $1, r.name, r.description, string_to_array(r.permissions, ' '), true
  from unnest($2::text[], $3::text[], $4::text[])
       as r (name, description, permissions)
on conflict (project_id, name) do nothing`;

export function insertSystemRoles(db: Queryable, params: InsertSystemRolesParams): Promise<number> {
  return count(db, {
    text: insertSystemRolesText,
    values: [
      params.project_id,
      params.names,
      params.descriptions,
      params.permissions,
    ],
  });
}

export interface UpsertActorParams {
  readonly id: string;
  readonly email: string | null;
  readonly name: string | null;
}

const upsertActorText = `insert into known_actors as a (id, email, name)
values ($1, $2, $3)
on conflict (id) do update
   set email = coalesce(excluded.email, a.email),
       name = coalesce(excluded.name, a.name),
       synced_at = strait_now()`;

export function upsertActor(db: Queryable, params: UpsertActorParams): Promise<number> {
  return count(db, {
    text: upsertActorText,
    values: [
      params.id,
      params.email,
      params.name,
    ],
  });
}

export interface FindIdentityParams {
  readonly user_id: string;
  readonly project_id: string;
}

export interface FindIdentityRow {
  readonly email: string | null;
  readonly role: string | null;
}

const findIdentityText = `select (select a.email from known_actors a where a.id = $1) as "email",
       (select r.name from project_member_roles m join project_roles r on r.id = m.role_id and r.project_id = m.project_id
         where m.project_id = $2 and m.user_id = $1) as "role"`;

export function findIdentity(db: Queryable, params: FindIdentityParams): Promise<FindIdentityRow> {
  return one<FindIdentityRow>(db, {
    text: findIdentityText,
    values: [
      params.user_id,
      params.project_id,
    ],
  });
}
