-- Counters of the API's rate limits.

-- name: hitWindow :one prepared
-- Counts one call in the current fixed window of the bucket; a window that is over starts anew.
insert into rate_limit_windows as w (bucket, window_start, hits)
values (:bucket, strait_now(), 1)
on conflict (bucket) do update
   set hits = case when w.window_start > strait_now() - :window_secs::int * interval '1 second'
                   then w.hits + 1 else 1 end,
       window_start = case when w.window_start > strait_now() - :window_secs::int * interval '1 second'
                           then w.window_start else strait_now() end
returning hits as "hits!",
          greatest(1, ceil(extract(epoch from
            window_start + :window_secs::int * interval '1 second' - strait_now())))::int as "reset_secs!";

-- name: deleteOldWindows :count
-- No window is longer than a day.
delete from rate_limit_windows where window_start < strait_now() - interval '1 day';

-- name: takeTokens :one prepared
-- :mode is `all`, `some` or `reserve`; see the function.
select t.taken as "taken!", t.wait_secs as "wait_secs!"
  from strait_take_tokens(:buckets::text[], :most::float8[], :window_secs::float8[], :amount::int, :mode::text) t;

-- name: lookAtTokens :maybe
-- The bucket that keeps so many out longest, and for how many seconds; no row: they would fit. Charges nothing.
select x.bucket as "bucket!", greatest(0, (x.level + :amount::int - x.most) * x.secs / x.most)::float8 as "wait_secs!"
  from (select b.bucket, b.most, b.secs,
               coalesce(greatest(0, l.level - greatest(0, extract(epoch from strait_now() - l.at)) * b.most / b.secs), 0) as level
          from unnest(:buckets::text[], :most::float8[], :window_secs::float8[]) as b (bucket, most, secs)
          left join rate_limit_levels l on l.bucket = b.bucket) x
 where x.level + :amount::int > x.most + 1e-6
 order by 2 desc limit 1;

-- name: deleteEmptyLevels :count
delete from rate_limit_levels where empty_at < strait_now();
