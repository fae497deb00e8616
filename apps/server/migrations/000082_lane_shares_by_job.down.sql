create or replace view lane_shares with (security_invoker = true) as
select l.lane_id, coalesce(own.min_concurrency, 0) as key_min, coalesce(own.weight, each.weight, 1) as key_weight,
       coalesce(own.max_concurrency, each.max_concurrency) as key_max,
       case when l.concurrency_key is not null then l.in_flight
            else l.in_flight - (select coalesce(sum(k.in_flight), 0)::int from lanes k
                                 where k.root_lane_id = l.root_lane_id and k.parent_lane_id = l.lane_id) end as key_slots,
       greatest(l.turn, jl.clock) as turn
  from lanes l
  join jobs j on j.id = l.job_id and j.has_key_limits
  left join lanes jl on jl.lane_id = case when l.concurrency_key is not null then l.parent_lane_id else l.lane_id end
  left join job_key_limits own on own.job_id = l.job_id and own.concurrency_key = l.concurrency_key
  left join job_key_limits each on each.job_id = l.job_id and each.concurrency_key = '*'
   and l.concurrency_key is not null and own.job_id is null;
