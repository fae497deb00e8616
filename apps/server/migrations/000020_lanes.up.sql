-- Limits on runs in flight. A lane is one limit: of a project (job_id null), of a job (concurrency_key null), or of
-- the runs of a job that share a key. Lanes form a tree key -> job -> project whose root is always the project's lane:
-- who holds its row may hand out slots in it (queue-performance §6). Parents are made first, so that ids grow
-- downwards and "lock lanes by id" is "lock from the root".

-- When slots in it were last handed out; a lane of a key that was not used for long is removed.
alter table lanes add column if not exists used_at timestamptz not null default strait_now();

-- Lanes made before had their job as root: they hold runs of paused jobs only. Give each its project.
insert into lanes (lane_id, root_lane_id, project_id)
select n.id, n.id, n.project_id
  from (select nextval(pg_get_serial_sequence('lanes', 'lane_id')) as id, p.project_id
          from (select distinct project_id from lanes where project_id is not null) p) n
on conflict do nothing;
update lanes l set root_lane_id = r.lane_id, parent_lane_id = r.lane_id
  from lanes r
 where r.project_id = l.project_id and r.job_id is null and r.concurrency_key is null
   and l.job_id is not null and l.root_lane_id = l.lane_id;
update run_parked p set root_lane_id = l.root_lane_id from lanes l where l.lane_id = p.lane_id and p.root_lane_id <> l.root_lane_id;

-- The lane of a key, a job (of_key null) or a project (of_job null) and its root, made with its parents when it is not
-- there. Volatile on purpose: each statement in it sees what others committed meanwhile.
create or replace function strait_lane(of_project text, of_job text, of_key text) returns bigint[]
  language plpgsql as $$
declare
  found_lane bigint[];
  parent bigint[];
  new_id bigint;
begin
  loop
    if of_job is null then
      select array[lane_id, root_lane_id] into found_lane from lanes
       where project_id = of_project and job_id is null and concurrency_key is null;
    elsif of_key is null then
      select array[lane_id, root_lane_id] into found_lane from lanes
       where project_id = of_project and job_id = of_job and concurrency_key is null;
    else
      select array[lane_id, root_lane_id] into found_lane from lanes
       where project_id = of_project and job_id = of_job and concurrency_key = of_key;
    end if;
    if found_lane is not null then
      return found_lane;
    end if;
    if of_key is not null then
      parent := strait_lane(of_project, of_job, null);
    elsif of_job is not null then
      parent := strait_lane(of_project, null, null);
    end if;
    new_id := nextval(pg_get_serial_sequence('lanes', 'lane_id'));
    insert into lanes (lane_id, root_lane_id, parent_lane_id, project_id, job_id, concurrency_key, max_inflight)
    values (new_id, coalesce(parent[2], new_id), parent[1], of_project, of_job, of_key,
            case when of_job is null then (select nullif(max_executing_runs, 0) from project_quotas where project_id = of_project)
                 when of_key is null then (select nullif(max_concurrency, 0) from jobs where id = of_job)
                 else (select nullif(max_concurrency_per_key, 0) from jobs where id = of_job) end)
    on conflict do nothing;
  end loop;
end $$;

-- Where a run has to wait for slots: its narrowest lane and the root; null when nothing limits it and its job may run.
create or replace function strait_place(of_project text, of_job text, of_key text) returns bigint[]
  language plpgsql as $$
declare
  job_limit int;
  key_limit int;
  project_limit int;
  held bool;
begin
  select nullif(j.max_concurrency, 0), nullif(j.max_concurrency_per_key, 0), nullif(q.max_executing_runs, 0),
         not j.enabled or j.paused or coalesce(g.paused, false)
    into job_limit, key_limit, project_limit, held
    from jobs j
    left join project_quotas q on q.project_id = j.project_id
    left join job_groups g on g.id = j.group_id
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
