-- Failing endpoints: what is known of them decides, in one place, whether the runs of their jobs may start.

-- Where a URL leads, without what differs from call to call: scheme, host and port in one spelling, and the path.
create or replace function strait_endpoint(url text) returns text
  language sql immutable parallel safe as $$
  select case when u.part is null then url
              else lower(u.part[1]) || '://'
                   || regexp_replace(lower(u.part[2]), case lower(u.part[1]) when 'https' then ':443$' else ':80$' end, '')
                   || coalesce(u.part[3], '/') end
    from (select regexp_match(url, '^([a-zA-Z][a-zA-Z0-9+.-]*)://([^/?#]*)(/[^?#]*)?') as part) u
$$;

-- Jobs are few: rewriting them is a matter of moments.
alter table jobs add column if not exists endpoint text generated always as (strait_endpoint(endpoint_url)) stored;

-- The open period doubles with each probe that fails.
alter table endpoint_circuit_state add column if not exists open_secs int not null default 60;

-- owner: queue. Endpoints that are not simply healthy: a closed one lets no run of its jobs start but a probe now and then,
-- a slow one only a share of the job's max_concurrency. No row: nothing stands in the way. One admission limit per
-- endpoint, whatever the reasons; they are in the tables of the executor.
create table if not exists endpoint_admission (
  project_id text not null,
  endpoint text not null,
  closed bool not null,
  share float8 not null default 1 check (share > 0 and share <= 1),
  probe_at timestamptz not null, -- no probe before
  probe_run_id text, -- the one run that may start although it is closed, and the claim that did
  probe_claim bigint,
  probe_until timestamptz, -- from here on that probe is lost
  updated_at timestamptz not null default strait_now(),
  primary key (project_id, endpoint)
) with (fillfactor = 50);

-- Whether a closed endpoint may be promised a probe now: none is out, or the one that was is lost. A promised run that still
-- waits for a worker keeps its promise, however long the queue is.
create or replace function strait_probe_due(a endpoint_admission) returns bool
  language sql stable as $$
  select a.probe_at <= strait_now()
     and (a.probe_run_id is null
          or (a.probe_until <= strait_now()
              and (a.probe_claim is not null
                   or (not exists (select from run_queue q where q.run_id = a.probe_run_id)
                       and not exists (select from run_active x where x.run_id = a.probe_run_id)))))
$$;

-- Where a run has to wait for slots or for its endpoint: as in 000020, a closed endpoint holds like a pause.
create or replace function strait_place(of_project text, of_job text, of_key text) returns bigint[]
  language plpgsql as $$
declare
  job_limit int;
  key_limit int;
  project_limit int;
  held bool;
begin
  select nullif(j.max_concurrency, 0), nullif(j.max_concurrency_per_key, 0), nullif(q.max_executing_runs, 0),
         not j.enabled or j.paused or coalesce(g.paused, false) or coalesce(a.closed, false)
    into job_limit, key_limit, project_limit, held
    from jobs j
    left join project_quotas q on q.project_id = j.project_id
    left join job_groups g on g.id = j.group_id
    left join endpoint_admission a on a.project_id = j.project_id and a.endpoint = j.endpoint
   where j.id = of_job;
  if key_limit is not null and of_key <> '' then
    return strait_lane(of_project, of_job, of_key);
  elsif job_limit is not null or held then
    return strait_lane(of_project, of_job, null);
  elsif project_limit is not null then
    return strait_lane(of_project, null, null);
  end if;
  return null;
end $$;
