-- The leaves stay: they hold the runs and go with job_runs.
drop function if exists strait_retire_run_partition(text);
drop function if exists strait_purge_run_partition(text, int);
drop function if exists strait_run_partitions();
drop function if exists strait_ensure_run_partitions(int);
drop function if exists strait_create_run_partition(timestamptz);
