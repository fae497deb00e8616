-- Maps whose children wait for a quota, looked for every other second among the running steps and not in all that ever ran.

create index if not exists idx_workflow_step_runs_running_maps on workflow_step_runs (workflow_run_id) where state = 'r' and map is not null;
