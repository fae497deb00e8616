-- Waits of one workflow run, those too that have ended: asked for by lists, and by the debug bundle of a run.

create index if not exists idx_event_triggers_of_workflow_run on event_triggers (workflow_run_id, requested_at desc, id desc)
  where workflow_run_id is not null;
drop index if exists idx_event_triggers_workflow_run;

-- Runs below others that are still to begin.
create index if not exists idx_workflow_runs_pending on workflow_runs (id) where status = 'pending';
