-- owner: stats. How much of each job is ready, waiting, delayed and running; counted again and again outside the hot path, so
-- that asking costs one row and nobody pays for being asked. Jobs without live runs have no row.
create table if not exists queue_depths (
  project_id text not null,
  job_id text not null,
  ready int not null,
  waiting int not null,
  delayed int not null,
  running int not null,
  oldest_ready_at timestamptz, -- since when the oldest run that may start has waited
  counted_at timestamptz not null default strait_now(),
  primary key (project_id, job_id)
) with (fillfactor = 70);
