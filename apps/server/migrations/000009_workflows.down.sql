drop table if exists workflow_policies, workflow_snapshots, workflow_version_steps, workflow_steps, workflow_versions, workflows;
