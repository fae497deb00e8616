// Generated from store.sql by `npm run generate`. Do not edit.
import { one, type Queryable } from '../../platform/db/query.ts';

export interface SuccessTimesParams {
  readonly job_id: string;
  readonly sample: number;
}

export interface SuccessTimesRow {
  readonly samples: number;
  readonly p95_secs: number | null;
}

const successTimesText = `select count(*)::int as "samples", percentile_cont(0.95) within group (order by secs) as "p95_secs"
  from (select extract(epoch from finished_at - started_at)::float8 as secs
          from (select status, started_at, finished_at from job_runs
                 where job_id = $1 and created_at > strait_now() - interval '24 h'
                 order by created_at desc limit $2::int) r
         where r.status = 'completed' and r.started_at is not null) s`;

/**
 * across projects: workers serve every project; the job comes from a run they hold.
 * The newest runs of a day, at most :sample of them: enough for a percentile, and bounded however busy the job is.
 */
export function successTimes(db: Queryable, params: SuccessTimesParams): Promise<SuccessTimesRow> {
  return one<SuccessTimesRow>(db, {
    text: successTimesText,
    values: [
      params.job_id,
      params.sample,
    ],
  });
}
