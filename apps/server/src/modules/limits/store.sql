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
