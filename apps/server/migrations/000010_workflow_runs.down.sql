alter table if exists workflow_runs drop constraint if exists workflow_runs_parent_step_run_id_fkey;
drop table if exists workflow_run_labels, workflow_step_approvals, workflow_step_decisions, workflow_step_runs, workflow_runs;
