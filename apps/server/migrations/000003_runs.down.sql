drop table if exists run_events, job_run_idempotency, job_runs, batch_operations;
