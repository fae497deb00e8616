// Generated from store.sql by `npm run generate`. Do not edit.
import { count, maybe, one, type Queryable } from '../../platform/db/query.ts';

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

export interface TakeTokensParams {
  readonly buckets: readonly (string | null)[];
  readonly most: readonly (number | null)[];
  readonly window_secs: readonly (number | null)[];
  readonly amount: number;
  readonly mode: string;
}

export interface TakeTokensRow {
  readonly taken: number;
  readonly wait_secs: number;
}

const takeTokensText = `select t.taken as "taken", t.wait_secs as "wait_secs"
  from strait_take_tokens($1::text[], $2::float8[], $3::float8[], $4::int, $5::text) t`;

/** :mode is `all`, `some` or `reserve`; see the function. */
export function takeTokens(db: Queryable, params: TakeTokensParams): Promise<TakeTokensRow> {
  return one<TakeTokensRow>(db, {
    text: takeTokensText,
    values: [
      params.buckets,
      params.most,
      params.window_secs,
      params.amount,
      params.mode,
    ],
    name: 'limits_takeTokens_13dd1366',
  });
}

export interface LookAtTokensParams {
  readonly amount: number;
  readonly buckets: readonly (string | null)[];
  readonly most: readonly (number | null)[];
  readonly window_secs: readonly (number | null)[];
}

export interface LookAtTokensRow {
  readonly bucket: string;
  readonly wait_secs: number;
}

const lookAtTokensText = `select x.bucket as "bucket", greatest(0, (x.level + $1::int - x.most) * x.secs / x.most)::float8 as "wait_secs"
  from (select b.bucket, b.most, b.secs,
               coalesce(greatest(0, l.level - greatest(0, extract(epoch from strait_now() - l.at)) * b.most / b.secs), 0) as level
          from unnest($2::text[], $3::float8[], $4::float8[]) as b (bucket, most, secs)
          left join rate_limit_levels l on l.bucket = b.bucket) x
 where x.level + $1::int > x.most + 1e-6
 order by 2 desc limit 1`;

/** The bucket that keeps so many out longest, and for how many seconds; no row: they would fit. Charges nothing. */
export function lookAtTokens(db: Queryable, params: LookAtTokensParams): Promise<LookAtTokensRow | undefined> {
  return maybe<LookAtTokensRow>(db, {
    text: lookAtTokensText,
    values: [
      params.amount,
      params.buckets,
      params.most,
      params.window_secs,
    ],
  });
}

const deleteEmptyLevelsText = `delete from rate_limit_levels where empty_at < strait_now()`;

export function deleteEmptyLevels(db: Queryable): Promise<number> {
  return count(db, {
    text: deleteEmptyLevelsText,
    values: [],
  });
}
