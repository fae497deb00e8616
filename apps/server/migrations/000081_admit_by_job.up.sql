-- owner: queue. The short way in (000078), with one look per job instead of one per key: a batch brings runs of few jobs and many
-- keys. What that saves: `npm run bench -- --suite limits`.

-- As in 000078. Lanes of one job have everything in common but what their key may have in flight, and what it has. Where nobody
-- waits in a whole tree, nobody waits in its lanes. The lane of a job that was made last is that of a key, if one is.
create or replace function strait_lanes_with_room(lane_ids bigint[], counts int[]) returns bigint[]
  language sql stable as $$
  with site as materialized (
    select l.root_lane_id, l.job_id, max(l.lane_id) as any_lane, sum(s.n)::int as n, array_agg(l.lane_id) as job_lanes,
           array_agg(l.concurrency_key) as job_keys, array_agg(l.in_flight + s.n) as wanted,
           (select j.has_key_limits from jobs j where j.id = l.job_id) as shares
      from (select u.lane_id, sum(u.n)::int as n from unnest(lane_ids, counts) as u(lane_id, n) where u.lane_id is not null group by 1) s
     cross join lateral (select * from lanes k where k.lane_id = s.lane_id limit 1) l
     group by l.root_lane_id, l.job_id
  ), room as materialized (
    select s.root_lane_id, s.job_id, s.job_lanes, s.job_keys, s.wanted, s.shares, l.key_cap,
           coalesce(l.job_cap, l.project_cap) is not null as shared,
           (select p.run_id from run_parked p where p.root_lane_id = s.root_lane_id limit 1) is not null as waits,
           coalesce(l.job_in_flight + s.n <= l.job_cap, true)
             and coalesce(l.project_in_flight + sum(s.n) over (partition by s.root_lane_id) <= l.project_cap, true) as fits
      from site s cross join lateral (select * from lane_rooms r where r.lane_id = s.any_lane limit 1) l
     where not (l.job_disabled or l.job_paused or l.group_paused or l.endpoint_closed or l.budgeted)
       and (select a.endpoint from endpoint_admission a
             where a.project_id = l.project_id and a.endpoint = l.endpoint and a.max_in_flight is not null limit 1) is null
  )
  select coalesce(array_agg(x.lane_id), '{}')
    from room r cross join lateral unnest(r.job_lanes, r.job_keys, r.wanted) as x(lane_id, concurrency_key, wanted)
   where r.fits
     and coalesce(x.wanted <= case when x.concurrency_key is null then null
                                   when r.shares then strait_key_cap(r.job_id, x.concurrency_key) else r.key_cap end, true)
     and case when r.waits then not r.shared
                and (select p.run_id from run_parked p where p.root_lane_id = r.root_lane_id and p.lane_id = x.lane_id limit 1) is null
              else true end
$$;

-- As in 000078. A plan for each number of sites would cost more than it finds.
create or replace function strait_admit(project_ids text[], job_ids text[], keys text[], counts int[])
  returns table (job_id text, concurrency_key text, lane_id bigint, root_lane_id bigint, admitted bool)
  language plpgsql set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
  site_lanes bigint[];
  site_roots bigint[];
  site_parents bigint[];
  open_lanes bigint[];
  held bigint[];
begin
  select array_agg(p.place[1] order by p.ord), array_agg(p.place[2] order by p.ord), array_agg(p.place[3] order by p.ord)
    into site_lanes, site_roots, site_parents
    from (select s.ord,
                 case s.level
                   when 'key' then coalesce((select array[l.lane_id, l.root_lane_id, l.parent_lane_id] from lanes l
                                              where l.project_id = s.project_id and l.job_id = s.job_id and l.concurrency_key = s.key),
                                            strait_lane(s.project_id, s.job_id, s.key) || (strait_lane(s.project_id, s.job_id, null))[1])
                   when 'job' then coalesce((select array[l.lane_id, l.root_lane_id, l.parent_lane_id] from lanes l
                                              where l.project_id = s.project_id and l.job_id = s.job_id and l.concurrency_key is null),
                                            strait_lane(s.project_id, s.job_id, null) || (strait_lane(s.project_id, null, null))[1])
                   when 'project' then coalesce((select array[l.lane_id, l.root_lane_id, l.parent_lane_id] from lanes l
                                                  where l.project_id = s.project_id and l.job_id is null and l.concurrency_key is null),
                                                strait_lane(s.project_id, null, null) || null::bigint) end as place
            -- Whether a key has a lane of its own depends on which job it is a key of, not on which key it is.
            from (select g.project_id, g.job_id, k.key, k.ord, w.level
                    from (select n.project_id, n.job_id, min(n.key) as any_key, array_agg(n.key) as job_keys, array_agg(n.ord) as ords
                            from unnest(project_ids, job_ids, keys) with ordinality as n(project_id, job_id, key, ord)
                           group by n.project_id, n.job_id, n.key <> '') g
                   cross join lateral strait_lane_level(g.job_id, g.any_key) w
                   cross join lateral unnest(g.job_keys, g.ords) as k(key, ord)
                   order by k.ord offset 0) s) p;
  -- Where nobody waits in the whole tree there mostly is room, and looking once, under the lock, is enough.
  open_lanes := case when exists (select from unnest(site_roots) r cross join lateral (
                                    select from run_parked p where p.root_lane_id = r limit 1) w)
                     then strait_lanes_with_room(site_lanes, counts) else array_remove(site_lanes, null) end;
  if open_lanes <> '{}' then
    held := array(select l.lane_id from lanes l
                   where l.lane_id = any (array(select s.root_lane_id from unnest(site_lanes, site_roots) as s(lane_id, root_lane_id)
                                                 where s.lane_id in (select unnest(open_lanes)) group by 1))
                   order by l.lane_id for no key update skip locked);
    held := held || array(
      select l.lane_id from lanes l
       where l.lane_id = any (array(select s.parent_lane_id from unnest(site_lanes, site_parents) as s(lane_id, parent_lane_id)
                                     where s.lane_id in (select unnest(open_lanes)) group by 1))
         and l.root_lane_id = any (held) and l.lane_id <> all (held)
       order by l.lane_id for no key update skip locked);
    open_lanes := array(select l.lane_id from lanes l
                         where l.lane_id = any (open_lanes) and l.root_lane_id = any (held)
                           and (l.parent_lane_id is null or l.parent_lane_id = any (held))
                         order by l.lane_id for no key update skip locked);
    open_lanes := strait_lanes_with_room(
      array(select case when s.lane_id in (select unnest(open_lanes)) then s.lane_id end from unnest(site_lanes) with ordinality as s(lane_id, n) order by s.n),
      counts);
    update lanes l set in_flight = l.in_flight + up.n, used_at = strait_now()
      from (select level.counted_lane_id as lane_id, sum(s.n)::int as n
              from unnest(site_lanes, site_parents, site_roots, counts) as s(lane_id, parent_lane_id, root_lane_id, n)
             cross join lateral (values (s.lane_id), (s.parent_lane_id), (nullif(nullif(s.root_lane_id, s.parent_lane_id), s.lane_id)))
                                as level (counted_lane_id)
             where s.lane_id in (select unnest(open_lanes)) and level.counted_lane_id is not null group by 1) up
     where l.lane_id = up.lane_id;
  end if;
  return query
    select s.job_id, s.concurrency_key, s.lane_id, s.root_lane_id, coalesce(s.lane_id in (select unnest(open_lanes)), false)
      from unnest(job_ids, keys, site_lanes, site_roots) as s(job_id, concurrency_key, lane_id, root_lane_id);
end $$;
