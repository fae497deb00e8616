-- Who may do what, and who did.

-- owner: access. Only the SHA-256 of a key is kept. A rotated key stays valid until grace_expires_at.
create table if not exists api_keys (
  id text primary key default uuidv7()::text,
  project_id text not null,
  name text not null,
  key_hash text not null,
  key_prefix text not null,
  scopes text[] not null default '{}',
  expires_at timestamptz,
  last_used_at timestamptz,
  created_at timestamptz not null default strait_now(),
  revoked_at timestamptz,
  replaced_by_key_id text,
  grace_expires_at timestamptz,
  rate_limit_requests int,
  rate_limit_window_secs int,
  environment_id text,
  rotation_interval_days int,
  next_rotation_at timestamptz,
  rotation_webhook_url text
);

create unique index if not exists idx_api_keys_key_hash on api_keys (key_hash);
create index if not exists idx_api_keys_project_id on api_keys (project_id);
create index if not exists idx_api_keys_grace_expires_at on api_keys (grace_expires_at)
  where grace_expires_at is not null;

-- owner: access
create table if not exists project_roles (
  id text primary key default uuidv7()::text,
  project_id text not null,
  name text not null,
  description text,
  permissions text[] not null default '{}',
  is_system bool not null default false,
  created_at timestamptz not null default strait_now(),
  updated_at timestamptz not null default strait_now(),
  parent_role_id text references project_roles (id) on delete set null,
  unique (project_id, name)
);

create index if not exists idx_project_roles_parent_role_id on project_roles (parent_role_id);

-- owner: access. One role per user and project.
create table if not exists project_member_roles (
  id text primary key default uuidv7()::text,
  project_id text not null,
  user_id text not null,
  role_id text not null references project_roles (id) on delete cascade,
  granted_by text,
  created_at timestamptz not null default strait_now(),
  unique (project_id, user_id)
);

create index if not exists idx_member_roles_user on project_member_roles (user_id);
create index if not exists idx_project_member_roles_role_id on project_member_roles (role_id);

-- owner: access. Actions on one resource granted to one user.
create table if not exists resource_policies (
  id text primary key default uuidv7()::text,
  project_id text not null,
  resource_type text not null,
  resource_id text not null,
  user_id text not null,
  actions text[] not null default '{}',
  created_at timestamptz not null default strait_now(),
  unique (project_id, resource_type, resource_id, user_id)
);

create index if not exists idx_resource_policies_user on resource_policies (user_id);

-- owner: access. Actions on everything that carries a tag; tag_value null is any value.
create table if not exists tag_policies (
  id text primary key default uuidv7()::text,
  project_id text not null,
  resource_type text not null,
  user_id text not null,
  tag_key text not null,
  tag_value text,
  actions text[] not null default '{}',
  created_at timestamptz not null default strait_now(),
  unique nulls not distinct (project_id, resource_type, user_id, tag_key, tag_value)
);

-- owner: access. Cached identities; ids come from the identity provider.
create table if not exists known_actors (
  id text primary key,
  email text,
  name text,
  avatar_url text,
  synced_at timestamptz not null default strait_now()
);

-- owner: audit. Append-only; see the trigger.
create table if not exists audit_events (
  id text primary key default uuidv7()::text,
  project_id text not null,
  actor_id text,
  actor_type text,
  action text not null,
  resource_type text not null,
  resource_id text,
  details jsonb not null default '{}',
  created_at timestamptz not null default strait_now(),
  changes jsonb,
  ip_address text,
  user_agent text
);

create index if not exists idx_audit_events_actor_created_at on audit_events (actor_id, created_at desc);
create index if not exists idx_audit_events_project_created_at
  on audit_events (project_id, created_at desc);
create index if not exists idx_audit_events_resource_created_at
  on audit_events (resource_type, resource_id, created_at desc);
create index if not exists idx_audit_events_resource_lookup on audit_events (resource_type, resource_id);

-- Rows never change. Deleting is for retention alone, in a transaction that says so with
-- set_config('strait.audit_retention', 'on', true).
create or replace function strait_guard_audit_events() returns trigger language plpgsql as $$
begin
  if tg_op <> 'UPDATE' and current_setting('strait.audit_retention', true) = 'on' then
    return old;
  end if;
  raise exception 'audit events are immutable' using errcode = 'insufficient_privilege';
end $$;

create or replace trigger audit_events_immutable before update or delete on audit_events
  for each row execute function strait_guard_audit_events();
create or replace trigger audit_events_not_truncated before truncate on audit_events
  for each statement execute function strait_guard_audit_events();
