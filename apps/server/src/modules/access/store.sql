-- API keys, roles and the people behind them.

-- name: findKeys :many prepared
-- Keys that open something now; one statement for all requests of a moment.
-- across projects: the key itself says which project it opens
select k.id, k.key_hash, k.project_id, k.scopes, k.environment_id,
       coalesce(k.rate_limit_requests, q.rate_limit_requests) as "rate_limit_requests?",
       case when k.rate_limit_requests is not null then k.rate_limit_window_secs
            else q.rate_limit_window_secs end as "rate_limit_window_secs?",
       (k.rate_limit_requests is null) as "limit_of_project!"
  from api_keys k
  left join project_quotas q on q.project_id = k.project_id
 where k.key_hash = any(:key_hashes::text[])
   and k.revoked_at is null
   and (k.expires_at is null or k.expires_at > strait_now())
   and (k.grace_expires_at is null or k.grace_expires_at > strait_now());

-- name: touchKeys :count
-- Rows somebody else is changing are left out: the next use comes soon enough.
-- across projects: one write for all keys used in the last seconds
update api_keys
   set last_used_at = strait_now()
 where id in (select id from api_keys
               where id = any(:key_ids::text[])
                 and (last_used_at is null or last_used_at < strait_now() - interval '1 minute')
               order by id
                 for update skip locked);

-- name: insertKey :one
insert into api_keys (project_id, name, key_hash, key_prefix, scopes, expires_at, environment_id,
                      rate_limit_requests, rate_limit_window_secs,
                      rotation_interval_days, next_rotation_at)
values (:project_id, :name, :key_hash, :key_prefix, :scopes::text[],
        strait_now() + :expires_in_days?::int * interval '1 day', :environment_id?,
        :rate_limit_requests?, :rate_limit_window_secs?,
        :rotation_interval_days?, strait_now() + :rotation_interval_days?::int * interval '1 day')
returning id, project_id, name, key_prefix, scopes, expires_at, created_at;

-- name: listKeys :many
select id, project_id, name, key_prefix, scopes, expires_at, last_used_at, created_at, revoked_at,
       replaced_by_key_id, grace_expires_at, rate_limit_requests, rate_limit_window_secs,
       environment_id, rotation_interval_days, next_rotation_at, rotation_webhook_url
  from api_keys
 where project_id = :project_id
   and revoked_at is null
   and (:cursor_created_at?::timestamptz is null
        or (created_at, id) < (:cursor_created_at, :cursor_id?::text))
 order by created_at desc, id desc
 limit :limit;

-- name: revokeKey :maybe
-- No row: unknown, of another project, or revoked before.
update api_keys
   set revoked_at = strait_now()
 where id = :key_id and project_id = :project_id and revoked_at is null
returning id, name, key_prefix;

-- name: lockKey :maybe
select id, scopes, (revoked_at is null and replaced_by_key_id is null) as "rotatable!"
  from api_keys
 where id = :key_id and project_id = :project_id
   for update;

-- name: copyKey :one
-- The successor of a key: as long a life, the same rights and limits.
insert into api_keys (project_id, name, key_hash, key_prefix, scopes, expires_at, environment_id,
                      rate_limit_requests, rate_limit_window_secs,
                      rotation_interval_days, next_rotation_at, rotation_webhook_url)
select project_id, name || ' (rotated)', :key_hash, :key_prefix, scopes,
       strait_now() + (expires_at - created_at), environment_id,
       rate_limit_requests, rate_limit_window_secs,
       rotation_interval_days, strait_now() + rotation_interval_days * interval '1 day',
       rotation_webhook_url
  from api_keys
 where id = :key_id and project_id = :project_id
returning id, project_id, name, key_prefix, scopes, expires_at, created_at;

-- name: replaceKey :one
update api_keys
   set replaced_by_key_id = :new_key_id,
       grace_expires_at = strait_now() + :grace_minutes::int * interval '1 minute',
       next_rotation_at = null
 where id = :key_id and project_id = :project_id
returning grace_expires_at as "grace_expires_at!";

-- name: memberPermissions :one
-- What a user's role and its parents allow; an empty list for somebody without a role.
with recursive lineage as (
  select r.id, r.parent_role_id, r.permissions, 1 as depth
    from project_member_roles m
    join project_roles r on r.id = m.role_id and r.project_id = m.project_id
   where m.project_id = :project_id and m.user_id = :user_id
  union all
  select p.id, p.parent_role_id, p.permissions, l.depth + 1
    from lineage l
    join project_roles p on p.id = l.parent_role_id and p.project_id = :project_id
   where l.depth < 20
)
select array(select distinct unnest(permissions) from lineage order by 1) as "permissions!";

-- name: insertSystemRoles :count
insert into project_roles (project_id, name, description, permissions, is_system)
select :project_id, r.name, r.description, string_to_array(r.permissions, ' '), true
  from unnest(:names::text[], :descriptions::text[], :permissions::text[])
       as r (name, description, permissions)
on conflict (project_id, name) do nothing;

-- name: upsertActor :count
insert into known_actors as a (id, email, name)
values (:id, :email?, :name?)
on conflict (id) do update
   set email = coalesce(excluded.email, a.email),
       name = coalesce(excluded.name, a.name),
       synced_at = strait_now();

-- name: findIdentity :one
select (select a.email from known_actors a where a.id = :user_id) as "email?",
       (select r.name from project_member_roles m join project_roles r on r.id = m.role_id and r.project_id = m.project_id
         where m.project_id = :project_id and m.user_id = :user_id) as "role?";
