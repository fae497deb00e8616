-- Deployed artifacts.

-- owner: deployments. At most one promoted row per project and environment.
create table if not exists deployment_versions (
  id text primary key default uuidv7()::text,
  project_id text not null,
  environment text not null,
  runtime text not null,
  artifact_uri text not null,
  manifest jsonb not null default '{}',
  checksum text not null default '',
  status text not null default 'draft' check (status in ('draft', 'finalized', 'promoted')),
  finalized_at timestamptz,
  promoted_at timestamptz,
  rollback_from_deployment_id text references deployment_versions (id) on delete set null,
  created_by text not null default '',
  updated_by text not null default '',
  created_at timestamptz not null default strait_now(),
  updated_at timestamptz not null default strait_now()
);

create index if not exists idx_deployment_versions_project_env_created
  on deployment_versions (project_id, environment, created_at desc);
create unique index if not exists idx_deployment_versions_single_promoted on deployment_versions (project_id, environment)
  where promoted_at is not null;
create index if not exists idx_deployment_versions_rollback_from
  on deployment_versions (rollback_from_deployment_id)
  where rollback_from_deployment_id is not null;
