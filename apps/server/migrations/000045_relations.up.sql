-- Relations between jobs: what follows the end of a run, and runs that wait for other jobs to end.

-- `followed`: somebody acts when a run of this job ends, because the job (or an earlier version of it) starts another one
-- or because another job depends on it. Only ends of such runs leave a row in run_endings. `has_dependencies`: its own
-- runs may have to wait. Both are kept by the statements that write what they stand for.
alter table jobs add column if not exists followed bool not null default false;
alter table jobs add column if not exists has_dependencies bool not null default false;

update jobs j set followed = true
 where not j.followed
   and (j.on_complete_trigger_job is not null or j.on_failure_trigger_job is not null
        or exists (select from job_versions v where v.job_id = j.id
                      and (v.on_complete_trigger_job is not null or v.on_failure_trigger_job is not null))
        or exists (select from job_dependencies d where d.depends_on_job_id = j.id));
update jobs j set has_dependencies = true
 where not j.has_dependencies and exists (select from job_dependencies d where d.job_id = j.id);

create index if not exists idx_jobs_followed on jobs (id) where followed;

-- owner: queue. Ends of runs that somebody acts on, written by the statement that ended the run and removed by the
-- transaction that acted on it.
create table if not exists run_endings (
  ending_id bigint generated always as identity primary key,
  run_id text not null,
  run_created_at timestamptz not null,
  job_id text not null,
  project_id text not null,
  status text not null,
  attempt int not null,
  error text,
  error_class text,
  tries int not null default 0,
  due_at timestamptz not null default strait_now() -- later after a failed try
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0, vacuum_truncate = false);

create index if not exists run_endings_due on run_endings (due_at, ending_id);

-- Runs that never started and wait for other jobs (claim_seq 0). `matching` says which runs of those jobs count: '' any,
-- 'k:…' those with this idempotency key, 'd:…' those with this dependency_key. `unchecked`: something may have changed
-- since the run was last judged; it is born so, because a job it waits for may have ended while it was written.
alter table run_waiting add column if not exists job_id text;
alter table run_waiting add column if not exists matching text;
alter table run_waiting add column if not exists ttl_secs float8;
alter table run_waiting add column if not exists expires_at timestamptz;
alter table run_waiting add column if not exists unchecked bool not null default false;

create index if not exists run_waiting_dependent on run_waiting (job_id, matching, run_id) where claim_seq = 0;
create index if not exists run_waiting_expires on run_waiting (expires_at) where claim_seq = 0;
create index if not exists run_waiting_unchecked on run_waiting (run_id) where unchecked;

-- Only runs with a dependency key pay for it.
create index if not exists idx_runs_dependency_key on job_runs (job_id, (metadata ->> 'dependency_key'), created_at desc)
  where metadata ? 'dependency_key';

-- How long a run without a time to live waits for the jobs it depends on.
create or replace function strait_dependency_wait() returns interval language sql immutable as $$ select interval '24 hours' $$;

-- Which runs of a job it depends on count for a run. Keys that the engine gave a run say nothing about what belongs together.
create or replace function strait_matching(of_key text, of_trigger text, of_metadata jsonb) returns text
  language sql immutable as $$
  select case when of_key <> '' and of_trigger <> all ('{job_completion,job_failure,cron}') then 'k:' || of_key
              when of_metadata ->> 'dependency_key' <> '' then 'd:' || (of_metadata ->> 'dependency_key')
              else '' end
$$;

-- How the newest ended run of a job that counts ended; null when there is none.
create or replace function strait_newest_end(of_job text, of_matching text) returns text
  language plpgsql volatile as $$
declare
  found text;
begin
  if of_matching like 'k:%' then
    select r.status into found
      from job_run_idempotency i
      join job_runs r on r.id = i.run_id and r.created_at = strait_id_time(i.run_id)
     where i.job_id = of_job and i.idempotency_key = substr(of_matching, 3)
       and r.status <> all ('{delayed,queued,dequeued,executing,waiting}');
  elsif of_matching like 'd:%' then
    select r.status into found from job_runs r
     where r.job_id = of_job and r.metadata ? 'dependency_key' and r.metadata ->> 'dependency_key' = substr(of_matching, 3)
       and r.status <> all ('{delayed,queued,dequeued,executing,waiting}')
     order by r.created_at desc limit 1;
  else
    select r.status into found from job_runs r
     where r.job_id = of_job and r.status <> all ('{delayed,queued,dequeued,executing,waiting}')
     order by r.created_at desc, r.id desc limit 1;
  end if;
  return found;
end $$;

-- Whether an end is what a dependency asks for.
create or replace function strait_meets(of_status text, of_condition text) returns bool
  language sql immutable as $$
  select coalesce(case of_condition
    when 'any' then of_status is not null
    when 'completed' then of_status = 'completed'
    else of_status = any ('{failed,timed_out,crashed,system_failed,expired,dead_letter}') end, false)
$$;

-- Whether every job that a job depends on ended as asked. Volatile on purpose: each look sees what was committed meanwhile.
create or replace function strait_dependencies_met(of_job text, of_matching text) returns bool
  language plpgsql volatile as $$
declare
  dependency record;
begin
  for dependency in select d.depends_on_job_id, d.condition from job_dependencies d where d.job_id = of_job loop
    if not strait_meets(strait_newest_end(dependency.depends_on_job_id, of_matching), dependency.condition) then
      return false;
    end if;
  end loop;
  return true;
end $$;
