create or replace function strait_lanes_with_room(lane_ids bigint[], counts int[]) returns bigint[]
  language sql stable as $$
  with site as materialized (
    select s.lane_id, sum(s.n)::int as n from unnest(lane_ids, counts) as s(lane_id, n) where s.lane_id is not null group by 1
  ), room as materialized (
    select l.lane_id,
           coalesce(l.key_in_flight + s.n <= l.key_cap, true)
             and coalesce(l.job_in_flight + sum(s.n) over (partition by l.job_lane_id) <= l.job_cap, true)
             and coalesce(l.project_in_flight + sum(s.n) over (partition by l.root_lane_id) <= l.project_cap, true) as fits
      from site s cross join lateral (select * from lane_rooms r where r.lane_id = s.lane_id limit 1) l
     where not (l.job_disabled or l.job_paused or l.group_paused or l.endpoint_closed or l.budgeted)
       and (select a.endpoint from endpoint_admission a
             where a.project_id = l.project_id and a.endpoint = l.endpoint and a.max_in_flight is not null limit 1) is null
       and (select p.run_id from run_parked p where p.root_lane_id = l.root_lane_id and p.lane_id = l.lane_id limit 1) is null
       and (coalesce(l.job_cap, l.project_cap) is null
            or (select p.run_id from run_parked p where p.root_lane_id = l.root_lane_id limit 1) is null)
  )
  select coalesce(array_agg(r.lane_id), '{}') from room r where r.fits
$$;

-- Where runs of these jobs and keys, `counts` of each, have to wait (strait_place), and which of them have their slots
-- already: all runs of a lane or none. Volatile on purpose: the rooms are read once more in a snapshot younger than the lock of
-- the root, as in a promotion. Nobody waits for a lane here: who is enqueueing may hold the row of an idempotency key that a
-- finish needs next, and that finish may hold the lane. And no root is locked where nothing can enter, or a stream of triggers
-- of a job at its limit would keep promotion out. A limit that comes between the look at the level and the lock is caught by
-- the claim's verdict. Sites come in order, so that new lanes are made in order.
create or replace function strait_admit(project_ids text[], job_ids text[], keys text[], counts int[])
  returns table (job_id text, concurrency_key text, lane_id bigint, root_lane_id bigint, admitted bool)
  language plpgsql as $$
#variable_conflict use_column
declare
  site_lanes bigint[];
  site_roots bigint[];
  open_lanes bigint[];
  held bigint[];
begin
  select array_agg(p.place[1] order by p.ord), array_agg(p.place[2] order by p.ord) into site_lanes, site_roots
    from (select s.ord, coalesce(
                   case w.level
                     when 'key' then (select array[l.lane_id, l.root_lane_id] from lanes l
                                       where l.project_id = s.project_id and l.job_id = s.job_id and l.concurrency_key = s.key)
                     when 'job' then (select array[l.lane_id, l.root_lane_id] from lanes l
                                       where l.project_id = s.project_id and l.job_id = s.job_id and l.concurrency_key is null)
                     when 'project' then (select array[l.lane_id, l.root_lane_id] from lanes l
                                           where l.project_id = s.project_id and l.job_id is null and l.concurrency_key is null) end,
                   case when w.level is not null
                        then strait_lane(s.project_id, case when w.level <> 'project' then s.job_id end, case when w.level = 'key' then s.key end) end) as place
            from unnest(project_ids, job_ids, keys) with ordinality as s(project_id, job_id, key, ord)
           cross join lateral strait_lane_level(s.job_id, s.key) w) p;
  -- Where nobody waits in the whole tree there mostly is room, and looking once, under the lock, is enough.
  open_lanes := case when exists (select from unnest(site_roots) r cross join lateral (
                                    select from run_parked p where p.root_lane_id = r limit 1) w)
                     then strait_lanes_with_room(site_lanes, counts) else array_remove(site_lanes, null) end;
  if open_lanes <> '{}' then
    held := array(select l.lane_id from lanes l
                   where l.lane_id = any (array(select k.root_lane_id from lanes k where k.lane_id = any (open_lanes)))
                   order by l.lane_id for no key update skip locked);
    held := held || array(
      select l.lane_id from lanes l
       where l.lane_id = any (open_lanes || array(select k.parent_lane_id from lanes k where k.lane_id = any (open_lanes)))
         and l.root_lane_id = any (held) and l.lane_id <> all (held)
       order by l.lane_id for no key update skip locked);
    open_lanes := array(select l.lane_id from lanes l
                         where l.lane_id = any (open_lanes) and l.lane_id = any (held) and l.root_lane_id = any (held)
                           and (l.parent_lane_id is null or l.parent_lane_id = any (held)));
    open_lanes := strait_lanes_with_room(
      array(select case when s.lane_id = any (open_lanes) then s.lane_id end from unnest(site_lanes) with ordinality as s(lane_id, n) order by s.n),
      counts);
    update lanes l set in_flight = l.in_flight + up.n, used_at = strait_now()
      from (select v.counted_lane_id as lane_id, sum(s.n)::int as n
              from unnest(site_lanes, counts) as s(lane_id, n) join lane_levels v on v.lane_id = s.lane_id
             where s.lane_id = any (open_lanes) group by 1) up
     where l.lane_id = up.lane_id;
  end if;
  return query
    select s.job_id, s.concurrency_key, s.lane_id, s.root_lane_id, coalesce(s.lane_id = any (open_lanes), false)
      from unnest(job_ids, keys, site_lanes, site_roots) as s(job_id, concurrency_key, lane_id, root_lane_id);
end $$;
