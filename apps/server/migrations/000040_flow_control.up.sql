-- What decides whether a trigger becomes a run, now, later or not at all.

-- owner: queue. How many runs triggers may still queue before the project's queued and delayed runs have to be counted
-- again. Only projects with max_queued_runs have a row; runs that leave never touch it, so it errs on the safe side.
-- `full_until`: a count found no room; others believe it until then.
create table if not exists queued_room (
  project_id text primary key,
  room bigint not null default 0,
  full_until timestamptz
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);

-- Counting a project's delayed runs.
create index if not exists run_delayed_project on run_delayed (project_id);

-- owner: limits. Rate limits of jobs as leaky buckets: `level` runs were let in and have not drained by `at`; empty at
-- `empty_at`. Losing them in a crash of PostgreSQL allows one more window, no more.
create unlogged table if not exists rate_limit_levels (
  bucket text primary key,
  level float8 not null default 0,
  at timestamptz not null,
  empty_at timestamptz not null
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);

-- Charges runs to every bucket or to none: all :n of them (`all`), as many as fit (`some`), or all of them whether they fit
-- or not (`reserve`). Says how many, and how many seconds until the next one that was not charged (or, reserved, would have
-- been) fits. A bucket of :most per :window_secs drains evenly. Buckets are locked in one order, so callers do not deadlock.
create or replace function strait_take_tokens(buckets text[], most float8[], window_secs float8[], n int, mode text,
                                              out taken int, out wait_secs float8)
  language plpgsql as $$
declare
  asked record;
  standing float8;
  levels float8[] := '{}';
  fits float8 := 'infinity';
  wanted int;
begin
  for asked in select * from unnest(buckets, most, window_secs) as b (bucket, most, secs) order by bucket loop
    insert into rate_limit_levels as l (bucket, level, at, empty_at)
    values (asked.bucket, 0, strait_now(), strait_now())
    on conflict (bucket) do update
       set level = greatest(0, l.level - greatest(0, extract(epoch from strait_now() - l.at)) * asked.most / asked.secs),
           at = greatest(l.at, strait_now())
    returning l.level into standing;
    levels := levels || standing;
    -- A little tolerance: levels are sums of fractions.
    fits := least(fits, floor(asked.most - standing + 1e-6));
  end loop;
  taken := case when mode = 'reserve' or fits >= n then n when mode = 'some' then greatest(0, fits) else 0 end;
  wanted := case mode when 'some' then least(n, taken + 1) else n end;
  select max(greatest(0, (levels[b.ord] + wanted - b.most) * b.secs / b.most)) into wait_secs
    from (select *, row_number() over (order by bucket) as ord from unnest(buckets, most, window_secs) as u (bucket, most, secs)) b
   where levels[b.ord] + wanted > b.most + 1e-6;
  wait_secs := coalesce(wait_secs, 0);
  if taken <> 0 then
    update rate_limit_levels l
       set level = greatest(0, l.level + taken), empty_at = l.at + make_interval(secs => greatest(0, l.level + taken) * b.secs / b.most)
      from unnest(buckets, most, window_secs) as b (bucket, most, secs)
     where l.bucket = b.bucket;
  end if;
end $$;

-- owner: queue. The newest run per payload of jobs with a dedup window. `run_id` is null for a moment only: while the
-- transaction that holds the row decides.
create table if not exists recent_payloads (
  job_id text not null references jobs (id) on delete cascade,
  payload_hash text not null,
  run_id text,
  created_at timestamptz not null default strait_now(),
  primary key (job_id, payload_hash)
);

-- What a debounced trigger keeps besides its payload.
alter table debounce_pending add column if not exists metadata jsonb;

-- Arrival order, and what the first item gives to the run of its batch.
alter table batch_buffer add column if not exists seq bigint generated always as identity;
alter table batch_buffer add column if not exists concurrency_key text;
alter table batch_buffer add column if not exists ttl_secs int;
alter table batch_buffer add column if not exists metadata jsonb;
drop index if exists idx_batch_buffer_job_key;
create index if not exists idx_batch_buffer_job_key on batch_buffer (job_id, batch_key, seq);
