drop index if exists idx_workflow_step_runs_running_maps;
