-- owner: queue. One leaf of job_runs per calendar month (UTC), named job_runs_pYYYY_MM. There is no
-- DEFAULT leaf: it would block making the leaf whose rows it already holds. Instead leaves are made
-- months ahead, at start and daily.

-- Makes the leaf of the month that contains `moment`; returns its name, or null if it was there.
-- Attaching (instead of creating in place) leaves reads and writes of job_runs running. It needs short
-- locks on the tables tied to it by foreign keys; lock_timeout makes it give up before it could deadlock
-- or hold others up, and the caller tries again later.
create or replace function strait_create_run_partition(moment timestamptz) returns text
  language plpgsql set lock_timeout = '500ms' as $$
declare
  month_start timestamp := date_trunc('month', moment at time zone 'UTC');
  leaf text := 'job_runs_p' || to_char(month_start, 'YYYY_MM');
begin
  if exists (select from pg_inherits where inhparent = 'job_runs'::regclass and inhrelid = to_regclass(leaf)) then
    return null;
  end if;
  perform pg_advisory_xact_lock(hashtext('strait run partitions'));
  if exists (select from pg_inherits where inhparent = 'job_runs'::regclass and inhrelid = to_regclass(leaf)) then
    return null;
  end if;
  -- Storage settings do not come from the partitioned parent; every leaf carries its own.
  execute format(
    'create table %I (like job_runs including defaults including constraints including generated)
     with (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000,
           autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_vacuum_insert_threshold = 10000,
           autovacuum_analyze_scale_factor = 0.02, autovacuum_analyze_threshold = 1000,
           autovacuum_vacuum_cost_limit = 2000)', leaf);
  execute format('alter table job_runs attach partition %I for values from (%L) to (%L)', leaf,
    month_start at time zone 'UTC', (month_start + interval '1 month') at time zone 'UTC');
  return leaf;
end $$;

-- Makes the leaves of the current month and of `months_ahead` more; returns the names of new ones.
-- Cheap when nothing is missing, safe to call from several processes at once.
create or replace function strait_ensure_run_partitions(months_ahead int) returns setof text
  language sql volatile as $$
  select leaf
    from generate_series(0, months_ahead) as ahead
         cross join lateral strait_create_run_partition(
           (date_trunc('month', strait_now() at time zone 'UTC') + make_interval(months => ahead)) at time zone 'UTC') as leaf
   where leaf is not null;
$$;

-- The leaves with their bounds, oldest first.
create or replace function strait_run_partitions()
  returns table (leaf text, lower_bound timestamptz, upper_bound timestamptz)
  language sql stable as $$
  select c.relname::text, m.month_start at time zone 'UTC', (m.month_start + interval '1 month') at time zone 'UTC'
    from pg_inherits i
    join pg_class c on c.oid = i.inhrelid
         cross join lateral (select to_timestamp(right(c.relname, 7), 'YYYY_MM')::timestamp as month_start) m
   where i.inhparent = 'job_runs'::regclass
   order by c.relname;
$$;

-- Retiring a month, once every run in it is terminal and old enough (the caller decides that):
--   1. strait_purge_run_partition(leaf, n) again and again, each in its own transaction, until it says 0;
--   2. strait_retire_run_partition(leaf): detach and drop, an instant on an emptied leaf.
-- The leaf is emptied first because detaching checks every detail table against the leaf's rows while
-- job_runs is locked.

-- Deletes up to `max_rows` rows per table of what hangs off the runs of a leaf, cuts links from newer runs
-- that continue one of them, and once nothing is left of that, deletes up to `max_rows` of the runs.
-- Returns how many rows it changed; 0 means the leaf is empty. Refuses a leaf with a live run.
create or replace function strait_purge_run_partition(leaf_name text, max_rows int) returns bigint
  language plpgsql as $$
declare
  month_start timestamptz;
  month_end timestamptz;
  first_id text; -- ids carry the time: those of the month are >= first_id and < end_id
  end_id text;
  details text;
  changed bigint;
  total bigint := 0;
begin
  select p.lower_bound, p.upper_bound,
         regexp_replace(lpad(to_hex((extract(epoch from p.lower_bound) * 1000)::bigint), 12, '0'), '^.{8}', '\&-'),
         regexp_replace(lpad(to_hex((extract(epoch from p.upper_bound) * 1000)::bigint), 12, '0'), '^.{8}', '\&-')
    into month_start, month_end, first_id, end_id
    from strait_run_partitions() p where p.leaf = leaf_name;
  if month_start is null then
    raise exception 'job_runs has no partition %', leaf_name using errcode = 'undefined_table';
  end if;
  if exists (select from run_queue where run_created_at >= month_start and run_created_at < month_end)
     or exists (select from run_parked where run_created_at >= month_start and run_created_at < month_end)
     or exists (select from run_delayed where run_created_at >= month_start and run_created_at < month_end)
     or exists (select from run_active where run_created_at >= month_start and run_created_at < month_end)
     or exists (select from run_waiting where run_created_at >= month_start and run_created_at < month_end) then
    raise exception 'partition % still has live runs', leaf_name using errcode = 'object_in_use';
  end if;

  foreach details in array array['run_events', 'run_checkpoints', 'run_usage', 'run_tool_calls', 'run_outputs', 'run_state'] loop
    execute format('delete from %1$I where ctid = any (array(
        select ctid from %1$I where run_id >= $1 and run_id < $2 order by run_id limit $3))', details)
      using first_id, end_id, max_rows;
    get diagnostics changed = row_count;
    total := total + changed;
  end loop;
  update job_runs set continuation_of = null
   where created_at >= month_end
     and id = any (array(select r.id from job_runs r
                          where r.continuation_of >= first_id and r.continuation_of < end_id
                            and r.created_at >= month_end limit max_rows));
  get diagnostics changed = row_count;
  total := total + changed;

  if total = 0 then
    -- Newest first: a run goes before the run it continues.
    delete from job_runs
     where created_at >= month_start and created_at < month_end
       and id = any (array(select r.id from job_runs r
                            where r.created_at >= month_start and r.created_at < month_end
                            order by r.id desc limit max_rows));
    get diagnostics total = row_count;
  end if;
  return total;
end $$;

-- Detaches and drops an emptied leaf. Gives up after 500 ms of waiting for locks; try again later.
create or replace function strait_retire_run_partition(leaf_name text) returns void
  language plpgsql set lock_timeout = '500ms' as $$
declare
  occupied bool;
begin
  if not exists (select from strait_run_partitions() p where p.leaf = leaf_name) then
    raise exception 'job_runs has no partition %', leaf_name using errcode = 'undefined_table';
  end if;
  execute format('select exists (select from %I)', leaf_name) into occupied;
  if occupied then
    raise exception 'partition % is not empty', leaf_name using errcode = 'object_in_use';
  end if;
  execute format('alter table job_runs detach partition %I', leaf_name);
  execute format('drop table %I', leaf_name);
end $$;

select strait_ensure_run_partitions(3);
