alter table workflow_version_steps drop constraint if exists workflow_version_steps_job_id_fkey;
alter table workflow_version_steps add constraint workflow_version_steps_job_id_fkey foreign key (job_id) references jobs (id);

alter table workflow_version_steps
  drop column if exists expected_duration_secs,
  drop column if exists cost_gate_threshold_microusd,
  drop column if exists cost_gate_timeout_secs,
  drop column if exists cost_gate_default_action,
  drop column if exists compensation_job_id,
  drop column if exists compensation_timeout_secs,
  drop column if exists map_items,
  drop column if exists map_max_parallel,
  drop column if exists map_tolerated_failures,
  drop column if exists map_collect;

drop index if exists idx_workflow_steps_compensation_job_id;
alter table workflow_steps
  drop column if exists expected_duration_secs,
  drop column if exists cost_gate_threshold_microusd,
  drop column if exists cost_gate_timeout_secs,
  drop column if exists cost_gate_default_action,
  drop column if exists compensation_job_id,
  drop column if exists compensation_timeout_secs,
  drop column if exists map_items,
  drop column if exists map_max_parallel,
  drop column if exists map_tolerated_failures,
  drop column if exists map_collect;

alter table workflow_versions drop column if exists tags, drop column if exists version_policy;

drop index if exists idx_workflows_project_created;
drop index if exists idx_workflows_deleting;
alter table workflows drop column if exists deleting_at;
