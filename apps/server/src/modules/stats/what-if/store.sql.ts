// Generated from store.sql by `npm run generate`. Do not edit.
import { many, type Queryable } from '../../../platform/db/query.ts';

export interface ListArrivalsParams {
  readonly job_id: string;
  readonly project_id: string;
  readonly since: string;
  readonly until: string;
  readonly limit: number;
}

export interface ListArrivalsRow {
  readonly ready_ms: number;
  readonly priority: number;
  readonly key: string | null;
  readonly duration_ms: number;
}

const listArrivalsText = `select (extract(epoch from greatest(created_at, scheduled_at)) * 1000)::float8 as "ready_ms", priority, concurrency_key as key,
       greatest(extract(epoch from finished_at - started_at) * 1000, 0)::float8 as "duration_ms"
  from job_runs
 where job_id = $1 and project_id = $2
   and created_at >= $3::timestamptz and created_at < $4::timestamptz
   and started_at is not null and finished_at is not null
 order by created_at desc, id desc limit $5::int`;

/** Runs that ended, with when they could have started and how long they took; the newest of the window when there are more. */
export function listArrivals(db: Queryable, params: ListArrivalsParams): Promise<ListArrivalsRow[]> {
  return many<ListArrivalsRow>(db, {
    text: listArrivalsText,
    values: [
      params.job_id,
      params.project_id,
      params.since,
      params.until,
      params.limit,
    ],
  });
}
