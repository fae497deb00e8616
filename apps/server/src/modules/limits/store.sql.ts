// Generated from store.sql by `npm run generate`. Do not edit.
import { count, one, type Queryable } from '../../platform/db/query.ts';

export interface HitWindowParams {
  readonly bucket: string;
  readonly window_secs: number;
}

export interface HitWindowRow {
  readonly hits: number;
  readonly reset_secs: number;
}

const hitWindowText = `insert into rate_limit_windows as w (bucket, window_start, hits)
values ($1, strait_now(), 1)
on conflict (bucket) do update
   set hits = case when w.window_start > strait_now() - $2::int * interval '1 second'
                   then w.hits + 1 else 1 end,
       window_start = case when w.window_start > strait_now() - $2::int * interval '1 second'
                           then w.window_start else strait_now() end
returning hits as "hits",
          greatest(1, ceil(extract(epoch from
            window_start + $2::int * interval '1 second' - strait_now())))::int as "reset_secs"`;

/** Counts one call in the current fixed window of the bucket; a window that is over starts anew. */
export function hitWindow(db: Queryable, params: HitWindowParams): Promise<HitWindowRow> {
  return one<HitWindowRow>(db, {
    text: hitWindowText,
    values: [
      params.bucket,
      params.window_secs,
    ],
    name: 'limits_hitWindow_db932864',
  });
}

const deleteOldWindowsText = `delete from rate_limit_windows where window_start < strait_now() - interval '1 day'`;

/** No window is longer than a day. */
export function deleteOldWindows(db: Queryable): Promise<number> {
  return count(db, {
    text: deleteOldWindowsText,
    values: [],
  });
}
