-- Workflow definitions as the API takes them: steps of every type, versions that are the whole definition, deletion that
-- leaves the history of runs behind.

-- A deleted workflow is gone for everybody. It carries its id as slug, so that the name is free at once, has no editable
-- steps any more, and goes when its last run has gone.
alter table workflows add column if not exists deleting_at timestamptz
  constraint workflows_deleting_check check (deleting_at is null or not enabled);
create index if not exists idx_workflows_deleting on workflows (deleting_at) where deleting_at is not null;
create index if not exists idx_workflows_project_created on workflows (project_id, created_at desc, id desc)
  where deleting_at is null;

alter table workflow_versions add column if not exists tags jsonb not null default '{}';
alter table workflow_versions add column if not exists version_policy text not null default 'pin';

alter table workflow_steps
  add column if not exists expected_duration_secs int not null default 0,
  add column if not exists cost_gate_threshold_microusd bigint not null default 0,
  add column if not exists cost_gate_timeout_secs int not null default 3600,
  add column if not exists cost_gate_default_action text not null default 'fail',
  add column if not exists compensation_job_id text,
  add column if not exists compensation_timeout_secs int not null default 0,
  add column if not exists map_items jsonb,
  add column if not exists map_max_parallel int not null default 100,
  add column if not exists map_tolerated_failures int not null default 0,
  add column if not exists map_collect bool not null default true;
create index if not exists idx_workflow_steps_compensation_job_id on workflow_steps (compensation_job_id)
  where compensation_job_id is not null;

alter table workflow_version_steps
  add column if not exists expected_duration_secs int not null default 0,
  add column if not exists cost_gate_threshold_microusd bigint not null default 0,
  add column if not exists cost_gate_timeout_secs int not null default 3600,
  add column if not exists cost_gate_default_action text not null default 'fail',
  add column if not exists compensation_job_id text,
  add column if not exists compensation_timeout_secs int not null default 0,
  add column if not exists map_items jsonb,
  add column if not exists map_max_parallel int not null default 100,
  add column if not exists map_tolerated_failures int not null default 0,
  add column if not exists map_collect bool not null default true;

-- A job that a workflow uses cannot be deleted; one that only earlier versions used can. They keep the step, without it.
alter table workflow_version_steps drop constraint if exists workflow_version_steps_job_id_fkey;
alter table workflow_version_steps add constraint workflow_version_steps_job_id_fkey
  foreign key (job_id) references jobs (id) on delete set null;
